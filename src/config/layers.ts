/** Where settings come from: each source becomes a layer of values by the names of the rows. */
import type { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { type AbsentKind, refuseAbsent } from './absent.js';
import { HOOK_VARIABLES } from './hook-variables.js';
import { type IniEntry, type IniSection, readIni } from './ini.js';
import { configInvalid } from './invalid.js';
import { nearest, nearestHint } from './nearest.js';
import type { SettingRow } from './row.js';
import { shownText } from './shown.js';
import { allRows } from './settings.js';
import { parseGiven, parseValue, type Value } from './values.js';

export type Source =
  | 'built-in'
  | 'profile pi'
  | 'profile desktop'
  | 'system defaults'
  | 'environment'
  | 'configuration file'
  | 'command line';

/** A value, and where it was given. */
export interface Found {
  readonly value: Value;
  readonly source: Source;
  /** File and line, variable or option; empty for what is built in. */
  readonly where: string;
}

/** Values by the names of the rows. */
export type Layer = ReadonlyMap<string, Found>;

export type Rows = readonly (readonly [name: string, row: SettingRow])[];

const MAIN = 'tardis';
const TUNING = 'pipeline';
/** Variables that are ours and no settings: the launcher's, what `tardisd --daemon` tells itself, and what hooks are told. */
const OTHER_VARIABLES = [
  'TARDIS_NODE_OPTIONS',
  'TARDIS_READY_FD',
  ...Object.values<string>(HOOK_VARIABLES),
];

/** The defaults of the rows that have one. */
export function builtInLayer(rows: Rows): Layer {
  const layer = new Map<string, Found>();
  for (const [name, row] of rows) {
    const given = typeof row.default === 'function' ? row.default() : row.default;
    if (given === undefined) continue;
    const isPath = row.type === 'path' || row.type === 'paths';
    const value = isPath ? parseGiven([given].flat().map(String), row, name) : (given as Value);
    layer.set(name, { value, source: 'built-in', where: '' });
  }
  return layer;
}

/** What the command line gave: texts by the names of the rows. Throws CONFIG_INVALID. */
export function commandLineLayer(rows: Rows, given: ReadonlyMap<string, readonly string[]>): Layer {
  const layer = new Map<string, Found>();
  for (const [name, row] of rows) {
    const texts = given.get(name);
    if (texts === undefined) continue;
    const where = row.flags === undefined ? 'an argument' : longFlag(row.flags);
    layer.set(name, { value: parseGiven(texts, row, where), source: 'command line', where });
  }
  return layer;
}

/** The long one of `-D, --database <dir>`. */
export function longFlag(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

const PREFIX = 'TARDIS_';

/** The variables that are set. A `TARDIS_…` that nobody knows is refused, as a mistyped one. */
export function environmentLayer(
  rows: Rows,
  environment: Readonly<Record<string, string | undefined>>,
): Layer {
  const known = new Set([
    ...allRows().flatMap(([, row]) => row.variable ?? []),
    ...OTHER_VARIABLES,
  ]);
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || known.has(name)) continue;
    refuseAbsent('variable', name, 'environment');
    // What all have in common would make all of them alike.
    const near = nearest(
      name.slice(PREFIX.length),
      [...known].map((one) => one.slice(PREFIX.length)),
    );
    const hint = near === undefined ? '' : ` (the nearest one is "${PREFIX}${near}")`;
    throw configInvalid(`there is no variable "${shownText(name)}"${hint}`);
  }
  const layer = new Map<string, Found>();
  for (const [name, row] of rows) {
    const text = row.variable === undefined ? undefined : environment[row.variable];
    if (text === undefined) continue;
    const value = parseValue(text, row, row.variable!);
    layer.set(name, { value, source: 'environment', where: row.variable! });
  }
  return layer;
}

/** `system.defaults`: section [Tardis], the names of the variables. `TARDIS_DEFAULTS` is not in it. */
export function systemDefaultsLayer(rows: Rows, file: Buffer): Layer {
  const shown = displayName(file);
  const sections = readIni(file, shown);
  for (const { name, line } of sections) {
    if (isOneOf(name, [MAIN])) continue;
    throw configInvalid(
      `${shown}:${line}: there is no section [${shownText(name)}]; write [Tardis]`,
    );
  }
  return entriesLayer(rows, sections, {
    shown,
    source: 'system defaults',
    kind: 'variable',
    keyOf: (row) => (row.variable === 'TARDIS_DEFAULTS' ? undefined : row.variable),
  });
}

/** The server's file: sections [Tardis] and [Pipeline]. */
export function serverFileLayer(rows: Rows, file: Buffer): Layer {
  const shown = displayName(file);
  const sections = readIni(file, shown);
  for (const { name, line } of sections) {
    if (isOneOf(name, [MAIN, TUNING])) continue;
    const hint = nearestHint(name, ['Tardis', 'Pipeline']);
    throw configInvalid(`${shown}:${line}: there is no section [${shownText(name)}]${hint}`);
  }
  return entriesLayer(rows, tuningFirst(sections), {
    shown,
    source: 'configuration file',
    kind: 'server key',
    keyOf: (row) => row.serverKey,
  });
}

/**
 * The client's files, later ones over earlier ones: what [Pipeline] says holds for every job, then the
 * section of the job. Every section is checked, so that a slip is found before the night in which that
 * job runs.
 */
export function clientFilesLayer(rows: Rows, files: readonly Buffer[], job: string): Layer {
  const layer = new Map<string, Found>();
  const jobs: string[] = [];
  for (const file of files) {
    const shown = displayName(file);
    const sections = readIni(file, shown);
    jobs.push(...jobsOf(sections, shown));
    const style: FileStyle = {
      shown,
      source: 'configuration file',
      kind: 'client key',
      keyOf: (row) => row.clientKey,
    };
    for (const section of sections) entriesLayer([], [section], style);
    const read = tuningFirst(sections).filter(({ name }) => isOneOf(name, [TUNING, job]));
    for (const [name, found] of entriesLayer(rows, read, style)) layer.set(name, found);
  }
  const isMissing = !jobs.some((name) => isOneOf(name, [job]));
  if (isMissing && (jobs.length > 0 || !isOneOf(job, [MAIN]))) {
    const shown = files.map(displayName).join(', ');
    throw configInvalid(
      `${shown} has no section [${shownText(job)}]${nearestHint(job, jobs)}; choose by --job`,
    );
  }
  return layer;
}

/** The names of the sections that are jobs. */
function jobsOf(sections: readonly IniSection[], shown: string): string[] {
  return sections.flatMap(({ name, line }) => {
    if (name !== 'DEFAULT') return isOneOf(name, [TUNING]) ? [] : [name];
    throw configInvalid(`${shown}:${line}: [DEFAULT] is not read; write it into each job`);
  });
}

function isOneOf(name: string, names: readonly string[]): boolean {
  return names.some((one) => one.toLowerCase() === name.toLowerCase());
}

function tuningFirst(sections: readonly IniSection[]): IniSection[] {
  const isTuning = ({ name }: IniSection): boolean => isOneOf(name, [TUNING]);
  return [...sections.filter(isTuning), ...sections.filter((section) => !isTuning(section))];
}

interface FileStyle {
  readonly shown: string;
  readonly source: Source;
  readonly kind: AbsentKind;
  keyOf(row: SettingRow): string | undefined;
}

/** The entries of sections, later ones over earlier ones; every key must be one that is known. */
function entriesLayer(rows: Rows, sections: readonly IniSection[], style: FileStyle): Layer {
  const wanted = new Map(rows);
  const layer = new Map<string, Found>();
  for (const section of sections) {
    const known = keysOf(section, style);
    for (const entry of section.entries) {
      const where = `${style.shown}:${entry.line}`;
      const meant = known.get(entry.key.toLowerCase());
      if (meant === undefined) throw unknownKey(section, entry, where, style, known);
      for (const [name, row] of meant.rows) {
        const value = parseValue(entry.text, row, `${where}: ${entry.key}`);
        if (wanted.has(name)) layer.set(name, { value, source: style.source, where });
      }
    }
  }
  return layer;
}

/** Several rows may have one key: a variable may mean something to the client and to the server. */
type Keys = ReadonlyMap<string, { readonly rows: Rows; readonly key: string }>;

/** The keys a section may hold, in lower case. Only tuning may stand in [Pipeline]. */
function keysOf(section: IniSection, style: FileStyle): Keys {
  const isTuning = isOneOf(section.name, [TUNING]);
  const keys = new Map<string, { rows: [string, SettingRow][]; key: string }>();
  for (const [name, row] of allRows()) {
    const key = style.keyOf(row);
    if (key === undefined || (isTuning && row.isTuning !== true)) continue;
    const known = keys.get(key.toLowerCase());
    if (known === undefined) keys.set(key.toLowerCase(), { rows: [[name, row]], key });
    else known.rows.push([name, row]);
  }
  return keys;
}

function unknownKey(
  section: IniSection,
  entry: IniEntry,
  where: string,
  style: FileStyle,
  known: Keys,
): TardisError {
  refuseAbsent(style.kind, entry.key, where);
  const hint = nearestHint(
    entry.key,
    [...known.values()].map((one) => one.key),
  );
  return configInvalid(
    `${where}: [${shownText(section.name)}] has no key "${shownText(entry.key)}"${hint}`,
  );
}

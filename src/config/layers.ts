/** Reads each source of settings into a layer of values, keyed by the names of the rows. */
import type { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { type AbsentKind, requestsNothing, refuseAbsent } from './absent.js';
import { HOOK_VARIABLES } from './rows-hooks.js';
import { type IniEntry, type IniSection, readIni } from './ini.js';
import { configInvalid, requireOwnFile } from './invalid.js';
import { nearest, nearestHint } from './nearest.js';
import type { SettingRow } from './row.js';
import { shownText } from './displayed-text.js';
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

/** A value and its source. */
export interface Found {
  readonly value: Value;
  readonly source: Source;
  /** File and line, variable or option; empty for a built-in default. */
  readonly where: string;
}

/** Values by the names of the rows. */
export type Layer = ReadonlyMap<string, Found>;

export type Rows = readonly (readonly [name: string, row: SettingRow])[];

const MAIN = 'tardis';
const TUNING = 'pipeline';
const SOURCES = 'sources';
/**
 * Environment variables that are not settings: those of the launcher, those that `tardisd --daemon` passes to
 * itself, that of a program that runs commands, and those that are passed to hooks.
 */
const OTHER_VARIABLES = [
  'TARDIS_NODE',
  'TARDIS_NODE_OPTIONS',
  'TARDIS_READY_FD',
  'TARDIS_HANGUP',
  'TARDIS_FRONT',
  'TARDIS_RUN_BY',
  ...Object.values<string>(HOOK_VARIABLES),
];

/** Returns the defaults of the rows that have one. */
export function builtInLayer(rows: Rows): Layer {
  const layer = new Map<string, Found>();
  for (const [name, row] of rows) {
    const given = typeof row.default === 'function' ? row.default() : row.default;
    if (given === undefined) continue;
    const isPath = ['path', 'paths', 'place', 'places'].includes(row.type);
    const value = isPath ? parseGiven([given].flat().map(String), row, name) : (given as Value);
    layer.set(name, { value, source: 'built-in', where: '' });
  }
  return layer;
}

/** Returns the values of the command line; `given` has texts by the names of the rows. Throws CONFIG_INVALID. */
export function commandLineLayer(rows: Rows, given: ReadonlyMap<string, readonly string[]>): Layer {
  const layer = new Map<string, Found>();
  const texted = withRepeated(rows, given);
  for (const [name, row] of rows) {
    const texts = texted.get(name);
    if (texts === undefined) continue;
    const where = row.flags === undefined ? 'an argument' : longFlag(row.flags);
    layer.set(name, { value: parseGiven(texts, row, where), source: 'command line', where });
  }
  return layer;
}

/**
 * Returns the texts by setting. If a row has `repeatedTo`, the second and later texts of its flag are moved to the
 * setting of that name, unless the tool lacks that setting.
 */
function withRepeated(
  rows: Rows,
  given: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  const texts = new Map(given);
  const names = new Set(rows.map(([name]) => name));
  for (const [name, { repeatedTo }] of rows) {
    const [first, ...others] = given.get(name) ?? [];
    if (first === undefined || others.length === 0) continue;
    if (repeatedTo === undefined || !names.has(repeatedTo)) continue;
    texts.set(name, [first]).set(repeatedTo, [...others, ...(given.get(repeatedTo) ?? [])]);
  }
  return texts;
}

/**
 * Returns the long option in the flags of a row: `--database` for `-D, --database <dir>`. Without a long option,
 * returns the flags.
 */
export function longFlag(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

const PREFIX = 'TARDIS_';

/**
 * Returns the values of the rows whose environment variables are set. Throws CAPABILITY_MISSING for a variable of a
 * predecessor, and CONFIG_INVALID for another unknown `TARDIS_…`, which is probably mistyped.
 */
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
    // The prefix would make all names similar, so it is not compared.
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

/** Reads `system.defaults`: section [Tardis], with the names of the variables as keys, except `TARDIS_DEFAULTS`. */
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
    file,
    shown,
    source: 'system defaults',
    kind: 'variable',
    keyOf: (row) => (row.variable === 'TARDIS_DEFAULTS' ? undefined : row.variable),
  });
}

/**
 * Reads the file of a server, or of tardisremote if `isRemote`: sections [Tardis] and [Pipeline]. [Tardis] overrides
 * [Pipeline]. Throws CONFIG_INVALID for other sections.
 */
export function serverFileLayer(rows: Rows, file: Buffer, isRemote = false): Layer {
  const shown = displayName(file);
  const sections = readIni(file, shown);
  for (const { name, line } of sections) {
    if (isOneOf(name, [MAIN, TUNING])) continue;
    const hint = nearestHint(name, ['Tardis', 'Pipeline']);
    throw configInvalid(`${shown}:${line}: there is no section [${shownText(name)}]${hint}`);
  }
  return entriesLayer(rows, tuningFirst(sections), {
    file,
    shown,
    source: 'configuration file',
    kind: 'server key',
    keyOf: (row) => (isRemote ? (row.remoteKey ?? row.serverKey) : row.serverKey),
  });
}

/**
 * Reads the client's files; later files override earlier ones. [Pipeline] and [Sources] apply to every job; in the same
 * file, the section of the job overrides [Pipeline]. The sections of all jobs are checked, so that a mistake is found before its job
 * runs. Throws CONFIG_INVALID if no file has a section for the job. The default job `Tardis` needs one only if there
 * are sections of other jobs.
 */
export function clientFilesLayer(rows: Rows, files: readonly Buffer[], job: string): Layer {
  const layer = new Map<string, Found>();
  const jobs: string[] = [];
  for (const file of files) {
    const shown = displayName(file);
    const sections = readIni(file, shown);
    jobs.push(...jobsOf(sections, shown));
    const style: FileStyle = {
      file,
      shown,
      source: 'configuration file',
      kind: 'client key',
      keyOf: (row) => row.clientKey,
    };
    for (const section of sections) {
      if (!isOneOf(section.name, [SOURCES])) entriesLayer([], [section], style);
      else for (const [name, found] of sourcesLayer(rows, section, style)) layer.set(name, found);
    }
    const read = tuningFirst(sections).filter(({ name }) => isOneOf(name, [TUNING, job]));
    for (const [name, found] of entriesLayer(rows, read, style)) layer.set(name, found);
  }
  const isMissing = !jobs.some((name) => isOneOf(name, [job]));
  if (isMissing && (jobs.length > 0 || !isOneOf(job, [MAIN]))) {
    const shown = files.map(displayName).join(', ');
    throw configInvalid(
      `${shown} has no section [${shownText(job)}]${nearestHint(job, jobs)}; choose one with --job`,
    );
  }
  return layer;
}

/** Returns the names of the jobs in the client's files. Throws CONFIG_INVALID. */
export function clientJobs(files: readonly Buffer[]): string[] {
  return files.flatMap((file) => jobsOf(readIni(file, displayName(file)), displayName(file)));
}

/** Returns the names of the sections that are jobs: all but [Pipeline] and [Sources]. Throws CONFIG_INVALID for [DEFAULT]. */
function jobsOf(sections: readonly IniSection[], shown: string): string[] {
  return sections.flatMap(({ name, line }) => {
    if (name !== 'DEFAULT') return isOneOf(name, [TUNING, SOURCES]) ? [] : [name];
    throw configInvalid(
      `${shown}:${line}: [DEFAULT] is not supported; write its settings into each job`,
    );
  });
}

function isOneOf(name: string, names: readonly string[]): boolean {
  return names.some((one) => one.toLowerCase() === name.toLowerCase());
}

function tuningFirst(sections: readonly IniSection[]): IniSection[] {
  const isTuning = ({ name }: IniSection): boolean => isOneOf(name, [TUNING]);
  return [...sections.filter(isTuning), ...sections.filter((section) => !isTuning(section))];
}

/**
 * Returns the commands of [Sources], whose keys are the names of files. Throws CONFIG_INVALID, and CONFIG_UNSAFE for a
 * command of root in a file that another user can change.
 */
function sourcesLayer(rows: Rows, { entries, line }: IniSection, style: FileStyle): Layer {
  const layer = new Map<string, Found>();
  const [name, row] = allRows().find(([, { type }]) => type === 'commands')!;
  const isWanted = rows.some(([wanted]) => wanted === name);
  const texts = entries.flatMap(({ key, text, line: at }) => {
    const where = `${style.shown}:${at}: ${shownText(key)}`;
    if (isWanted) requireOwnFile(style.file, where);
    return parseValue(`${key} = ${text}`, row, where, true) as readonly string[];
  });
  const where = `${style.shown}:${line}`;
  if (isWanted) layer.set(name, { value: texts, source: style.source, where });
  return layer;
}

interface FileStyle {
  readonly file: Buffer;
  readonly shown: string;
  readonly source: Source;
  readonly kind: AbsentKind;
  keyOf(row: SettingRow): string | undefined;
}

/**
 * Returns the values of `rows` in the sections; later sections override earlier ones. Keys of other rows are only
 * checked. Throws CONFIG_INVALID for an invalid value or an unknown key, CAPABILITY_MISSING for a key of a predecessor,
 * and CONFIG_UNSAFE for a command of root in a file that another user can change.
 */
function entriesLayer(rows: Rows, sections: readonly IniSection[], style: FileStyle): Layer {
  const wanted = new Map(rows);
  const layer = new Map<string, Found>();
  for (const section of sections) {
    const known = keysOf(section, style);
    for (const entry of section.entries) {
      const where = `${style.shown}:${entry.line}`;
      if (requestsNothing(style.kind, entry.key, entry.text)) continue;
      const meant = known.get(entry.key.toLowerCase());
      if (meant === undefined) throw unknownKey(section, entry, { where, style, known });
      for (const [name, row] of meant.rows) {
        const value = parseValue(entry.text, row, `${where}: ${entry.key}`, true);
        if (!wanted.has(name)) continue;
        if (row.type === 'command') requireOwnFile(style.file, `${where}: ${entry.key}`);
        layer.set(name, { value, source: style.source, where });
      }
    }
  }
  return layer;
}

/**
 * The rows of each key, by the key in lower case. Several rows may share one key: a variable may apply to the client
 * and to the server.
 */
type Keys = ReadonlyMap<string, { readonly rows: Rows; readonly key: string }>;

/** Returns the keys that a section may contain, in lower case. [Pipeline] may contain only tuning. */
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
  {
    where,
    style,
    known,
  }: { readonly where: string; readonly style: FileStyle; readonly known: Keys },
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

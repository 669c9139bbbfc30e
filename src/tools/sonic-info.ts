/** `sonic info`: all that is known of backup sets. */
import type { Archive, BackupSet, SetNote } from '../archive/index.js';
import type { Found, Settings } from '../config/index.js';
import { asTardisError } from '../errors/index.js';
import { STAMP_FIGURES } from '../keeper/index.js';
import { displayName, joinPath, jsonName } from '../model/index.js';
import { withReports } from './open-archive.js';
import { JSON_VERSION, print } from './run-tool.js';
import { chosenSets } from './set-choice.js';
import { formatBytes, formatCount, formatSeconds, formatTime } from './units.js';

/** Notes that are printed one by one; JSON has them all. */
const MAX_NOTES_SHOWN = 100;
/** The directory of the roots' own entries. */
const ROOTS = 0;
const LABEL_CHARS = 18;

interface Told {
  readonly path: Buffer;
  readonly what: string;
  readonly reason: string;
}

interface SetInfo {
  readonly set: BackupSet;
  readonly roots: readonly Buffer[];
  readonly notes: readonly Told[];
  /** Proven by the client's keys; shown: there is one, and the keys are not here. */
  readonly seal: 'proven' | 'shown' | 'none';
  /** What the client was set to. */
  readonly config: ClientConfig | undefined;
}

type ClientConfig = Readonly<Record<string, unknown>>;

export function info(
  options: Settings<'sonic info'>,
  found: ReadonlyMap<string, Found>,
): Promise<void> {
  const { client, setsToShow, recentSet, json } = options;
  return withReports(options, found, async (archive) => {
    const sets = (await archive.sets()) ?? [];
    const words = setsToShow.length === 0 ? [recentSet] : setsToShow;
    const chosen = chosenSets(client, sets, words, recentSet);
    const told: unknown[] = [];
    for (const set of chosen) {
      const one = await infoOf(archive, set);
      if (json) told.push(jsonOf(one));
      else print(`${set === chosen[0] ? '' : '\n'}${linesOf(one).join('\n')}`);
    }
    if (json) print(JSON.stringify({ version: JSON_VERSION, client, sets: told }));
  });
}

async function infoOf(archive: Archive, set: BackupSet): Promise<SetInfo> {
  const number = set.set;
  const roots = await archive.roots(number); // of a client that encrypts they prove the set
  const { setSeal } = await archive.seals(number, 0, 1);
  const isProven = archive.contentKeys !== undefined;
  const config = await archive.reports.clientConfig(number);
  return {
    set,
    roots: roots.map(({ path }) => path),
    notes: await notesOf(archive, number, roots),
    seal: setSeal === undefined ? 'none' : isProven ? 'proven' : 'shown',
    config: config === undefined ? undefined : parsed(config),
  };
}

async function notesOf(
  archive: Archive,
  set: number,
  roots: readonly { readonly root: number; readonly path: Buffer }[],
): Promise<Told[]> {
  const notes = await archive.notes(set);
  const directories = [...new Set(notes.map(({ directory }) => directory))];
  const paths = await archive.reports.directoryPaths(set, directories);
  const pathOf = new Map(directories.map((directory, index) => [directory, paths[index]]));
  const placed = ({ directory, name }: SetNote): Buffer => {
    if (directory === ROOTS) {
      const root = roots.find((one) => String(one.root) === name.toString('latin1'));
      return root?.path ?? name;
    }
    const above = pathOf.get(directory);
    if (above === undefined) return name;
    return name.length === 0 ? above : joinPath(above, name);
  };
  return notes.map((note) => ({ path: placed(note), what: note.what, reason: note.reason }));
}

/** What a client, or whoever says he is one, has told. */
function parsed(text: string): ClientConfig {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as ClientConfig;
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw asTardisError(error);
  }
  return { text }; // of another client: shown as it is
}

function jsonOf({ set, roots, notes, seal, config }: SetInfo): Record<string, unknown> {
  const { marks, firstName, ...rest } = set;
  const { title, ...others } = marks;
  return {
    ...rest,
    ...others,
    ...(title === '' ? {} : { firstName }),
    roots: roots.map(jsonName),
    seal,
    notes: notes.map(({ path, what, reason }) => ({ ...jsonName(path), what, reason })),
    config,
  };
}

function linesOf({ set, roots, notes, seal, config }: SetInfo): string[] {
  const lines: string[] = [];
  const add = (label: string, value: string): void => {
    if (value !== '') lines.push(`${label.padEnd(LABEL_CHARS)} ${value}`);
  };
  const { marks } = set;
  add('set', String(set.set));
  add('name', shown(set.name));
  if (set.name !== set.firstName) add('made as', shown(set.firstName));
  add('state', `${set.state}${set.isDoubtful ? ', may lack entries (damage)' : ''}`);
  add('begun', `${formatTime(set.openedAtMs)} (server)`);
  add('', `${formatTime(set.clientTimeMs)} (client)`);
  if (set.closedAtMs !== undefined) {
    const tookMs = set.closedAtMs - set.openedAtMs;
    // A clock that was set back in between says nothing.
    const took = tookMs < 0 ? '' : `, took ${formatSeconds(tookMs)}`;
    add('ended', `${formatTime(set.closedAtMs)} (server)${took}`);
  }
  const flags = [marks.isLocked ? 'locked' : '', marks.isExpendable ? 'expendable' : ''];
  add('marks', flags.filter((flag) => flag !== '').join(', '));
  if (marks.priority !== 0) add('priority', String(marks.priority));
  add('tags', marks.tags.join(' '));
  add('seal', SEALS[seal]);
  roots.forEach((root, index) => add(index === 0 ? 'roots' : '', displayName(root)));
  for (const [name, value] of Object.entries(set.stats)) {
    if (STAMP_FIGURES.has(name)) continue; // for rules that keep sets by age; --json has them
    add(wordsOf(name), name.endsWith('Bytes') ? formatBytes(value) : formatCount(value));
  }
  for (const [index, { path, what, reason }] of notes.slice(0, MAX_NOTES_SHOWN).entries()) {
    const why = reason === '' ? what : `${what}, ${reason}`;
    add(index === 0 ? 'notes' : '', `${displayName(path)} (${shown(why)})`);
  }
  const more = notes.length - MAX_NOTES_SHOWN;
  if (more > 0) add('', `… and ${formatCount(more)} more (--json has all)`);
  if (config !== undefined) configLines(config, add);
  return lines;
}

const SEALS: Readonly<Record<SetInfo['seal'], string>> = {
  proven: 'proven by the keys of the client',
  shown: 'there is one; without the keys nobody can look at it',
  none: '',
};

function configLines(config: ClientConfig, add: (label: string, value: string) => void): void {
  const { version: _, settings, ...others } = config;
  for (const [name, value] of Object.entries(others)) add(shown(name), shown(textOf(value)));
  const given = typeof settings === 'object' && settings !== null ? Object.entries(settings) : [];
  given.forEach(([name, value], index) => {
    add(index === 0 ? 'set to' : '', `${shown(name)} = ${shown(textOf(value))}`);
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** Whatever it is, in one line that no terminal obeys. */
function shown(text: string): string {
  return displayName(Buffer.from(text));
}

/** `sentBytes` → `sent`, `filesRead` → `files read`. */
function wordsOf(name: string): string {
  const words = shown(name)
    .replace(/Bytes$/, '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.slice(0, LABEL_CHARS);
}

/**
 * Finds the states of a directory that another tool has kept: directories with dates in their names, as rsync --link-dest
 * makes them, or numbered ones, as rsnapshot does.
 */
import fs from 'node:fs';
import { failedTo, systemCode, TardisError } from '../errors/index.js';
import { displayName, joinPath } from '../model/index.js';

/** A directory as it was at a moment. */
export interface DatedState {
  readonly directory: Buffer;
  readonly dateMs: number;
}

/** Maximum number of states of a source. A hundred years of days are 36,525. */
const MAX_STATES = 100_000;

/** Parts of a date in a name, with the digits that each has. */
const FIELDS: Readonly<Record<string, string>> = {
  Y: '\\d{4}',
  m: '\\d{2}',
  d: '\\d{2}',
  H: '\\d{2}',
  M: '\\d{2}',
  S: '\\d{2}',
};
const WORD = /%(.?)|\*/gs;
const SPECIAL = /[\\^$.*+?()[\]{}|/]/g;
const EARLIEST_MS = 0;

/** A directory that matches the pattern so far. */
interface Match {
  readonly directory: Buffer;
  readonly fields: Readonly<Record<string, string>>;
  /** Time of the directory that last matched a part with a `*` or a field. */
  readonly mtimeMs: number;
}

/**
 * Returns the directories that a pattern matches, the oldest first. A `*` stands for any characters of one name; `%Y`,
 * `%m`, `%d`, `%H`, `%M` and `%S` are the parts of a local date. Without them, the date is the modification time of the
 * directory that the last `*` matches. Links are no states, since tools let `current` point to one. Throws USAGE for a
 * wrong pattern, two states of one second, or none; SOURCE_MISSING and IO_FAILED if a directory cannot be listed.
 */
export function datedTrees(pattern: Buffer, nowMs: number): DatedState[] {
  const parts = pattern.toString('latin1').split('/');
  requireFields(pattern.toString('latin1'));
  const isAbsolute = parts[0] === '';
  let found: Match[] = [{ directory: Buffer.from(isAbsolute ? '/' : '.'), fields: {}, mtimeMs: 0 }];
  for (const part of parts) {
    if (part === '') continue;
    found = found.flatMap((match) => matchesIn(match, part));
    if (found.length > MAX_STATES) throw wrong(`matches more than ${MAX_STATES} directories`);
  }
  const states = found
    .map((match) => ({ directory: match.directory, dateMs: dateOf(match) }))
    .filter((state): state is DatedState => state.dateMs !== undefined)
    .toSorted((one, other) => one.dateMs - other.dateMs);
  requireOrder(states, nowMs);
  return states;
}

function requireFields(text: string): void {
  const fields = [...text.matchAll(WORD)].map(([word, field = '']) => (word === '*' ? '*' : field));
  const unknown = fields.find(
    (field) => field !== '*' && field !== '%' && FIELDS[field] === undefined,
  );
  if (unknown !== undefined) {
    throw wrong(`"%${displayName(Buffer.from(unknown))}" is none of %Y, %m, %d, %H, %M, %S and %%`);
  }
  const named = fields.filter((field) => FIELDS[field] !== undefined);
  if (new Set(named).size < named.length) throw wrong('a part of the date is given twice');
  if (named.length > 0 && !['Y', 'm', 'd'].every((field) => named.includes(field))) {
    throw wrong('a date needs %Y, %m and %d');
  }
  if (fields.every((field) => field === '%')) throw wrong('give a * or a date such as %Y-%m-%d');
}

/** Throws USAGE unless each state has a second of its own, and none lies in the future. */
function requireOrder(states: readonly DatedState[], nowMs: number): void {
  if (states.length === 0) throw wrong('no directory matches');
  for (const [index, state] of states.entries()) {
    const shown = displayName(state.directory);
    if (state.dateMs > nowMs) throw wrong(`the date of ${shown} is in the future`);
    const before = states[index - 1];
    if (before?.dateMs === state.dateMs) {
      throw wrong(`${displayName(before.directory)} and ${shown} have the same date`);
    }
  }
}

/** Returns the directories in `match` that fit one part of the pattern. */
function matchesIn(match: Match, part: string): Match[] {
  if (!/[%*]/.test(part)) {
    const directory = inside(match.directory, part);
    return statusOf(directory)?.isDirectory() === true ? [{ ...match, directory }] : [];
  }
  const name = nameOf(part);
  return namesIn(match.directory).flatMap((text) => {
    const fits = name.exec(text);
    const directory = inside(match.directory, text);
    const status = fits === null ? undefined : statusOf(directory);
    if (status?.isDirectory() !== true) return [];
    const fields = { ...match.fields, ...fits?.groups };
    return [{ directory, fields, mtimeMs: status.mtimeMs }];
  });
}

/** Returns the expression that matches names, read as Latin-1, by one part of the pattern. */
function nameOf(part: string): RegExp {
  let text = '';
  let end = 0;
  for (const match of part.matchAll(WORD)) {
    text += part.slice(end, match.index).replaceAll(SPECIAL, '\\$&');
    const field = match[1];
    if (field === undefined) text += '[^]*?';
    else text += field === '%' ? '%' : `(?<${field}>${FIELDS[field]!})`;
    end = match.index + match[0].length;
  }
  return new RegExp(`^${text}${part.slice(end).replaceAll(SPECIAL, '\\$&')}$`);
}

/** Returns the moment of a state in whole seconds, by this machine's time zone; undefined if its name has no real date. */
function dateOf({ fields, mtimeMs }: Match): number | undefined {
  if (fields['Y'] === undefined) return Math.max(Math.floor(mtimeMs / 1000) * 1000, EARLIEST_MS);
  const number = (field: string): number => Number(fields[field] ?? 0);
  const [year, month, day] = [number('Y'), number('m') - 1, number('d')];
  const date = new Date(year, month, day, number('H'), number('M'), number('S'));
  const isReal =
    date.getMonth() === month &&
    date.getDate() === day &&
    number('H') < 24 &&
    number('M') < 60 &&
    number('S') < 60 &&
    date.getTime() >= EARLIEST_MS;
  return isReal ? date.getTime() : undefined;
}

function namesIn(directory: Buffer): string[] {
  try {
    return fs.readdirSync(directory, 'latin1');
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw failedTo(`list ${displayName(directory)}`, error, 'openSource');
  }
}

function statusOf(path: Buffer): fs.Stats | undefined {
  return fs.lstatSync(path, { throwIfNoEntry: false });
}

function inside(directory: Buffer, name: string): Buffer {
  return joinPath(directory, Buffer.from(name, 'latin1'));
}

function wrong(why: string): TardisError {
  return new TardisError('USAGE', `--sets: ${why}`);
}

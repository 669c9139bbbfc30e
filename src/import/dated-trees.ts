/**
 * Finds the states of a directory that another tool has kept: directories with dates in their names, as rsync --link-dest
 * makes them, numbered ones, as rsnapshot does, or tar files.
 */
import fs from 'node:fs';
import { failedTo, type TardisError, usageError } from '../errors/index.js';
import { displayLine, displayName, joinPath } from '../model/index.js';
import { closing, OpenFd, openSource } from '../system/index.js';
import type { Programs } from './programs.js';
import type { StatePlace } from './state-place.js';

/** A directory as it was at a moment. */
export interface DatedState {
  /** The directory, or a tar file of it. */
  readonly place: Buffer;
  readonly isTar: boolean;
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
/** Names of tar files, also compressed ones. */
const TAR = /\.(?:tar(?:\.(?:gz|bz2|xz|zst|lz|lzma|lzo|Z))?|tgz|tbz2?|txz|tzst|tlz)$/;
const EARLIEST_MS = 0;

/** A directory that matches the pattern so far, or a tar file that matches all of it. */
interface Match {
  readonly place: Buffer;
  readonly isTar: boolean;
  readonly fields: Readonly<Record<string, string>>;
  /** Time of what last matched a part with a `*` or a field. */
  readonly mtimeMs: number;
}

/**
 * Returns the directories and tar files that a pattern matches, the oldest first. A `*` stands for any characters of one name; `%Y`,
 * `%m`, `%d`, `%H`, `%M` and `%S` are the parts of a local date. Without them, the date is the modification time of the
 * directory that the last `*` matches. Links are no states, since tools let `current` point to one. Throws USAGE for a
 * wrong pattern, two states of one second, or none; SOURCE_MISSING and IO_FAILED if a directory cannot be listed.
 */
export function datedTrees(pattern: Buffer, nowMs: number): DatedState[] {
  const text = pattern.toString('latin1');
  requireFields(text);
  const start = Buffer.from(text.startsWith('/') ? '/' : '.');
  let found: Match[] = [{ place: start, isTar: false, fields: {}, mtimeMs: 0 }];
  for (const part of text.split('/')) {
    if (part === '') continue;
    found = found.flatMap((match) => (match.isTar ? [] : matchesIn(match, part)));
    if (found.length > MAX_STATES) throw wrong(`matches more than ${MAX_STATES} names`);
  }
  const states = found
    .map((match) => ({ place: match.place, isTar: match.isTar, dateMs: dateOf(match) }))
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
    throw wrong(`"%${displayLine(unknown)}" is none of %Y, %m, %d, %H, %M, %S and %%`);
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
  if (states.length === 0) throw wrong('no directory and no tar file matches');
  for (const [index, state] of states.entries()) {
    const shown = displayName(state.place);
    if (state.dateMs > nowMs) throw wrong(`the date of ${shown} is in the future`);
    const before = states[index - 1];
    if (before?.dateMs === state.dateMs) {
      const why = 'have the same date; set TZ=UTC if the names are in UTC';
      throw wrong(`${displayName(before.place)} and ${shown} ${why}`);
    }
  }
}

/** Returns the directories and tar files in `match` that fit one part of the pattern. */
function matchesIn(match: Match, part: string): Match[] {
  if (!/[%*]/.test(part)) {
    const { fields, mtimeMs } = match;
    return matchAt(match, part).map((one) => ({ ...one, fields, mtimeMs }));
  }
  const name = nameOf(part);
  return namesIn(match.place).flatMap((text) => {
    const fits = name.exec(text);
    if (fits === null) return [];
    const fields = { ...match.fields, ...fits.groups };
    return matchAt(match, text).map((one) => ({ ...one, fields }));
  });
}

/** Returns the directory or tar file of this name, with its time. */
function matchAt(match: Match, name: string): Omit<Match, 'fields'>[] {
  const place = joinPath(match.place, Buffer.from(name, 'latin1'));
  const status = fs.lstatSync(place, { throwIfNoEntry: false });
  if (status === undefined) return [];
  const isTar = status.isFile() && TAR.test(name);
  return isTar || status.isDirectory() ? [{ place, isTar, mtimeMs: status.mtimeMs }] : [];
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
    throw failedTo(`list ${displayName(directory)}`, error, 'openSource');
  }
}

function wrong(why: string): TardisError {
  return usageError(`--sets: ${why}`);
}

/**
 * GNU tar, which decompresses by the programs that it knows. It takes no name as absolute, refuses one with `..`, and makes links
 * to other places only when all else is written, so nothing is written outside of its directory.
 */
const UNPACK = [
  'tar',
  '--extract',
  '--force-local',
  '--numeric-owner',
  '--same-permissions',
].concat(['--acls', '--xattrs', '--xattrs-include=*', '--warning=no-timestamp']);

/** Names of tar files whose compression tar knows by the name alone. */
const NAMED_ONLY = /\.(?:tar\.lzma|tlz)$/;

/**
 * Makes a directory show a tar file. Throws IMPORT_PROGRAM_MISSING, TEMPORARY_FULL, SOURCE_UNSAFE for a link of others, and
 * IMPORT_SOURCE_DAMAGED if tar refuses anything.
 */
export async function showTar(file: Buffer, place: StatePlace, programs: Programs): Promise<void> {
  place.empty();
  using opened = new OpenFd(closing, openSource(file));
  const isNamed = NAMED_ONLY.test(file.toString('latin1')) ? ['--lzma'] : [];
  const words = [...UNPACK, ...isNamed, '--file', `/proc/${process.pid}/fd/${opened.fd}`];
  const env = { TAR_OPTIONS: '', LC_ALL: 'C.UTF-8' };
  await programs.run({ words, what: `unpack ${displayName(file)}`, env }, place.directory);
}

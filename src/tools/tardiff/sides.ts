/** Selects the two versions that `tardiff` compares, and the paths in each of them. */
import type { History, BackupSet } from '../../history/index.js';
import { DiskSide, type Seen, SetSide, type Side } from '../../restore/diff/index.js';
import type { Settings } from '../../config/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import { displayName, displayText, pathBelow, SLASH_BYTES, splitPath } from '../../model/index.js';
import { absolutePath, byteText, hasStrayBytes, isThere, type System } from '../../system/index.js';
import { chooseSet, setOfWord } from '../opening/history.js';
import { formatTime } from '../output/units.js';

export type DiffSettings = Settings<'tardiff'>;

/** One of the two versions to compare, and its names in the output. */
interface Version {
  readonly side: Side;
  readonly label: string;
  /** The set of this side; undefined for the disk. */
  readonly set: BackupSet | undefined;
}

export interface Versions {
  readonly before: Version;
  readonly after: Version;
  /** The paths that were named: the words that name no version. */
  readonly paths: readonly Buffer[];
}

const MOST_VERSIONS = 2;

/** Returns the two versions. Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function chooseVersions(
  system: System,
  history: History,
  settings: DiffSettings,
): Promise<Versions> {
  const { sets, paths } = await chooseSets(history, settings, system.clock.nowMs());
  const [first, second] = sets;
  const version = (set: BackupSet, other: BackupSet | undefined): Version => ({
    side: new SetSide({ history, set: set.set, other: other?.set }),
    label: `set ${set.set}`,
    set,
  });
  const disk = { side: new DiskSide(system), label: 'disk', set: undefined };
  const after = second === undefined ? disk : version(second, first);
  return { before: version(first!, second), after, paths };
}

/** Returns the sets of -b and -d, then those that the first words name, and the other words: the paths. */
async function chooseSets(
  history: History,
  { comparedSets, comparedDates, recentSet, paths: words }: DiffSettings,
  nowMs: number,
): Promise<{ sets: BackupSet[]; paths: readonly Buffer[] }> {
  const choices = [
    ...comparedSets.map((backup) => ({ backup, date: undefined })),
    ...comparedDates.map((date) => ({ backup: undefined, date })),
  ];
  if (choices.length > MOST_VERSIONS) {
    throw usageError('at most two versions can be compared (-b, -d)');
  }
  const sets: BackupSet[] = [];
  for (const choice of choices)
    sets.push(await chooseSet(history, { ...choice, recentSet }, nowMs));
  let taken = 0;
  while (sets.length < MOST_VERSIONS && taken < words.length) {
    const set = await setOf(history, words[taken]!, recentSet, nowMs);
    if (set === undefined) break;
    sets.push(set);
    taken += 1;
  }
  if (sets.length === 0) sets.push(await history.findSet(undefined));
  return { sets, paths: words.slice(taken) };
}

/**
 * Returns the set that a word names by its number, its name or a date; undefined for a path. Throws USAGE for a word that names a set
 * and a file here, and NO_SUCH_SET for a number or a date without a set.
 */
async function setOf(
  history: History,
  word: Buffer,
  recentSet: string,
  nowMs: number,
): Promise<BackupSet | undefined> {
  const text = byteText(word);
  if (hasStrayBytes(text) || text.includes('/')) return undefined;
  if (!isThere(text)) return setOfWord(history, text, recentSet, nowMs);
  try {
    await history.findSet(text === recentSet ? undefined : text);
  } catch (error) {
    if (error instanceof TardisError && error.code === 'NO_SUCH_SET') return undefined;
    throw error;
  }
  const shown = displayText(text);
  throw usageError(`"${shown}" is a backup set, and a file here: give -b ${shown}, or ./${shown}`);
}

/**
 * Returns `path\ttime of the file\t(version)`, for the header of a diff. If the path is missing on this side (`seen` is
 * undefined), the path is that of `other` and the time is 0.
 */
export function headerOf(seen: Seen | undefined, other: Seen, { label }: Version): string {
  const timeNs = seen?.entry.mtimeNs ?? 0n;
  const time = formatTime(Number(timeNs / 1_000_000n));
  return `${displayName((seen ?? other).path)}\t${time} (${label})`;
}

/**
 * Returns for each given path the path in the first version and the path in the second. Without any, those of everything: of the roots of
 * the set if it is compared with the disk. Throws USAGE.
 */
export async function comparedPaths(
  { before, after, paths }: Versions,
  { reducePath }: Pick<DiffSettings, 'reducePath'>,
): Promise<{ before: Buffer; after: Buffer }[]> {
  if (paths.length === 0) {
    const all = after.set === undefined ? await before.side.roots() : [SLASH_BYTES];
    return all.map((path) => ({ before: path, after: path }));
  }
  const count = reducePath === undefined ? 0 : countIn(reducePath);
  const found: { before: Buffer; after: Buffer }[] = [];
  for (const given of paths) {
    const path = absolutePath(given);
    found.push({
      before: await reduced(path, before, count),
      after: await reduced(path, after, count),
    });
  }
  return found;
}

/** Returns the number of directories to strip; undefined strips as few as possible. Throws USAGE. */
function countIn(text: string): number | undefined {
  if (text === 'smart') return undefined;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw usageError('--reduce-path takes a number of directories, or nothing');
}

/**
 * Returns the path that a path on the disk has in a version: without its first `count` directories. If `count` is
 * undefined, strips as few as are needed to find the path; if it is not found, returns it whole. On the disk, the path
 * stays as it is.
 */
async function reduced(
  path: Buffer,
  { side, set }: Version,
  count: number | undefined,
): Promise<Buffer> {
  if (set === undefined) return path;
  const parts = splitPath(path);
  const without = (first: number): Buffer => pathBelow(Buffer.from('/'), parts.slice(first));
  if (count !== undefined) return without(Math.min(count, parts.length));
  for (let first = 0; first < parts.length; first += 1) {
    if ((await side.find(without(first))) !== undefined) return without(first);
  }
  return path;
}

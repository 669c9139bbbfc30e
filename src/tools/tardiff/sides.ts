/** Selects the two versions that `tardiff` compares, and the paths in each of them. */
import type { History, BackupSet } from '../../history/index.js';
import { DiskSide, type Seen, SetSide, type Side } from '../../restore/diff/index.js';
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { displayName, pathBelow, splitPath } from '../../model/index.js';
import { absolutePath, type System } from '../../system/index.js';
import { chooseSet } from '../opening/history.js';
import { formatTime } from '../output/units.js';

export type DiffSettings = Settings<'tardiff'>;

/** One of the two versions to compare, and its names in the output. */
interface Version {
  readonly side: Side;
  readonly label: string;
  /** Description of the version, for example `in set 3` or `on the disk`. */
  readonly where: string;
  /** The set of this side; undefined for the disk. */
  readonly set: BackupSet | undefined;
}

export interface Versions {
  readonly before: Version;
  readonly after: Version;
}

const MOST_VERSIONS = 2;

/** Returns the two versions. Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function chooseVersions(
  system: System,
  history: History,
  settings: DiffSettings,
): Promise<Versions> {
  const [first, second] = await chooseSets(history, settings, system.clock.nowMs());
  if (second === undefined) {
    const side = new SetSide({ history, set: first!.set, other: undefined });
    const disk = {
      side: new DiskSide(system),
      label: 'disk',
      where: 'on the disk',
      set: undefined,
    };
    return { before: { side, ...namesOf(first!) }, after: disk };
  }
  const version = (set: BackupSet, other: BackupSet): Version => ({
    side: new SetSide({ history, set: set.set, other: other.set }),
    ...namesOf(set),
  });
  return { before: version(first!, second), after: version(second, first!) };
}

async function chooseSets(
  history: History,
  { comparedSets, comparedDates, recentSet }: DiffSettings,
  nowMs: number,
): Promise<BackupSet[]> {
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
  return sets.length > 0 ? sets : [await history.findSet(undefined)];
}

function namesOf(set: BackupSet): Omit<Version, 'side'> {
  const label = `set ${set.set}`;
  return { label, where: `in ${label}`, set };
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

/** Returns for each given path the path in the first version and the path in the second. Throws USAGE. */
export async function comparedPaths(
  { before, after }: Versions,
  { paths, reducePath }: DiffSettings,
): Promise<{ before: Buffer; after: Buffer }[]> {
  if (paths.length === 0) throw usageError('give one or more paths to compare');
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

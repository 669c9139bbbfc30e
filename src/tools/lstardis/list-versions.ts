/** Prints the versions of a path for `lstardis`, and the sets in which it was gone. */
import type { TardisError } from '../../errors/index.js';
import {
  type BackupSet,
  begunMs,
  coveringSets,
  type History,
  isAsOf,
  isContentAlike,
  isRestoredAlike,
  joinVersions,
  type PathVersion,
} from '../../history/index.js';
import { displayName, jsonName, lastComponent, type SetNumber } from '../../model/index.js';
import { jsonText, print } from '../output/output.js';
import { formatTable, formatTime } from '../output/units.js';
import { jsonEntry, modeText, sizeText, timeOf, type View } from './list-entries.js';
import { provenGaps } from './proofs.js';

/** A version to show; without an entry, the path was gone. */
interface Shown {
  readonly entry: PathVersion['entry'] | undefined;
  readonly firstSet: SetNumber;
  /** Undefined if the version is still current. */
  readonly lastSet: SetNumber | undefined;
}

export type Which = NonNullable<View['versions']>;

/** All versions of a path, and the sets that are of interest, oldest first. */
interface GivenVersions {
  readonly path: Buffer;
  readonly versions: readonly PathVersion[];
  readonly sets: readonly BackupSet[];
}

/**
 * Prints the versions of a path within some sets. Returns an error for each gap (sets without the path) that the sets
 * do not prove.
 */
export async function printVersions(
  history: History,
  given: GivenVersions,
  which: Which,
  view: View,
): Promise<readonly TardisError[]> {
  const { path } = given;
  const all = await history.sets();
  const chosen = await choose(history, given, which);
  const listed = chosen.flatMap((version) => listedSpan(version, all) ?? []);
  const { shown, refused } = await provenGaps(history, path, listed, given.sets);
  const wanted = view.deletions ? shown : shown.filter(({ entry }) => entry !== undefined);
  const inOrder = view.reverse ? wanted.toReversed() : wanted;
  if (view.json) {
    for (const version of inOrder) print(jsonVersion(version, path, view));
    return refused;
  }
  if (view.oneline) {
    const spans = inOrder.map((one) =>
      one.entry === undefined ? view.paint.part('gone', `(${spanText(one)} gone)`) : spanText(one),
    );
    print([view.paint.part('header', displayName(path)), ...spans].join('  '));
    return refused;
  }
  const beganMs = new Map(all.map((set) => [set.set, begunMs(set)]));
  printTable(inOrder, path, beganMs, view);
  return refused;
}

async function choose(
  history: History,
  { path, versions, sets }: GivenVersions,
  which: Which,
): Promise<Shown[]> {
  const within = versions.filter((version) => sets.some(({ set }) => isAsOf(version, set)));
  const covering = await coveringSets(history, path);
  const complete = sets.filter(({ state }) => state === 'complete');
  const showing = (some: readonly BackupSet[]): BackupSet[] =>
    some.filter(({ set }) => covering.includes(set));
  switch (which) {
    case 'none':
    case 'last':
      return joinVersions(within, isRestoredAlike, covering).slice(-1);
    case 'change':
    case 'checksum': {
      const isAlike = which === 'change' ? isRestoredAlike : isContentAlike;
      const kept = joinVersions(within, isAlike, covering);
      return withGaps(kept, versions, showing(complete), complete.at(-1));
    }
    case 'all':
      return asOfEach(within, showing(sets));
    default:
      return asOfEach(within, newestOfEach(showing(complete), which));
  }
}

/**
 * Returns the versions, with further items for gaps: sets between and after the versions that did not have the path.
 * `all` includes versions that are not shown. Only the sets of `covering` show that the path was gone.
 */
function withGaps(
  shown: readonly PathVersion[],
  all: readonly PathVersion[],
  covering: readonly BackupSet[],
  newest: BackupSet | undefined,
): Shown[] {
  const found: Shown[] = [];
  for (const version of shown) {
    const { lastSet } = version;
    found.push(version);
    if (lastSet === undefined) continue;
    const end = all.find(({ firstSet }) => firstSet > lastSet)?.firstSet ?? Infinity;
    const between = covering.filter(({ set }) => set > lastSet && set < end);
    const [first, last] = [between[0], between.at(-1)];
    if (first === undefined || last === undefined) continue;
    const isStill = end === Infinity && last === newest;
    found.push({ entry: undefined, firstSet: first.set, lastSet: isStill ? undefined : last.set });
  }
  return found;
}

/** Returns the version in each set, beginning with the first version. */
function asOfEach(versions: readonly PathVersion[], sets: readonly BackupSet[]): Shown[] {
  const start = versions[0]?.firstSet ?? Infinity;
  return sets
    .filter(({ set }) => set >= start)
    .map(({ set }) => {
      const entry = versions.find((version) => isAsOf(version, set))?.entry;
      return { entry, firstSet: set, lastSet: set };
    });
}

type Period = Exclude<Which, 'none' | 'last' | 'change' | 'checksum' | 'all'>;

/** Returns the newest set of each period, in local time; weeks begin on Mondays. */
function newestOfEach(sets: readonly BackupSet[], period: Period): BackupSet[] {
  const newest = new Map<number, BackupSet>();
  for (const set of sets) newest.set(startOf(period, set.openedAtMs), set);
  return [...newest.values()].sort((one, other) => one.set - other.set);
}

function startOf(period: Period, momentMs: number): number {
  const date = new Date(momentMs);
  date.setHours(0, 0, 0, 0);
  if (period === 'week') date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  if (period === 'month' || period === 'year') date.setDate(1);
  if (period === 'year') date.setMonth(0);
  return date.getTime();
}

/** Returns the sets of a version: `3`, `1–4`, or `2–` if the newest set has it. */
export function spanText({ firstSet, lastSet }: Pick<Shown, 'firstSet' | 'lastSet'>): string {
  return lastSet === firstSet ? String(firstSet) : `${firstSet}–${lastSet ?? ''}`;
}

function jsonVersion(version: Shown, path: Buffer, view: View): string {
  const { entry, firstSet, lastSet } = version;
  if (entry !== undefined) {
    return jsonText({ ...jsonEntry(entry, view), firstSet, lastSet });
  }
  const name = jsonName(lastComponent(path));
  return jsonText({ ...name, gone: true, firstSet, lastSet });
}

const SHORT_DIGITS = 16;

function printTable(
  versions: readonly Shown[],
  path: Buffer,
  beganMs: ReadonlyMap<SetNumber, number>,
  view: View,
): void {
  const { paint, headers, showsDigest, showsInode } = view;
  if (headers) print(paint.part('header', `${displayName(path)}:`));
  const rows: string[][] = headers
    ? [
        [
          'sets',
          'backed up',
          'mode',
          'size',
          'modified',
          ...(showsInode ? ['inode'] : []),
          'digest',
        ],
      ]
    : [];
  for (const version of versions) {
    const { entry, firstSet } = version;
    const firstMs = beganMs.get(firstSet);
    const head = [spanText(version), firstMs === undefined ? '' : formatTime(firstMs)];
    if (entry === undefined) {
      rows.push([...head, paint.part('gone', 'gone')]);
      continue;
    }
    const digest = entry.digest?.toString('hex') ?? '';
    rows.push([
      ...head,
      modeText(entry),
      sizeText(entry, view),
      timeOf(entry),
      ...(showsInode ? [String(entry.inode)] : []),
      showsDigest ? digest : digest.slice(0, SHORT_DIGITS),
    ]);
  }
  if (rows.length > 0) print(formatTable(rows, [3]));
}

interface Span {
  readonly firstSet: SetNumber;
  /** Undefined if the version is still current. */
  readonly lastSet: SetNumber | undefined;
}

/** Returns a version with its first and last listed set; undefined if no listed set (`sets`, oldest first) shows it. */
export function listedSpan<T extends Span>(version: T, sets: readonly BackupSet[]): T | undefined {
  const { firstSet, lastSet } = version;
  const first = sets.find(({ set }) => set >= firstSet);
  const last = sets.findLast(({ set }) => set <= (lastSet ?? Infinity));
  if (first === undefined || last === undefined || last.set < first.set) return undefined;
  return { ...version, firstSet: first.set, lastSet: lastSet === undefined ? undefined : last.set };
}

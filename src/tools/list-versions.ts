/** How `lstardis` shows the versions of a path: which of them, and when it was gone. */
import { type Archive, type BackupSet, type PathVersion, rootAbove } from '../archive/index.js';
import { displayName, jsonName, lastComponent } from '../model/index.js';
import { jsonEntry, modeText, sizeText, timeOf, type View } from './list-entries.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatTable, formatTime } from './units.js';

/** A version as it is shown; without an entry: the path was gone. */
interface Shown {
  readonly entry: PathVersion['entry'] | undefined;
  readonly firstSet: number;
  /** Undefined: still. */
  readonly lastSet: number | undefined;
}

export type Which = NonNullable<View['versions']>;

/** Prints versions within some sets (oldest first). */
export async function printVersions(
  archive: Archive,
  path: Buffer,
  versions: readonly PathVersion[],
  sets: readonly BackupSet[],
  which: Which,
  view: View,
): Promise<void> {
  const shown = await choose(archive, path, versions, sets, which);
  const wanted = view.deletions ? shown : shown.filter(({ entry }) => entry !== undefined);
  const inOrder = view.reverse ? wanted.toReversed() : wanted;
  if (view.json) {
    for (const version of inOrder) print(jsonVersion(version, path, view));
    return;
  }
  if (view.oneline) {
    const spans = inOrder.map((one) =>
      one.entry === undefined ? view.paint.part('gone', `(${spanText(one)} gone)`) : spanText(one),
    );
    print([view.paint.part('header', displayName(path)), ...spans].join('  '));
    return;
  }
  printTable(inOrder, path, sets, view);
}

async function choose(
  archive: Archive,
  path: Buffer,
  versions: readonly PathVersion[],
  sets: readonly BackupSet[],
  which: Which,
): Promise<Shown[]> {
  const within = versions.filter((version) => sets.some(({ set }) => isAt(version, set)));
  const complete = sets.filter(({ state }) => state === 'complete');
  switch (which) {
    case 'none':
    case 'last':
      return within.slice(-1);
    case 'change':
    case 'checksum': {
      const kept = which === 'change' ? within : sameContentJoined(within);
      return withGaps(archive, path, kept, versions, complete);
    }
    case 'all':
      return asOfEach(archive, path, within, sets);
    default:
      return asOfEach(archive, path, within, newestOfEach(complete, which));
  }
}

function isAt(
  { firstSet, lastSet }: Pick<PathVersion, 'firstSet' | 'lastSet'>,
  set: number,
): boolean {
  return set >= firstSet && set <= (lastSet ?? Infinity);
}

/** Versions that follow each other and differ in metadata only are one. */
function sameContentJoined(versions: readonly PathVersion[]): PathVersion[] {
  const joined: PathVersion[] = [];
  for (const version of versions) {
    const last = joined.at(-1);
    const isNext = last?.lastSet !== undefined && last.lastSet + 1 >= version.firstSet;
    if (last !== undefined && isNext && isSameContent(last.entry, version.entry)) {
      joined[joined.length - 1] = { ...version, firstSet: last.firstSet };
    } else joined.push(version);
  }
  return joined;
}

type Entry = PathVersion['entry'];

function isSameContent(one: Entry, other: Entry): boolean {
  if (one.type !== other.type || one.sizeBytes !== other.sizeBytes) return false;
  const same = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
    a === undefined || b === undefined ? a === b : a.equals(b);
  return same(one.digest, other.digest) && same(one.linkTarget, other.linkTarget);
}

/** Versions, and between and after them the sets that had the path no more. `all`: those that are not shown too. */
async function withGaps(
  archive: Archive,
  path: Buffer,
  shown: readonly PathVersion[],
  all: readonly PathVersion[],
  sets: readonly BackupSet[],
): Promise<Shown[]> {
  const found: Shown[] = [];
  for (const version of shown) {
    const { lastSet } = version;
    found.push(version);
    if (lastSet === undefined) continue;
    const end = all.find(({ firstSet }) => firstSet > lastSet)?.firstSet ?? Infinity;
    const between = sets.filter(({ set }) => set > lastSet && set < end);
    const first = await firstCovering(archive, path, between);
    const last = await firstCovering(archive, path, between.toReversed());
    if (first === undefined || last === undefined) continue;
    const isStill = end === Infinity && last === sets.at(-1);
    found.push({
      entry: undefined,
      firstSet: first.set,
      lastSet: isStill ? undefined : last.set,
    });
  }
  return found;
}

/** The first of some sets that had a root at or above the path: the others have nothing to say of it. */
async function firstCovering(
  archive: Archive,
  path: Buffer,
  sets: readonly BackupSet[],
): Promise<BackupSet | undefined> {
  for (const set of sets) {
    if (rootAbove(await archive.roots(set.set), path) !== undefined) return set;
  }
  return undefined;
}

/** What was there in each of some sets, from the first version on. */
async function asOfEach(
  archive: Archive,
  path: Buffer,
  versions: readonly PathVersion[],
  sets: readonly BackupSet[],
): Promise<Shown[]> {
  const start = versions[0]?.firstSet ?? Infinity;
  const shown: Shown[] = [];
  for (const one of sets.filter(({ set }) => set >= start)) {
    const { set } = one;
    const entry = versions.find((version) => isAt(version, set))?.entry;
    const isTold = entry !== undefined || (await firstCovering(archive, path, [one])) !== undefined;
    if (isTold) shown.push({ entry, firstSet: set, lastSet: set });
  }
  return shown;
}

type Period = Exclude<Which, 'none' | 'last' | 'change' | 'checksum' | 'all'>;

/** The newest set of each period, in local time; weeks begin on Mondays. */
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

function spanText({ firstSet, lastSet }: Shown): string {
  return lastSet === firstSet ? String(firstSet) : `${firstSet}–${lastSet ?? ''}`;
}

function jsonVersion(version: Shown, path: Buffer, view: View): string {
  const { entry, firstSet, lastSet } = version;
  if (entry !== undefined) {
    return JSON.stringify({ ...jsonEntry(entry, view), firstSet, lastSet });
  }
  const name = jsonName(lastComponent(path));
  return JSON.stringify({ version: JSON_VERSION, ...name, gone: true, firstSet, lastSet });
}

const SHORT_DIGITS = 16;

function printTable(
  versions: readonly Shown[],
  path: Buffer,
  sets: readonly BackupSet[],
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
    const openedMs = sets.find(({ set }) => set === firstSet)?.openedAtMs;
    const head = [spanText(version), openedMs === undefined ? '' : formatTime(openedMs)];
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

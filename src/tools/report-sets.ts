/** Rendering of a list of backup sets. */
import type { Archive, BackupSet } from '../archive/index.js';
import { displayName, jsonName } from '../model/index.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatBytes, formatCount, formatSeconds, formatTable, formatTime } from './units.js';

function stateText(set: BackupSet): string {
  const unread = set.stats['unreadable'] ?? 0;
  const { isLocked, isExpendable } = set.marks;
  const parts = [
    set.state,
    unread > 0 ? `${unread} unread` : '',
    set.isDoubtful ? 'damaged' : '',
    isLocked ? 'locked' : '',
    isExpendable ? 'expendable' : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** Roots of one set that a table shows. */
const MAX_ROOTS_SHOWN = 8;

export interface SetsView {
  readonly json: boolean;
  /** With the roots; JSON has them always. */
  readonly long?: boolean;
}

/** Prints sets of an archive. */
export async function printSets(
  archive: Archive,
  sets: readonly BackupSet[],
  { json, long = false }: SetsView,
): Promise<void> {
  const isWanted = json || long;
  const roots = isWanted ? await archive.reports.rootsOfSets() : undefined;
  if (json) {
    const all = sets.map(({ firstName, marks: { title, ...marks }, ...set }) => ({
      ...set,
      ...marks,
      ...(title === '' ? {} : { firstName }),
      roots: (roots?.get(set.set) ?? []).map(jsonName),
    }));
    print(JSON.stringify({ version: JSON_VERSION, sets: all }));
    return;
  }
  if (sets.length === 0) {
    print('No backup sets yet.');
    return;
  }
  const rows = [['set', 'name', 'begun', 'took', 'entries', 'size', 'sent', 'stored', 'state']];
  const hasPriorities = sets.some(({ marks }) => marks.priority !== 0);
  const hasTags = sets.some(({ marks }) => marks.tags.length > 0);
  if (hasPriorities) rows[0]!.push('priority');
  if (hasTags) rows[0]!.push('tags');
  if (long) rows[0]!.push('roots');
  for (const set of sets) {
    const stat = (name: string): number => set.stats[name] ?? 0;
    const tookMs = (set.closedAtMs ?? -1) - set.openedAtMs;
    // A clock that was set back in between says nothing.
    const took = set.closedAtMs === undefined || tookMs < 0 ? '' : formatSeconds(tookMs);
    const isComplete = set.state === 'complete';
    rows.push([
      String(set.set),
      displayName(Buffer.from(set.name)),
      formatTime(set.openedAtMs),
      took,
      isComplete ? formatCount(stat('entries')) : '',
      isComplete ? formatBytes(stat('scannedBytes')) : '',
      isComplete ? formatBytes(stat('sentBytes')) : '',
      isComplete ? formatBytes(stat('storedBytes')) : '',
      stateText(set),
      ...(hasPriorities ? [String(set.marks.priority)] : []),
      ...(hasTags ? [set.marks.tags.join(' ')] : []),
      ...(long ? [rootsText(roots?.get(set.set) ?? [])] : []),
    ]);
  }
  print(formatTable(rows, [0, 3, 4, 5, 6, 7]));
}

function rootsText(roots: readonly Buffer[]): string {
  const shown = roots.slice(0, MAX_ROOTS_SHOWN).map(displayName).join(' ');
  const more = roots.length - MAX_ROOTS_SHOWN;
  return more > 0 ? `${shown} … and ${more} more` : shown;
}

/** Rendering of a list of backup sets. */
import type { Archive, BackupSet } from '../archive/index.js';
import { displayName, jsonName } from '../model/index.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatBytes, formatCount, formatSeconds, formatTable, formatTime } from './units.js';

function stateText(set: BackupSet): string {
  const unread = set.stats['unreadable'] ?? 0;
  const parts = [set.state, unread > 0 ? `${unread} unread` : '', set.isDoubtful ? 'damaged' : ''];
  return parts.filter((part) => part !== '').join(', ');
}

/** Roots of one set that a table shows. */
const MAX_ROOTS_SHOWN = 8;

export interface SetsView {
  readonly json: boolean;
  /** With the roots; JSON has them always. */
  readonly long?: boolean;
}

/** Prints sets of an archive (undefined: of a client without one, which has no sets). */
export async function printSets(
  archive: Archive | undefined,
  sets: readonly BackupSet[],
  { json, long = false }: SetsView,
): Promise<void> {
  const roots = new Map<number, Buffer[]>();
  if (json || long) {
    for (const { set } of sets) {
      roots.set(
        set,
        ((await archive?.roots(set)) ?? []).map((root) => root.path),
      );
    }
  }
  if (json) {
    const all = sets.map((set) => ({ ...set, roots: roots.get(set.set)?.map(jsonName) }));
    print(JSON.stringify({ version: JSON_VERSION, sets: all }));
    return;
  }
  if (sets.length === 0) {
    print('No backup sets yet.');
    return;
  }
  const rows = [['set', 'name', 'begun', 'took', 'entries', 'size', 'sent', 'stored', 'state']];
  if (long) rows[0]!.push('roots');
  for (const set of sets) {
    const stat = (name: string): number => set.stats[name] ?? 0;
    const took = set.closedAtMs === undefined ? '' : formatSeconds(set.closedAtMs - set.openedAtMs);
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
      ...(long ? [rootsText(roots.get(set.set) ?? [])] : []),
    ]);
  }
  print(formatTable(rows, [0, 3, 4, 5, 6, 7]));
}

function rootsText(roots: readonly Buffer[]): string {
  const shown = roots.slice(0, MAX_ROOTS_SHOWN).map(displayName).join(' ');
  const more = roots.length - MAX_ROOTS_SHOWN;
  return more > 0 ? `${shown} … and ${more} more` : shown;
}

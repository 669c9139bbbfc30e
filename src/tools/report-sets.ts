/** Rendering of a list of backup sets. */
import type { BackupSet } from '../archive/index.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatBytes, formatCount, formatSeconds, formatTable, formatTime } from './units.js';

export function printSets(sets: readonly BackupSet[], asJson: boolean): void {
  if (asJson) {
    print(JSON.stringify({ version: JSON_VERSION, sets }));
    return;
  }
  if (sets.length === 0) {
    print('No backup sets yet.');
    return;
  }
  const rows = [['set', 'name', 'begun', 'took', 'entries', 'size', 'sent', 'stored', 'state']];
  for (const set of sets) {
    const stat = (name: string): number => set.stats[name] ?? 0;
    const took = set.closedAtMs === undefined ? '' : formatSeconds(set.closedAtMs - set.openedAtMs);
    const isComplete = set.state === 'complete';
    rows.push([
      String(set.set),
      set.name,
      formatTime(set.openedAtMs),
      took,
      isComplete ? formatCount(stat('entries')) : '',
      isComplete ? formatBytes(stat('scannedBytes')) : '',
      isComplete ? formatBytes(stat('sentBytes')) : '',
      isComplete ? formatBytes(stat('storedBytes')) : '',
      stat('unreadable') > 0 ? `${set.state}, ${stat('unreadable')} unread` : set.state,
    ]);
  }
  print(formatTable(rows, [0, 3, 4, 5, 6, 7]));
}

/** Rendering of a list of backup sets. */
import type { BackupSet } from '../archive/index.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatBytes, formatCount, formatSeconds, formatTable, formatTime } from './units.js';

function stateText(set: BackupSet): string {
  const unread = set.stats['unreadable'] ?? 0;
  const parts = [set.state, unread > 0 ? `${unread} unread` : '', set.isDoubtful ? 'damaged' : ''];
  return parts.filter((part) => part !== '').join(', ');
}

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
      stateText(set),
    ]);
  }
  print(formatTable(rows, [0, 3, 4, 5, 6, 7]));
}

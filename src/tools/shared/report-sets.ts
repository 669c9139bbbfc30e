/** Prints a list of backup sets. */
import { type BackupSet, begunMs, type History, tookMs } from '../../history/index.js';
import {
  displayLine,
  displayName,
  jsonName,
  machineName,
  machineText,
  type SetNumber,
  shownRoots,
} from '../../model/index.js';
import { print, printJson } from '../output/output.js';
import {
  formatBytes,
  formatCount,
  formatSeconds,
  formatTable,
  formatTime,
} from '../output/units.js';

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

/** Returns a set in one line. */
export function setText(shown: BackupSet): string {
  return `${shown.set} ${displayLine(shown.name)} (${formatTime(begunMs(shown))})`;
}

/** Stands for a name that cannot be shown without the keys of the client. */
export const SEALED_NAME = '(encrypted)';

/** True if the names in a set are sealed, and this history has no keys that open them. */
export function isUnopened({ contentKeys }: History, { isSealed }: BackupSet): boolean {
  return isSealed && contentKeys === undefined;
}

/** Maximum number of roots of a set in the table. */
const MAX_ROOTS_SHOWN = 8;

interface SetsView {
  readonly json: boolean;
  /** True if the table shows the roots. JSON always contains them. */
  readonly long?: boolean;
  /** True if the table has a header; the default is true. */
  readonly headers?: boolean;
}

/** Prints sets of a client. */
export async function printSets(
  history: History,
  sets: readonly BackupSet[],
  { json, long = false, headers = true }: SetsView,
): Promise<void> {
  const isLong = json || long;
  const roots = isLong ? await history.reports.rootsOfSets() : undefined;
  const rootsOf = (set: SetNumber): Buffer[] => shownRoots(roots?.get(set) ?? []);
  if (json) {
    const all = sets.map(({ firstName, isSealed: _, marks: { title, ...marks }, ...set }) => ({
      ...set,
      ...marks,
      ...(title === '' ? {} : { firstName }),
      roots: rootsOf(set.set).map(jsonName),
    }));
    printJson({ sets: all });
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
  const hasMachines = new Set(sets.map(({ marks }) => machineText(marks))).size > 1;
  if (hasMachines) rows[0]!.push('machine');
  if (long) rows[0]!.push('roots');
  for (const set of sets) {
    const stat = (name: string): number => set.stats[name] ?? 0;
    const ms = tookMs(set);
    const isComplete = set.state === 'complete';
    rows.push([
      String(set.set),
      displayLine(set.name),
      formatTime(begunMs(set)),
      ms === undefined ? '' : formatSeconds(ms),
      isComplete ? formatCount(stat('entries')) : '',
      isComplete ? formatBytes(stat('scannedBytes')) : '',
      isComplete ? formatBytes(stat('sentBytes')) : '',
      isComplete ? formatBytes(stat('storedBytes')) : '',
      stateText(set),
      ...(hasPriorities ? [String(set.marks.priority)] : []),
      ...(hasTags ? [set.marks.tags.join(' ')] : []),
      ...(hasMachines ? [machineName(set.marks.machine)] : []),
      ...(long ? [isUnopened(history, set) ? SEALED_NAME : rootsText(rootsOf(set.set))] : []),
    ]);
  }
  print(formatTable(headers ? rows : rows.slice(1), [0, 3, 4, 5, 6, 7]));
}

function rootsText(roots: readonly Buffer[]): string {
  const shown = roots.slice(0, MAX_ROOTS_SHOWN).map(displayName).join(' ');
  const more = roots.length - MAX_ROOTS_SHOWN;
  return more > 0 ? `${shown} … and ${more} more` : shown;
}

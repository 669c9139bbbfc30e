/** Prints the result of `regenerate`. */
import type { BackupSet } from '../../history/index.js';
import type { RestoreFailure, RestoreProgress } from '../../restore/index.js';
import { displayText, type SetNumber } from '../../model/index.js';
import { jsonFailure, printFailures } from '../shared/restore-failures.js';
import { jsonText, printReport } from '../output/output.js';
import { counted, formatBytes, formatCount, formatSeconds } from '../output/units.js';
import { complain } from '../output/command-names.js';

interface RestoreReport {
  /** The number of the set of each group of paths; 0 for contents that are named by their digests. */
  readonly batches: readonly SetNumber[];
  readonly sets: readonly BackupSet[];
  /** Text of each of `sets`. */
  readonly from: readonly string[];
  /** The directory or archive that is written; undefined for others. */
  readonly target: string | undefined;
  readonly dryRun: boolean;
  readonly resumed: boolean;
  /** Metadata that the file system of the output cannot store. */
  readonly losses: readonly string[];
  readonly elapsedMs: number;
  /** Descriptions of data that could not be proven, for a client that encrypts. */
  readonly doubts: readonly string[];
}

/** Maximum number of sets named: with --last there may be one for each path. */
const MAX_SETS_SHOWN = 8;

/** Returns a phrase that names the sets; empty for none. */
function fromText(sets: readonly string[]): string {
  if (sets.length === 0) return '';
  const more = sets.length - MAX_SETS_SHOWN;
  const named = sets.slice(0, MAX_SETS_SHOWN);
  if (more > 0) named.push(`${formatCount(more)} more`);
  return `, from set ${named.join(' and ')}`;
}

export function printResult(
  { batches, sets, from, target, dryRun, resumed, losses, elapsedMs, doubts }: RestoreReport,
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  asJson: boolean,
): void {
  if (asJson) {
    const failed = failures.map(jsonFailure);
    const unfinished = sets.filter(({ state }) => state !== 'complete').map(({ set }) => set);
    const restored = { sets: batches, unfinished };
    const counts = { ...restored, dryRun, resumed, ...progress, elapsedMs, doubts, losses };
    printReport(jsonText({ ...counts, failed }));
    return;
  }
  if (losses.length > 0) {
    complain('regenerate', `the file system does not support ${losses.join(', ')}`);
  }
  for (const doubt of doubts) complain('regenerate', displayText(doubt));
  const { failed, unread, entriesLacking } = printFailures('regenerate', failures);
  const { files, directories, links, bytes, unchanged, kept, leftOut, fetchedBytes } = progress;
  const done = dryRun ? 'Would restore' : 'Restored';
  const where = target === undefined ? '' : ` to ${target}`;
  const took = dryRun ? '' : `, in ${formatSeconds(elapsedMs)}`;
  printReport(
    `${done} ${counted(files, 'file')}, ${counted(directories, 'directory', 'directories')} and ` +
      `${counted(links, 'link')}, ${formatBytes(bytes)}${where}${took}${fromText(from)}.`,
  );
  if (fetchedBytes > 0) printReport(`${formatBytes(fetchedBytes)} fetched from the server.`);
  if (unchanged > 0)
    printReport(`${counted(unchanged, 'was', 'were')} already present and unchanged.`);
  if (kept > 0)
    printReport(`${counted(kept, 'was', 'were')} already present but different, and kept.`);
  if (leftOut > 0)
    printReport(`${counted(leftOut, 'was', 'were')} left out by --include and --exclude.`);
  if (entriesLacking > 0) {
    printReport(
      `${counted(entriesLacking, 'was', 'were')} restored without some of the attributes.`,
    );
  }
  if (unread > 0) printReport(`${formatCount(unread)} could not be read by the backup.`);
  const unrestored = failed - unread;
  if (unrestored > 0) printReport(`${formatCount(unrestored)} could not be restored.`);
}

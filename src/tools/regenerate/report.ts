/** Prints the result of `regenerate`. */
import type { BackupSet } from '../../history/index.js';
import type { RestoreFailure, RestoreProgress } from '../../restore/index.js';
import { ERROR_TABLE, isErrorCode } from '../../errors/index.js';
import { displayName, displayText, jsonName, type SetNumber } from '../../model/index.js';
import { JSON_VERSION, printReport } from '../shared/run-tool.js';
import { counted, formatBytes, formatCount, formatSeconds } from '../shared/units.js';
import { jsonText } from '../shared/json-text.js';

interface RestoreReport {
  /** The number of the set of each group of paths; 0 for contents that are named by their digests. */
  readonly batches: readonly SetNumber[];
  readonly sets: readonly BackupSet[];
  /** Text of each of `sets`. */
  readonly from: readonly string[];
  readonly dryRun: boolean;
  readonly resumed: boolean;
  /** Metadata that the file system of the output cannot store. */
  readonly losses: readonly string[];
  readonly elapsedMs: number;
  /** Descriptions of data that could not be proven, for a client that encrypts. */
  readonly doubts: readonly string[];
}

/** Maximum number of failures printed, since a lost pack affects many files. --json prints all failures. */
const MAX_FAILURES_SHOWN = 100;

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
  { batches, sets, from, dryRun, resumed, losses, elapsedMs, doubts }: RestoreReport,
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  asJson: boolean,
): void {
  if (asJson) {
    const failed = failures.map(({ path: name, error }) => ({ ...jsonName(name), ...error }));
    const counts = { batches, sets, dryRun, resumed, ...progress, elapsedMs, doubts, losses };
    printReport(jsonText({ version: JSON_VERSION, ...counts, failed }));
    return;
  }
  if (losses.length > 0) {
    process.stderr.write(`regenerate: the file system does not support ${losses.join(', ')}\n`);
  }
  for (const doubt of doubts) process.stderr.write(`regenerate: ${displayText(doubt)}\n`);
  for (const { path: name, error } of failures.slice(0, MAX_FAILURES_SHOWN)) {
    process.stderr.write(
      `regenerate: ${displayName(name)}: ${displayText(error.message)} [${error.code}]\n`,
    );
  }
  for (const code of new Set(failures.map(({ error }) => error.code))) {
    if (isErrorCode(code) && ERROR_TABLE[code].kind === 'damage') {
      process.stderr.write(`regenerate: ${ERROR_TABLE[code].guidance}\n`);
    }
  }
  const more = failures.length - MAX_FAILURES_SHOWN;
  if (more > 0) {
    process.stderr.write(`regenerate: … and ${formatCount(more)} more; --json lists all\n`);
  }
  const { files, directories, links, bytes, unchanged, kept, leftOut, fetchedBytes } = progress;
  const done = dryRun ? 'Would restore' : 'Restored';
  const took = dryRun ? '' : `, in ${formatSeconds(elapsedMs)}`;
  printReport(
    `${done} ${counted(files, 'file')}, ${counted(directories, 'directory', 'directories')} and ` +
      `${counted(links, 'link')}, ${formatBytes(bytes)}${took}${fromText(from)}.`,
  );
  if (fetchedBytes > 0) printReport(`${formatBytes(fetchedBytes)} fetched from the server.`);
  if (unchanged > 0)
    printReport(`${counted(unchanged, 'was', 'were')} already present and unchanged.`);
  if (kept > 0)
    printReport(`${counted(kept, 'was', 'were')} already present but different, and kept.`);
  if (leftOut > 0)
    printReport(`${counted(leftOut, 'was', 'were')} left out by --include and --exclude.`);
  const lacking = failures.filter(({ error }) => error.code === 'ATTRIBUTE_NOT_SET').length;
  const failed = failures.length - lacking;
  if (lacking > 0) {
    printReport(`${counted(lacking, 'was', 'were')} restored without some of the attributes.`);
  }
  if (failed > 0) printReport(`${formatCount(failed)} could not be restored.`);
}

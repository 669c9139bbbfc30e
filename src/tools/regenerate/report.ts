/** Prints the result of `regenerate`. */
import type { BackupSet } from '../../history/index.js';
import type { RestoreFailure, RestoreProgress } from '../../restore/index.js';
import { errnoText, ERROR_TABLE, isErrorCode } from '../../errors/index.js';
import { displayName, displayText, jsonName, type SetNumber } from '../../model/index.js';
import { JSON_VERSION, printReport } from '../shared/run-tool.js';
import { counted, formatBytes, formatCount, formatSeconds } from '../output/units.js';
import { jsonText } from '../output/json-text.js';
import { complain } from '../output/front.js';

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

/** Maximum number of failures printed, since a lost pack affects many files. --json prints all failures. */
const MAX_FAILURES_SHOWN = 100;

/** Kinds of errors of single entries whose remedy is printed. */
const GUIDED_KINDS: ReadonlySet<string> = new Set(['damage', 'partial']);

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
    const failed = failures.map(({ path: name, error }) => ({ ...jsonName(name), ...error }));
    const unfinished = sets.filter(({ state }) => state !== 'complete').map(({ set }) => set);
    const restored = { sets: batches, unfinished };
    const counts = { ...restored, dryRun, resumed, ...progress, elapsedMs, doubts, losses };
    printReport(jsonText({ version: JSON_VERSION, ...counts, failed }));
    return;
  }
  if (losses.length > 0) {
    complain('regenerate', `the file system does not support ${losses.join(', ')}`);
  }
  for (const doubt of doubts) complain('regenerate', displayText(doubt));
  const isLacking = ({ error }: RestoreFailure): boolean => error.code === 'ATTRIBUTE_NOT_SET';
  const [lacking, failed] = [failures.filter(isLacking), failures.filter((one) => !isLacking(one))];
  const unread = failed.filter(({ error }) => error.code === 'UNREAD_AT_BACKUP').length;
  printLacking(lacking);
  for (const { path: name, error } of failed.slice(0, MAX_FAILURES_SHOWN)) {
    complain('regenerate', `${displayName(name)}: ${displayText(error.message)} [${error.code}]`);
  }
  for (const code of new Set(failed.map(({ error }) => error.code))) {
    if (isErrorCode(code) && GUIDED_KINDS.has(ERROR_TABLE[code].kind)) {
      complain('regenerate', ERROR_TABLE[code].guidance);
    }
  }
  const more = failed.length - MAX_FAILURES_SHOWN;
  if (more > 0) {
    complain('regenerate', `… and ${formatCount(more)} more; --json lists all`);
  }
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
  if (lacking.length > 0) {
    const entries = new Set(lacking.map(({ path: name }) => name.toString('latin1'))).size;
    printReport(`${counted(entries, 'was', 'were')} restored without some of the attributes.`);
  }
  if (unread > 0) printReport(`${formatCount(unread)} could not be read by the backup.`);
  const unrestored = failed.length - unread;
  if (unrestored > 0) printReport(`${formatCount(unrestored)} could not be restored.`);
}

/** Options that leave metadata out, by its name among attributes that could not be set. */
const LEFT_OUT_BY: ReadonlyMap<unknown, string> = new Map([
  ['owner', '--no-set-owner'],
  ['permissions', '--no-set-perms'],
  ['times', '--no-set-times'],
  ['flags', '--no-set-flags'],
]);

/** Prints a line for each kind of attribute that could not be set, with the number of entries that lack it. */
function printLacking(lacking: readonly RestoreFailure[]): void {
  const kinds = new Map<string, { readonly first: RestoreFailure; count: number }>();
  for (const failure of lacking) {
    const { message, context } = failure.error;
    const key = `${message} ${String(context['cause'])}`;
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { first: failure, count: 1 });
    else kind.count += 1;
  }
  const options = new Set<string>();
  for (const { first, count } of kinds.values()) {
    const { code, message, context } = first.error;
    const more = count > 1 ? ` and ${formatCount(count - 1)} more` : '';
    const cause = String(context['cause']);
    complain(
      'regenerate',
      `${displayName(first.path)}${more}: ${displayText(message)}: ${errnoText(cause)} [${code}]`,
    );
    options.add(LEFT_OUT_BY.get(context['attribute']) ?? '--no-set-attrs');
  }
  if (options.size > 0) {
    complain('regenerate', `to leave that out, use ${[...options].join(', ')}`);
  }
}

/** What `regenerate` tells at its end, and what it notes in the store. */
import type { RestoreFailure, RestoreProgress } from '../restore/index.js';
import { asTardisError } from '../errors/index.js';
import { displayName, displayText, jsonName } from '../model/index.js';
import { markDamaged } from '../keeper/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import type { RegenerateSettings } from './regenerate-options.js';
import { JSON_VERSION, say } from './run-tool.js';
import { counted, formatBytes, formatCount, formatSeconds } from './units.js';
import { clientPlace, storeLimits } from './local-store.js';

export interface RestoreReport {
  readonly sets: readonly number[];
  /** Of them, those whose backup was broken off. */
  readonly unfinished: readonly number[];
  readonly dryRun: boolean;
  readonly resumed: boolean;
  readonly elapsedMs: number;
  /** What nothing proves, of a client that encrypts. */
  readonly doubts: readonly string[];
}

/** Of a lost pack every file tells; a terminal needs no million of lines. */
const MAX_FAILURES_SHOWN = 100;

export function tellResult(
  { sets, unfinished, dryRun, resumed, elapsedMs, doubts }: RestoreReport,
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  asJson: boolean,
): void {
  if (asJson) {
    const failed = failures.map(({ path: name, error }) => ({ ...jsonName(name), ...error }));
    const counts = { sets, unfinished, dryRun, resumed, ...progress, elapsedMs, doubts };
    say(JSON.stringify({ version: JSON_VERSION, ...counts, failed }));
    return;
  }
  for (const doubt of doubts) process.stderr.write(`regenerate: ${displayText(doubt)}\n`);
  for (const { path: name, error } of failures.slice(0, MAX_FAILURES_SHOWN)) {
    process.stderr.write(
      `regenerate: ${displayName(name)}: ${displayText(error.message)} [${error.code}]\n`,
    );
  }
  const more = failures.length - MAX_FAILURES_SHOWN;
  if (more > 0) {
    process.stderr.write(`regenerate: … and ${formatCount(more)} more; --json names all\n`);
  }
  const { files, directories, links, bytes, unchanged, kept, leftOut, fetchedBytes } = progress;
  const done = dryRun ? 'Would restore' : 'Restored';
  const took = dryRun ? '' : `, in ${formatSeconds(elapsedMs)}`;
  say(
    `${done} ${counted(files, 'file')}, ${counted(directories, 'directory', 'directories')} and ` +
      `${counted(links, 'link')}, ${formatBytes(bytes)}${took}.`,
  );
  if (fetchedBytes > 0) say(`${formatBytes(fetchedBytes)} came from the server.`);
  if (unchanged > 0) say(`${counted(unchanged, 'was', 'were')} there already and the same.`);
  if (kept > 0) say(`${counted(kept, 'was', 'were')} there already, different, and kept.`);
  if (leftOut > 0) say(`${counted(leftOut, 'was', 'were')} left out by --include and --exclude.`);
  const lacking = failures.filter(({ error }) => error.code === 'ATTRIBUTE_NOT_SET').length;
  const failed = failures.length - lacking;
  if (lacking > 0) {
    say(`${counted(lacking, 'was', 'were')} restored without some of the attributes.`);
  }
  if (failed > 0) say(`${formatCount(failed)} could not be restored.`);
}

/** What was found damaged is noted in the store, so that the next backup sends it again. */
export async function noteDamage(
  system: System,
  options: RegenerateSettings,
  failures: readonly RestoreFailure[],
  isRemote: boolean,
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  if (isRemote) {
    process.stderr.write(
      "regenerate: the damage is in the server's store; tell who looks after it\n",
    );
    return;
  }
  try {
    const directory = openClientDirectory(system, clientPlace(options));
    await markDamaged(system, directory, storeLimits(), digests);
    process.stderr.write('regenerate: the damage is noted; the next backup sends it again\n');
  } catch (error) {
    const { code } = asTardisError(error);
    process.stderr.write(`regenerate: the damage could not be noted in the store [${code}]\n`);
  }
}

/** What `regenerate` tells at its end, and what it notes in the store. */
import type { RestoreFailure, RestoreProgress } from '../restore/index.js';
import { defaultOf } from '../config/index.js';
import { asTardisError } from '../errors/index.js';
import { displayName, jsonName } from '../model/index.js';
import { markDamaged } from '../server/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import type { RegenerateSettings } from './regenerate-options.js';
import { clientPlace, JSON_VERSION, say } from './run-tool.js';
import { formatBytes, formatCount, formatSeconds } from './units.js';

export interface RestoreReport {
  readonly sets: readonly number[];
  readonly dryRun: boolean;
  readonly resumed: boolean;
  readonly elapsedMs: number;
}

export function tellResult(
  { sets, dryRun, resumed, elapsedMs }: RestoreReport,
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  asJson: boolean,
): void {
  if (asJson) {
    const failed = failures.map(({ path: name, error }) => ({ ...jsonName(name), ...error }));
    const counts = { sets, dryRun, resumed, ...progress, elapsedMs };
    say(JSON.stringify({ version: JSON_VERSION, ...counts, failed }));
    return;
  }
  for (const { path: name, error } of failures) {
    process.stderr.write(`regenerate: ${displayName(name)}: ${error.message} [${error.code}]\n`);
  }
  const { files, directories, links, bytes, unchanged, kept, leftOut } = progress;
  const done = dryRun ? 'Would restore' : 'Restored';
  const took = dryRun ? '' : `, in ${formatSeconds(elapsedMs)}`;
  say(
    `${done} ${formatCount(files)} files, ${formatCount(directories)} directories and ` +
      `${formatCount(links)} links, ${formatBytes(bytes)}${took}.`,
  );
  if (unchanged > 0) say(`${formatCount(unchanged)} were there already and are the same.`);
  if (kept > 0) say(`${formatCount(kept)} were there already, differ, and were kept.`);
  if (leftOut > 0) say(`${formatCount(leftOut)} were left out by --include and --exclude.`);
  if (failures.length > 0) say(`${formatCount(failures.length)} could not be restored.`);
}

/** What was found damaged is noted in the store, so that the next backup sends it again. */
export async function noteDamage(
  system: System,
  options: RegenerateSettings,
  failures: readonly RestoreFailure[],
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  try {
    const directory = openClientDirectory(system, clientPlace(options));
    const limits = {
      packBytes: defaultOf('packBytes'),
      packContentBytes: defaultOf('packContentBytes'),
    };
    await markDamaged(system, directory, limits, digests);
    process.stderr.write('regenerate: the damage is noted; the next backup sends it again\n');
  } catch (error) {
    const { code } = asTardisError(error);
    process.stderr.write(`regenerate: the damage could not be noted in the store [${code}]\n`);
  }
}

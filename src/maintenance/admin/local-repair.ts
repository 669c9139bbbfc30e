/** Repairs a client in a store on this machine from its parity. */
import { type ClientDirectory, mendNotes, reopenClient } from '../../store/index.js';
import { catchUp, type StoreLimits } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import {
  parityOf,
  type ParitySummary,
  repairClient,
  repairCopies,
  repairInBucket,
  type RepairOptions,
} from '../check/index.js';
import type { RepairOutcome } from './admin.js';

/**
 * Repairs a client. In a bucket, damaged notes of its generations are made again before the repair. After it, this
 * machine's catalog is brought up to date, which damaged commits prevent before, and wrong copies of the catalog are
 * replaced. Throws CLIENT_BUSY if the client is in use, INTERRUPTED if it is aborted, and errors of a bucket.
 */
export async function repairHere(
  system: System,
  { directory, limits }: { readonly directory: ClientDirectory; readonly limits: StoreLimits },
  options: RepairOptions,
): Promise<RepairOutcome> {
  if (directory.bucket !== undefined) {
    await mendNotes(system, directory);
    const { repair, ...outcome } = await repairInBucket(system, directory, options);
    await catchUp(system, directory);
    const left = await repairCopies(system, reopenClient(system, directory), limits, options);
    return { ...outcome, repair: { ...repair, damaged: repair.damaged + left } };
  }
  const repair = await repairClient(system, directory, options);
  return { ...(await parityOf(system, directory)), repair };
}

/** Returns a summary of the parity; undefined in a bucket, where only a repair reads enough to find the parity. */
export async function parityHere(
  system: System,
  directory: ClientDirectory,
): Promise<ParitySummary | undefined> {
  return directory.bucket === undefined ? parityOf(system, directory) : undefined;
}

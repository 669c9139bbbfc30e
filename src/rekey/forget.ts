/**
 * Forgetting: a client is written anew without some paths, and without what only they held, so that no byte of them is
 * left in records, frames, listings or copies of the catalog. Where it encrypts that takes its keys, and gives it new
 * ones: seals that the old ones made say what was there.
 */
import { createHash } from 'node:crypto';
import { asTardisError, TardisError } from '../errors/index.js';
import type { ForgetRequest } from '../model/index.js';
import type { ClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { Generations } from './generations.js';
import { rekeyClient, type RekeyRequest, type RekeyResult, removeOld } from './job.js';

/** What tells one list of requests from another; empty for none. */
export function requestsDigest(requests: readonly ForgetRequest[]): string {
  if (requests.length === 0) return '';
  const hash = createHash('sha256');
  for (const { id, path, lastSet } of requests) {
    hash.update(`${id} ${lastSet} ${path.length} `).update(path);
  }
  return hash.digest('hex');
}

export interface ForgetOptions
  extends Omit<RekeyRequest, 'generations' | 'oldKeyring' | 'keyring' | 'forgotten'> {
  /** Name of a file that keeps the client out of a backup of the store's machine. */
  readonly skipFile: string;
}

/**
 * Writes a client that does not encrypt anew without these paths. Another run goes on with what one has left that was
 * killed or interrupted; after any other failure nothing is left. Throws CLIENT_BUSY also while somebody else writes the
 * client anew, CONTENT_DAMAGED, DISK_FULL, INTERRUPTED, STORE_NOT_WRITABLE.
 */
export async function forgetHere(
  system: System,
  directory: ClientDirectory,
  requests: readonly ForgetRequest[],
  { skipFile, ...options }: ForgetOptions,
): Promise<RekeyResult> {
  const generations = new Generations(system, directory);
  const lock = await generations.lock();
  try {
    await beginHere(generations, requestsDigest(requests), skipFile);
    const parts = { generations, oldKeyring: undefined, keyring: undefined, forgotten: requests };
    return await rekeyClient(system, { ...options, ...parts });
  } catch (error) {
    const failure = asTardisError(error);
    if (!GO_ON.has(failure.code) && generations.stage() !== 'switched') {
      await generations.removeSecond().catch(() => undefined); // the next run does it
    }
    throw failure;
  } finally {
    lock.release();
  }
}

/** After these the next run goes on. */
const GO_ON: ReadonlySet<string> = new Set(['INTERRUPTED', 'CLIENT_BUSY']);

async function beginHere(
  generations: Generations,
  without: string,
  skipFile: string,
): Promise<void> {
  let stage = generations.stage();
  if (stage === 'switched') {
    await removeOld(generations, () => undefined);
    stage = 'none';
  }
  if (stage === 'making') {
    const { clientId, from, without: before } = generations.marker()!;
    const wanted = generations.markerFor(undefined, without);
    if (before === '') {
      const what = `"${generations.first.client}" is being written anew (sonic rekey)`;
      throw new TardisError('CLIENT_BUSY', what);
    }
    if (clientId === wanted.clientId && from === wanted.from && before === without) return;
  }
  if (stage !== 'none') await generations.removeSecond();
  await generations.begin(undefined, skipFile, without);
}

/** Finishes what a run has left that was killed after the switch. */
export async function finishSwitched(system: System, directory: ClientDirectory): Promise<void> {
  const generations = new Generations(system, directory);
  if (generations.stage() !== 'switched') return;
  const lock = await generations.lock();
  try {
    if (generations.stage() === 'switched') await removeOld(generations, () => undefined);
  } finally {
    lock.release();
  }
}

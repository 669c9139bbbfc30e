/**
 * Rewrites a client without some paths, and without the data that only those paths used. No byte of that data remains
 * in records, frames, listings or copies of the catalog. Forgetting paths of a client that encrypts needs its keys, and
 * gives it new keys: seals under the old keys would show which data existed.
 */
import { createHash } from 'node:crypto';
import { asTardisError } from '../../errors/index.js';
import type { ForgetRequest } from '../../model/index.js';
import { unfinishedRewrite } from '../../store/writer/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { Generations } from './generations.js';
import { rewriteClient, type RewriteRequest, type RewriteResult, removeOld } from './job.js';

/** Returns a digest that identifies a list of requests; empty for an empty list. */
export function requestsDigest(requests: readonly ForgetRequest[]): string {
  if (requests.length === 0) return '';
  const hash = createHash('sha256');
  for (const { id, path, lastSet } of requests) {
    hash.update(`${id} ${lastSet} ${path.length} `).update(path);
  }
  return hash.digest('hex');
}

interface ForgetOptions
  extends Omit<RewriteRequest, 'generations' | 'oldKeyring' | 'keyring' | 'forgotten'> {
  /** Name of a file that excludes the client from a backup of the store's machine. */
  readonly skipFile: string;
}

/**
 * Rewrites a client that does not encrypt, without the paths of the requests. After a kill or an interruption the next
 * run continues. After any other failure before the switch, the second generation is removed. Throws CLIENT_BUSY if the
 * client is in use, or another process rewrites it; REKEY_UNFINISHED if another rewrite has begun; and the other errors
 * of `rewriteClient`.
 */
export async function forgetHere(
  system: System,
  directory: ClientDirectory,
  requests: readonly ForgetRequest[],
  { skipFile, ...options }: ForgetOptions,
): Promise<RewriteResult> {
  const generations = new Generations(system, directory);
  using _lock = await generations.lock();
  try {
    await beginHere(system, generations, requestsDigest(requests), skipFile);
    const parts = { generations, oldKeyring: undefined, keyring: undefined, forgotten: requests };
    return await rewriteClient(system, { ...options, ...parts });
  } catch (error) {
    const failure = asTardisError(error);
    if (GO_ON.has(failure.code)) await generations.removeUnwritten();
    else if (generations.stage() !== 'switched') {
      await generations.removeSecond().catch(() => undefined); // if this fails, the next run removes it
    }
    throw failure;
  }
}

/** Codes of the errors after which the next run continues. */
const GO_ON: ReadonlySet<string> = new Set(['INTERRUPTED', 'CLIENT_BUSY', 'REKEY_UNFINISHED']);

async function beginHere(
  system: System,
  generations: Generations,
  without: string,
  skipFile: string,
): Promise<void> {
  let stage = await generations.state();
  if (stage === 'switched') {
    await removeOld(generations, () => undefined);
    stage = 'none';
  }
  if (stage === 'making') {
    const { clientId, from, without: before } = generations.marker()!;
    const wanted = generations.markerFor(undefined, without);
    if (before === '') throw unfinishedRewrite(system, generations.first);
    if (clientId === wanted.clientId && from === wanted.from && before === without) return;
  }
  if (stage !== 'none') await generations.removeSecond();
  await generations.begin(undefined, skipFile, without);
}

/**
 * Removes the old generation that a run has left because it was killed after the switch (on this machine, or on another
 * machine of a bucket). Returns false if there is none. Throws CLIENT_BUSY if another process rewrites the client.
 */
export async function finishSwitched(system: System, directory: ClientDirectory): Promise<boolean> {
  const generations = new Generations(system, directory);
  if ((await generations.state()) !== 'switched') return false;
  using _lock = await generations.lock();
  if ((await generations.state()) !== 'switched') return false;
  await removeOld(generations, () => undefined);
  return true;
}

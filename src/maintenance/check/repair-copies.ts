/** Replaces copies of the catalog in a bucket that no machine can use. */
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, mediumOf, snapshotsOf } from '../../store/index.js';
import { Catalog } from '../../store/catalog/index.js';
import { makeSnapshot, type StoreLimits, withWriter } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { type CopiesSeen, lookAtCopies } from './catalog-copies.js';
import { type RepairOptions, repairWithoutBlocks } from './repair.js';

/**
 * Reads all copies of a client's catalog in a bucket, removes wrong ones, and makes a new one if the newest was wrong.
 * The catalog on this machine must be up to date. Returns the number of wrong copies that could not be removed. Throws
 * INTERRUPTED if it is aborted, and errors of a bucket.
 */
export async function repairCopies(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  options: Pick<RepairOptions, 'signal' | 'onFinding'>,
): Promise<number> {
  const seen = await removeWrong(system, directory, options);
  if (seen.wrong.length > 0) {
    const { commit } = Catalog.reading(system, directory.catalogPath, ({ state }) =>
      state.readSnapshot(),
    );
    if (commit > 0 && !seen.sound.includes(commit)) {
      const failure = await makeNow(system, directory, limits);
      if (failure !== undefined) options.onFinding(repairWithoutBlocks('snap', 'later', failure));
    }
  }
  return seen.left;
}

async function removeWrong(
  system: System,
  directory: ClientDirectory,
  { signal, onFinding }: Pick<RepairOptions, 'signal' | 'onFinding'>,
): Promise<CopiesSeen & { readonly left: number }> {
  using records = mediumOf(system, directory).records();
  const seen = await lookAtCopies(records, { reads: true, signal });
  let left = 0;
  for (const { copy, finding } of seen.wrong) {
    if (copy.pieces.size === 0) {
      left += 1; // only a limited number of copies can be removed
      onFinding(repairWithoutBlocks(copy.name, 'failed', finding.why));
      continue;
    }
    try {
      await snapshotsOf(records)?.remove([copy]);
      onFinding(repairWithoutBlocks(copy.name, 'removed', finding.why));
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code !== 'BUCKET_DENIED') throw error;
      left += 1;
      onFinding(repairWithoutBlocks(copy.name, 'failed', message));
    }
  }
  return { ...seen, left };
}

/**
 * Makes a copy in a session of its own. Returns the reason if that fails; a later backup then makes a copy. Returns
 * undefined if it succeeds.
 */
async function makeNow(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
): Promise<string | undefined> {
  try {
    return await withWriter(system, directory, limits, async (store) => {
      await store.checkpoint();
      const failure = await makeSnapshot(system, directory, store, { isLost: true });
      return failure?.message;
    });
  } catch (error) {
    return asTardisError(error).message;
  }
}

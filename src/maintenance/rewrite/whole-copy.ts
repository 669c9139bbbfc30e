/**
 * Copies all data that the catalog of a client lists into a new generation. Records, sets and seals stay unchanged. A
 * rebuild uses this for a damaged log. Unreadable contents are left out, and the next backup sends them again.
 */
import type { ClientDirectory } from '../../store/index.js';
import { type StoreLimits, type StoreWriter, withWriter } from '../../store/writer/index.js';
import type { SetNumber } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { RecordCopier } from './copied-records.js';
import { CopiedSets, findNeeded } from './copied-sets.js';
import { OldGeneration } from './old-generation.js';

interface WholeCopy {
  readonly source: ClientDirectory;
  /** A catalog of the source. */
  readonly catalogPath: string;
  /** True if the client encrypts, so that no digest can be checked. */
  readonly isEncrypting: boolean;
  /** Directory of a generation without a commit. */
  readonly target: ClientDirectory;
  /** Number of the last set that may lack entries; 0 if there is none. */
  readonly doubtfulUpTo: SetNumber;
  readonly limits: StoreLimits;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, of: number) => void;
}

/**
 * Copies the data. Throws CATALOG_DAMAGED for an entry that no writer stores, INTERRUPTED if it is aborted, DISK_FULL,
 * and errors of a bucket.
 */
export async function copyWhole(system: System, request: WholeCopy): Promise<void> {
  const { source, catalogPath, target, limits } = request;
  await withWriter(system, target, limits, async (store) => {
    using old = new OldGeneration(system, source, undefined, catalogPath);
    await copyFrom(request, old, store);
  });
}

async function copyFrom(
  { isEncrypting, doubtfulUpTo, signal, onProgress }: WholeCopy,
  old: OldGeneration,
  store: StoreWriter,
): Promise<void> {
  store.raiseCounters(old.catalog);
  const wanted = await findNeeded(old, old.catalog.sets.listed(), signal);
  const copier = new RecordCopier(old, store, { needed: wanted.needed, isEncrypting });
  let done = 0;
  await copier.copyNew(signal, (isNeeded) => {
    if (isNeeded) onProgress((done += 1), wanted.neededCount);
  });
  const sets = new CopiedSets(old, store, copier);
  sets.bringSettings();
  await sets.copy(wanted, signal, () => undefined);
  sets.bringForgets([]);
  sets.copyFlags();
  sets.bringDoubt(Math.max(doubtfulUpTo, old.catalog.state.readDoubtfulUpTo()));
  await store.checkpoint();
}

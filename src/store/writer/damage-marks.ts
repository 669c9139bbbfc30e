/**
 * Marks contents whose bytes are damaged, and removes such marks, with the client's lock held. The next backup
 * sends a marked content again if the source has it.
 */
import type { ClientDirectory, Location } from '../index.js';
import type { System } from '../../system/index.js';
import { type StoreLimits, type StoreWriter, withWriter } from './store-writer.js';

/** A content, and its location when it was read; `location` is undefined if it had none. */
export interface SeenContent {
  readonly digest: Buffer;
  readonly location: Location | undefined;
}

/** Maximum number of digests in one event. */
const MAX_DIGESTS = 4096;

/**
 * Marks contents as damaged. The marks are durable when the promise resolves. Throws CLIENT_BUSY and the errors of
 * opening.
 */
export async function markDamaged(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  digests: readonly Buffer[],
): Promise<void> {
  await withWriter(system, directory, limits, async (store) => {
    append(store, 'damage', digests);
    await store.checkpoint();
  });
}

/**
 * Stores the result of a check as marks. Contents that were healed or moved after the check read them keep their marks.
 * Returns the numbers of marks that were set and cleared. Throws CLIENT_BUSY and the errors of opening.
 */
export async function settleMarks(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  found: { readonly damaged: readonly SeenContent[]; readonly sound: readonly SeenContent[] },
): Promise<{ marked: number; cleared: number }> {
  return withWriter(system, directory, limits, async (store) => {
    const isThere = (seen: SeenContent): boolean => isWhere(store, seen);
    const damaged = found.damaged.filter(isThere).map(({ digest }) => digest);
    const sound = found.sound.filter(isThere).map(({ digest }) => digest);
    // Marks are set first, and spread to all contents that depend on a damaged one. Then the unneeded marks are
    // cleared.
    append(store, 'damage', damaged);
    append(store, 'sound', sound);
    await store.checkpoint();
    return { marked: damaged.length, cleared: sound.length };
  });
}

function append(store: StoreWriter, type: 'damage' | 'sound', digests: readonly Buffer[]): void {
  for (let at = 0; at < digests.length; at += MAX_DIGESTS) {
    store.writeEvent({ type, digests: digests.slice(at, at + MAX_DIGESTS) });
  }
}

function isWhere({ catalog }: StoreWriter, { digest, location }: SeenContent): boolean {
  const found = catalog.contents.find(digest);
  if (found === undefined) return false;
  const stored = catalog.contents.stored(found.contentId);
  return stored?.pack === location?.pack && stored?.position === location?.position;
}

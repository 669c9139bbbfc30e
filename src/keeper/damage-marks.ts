/**
 * Marks of contents whose bytes are not what they should be: the next backup sends such a content again if the source
 * has it. With the client's lock held.
 */
import { applyDamage, applySound } from '../catalog/index.js';
import { buildEvent, type ClientDirectory, type Location } from '../store/index.js';
import type { System } from '../system/index.js';
import { ClientStore, type StoreLimits } from './client-store.js';

/** A content, and where it was when somebody read it; undefined: it was nowhere. */
export interface SeenContent {
  readonly digest: Buffer;
  readonly location: Location | undefined;
}

/** An event names so many at most. */
const MAX_DIGESTS = 4096;

/** Notes that the bytes of some contents are damaged. Durable when it returns. Throws CLIENT_BUSY and what opening throws. */
export async function markDamaged(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  digests: readonly Buffer[],
): Promise<void> {
  await withStore(system, directory, limits, async (store) => {
    append(store, 'damage', digests);
    await store.checkpoint();
  });
}

/**
 * Notes what a check has found of contents. Those that are elsewhere by now (somebody has healed or moved them) keep what
 * they have. Returns how many marks were set, and taken away. Throws CLIENT_BUSY and what opening throws.
 */
export async function settleMarks(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  found: { readonly damaged: readonly SeenContent[]; readonly sound: readonly SeenContent[] },
): Promise<{ marked: number; cleared: number }> {
  return withStore(system, directory, limits, async (store) => {
    const isThere = (seen: SeenContent): boolean => isWhere(store, seen);
    const damaged = found.damaged.filter(isThere).map(({ digest }) => digest);
    const sound = found.sound.filter(isThere).map(({ digest }) => digest);
    // First the marks, which spread to what rests on a content; then those of them that it does not need.
    append(store, 'damage', damaged);
    append(store, 'sound', sound);
    await store.checkpoint();
    return { marked: damaged.length, cleared: sound.length };
  });
}

async function withStore<T>(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  work: (store: ClientStore) => Promise<T>,
): Promise<T> {
  const store = await ClientStore.open(system, directory, limits);
  try {
    const result = await work(store);
    store.close();
    return result;
  } catch (error) {
    throw store.letGo(error);
  }
}

function append(store: ClientStore, type: 'damage' | 'sound', digests: readonly Buffer[]): void {
  const apply = type === 'damage' ? applyDamage : applySound;
  for (let at = 0; at < digests.length; at += MAX_DIGESTS) {
    const some = digests.slice(at, at + MAX_DIGESTS);
    store.appendOwn(buildEvent(store.nextSequence(), { type, digests: some }));
    for (const digest of some) apply(store.catalog, digest);
  }
}

function isWhere({ catalog }: ClientStore, { digest, location }: SeenContent): boolean {
  const found = catalog.contents.find(digest);
  if (found === undefined) return false;
  const stored = catalog.contents.stored(found.contentId);
  return stored?.pack === location?.pack && stored?.position === location?.position;
}

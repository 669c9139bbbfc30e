/** The part of a check that needs the keys: it compares each set with its seal. */
import {
  type History,
  ListingFaults,
  openLocalHistory,
  unsealedHistory,
} from '../../history/index.js';
import { Catalog } from '../../store/catalog/index.js';
import type { Keyring } from '../../crypto/index.js';
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { SealFinding } from '../../maintenance/check/index.js';
import { clientPlace } from '../shared/local-store.js';

type PlaceSettings = Parameters<typeof clientPlace>[0];

/**
 * Returns the sets and directories of a local store that do not fit their seals. `withListings` checks all sets and
 * each directory; otherwise only the newest set is checked, as a whole.
 */
export async function sealFindings(
  system: System,
  options: PlaceSettings,
  keyring: Keyring,
  { withListings, signal }: { readonly withListings: boolean; readonly signal: AbortSignal },
): Promise<SealFinding[]> {
  const place = clientPlace(options);
  const history = unsealedHistory(openLocalHistory(system, place), keyring, system.native);
  try {
    history.acceptOlder?.(() => undefined); // reported when the check began
    const sets = await brokenSets(history, withListings, signal);
    const listings = withListings ? await listingFaults(system, place, keyring, signal) : [];
    return [...sets, ...listings];
  } finally {
    history.close();
  }
}

/**
 * Returns the complete sets that do not fit their seals. `all` checks each set, which fetches the seals of all its
 * directories; otherwise only the newest set is checked. Throws INTERRUPTED.
 */
export async function brokenSets(
  history: History,
  all: boolean,
  signal: AbortSignal,
): Promise<SealFinding[]> {
  const found: SealFinding[] = [];
  const complete = (await history.sets()).filter(({ state }) => state === 'complete');
  // Newest first, so that this machine updates its memory of the newest set once and not for each set.
  for (const { set } of complete.slice(all ? 0 : -1).reverse()) {
    throwIfAborted(signal);
    try {
      await history.roots(set);
    } catch (error) {
      const { code } = asTardisError(error);
      if (code === 'NO_SUCH_SET') continue; // deleted meanwhile
      if (code !== 'NOT_AUTHENTIC') throw error;
      found.push({ finding: 'seal', set });
    }
  }
  return found.reverse();
}

async function listingFaults(
  system: System,
  place: ReturnType<typeof clientPlace>,
  keyring: Keyring,
  signal: AbortSignal,
): Promise<SealFinding[]> {
  const { catalogPath } = openClientDirectory(system, place);
  const catalog = Catalog.openForReading(system, catalogPath);
  try {
    const faults = new ListingFaults(catalog, keyring, system.native);
    await faults.find(signal);
    const rising = [...faults.bySet].sort(([one], [other]) => one - other);
    return rising.map(([set, directories]) => ({ finding: 'seal', set, directories }));
  } finally {
    catalog.close();
  }
}

/**
 * Proves that the keys of a key file belong to the backups. Used if the store has no key record with the id of these
 * keys.
 */
import { type Keyring, keyringOf } from '../../crypto/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import { clientPlace } from './local-store.js';
import { openUnlocked } from './history.js';
import { compareOpened, type OpenedKeys, type KnownPlace } from './keys.js';

/**
 * Compares unlocked keys with this machine's memory, and decrypts the newest set with them. Remembers nothing.
 * Throws KEYS_CHANGED, STORE_ROLLED_BACK, and NOT_AUTHENTIC for the keys of another client.
 */
export async function proveOpened(
  system: System,
  settings: KnownPlace,
  { record, keys, options }: OpenedKeys,
): Promise<void> {
  compareOpened(settings, record, keys, options);
  const keyring = keyringOf(system.native, record, keys);
  try {
    await openNewest(system, settings, keyring, false);
  } catch (error) {
    if (asTardisError(error).code !== 'NOT_AUTHENTIC') throw error;
    if (await opensRoots(system, settings, keyring)) return;
    const what = `the backups of "${settings.client}" do not match the keys in the file`;
    throw new TardisError(
      'NOT_AUTHENTIC',
      `${what}: the file belongs to another client or store`,
      {},
      error,
    );
  }
}

/**
 * True if the keys decrypt the names of the newest set's roots. Used for a set that has lost entries or does not fit
 * its seal.
 */
async function opensRoots(
  system: System,
  settings: KnownPlace,
  keyring: Keyring,
): Promise<boolean> {
  try {
    return (await openNewest(system, settings, keyring, true)) > 0;
  } catch (error) {
    if (asTardisError(error).code !== 'NOT_AUTHENTIC') throw error;
    return false;
  }
}

/** Opens the newest set, and returns the number of its roots. Throws NOT_AUTHENTIC. */
async function openNewest(
  system: System,
  settings: KnownPlace,
  keyring: Keyring,
  acceptsUnproven: boolean,
): Promise<number> {
  using history = openUnlocked(system, clientPlace(settings), keyring);
  history.acceptOlder?.(() => undefined); // accepted, since only the keys are checked here
  if (acceptsUnproven) history.acceptUnproven?.();
  const newest = (await history.sets()).at(-1);
  return newest === undefined ? 0 : (await history.roots(newest.set)).length;
}

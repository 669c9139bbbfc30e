/**
 * Detects a store that was rolled back. For this, it compares the newest set and key record of a client with this
 * machine's memory of them.
 */
import { Catalog } from '../../store/catalog/index.js';
import type { KeysRequest } from '../../client/index.js';
import {
  type KeyRecord,
  noteKeys,
  ownSetSeal,
  parseKeyRecord,
  SealMemory,
} from '../../crypto/index.js';
import { asTardisError, isBadSector, TardisError } from '../../errors/index.js';
import { newestKeys, openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { identityAt, type IdentitySettings, trustOlder } from './known-state.js';
import { clientPlace, type PlaceSettings } from './local-store.js';
import { openThere, warnOlder } from './history.js';
import { printWarning } from '../output/progress-line.js';
import {
  isWithoutKeys,
  keysOf,
  keysReplaced,
  keysWatch,
  refuseInClear,
  type KnownPlace,
  warnIfOther,
} from './keys.js';

/**
 * Returns the error STORE_ROLLED_BACK if a local store is older than this machine's memory of it; otherwise undefined.
 * Needs no password. A key record or catalog that cannot be read is ignored here, since other code reports it. Throws
 * MEMORY_DAMAGED, unless the store is trusted.
 */
function olderThanKnown(system: System, settings: KnownPlace): TardisError | undefined {
  try {
    requireNewest(system, settings);
    return undefined;
  } catch (error) {
    const { code } = asTardisError(error);
    if (code === 'STORE_ROLLED_BACK') return asTardisError(error);
    if (code === 'MEMORY_DAMAGED' && settings.trustStore) return undefined;
    if (code === 'CATALOG_DAMAGED' || isBadSector(error) || isWithoutKeys(error)) return undefined;
    throw error;
  }
}

/**
 * Compares a client in the store with this machine's memory of it, for a tool that does not unlock the keys. Warns if
 * the client has other keys or an older state; the run then ends with status 3. Throws ENCRYPTION_GONE if the client
 * encrypted before and does not now, MEMORY_DAMAGED.
 */
export function compareShown(system: System, settings: KnownPlace): void {
  refuseInClear(system, settings);
  warnOfOtherKeys(system, settings);
  warnIfOlder(system, settings);
}

/**
 * Warns if a store is older than this machine's memory of it; the run then ends with status 3. Throws MEMORY_DAMAGED.
 */
export function warnIfOlder(system: System, settings: KnownPlace): void {
  const older = olderThanKnown(system, settings);
  if (older !== undefined) warnOlder(older.message);
}

function warnOfOtherKeys(system: System, settings: KnownPlace): void {
  const areReplaced = keysWatch(system, settings);
  let record: KeyRecord | undefined;
  try {
    record = keysOf(system, clientPlace(settings));
  } catch (error) {
    if (!isWithoutKeys(error)) throw error;
  }
  if (record?.isEncrypting === true) warnIfOther(settings, record, areReplaced);
}

/**
 * Returns the differences between a client and this machine's memory of it, for a tool that lists many clients. They
 * are the errors and warnings of `compareShown`. Opens the catalog only if something is remembered. Needs no password,
 * and remembers nothing.
 */
export function differencesFromKnown(system: System, settings: KnownPlace): TardisError[] {
  try {
    const areReplaced = keysWatch(system, settings);
    const identity = identityAt(settings, undefined);
    const { path } = openClientDirectory(system, clientPlace(settings));
    const keys = newestKeys(system, path);
    const record = keys && parseKeyRecord(keys.bytes);
    if (record?.isEncrypting !== true) {
      if (identity.isKnownToEncrypt) refuseInClear(system, settings);
      return [];
    }
    const others = identity.unprovenKeys(record);
    const older = olderThanKnown(system, settings);
    if (areReplaced()) return [keysReplaced(settings)];
    return [
      ...(others === undefined ? [] : [new TardisError('KEYS_CHANGED', others)]),
      ...(older === undefined ? [] : [older]),
    ];
  } catch (error) {
    return isWithoutKeys(error) ? [] : [asTardisError(error)];
  }
}

/**
 * Throws STORE_ROLLED_BACK if a local store is older than this machine's memory of it. `ownNumber` is the number of the
 * newest key record in a key file. The higher of that number and the store's number is compared. Throws MEMORY_DAMAGED,
 * KEYS_DAMAGED, KEYS_LOST, CATALOG_DAMAGED, CLIENT_BUSY if the keys are replaced meanwhile.
 */
export function requireNewest(system: System, settings: PlaceSettings, ownNumber = 0): void {
  const areReplaced = keysWatch(system, settings);
  try {
    compareNewest(system, settings, ownNumber);
  } catch (error) {
    throw areReplaced() ? keysReplaced(settings) : error;
  }
}

function compareNewest(system: System, settings: PlaceSettings, ownNumber: number): void {
  const record = keysOf(system, clientPlace(settings));
  if (record?.isEncrypting !== true) return;
  const memory = new SealMemory(record.keysetId.toString('hex'));
  const remembered = memory.read();
  const number = Math.max(record.number, ownNumber);
  if (remembered.isReplaced || remembered.keys > number) memory.checkKeys(number);
  if (remembered.set === 0) return;
  const { catalogPath } = openClientDirectory(system, clientPlace(settings));
  Catalog.reading(system, catalogPath, ({ seals }) => {
    SealMemory.check(remembered, seals.newestSet()?.set ?? 0, (set) => {
      const seal = seals.ofSet(set);
      return seal && ownSetSeal(seal);
    });
  });
}

/** Remembers a key record that a tool has just stored. Warns the user if that fails. */
export function noteStored(
  { trustStore }: Pick<IdentitySettings, 'trustStore'>,
  record: KeyRecord,
): void {
  const failure = noteKeys(record, { trustsOlder: trustStore });
  if (failure !== undefined) printWarning(failure);
}

/**
 * Compares a client on a server with this machine's memory before its keys are changed there. Throws
 * STORE_ROLLED_BACK, unless the store is trusted.
 */
export async function requireNewestThere(
  system: System,
  settings: Pick<IdentitySettings, 'trustStore'>,
  { address, tls, client, credentials, timeoutMs }: KeysRequest,
): Promise<void> {
  const { linkWith } = await import('../../transport/index.js'); // most runs need no connection
  const link = linkWith(timeoutMs);
  using history = await openThere(system, { address, tls, client, credentials, link });
  trustOlder(history, settings);
  await history.sets();
}

/** Accepts the next key record of a client, after checks that keep a session from making the keys unusable. */
import { type Catalog, sealedWithoutKeys } from '../../store/catalog/index.js';
import { configInvalid } from '../../config/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  hasEncryptingKeys,
  lostKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  requireNoAccounts,
  storeKeys,
} from '../../store/index.js';
import type { System } from '../../system/index.js';

/**
 * Throws KEYS_LOST if the catalog has seals but the client has no encrypting keys: plain data is never stored
 * beside encrypted data.
 */
export function requireKeys(
  system: System,
  { seals }: Catalog,
  { client, path }: ClientDirectory,
): void {
  if (seals.isAny && !hasEncryptingKeys(system, path)) throw sealedWithoutKeys(client);
}

/**
 * Stores a new key record beside the older ones, durably, and returns its number. The caller holds the client's
 * lock. Throws PASSWORD_IS_SET for a first record if there is one, KEYS_DAMAGED, KEYS_LOST, and NOT_PERMITTED if it
 * is not the next record of the same keys.
 */
export async function changeKeys(
  system: System,
  directory: ClientDirectory,
  bytes: Uint8Array,
): Promise<number> {
  const { path, bucket } = directory;
  const next = parseKeyRecord(bytes);
  // A lost password that encrypted nothing may be set again.
  const stored = lostKeys(system, path) === 'password' ? undefined : newestKeys(system, path);
  const before = stored === undefined ? undefined : parseKeyRecord(stored.bytes);
  if (before !== undefined && next.number === 1) {
    throw new TardisError('PASSWORD_IS_SET', 'the client has a password already');
  }
  // A first record must contain its keys, since they cannot be stored elsewhere. A client that encrypts cannot stop
  // encrypting.
  if (before === undefined ? !next.hasKeys : before.isEncrypting && !next.isEncrypting) {
    throw new TardisError(
      'NOT_PERMITTED',
      'the new key record is not one that this client may have',
    );
  }
  if (!next.hasKeys) requireNoAccounts(system, path);
  const isNext = next.number === (before?.number ?? 0) + 1;
  if (!isNext || (before !== undefined && !next.keysetId.equals(before.keysetId))) {
    throw new TardisError('NOT_PERMITTED', 'the new key record does not follow the present one');
  }
  const added = { number: next.number, bytes: next.bytes };
  if (bucket !== undefined) {
    if (before?.hasKeys === true && !next.hasKeys) {
      const what = 'it keeps every earlier key record, so keys cannot be taken out of it';
      throw configInvalid(`${bucket.shown} is a bucket: ${what}`);
    }
  }
  await storeKeys(system, directory, added, before?.number ?? 0);
  // In a bucket, the object that makes the client has the format file, and is never replaced.
  if (bucket === undefined) await noteNeededKeys(system, path, neededBy(added));
  return next.number;
}

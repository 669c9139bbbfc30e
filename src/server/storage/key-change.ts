/** Taking the next key record of a client: what it must be, so that a session cannot take the keys away. */
import { parseKeyRecord } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import { addKeys, type ClientDirectory, requireNoAccounts, newestKeys } from '../../store/index.js';
import type { System } from '../../system/index.js';

/**
 * Keeps a new key record beside the older ones, durable when it returns; returns its number. Call with
 * the client's lock held. Throws PASSWORD_IS_SET for a first one where there is one, KEYS_DAMAGED,
 * NOT_PERMITTED when it is not the next record of the same keys.
 */
export async function changeKeys(
  system: System,
  { path }: ClientDirectory,
  bytes: Uint8Array,
): Promise<number> {
  const next = parseKeyRecord(bytes);
  const stored = newestKeys(system, path);
  const before = stored === undefined ? undefined : parseKeyRecord(stored.bytes);
  if (before !== undefined && next.number === 1) {
    throw new TardisError('PASSWORD_IS_SET', 'the client has a password already');
  }
  // Keys that were never here cannot be elsewhere; and who encrypts does not stop.
  if (before === undefined ? !next.hasKeys : before.isEncrypting && !next.isEncrypting) {
    throw new TardisError(
      'NOT_PERMITTED',
      'the new key record is not one that this client may have',
    );
  }
  if (!next.hasKeys) requireNoAccounts(system, path);
  const isNext = next.number === (before?.number ?? 0) + 1;
  if (!isNext || (before !== undefined && !next.keysetId.equals(before.keysetId))) {
    throw new TardisError('NOT_PERMITTED', 'the new key record does not follow the one there is');
  }
  await addKeys(system, path, { number: next.number, bytes: next.bytes });
  return next.number;
}

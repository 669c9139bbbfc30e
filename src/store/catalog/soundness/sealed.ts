/**
 * Detects from the seals in a catalog that a client encrypts, even if the format file and the key records show no
 * encryption.
 */
import { systemCode, TardisError } from '../../../errors/index.js';
import type { System } from '../../../system/index.js';
import { isUnusedClient, openForReading } from '../open.js';
import { SealTable } from '../tables/seals.js';

/** True if a catalog has seals; false if it cannot be read. */
export function holdsSeals(system: System, catalogPath: string): boolean {
  try {
    if (isUnusedClient(system, catalogPath)) return false;
    using database = openForReading(system, catalogPath);
    return new SealTable(database).isAny;
  } catch (error) {
    if (error instanceof TardisError || systemCode(error) !== undefined) return false;
    throw error;
  }
}

/** Returns the error for a client whose catalog has seals although no key record shows encryption. */
export function sealedWithoutKeys(client: string): TardisError {
  return new TardisError(
    'KEYS_LOST',
    `the keys of the client "${client}" are lost: what it has stored is encrypted, and no key record of that is left`,
  );
}

/** Id of the keys with which a client encrypts. */
import type { KeyRecord } from './key-record.js';

/** Returns the id of a client's keys; empty if the client does not encrypt. */
export function encryptingKeyset(record: KeyRecord | undefined): Buffer {
  return record?.isEncrypting === true ? record.keysetId : Buffer.alloc(0);
}

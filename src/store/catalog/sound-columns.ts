/** Checks the types of the values in rows of entries that SQLite returns. */
import { DIGEST_BYTES } from '../../model/index.js';
import type { EntryColumns } from './stored-entry.js';

/**
 * Returns the columns unchanged if their types are right. Otherwise the metadata is replaced by a value that
 * `metadataFault` reports as damage.
 */
export function soundColumns(columns: EntryColumns): EntryColumns {
  if (areSound(columns)) return columns;
  const sound: EntryColumns = [...columns];
  const name: unknown = columns[1];
  sound[1] = Buffer.isBuffer(name) ? name : Buffer.from(String(name));
  sound[7] = Buffer.alloc(0);
  return sound;
}

function areSound(columns: readonly unknown[]): boolean {
  const [directory, name, firstSet, lastSet, flags, contentId, childId, metadata, digest] = columns;
  const areNumbers = isNumber(directory) && isNumber(firstSet) && isNumber(flags);
  const areIds = isNumberOrNull(lastSet) && isNumberOrNull(contentId) && isNumberOrNull(childId);
  const isDigest = digest === null || (Buffer.isBuffer(digest) && digest.length === DIGEST_BYTES);
  return areNumbers && areIds && isDigest && Buffer.isBuffer(name) && Buffer.isBuffer(metadata);
}

function isNumber(value: unknown): boolean {
  return Number.isSafeInteger(value);
}

function isNumberOrNull(value: unknown): boolean {
  return value === null || Number.isSafeInteger(value);
}

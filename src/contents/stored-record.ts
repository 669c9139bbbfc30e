/** Reads records as they are stored, without decoding them: to compare them with their checksums, or to copy them. */
import { recordDamaged } from '../errors/index.js';
import { decodeParts, type PartDigest, Scheme } from '../model/index.js';
import {
  isRecordSound,
  type ObjectReader,
  parseRecord,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from '../store/index.js';
import { fetchRecord, headerOf } from './record-head.js';
import type { RecordPlace } from './stored-piece.js';
import { MAX_WHOLE_BYTES, tooLarge } from './whole-record.js';

/** Number of bytes that are read of a record at once. */
const COPY_BYTES = 1 << 20;

/** Returns the header of a record. Throws RECORD_DAMAGED if the record is not at its place, and as `fetchRecord` does. */
export async function fetchHeader(
  backend: ObjectReader,
  record: RecordPlace,
): Promise<RecordHeader> {
  const start = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  return headerOf(record, await fetchRecord(backend, record, 0, start));
}

/**
 * Throws RECORD_DAMAGED unless the bytes of a record match its checksums, and as `fetchRecord` does. The header is read
 * if the caller does not have it.
 */
export async function requireSound(
  backend: ObjectReader,
  record: RecordPlace,
  known?: RecordHeader,
): Promise<void> {
  const { object, position } = record;
  const header = known ?? (await fetchHeader(backend, record));
  if (await isRecordSound(backend, object, position, header)) return;
  throw recordDamaged(`a record in ${object} does not match its checksum`, { position });
}

/** Returns the index of a record with this header, which is not compared with its checksum. Throws as `fetchRecord` does. */
export function fetchIndex(
  backend: ObjectReader,
  record: RecordPlace,
  { indexBytes }: RecordHeader,
): Promise<Buffer> {
  return fetchRecord(backend, record, RECORD_HEADER_BYTES, Buffer.allocUnsafe(indexBytes));
}

/** Returns the parts that an assembly lists. Throws RECORD_DAMAGED if it does not match its checksum, and as `fetchRecord` does. */
export async function fetchParts(
  backend: ObjectReader,
  record: RecordPlace,
): Promise<PartDigest[]> {
  if (record.recordBytes > MAX_WHOLE_BYTES) throw tooLarge(record);
  const stored = Buffer.allocUnsafe(record.recordBytes);
  return decodeParts(parseRecord(await fetchRecord(backend, record, 0, stored)).body);
}

/** Yields the stored bytes of a record. Each piece is valid until the next one is requested. Throws as `fetchRecord` does. */
export async function* storedBytes(
  backend: ObjectReader,
  record: RecordPlace,
  pieceBytes: number = COPY_BYTES,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, record.recordBytes));
  for (let at = 0; at < record.recordBytes; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, record.recordBytes - at));
    yield await fetchRecord(backend, record, at, piece);
  }
}

/** Yields the stored bytes of a record that was made with keys; returns undefined for a plain record. */
export async function encryptedBytes(
  backend: ObjectReader,
  record: RecordPlace,
  pieceBytes: number,
): Promise<AsyncGenerator<Buffer> | undefined> {
  const { scheme } = await fetchHeader(backend, record);
  return scheme === Scheme.plain ? undefined : storedBytes(backend, record, pieceBytes);
}

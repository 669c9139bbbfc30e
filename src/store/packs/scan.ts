/** Reads packs record by record, for recovery and rebuild. */
import type { PackNumber } from '../../model/index.js';
import { recordDamaged, systemCode, TardisError } from '../../errors/index.js';
import type { Backend, ObjectReader } from '../backends/backend.js';
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  readChunkHeader,
  STREAM_CHUNK_BYTES,
} from './frame.js';
import { packName } from '../layout/layout.js';
import {
  type ParsedRecord,
  parseRecord,
  RECORD_MAGIC_BYTES,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
} from './record.js';
import { crc32 } from '../../system/index.js';

const READ_AHEAD_BYTES = 256 << 10;

export interface ScannedRecord {
  readonly header: RecordHeader;
  readonly headerBytes: Buffer;
  readonly position: number;
  /** True if damage was skipped before this record. */
  readonly isAfterGap: boolean;
  /** The record's index, which is small; empty if the file ends before it. */
  readonly index: Buffer;
}

/**
 * Yields the records of a pack from `position` on, with header and index only. It ends at the first place without a
 * valid header (end of file, unwritten tail, damage). With `skipDamage` it continues after damage, at the next header.
 * A stored body may contain headers of another store, so records after a gap count only if a commit of this pack covers
 * them. Throws STORE_NEWER for a header of a newer format, but not after a gap.
 */
export function scanPack(
  backend: Backend,
  pack: PackNumber,
  position: number,
  skipDamage = false,
): AsyncGenerator<ScannedRecord> {
  return scanRecords(backend, packName(pack), position, skipDamage);
}

/** The methods of a backend that reading records needs. */
export type RecordReader = Pick<Backend, 'read' | 'size'>;

/** Yields the records of a pack or an object as `scanPack` does, and throws the same errors. */
export async function* scanRecords(
  backend: RecordReader,
  name: string,
  position: number,
  skipDamage = false,
): AsyncGenerator<ScannedRecord> {
  const sizeBytes = (await backend.size(name)) ?? 0;
  let buffer = Buffer.alloc(0);
  let bufferAt = position;
  const fill = async (at: number, bytes: number): Promise<Buffer> => {
    const start = at - bufferAt;
    if (start >= 0 && start + bytes <= buffer.length) return buffer.subarray(start, start + bytes);
    buffer = Buffer.allocUnsafe(Math.max(bytes, Math.min(READ_AHEAD_BYTES, sizeBytes - at)));
    bufferAt = at;
    const got = await backend.read(name, at, buffer, buffer.length);
    buffer = buffer.subarray(0, got);
    return buffer.subarray(0, bytes);
  };
  let at = position;
  let isAfterGap = false;
  while (at + RECORD_HEADER_BYTES <= sizeBytes) {
    const headerBytes = Buffer.from(await fill(at, RECORD_HEADER_BYTES));
    const header = headerAt(headerBytes, isAfterGap);
    if (header === undefined || at + recordBytes(header) > sizeBytes) {
      if (!skipDamage) return;
      at = await nextMagic(fill, at + 1, sizeBytes);
      isAfterGap = true;
      continue;
    }
    const index = Buffer.from(await fill(at + RECORD_HEADER_BYTES, header.indexBytes));
    yield { header, headerBytes, position: at, index, isAfterGap };
    at += recordBytes(header);
    isAfterGap = false;
  }
}

/**
 * Returns a header; undefined if it is invalid. After a gap, a header of a newer release counts as invalid: it is part
 * of a damaged body, and belongs to another store.
 */
function headerAt(bytes: Buffer, isAfterGap: boolean): RecordHeader | undefined {
  try {
    return readHeader(bytes, 0);
  } catch (error) {
    if (isAfterGap) return undefined;
    throw error;
  }
}

/** Returns the position of the next header magic at or after `at`; `sizeBytes` if there is none. */
async function nextMagic(
  fill: (at: number, bytes: number) => Promise<Buffer>,
  at: number,
  sizeBytes: number,
): Promise<number> {
  for (let from = at; from + RECORD_HEADER_BYTES <= sizeBytes; ) {
    const window = await fill(from, Math.min(SEARCH_BYTES, sizeBytes - from));
    const found = window.indexOf(RECORD_MAGIC_BYTES);
    if (found >= 0) return from + found;
    from += Math.max(1, window.length - RECORD_MAGIC_BYTES.length + 1);
  }
  return sizeBytes;
}

const SEARCH_BYTES = 64 << 10;

/** Reads and checks one whole record. Throws RECORD_DAMAGED if it is damaged, cut off, or in a missing object. */
export async function readRecord(
  backend: Backend,
  name: string,
  position: number,
  bytes: number,
): Promise<ParsedRecord> {
  const buffer = Buffer.allocUnsafe(bytes);
  let got = 0;
  try {
    got = await backend.read(name, position, buffer, bytes);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw recordDamaged(`${name} is gone`, { position }, error);
  }
  if (got !== bytes) throw recordDamaged(`${name} is cut off`, { position });
  return parseRecord(buffer);
}

const CHECK_BYTES = 256 << 10;

/**
 * Reads a record's index and body piece by piece. Returns true if they match their checksums; false also if the pack
 * is missing. A chunked body has one checksum for each chunk.
 */
export async function isRecordSound(
  backend: Pick<ObjectReader, 'read'>,
  name: string,
  position: number,
  header: RecordHeader,
): Promise<boolean> {
  try {
    return await matchesChecksums(backend, name, position, header);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return false;
  }
}

async function matchesChecksums(
  backend: Pick<ObjectReader, 'read'>,
  name: string,
  position: number,
  header: RecordHeader,
): Promise<boolean> {
  const indexAt = position + RECORD_HEADER_BYTES;
  const bodyAt = indexAt + header.indexBytes;
  const end = bodyAt + header.bodyBytes;
  if ((header.flags & RECORD_CHUNKED) === 0) {
    return (await checksumOf(backend, name, indexAt, end)) === header.bodyChecksum;
  }
  if ((await checksumOf(backend, name, indexAt, bodyAt)) !== header.bodyChecksum) return false;
  const chunkHeader = Buffer.alloc(CHUNK_HEADER_BYTES);
  let at = bodyAt;
  while (at < end) {
    const got = await backend.read(name, at, chunkHeader, CHUNK_HEADER_BYTES);
    if (got < CHUNK_HEADER_BYTES) return false;
    const chunk = tryReadChunkHeader(chunkHeader);
    if (chunk === undefined) return false;
    const from = at + CHUNK_HEADER_BYTES;
    const to = from + chunk.storedBytes;
    if ((await checksumOf(backend, name, from, to)) !== chunk.checksum) return false;
    at = to;
  }
  return at === end;
}

/** Returns the header of a chunk; undefined if the chunk's length is impossible. */
function tryReadChunkHeader(bytes: Buffer): ChunkHeader | undefined {
  try {
    return readChunkHeader(bytes, STREAM_CHUNK_BYTES);
  } catch (error) {
    if (error instanceof TardisError) return undefined;
    throw error;
  }
}

/** Returns the CRC-32 of a range; undefined if the file ends within it. */
async function checksumOf(
  backend: Pick<ObjectReader, 'read'>,
  name: string,
  from: number,
  to: number,
): Promise<number | undefined> {
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHECK_BYTES, to - from)));
  let checksum = 0;
  for (let at = from; at < to; ) {
    const got = await backend.read(name, at, buffer, Math.min(buffer.length, to - at));
    if (got === 0) return undefined;
    checksum = crc32(buffer.subarray(0, got), checksum);
    at += got;
  }
  return checksum;
}

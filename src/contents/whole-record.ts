/** Records in one piece, such as frames: fetches, checks and decodes them, and compares contents with their digests. */
import { recordDamaged, type TardisError } from '../errors/index.js';
import { contentDigest, DIGEST_BYTES } from '../model/index.js';
import {
  decode,
  type FrameEntry,
  MAX_FRAME_RAW_BYTES,
  openBody,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  RECORD_CHUNKED,
  type RecordHeader,
  RecordKind,
} from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import { ReusedBuffers, room } from './reused-buffers.js';
import {
  damagedRecord,
  fetchRecord,
  headIn,
  type RecordHead,
  type RecordOpener,
  type RecordSource,
} from './record-head.js';
import type { ContentPlace, RecordPlace } from './stored-piece.js';

/** Maximum length of a record in one piece. A larger one is in chunks. */
export const MAX_WHOLE_BYTES: number = 2 * MAX_FRAME_RAW_BYTES;

interface WholeRecord {
  readonly header: RecordHeader;
  /** The decrypted body, still encoded. */
  readonly body: Buffer;
  readonly decoded: Buffer;
}

/**
 * Returns the head of a record in one piece that begins with these bytes; undefined if the record is in chunks. Throws
 * RECORD_DAMAGED if the record claims to be larger than a writer makes it, and the errors of `headIn`.
 */
export function wholeHead(
  opener: RecordOpener,
  record: RecordPlace,
  start: Buffer,
): RecordHead | undefined {
  const head = headIn(opener, record, start);
  if ((head.header.flags & RECORD_CHUNKED) !== 0) return undefined;
  if (head.header.rawBytes > MAX_FRAME_RAW_BYTES) throw tooLarge(record);
  return head;
}

/**
 * Decrypts a record in place, and decodes it into `memory`. Returns undefined if the record is in chunks. The checksums
 * of a record that is not encrypted are not checked, since the digests of its contents prove more. Throws as `wholeHead`
 * does, and RECORD_DAMAGED if the body is damaged.
 */
export function decodeWhole(
  opener: RecordOpener,
  record: RecordPlace,
  stored: Buffer,
  memory: ReusedBuffers,
): WholeRecord | undefined {
  const head = wholeHead(opener, record, stored);
  if (head === undefined) return undefined;
  const { header, cipher } = head;
  memory.decoded = room(memory.decoded, header.rawBytes);
  const decoded = memory.decoded.subarray(0, header.rawBytes);
  const body = openBody(stored, header, cipher);
  decode(header.codec, body, decoded);
  return { header, body, decoded };
}

/**
 * Fetches a record in one piece, compares it with its checksums, and decodes it. Throws RECORD_DAMAGED if that fails, or
 * the record is in chunks.
 */
export async function readWhole(
  source: RecordSource,
  record: RecordPlace,
  memory: ReusedBuffers = new ReusedBuffers(),
): Promise<WholeRecord & { readonly index: Buffer }> {
  if (record.recordBytes > MAX_WHOLE_BYTES) throw tooLarge(record);
  memory.stored = room(memory.stored, record.recordBytes);
  const stored = memory.stored.subarray(0, record.recordBytes);
  const { index } = parseRecord(await fetchRecord(source.backend, record, 0, stored));
  const whole = decodeWhole(source, record, stored, memory);
  if (whole === undefined) throw damagedRecord(record);
  return { ...whole, index };
}

/**
 * Returns the contents of a record in one piece; none for a kind that has none. Throws RECORD_DAMAGED if the index does
 * not fit the record.
 */
export function contentsIn(header: RecordHeader, index: Buffer): readonly FrameEntry[] {
  if (header.kind === RecordKind.frame) return readFrameIndex(header, index);
  if (header.kind !== RecordKind.content && header.kind !== RecordKind.part) return [];
  const { digest, sizeBytes } = readContentIndex(index);
  if (sizeBytes !== header.rawBytes) {
    throw recordDamaged('a content has another size than its record');
  }
  return [{ digest, sizeBytes, offset: 0 }];
}

/** Returns the SHA-256 of a content in a decoded record. */
export function hashIn(
  native: NativeCalls,
  decoded: Buffer,
  { offset, sizeBytes }: ContentPlace,
): Buffer {
  const hash = Buffer.allocUnsafe(DIGEST_BYTES);
  native.sha256(decoded, offset, sizeBytes, hash, 0);
  return hash;
}

/** True if a decoded record has a content with this digest at its place. */
export function hasContent(
  { native, keys }: RecordOpener,
  decoded: Buffer,
  content: ContentPlace & { readonly digest: Uint8Array },
): boolean {
  if (content.offset + content.sizeBytes > decoded.length) return false;
  return contentDigest(native, keys, hashIn(native, decoded, content)).equals(content.digest);
}

/** Returns the error for a record that is larger than any writer makes. */
export function tooLarge({ object, position }: RecordPlace): TardisError {
  const text = `a record in ${object} claims to be too large`;
  return recordDamaged(text, { position });
}

/**
 * Records: the unit written to the store. Each has its own header (kind, lengths, codec, scheme, epoch, checksums), so
 * the catalog can be rebuilt from records alone. Layout: docs/inside/formats.md, "Records". Everything read here may be
 * damaged or hostile.
 */
import { recordDamaged, TardisError } from '../../errors/index.js';
import { bufferOf, DIGEST_BYTES, isScheme, Scheme, type SchemeNumber } from '../../model/index.js';
import { isCodec, type CodecNumber } from './codec.js';
import { crc32 } from '../../system/index.js';

export const RECORD_HEADER_BYTES = 72;
const MAGIC = 0x3152_4454;
export const RECORD_MAGIC_BYTES: Buffer = Buffer.from('TDR1');
const VERSION = 1;
export const RECORD_SALT_BYTES = 16;
/** Length of the seal at the end of the index of an encrypted chunked record. */
export const RECORD_SEAL_BYTES = 16;
const RECORD_COVERED_BYTES = 64;
const NO_SALT: Buffer = Buffer.alloc(RECORD_SALT_BYTES);

export const RecordKind = Object.freeze({
  /** The small contents of a parcel, compressed together. */
  frame: 1,
  /** One content in one record. */
  content: 2,
  /** One part of a content too large for one piece. A part is a content too. */
  part: 3,
  /** The list of the parts of a content. */
  assembly: 4,
  /** The block checksums of a content, from which deltas on it are made. */
  signature: 5,
  listing: 6,
  event: 7,
  commit: 8,
  /** A delta of one content, or of one part, on another content. */
  delta: 9,
  /** A piece of an image, which is the whole content of a catalog at one moment. */
  image: 10,
  /** The start of a pack: its number and its client. */
  label: 11,
  /** The writer of a commit object, and the heads of the records in the packs that it covers. */
  heads: 12,
  /** Parity of all bytes before this record, at the end of an object of a bucket. No commit covers it. */
  parity: 13,
});
export type RecordKindNumber = (typeof RecordKind)[keyof typeof RecordKind];
const MAX_KIND = 13;

/**
 * Flag: the body is a sequence of chunks, each compressed separately and with its own checksum. It is used for contents
 * that are streamed before their length is known. The header's body checksum then covers the index only.
 */
export const RECORD_CHUNKED = 1;
/**
 * Flag: an account of the client sent the record. An account has the client's keys, so only the server can record this.
 * No seal covers the flag.
 */
export const RECORD_OF_ACCOUNT = 2;
const KNOWN_FLAGS = RECORD_CHUNKED | RECORD_OF_ACCOUNT;

/** Limits that no correct writer exceeds. A reader rejects larger values before it allocates memory. */
export const MAX_INDEX_BYTES = 1 << 20;
export const MAX_BODY_BYTES = 0x1_0000_0000; // 4 GiB
export const MAX_FRAME_RAW_BYTES = 8 << 20;

const Offset = {
  magic: 0,
  version: 4,
  kind: 5,
  codec: 6,
  scheme: 7,
  epoch: 8,
  flags: 12,
  sequence: 16,
  rawBytes: 24,
  bodyBytes: 32,
  indexBytes: 40,
  salt: 48,
  bodyChecksum: 64,
  headerChecksum: 68,
} as const;

export interface RecordHeader {
  readonly kind: RecordKindNumber;
  readonly codec: CodecNumber;
  readonly scheme: SchemeNumber;
  readonly epoch: number;
  /** Salt of the record's keys; zeros in scheme 1. */
  readonly salt: Uint8Array;
  readonly flags: number;
  /** Order among listings, events and commits; 0 for contents. */
  readonly sequence: number;
  /** Length of the decoded body. */
  readonly rawBytes: number;
  readonly bodyBytes: number;
  readonly indexBytes: number;
  /** CRC-32 of index and body; of the index alone if the body is chunked. */
  readonly bodyChecksum: number;
}

export type NewHeader = Pick<
  RecordHeader,
  'kind' | 'codec' | 'rawBytes' | 'bodyBytes' | 'indexBytes' | 'bodyChecksum'
> &
  Partial<RecordHeader>;

/** Returns the checksum of index and body from a record's header. */
export function bodyChecksumOf(record: Buffer): number {
  return record.readUInt32LE(Offset.bodyChecksum);
}

/**
 * True for a record of contents. Listings, events, images and commits have sequence numbers; labels, heads and parity
 * have kinds of their own.
 */
export function isOfContents({ kind, sequence }: RecordHeader): boolean {
  return sequence === 0 && !OTHER_KINDS.has(kind);
}

/** Kinds without a sequence number that are no contents. */
const OTHER_KINDS: ReadonlySet<RecordKindNumber> = new Set([
  RecordKind.label,
  RecordKind.heads,
  RecordKind.parity,
]);

/** True if an account of the client sent the record. */
export function isOfAccount({ flags }: RecordHeader): boolean {
  return (flags & RECORD_OF_ACCOUNT) !== 0;
}

/** Marks a whole record, in place, as sent by an account. */
export function markOfAccount(record: Buffer): void {
  const flags = record.readUInt32LE(Offset.flags) | RECORD_OF_ACCOUNT;
  record.writeUInt32LE(flags, Offset.flags);
  record.writeUInt32LE(crc32(record.subarray(0, Offset.headerChecksum)), Offset.headerChecksum);
}

/**
 * Returns the part of the header that is authenticated together with an encrypted body in one piece. It is as the
 * client wrote it: without the checksums and the account flag.
 */
export function coveredHeader(header: Buffer): Buffer {
  const covered = Buffer.from(header.subarray(0, RECORD_COVERED_BYTES));
  covered.writeUInt32LE(covered.readUInt32LE(Offset.flags) & ~RECORD_OF_ACCOUNT, Offset.flags);
  return covered;
}

/** Returns the length of the whole record on the medium: header, index and body. */
export function recordBytes(header: RecordHeader): number {
  return RECORD_HEADER_BYTES + header.indexBytes + header.bodyBytes;
}

export function writeHeader(target: Buffer, at: number, header: NewHeader): void {
  target.fill(0, at, at + RECORD_HEADER_BYTES);
  target.writeUInt32LE(MAGIC, at + Offset.magic);
  target[at + Offset.version] = VERSION;
  target[at + Offset.kind] = header.kind;
  target[at + Offset.codec] = header.codec;
  target[at + Offset.scheme] = header.scheme ?? Scheme.plain;
  target.writeUInt32LE(header.epoch ?? 0, at + Offset.epoch);
  target.writeUInt32LE(header.flags ?? 0, at + Offset.flags);
  target.writeBigUInt64LE(BigInt(header.sequence ?? 0), at + Offset.sequence);
  target.writeBigUInt64LE(BigInt(header.rawBytes), at + Offset.rawBytes);
  target.writeBigUInt64LE(BigInt(header.bodyBytes), at + Offset.bodyBytes);
  target.writeUInt32LE(header.indexBytes, at + Offset.indexBytes);
  target.set(header.salt ?? NO_SALT, at + Offset.salt);
  target.writeUInt32LE(header.bodyChecksum, at + Offset.bodyChecksum);
  const sum = crc32(target.subarray(at, at + Offset.headerChecksum));
  target.writeUInt32LE(sum, at + Offset.headerChecksum);
}

/**
 * Reads a header. Returns undefined if there is no valid one, since a scan regularly meets tails that were never
 * written. Throws STORE_NEWER for a valid header with values that this release does not support.
 */
export function readHeader(buffer: Buffer, at: number): RecordHeader | undefined {
  if (at + RECORD_HEADER_BYTES > buffer.length) return undefined;
  if (buffer.readUInt32LE(at + Offset.magic) !== MAGIC) return undefined;
  const sum = crc32(buffer.subarray(at, at + Offset.headerChecksum));
  if (buffer.readUInt32LE(at + Offset.headerChecksum) !== sum) return undefined;
  const kind = buffer[at + Offset.kind]!;
  const codec = buffer[at + Offset.codec]!;
  const header: RecordHeader = {
    kind: kind as RecordKindNumber,
    codec: codec as CodecNumber,
    scheme: buffer[at + Offset.scheme]! as SchemeNumber,
    epoch: buffer.readUInt32LE(at + Offset.epoch),
    salt: Buffer.from(buffer.subarray(at + Offset.salt, at + Offset.salt + RECORD_SALT_BYTES)),
    flags: buffer.readUInt32LE(at + Offset.flags),
    sequence: Number(buffer.readBigUInt64LE(at + Offset.sequence)),
    rawBytes: Number(buffer.readBigUInt64LE(at + Offset.rawBytes)),
    bodyBytes: Number(buffer.readBigUInt64LE(at + Offset.bodyBytes)),
    indexBytes: buffer.readUInt32LE(at + Offset.indexBytes),
    bodyChecksum: buffer.readUInt32LE(at + Offset.bodyChecksum),
  };
  const isKnown =
    buffer[at + Offset.version] === VERSION &&
    kind >= 1 &&
    kind <= MAX_KIND &&
    isCodec(codec) &&
    isScheme(header.scheme) &&
    (header.flags & ~KNOWN_FLAGS) === 0;
  if (!isKnown) {
    throw new TardisError('STORE_NEWER', 'a record is of a kind this release does not know', {
      version: buffer[at + Offset.version]!,
      kind,
      codec,
      scheme: header.scheme,
      flags: header.flags,
    });
  }
  const isPossible =
    header.indexBytes <= MAX_INDEX_BYTES &&
    header.bodyBytes <= MAX_BODY_BYTES &&
    Number.isSafeInteger(header.rawBytes) &&
    Number.isSafeInteger(header.sequence);
  return isPossible ? header : undefined;
}

/**
 * Returns the checksum of a range after adding a record. The header's own checksum is left out: data that ends in its
 * own CRC always has the same CRC.
 */
export function addToRangeChecksum(checksum: number, header: Uint8Array): number {
  return crc32(header.subarray(0, Offset.headerChecksum), checksum);
}

/** Joins header, index and body of a small record (listing, event, commit). */
export function buildRecord(
  header: Omit<NewHeader, 'indexBytes' | 'bodyBytes' | 'bodyChecksum'>,
  index: Uint8Array,
  body: Uint8Array,
): Buffer {
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + index.length + body.length);
  record.set(index, RECORD_HEADER_BYTES);
  record.set(body, RECORD_HEADER_BYTES + index.length);
  writeHeader(record, 0, {
    ...header,
    indexBytes: index.length,
    bodyBytes: body.length,
    bodyChecksum: crc32(record.subarray(RECORD_HEADER_BYTES)),
  });
  return record;
}

export interface ParsedRecord {
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly body: Buffer;
}

/**
 * Splits a whole record and checks both checksums. Throws RECORD_DAMAGED if a checksum or the length is wrong, and
 * STORE_NEWER for a newer format.
 */
export function parseRecord(bytes: Uint8Array): ParsedRecord {
  const buffer = bufferOf(bytes);
  const header = readHeader(buffer, 0);
  if (header === undefined) throw recordDamaged('a record has no valid header');
  if (recordBytes(header) !== buffer.length) {
    throw recordDamaged('a record does not have the length in its header');
  }
  if (crc32(buffer.subarray(RECORD_HEADER_BYTES)) !== header.bodyChecksum) {
    throw recordDamaged('a record does not match its checksum');
  }
  const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
  return {
    header,
    index: buffer.subarray(RECORD_HEADER_BYTES, bodyAt),
    body: buffer.subarray(bodyAt),
  };
}

// --- indexes -----------------------------------------------------------------------------------

export const FRAME_ENTRY_BYTES = DIGEST_BYTES + 4;
export const MAX_FRAME_CONTENTS = 4096;

export interface FrameEntry {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  /** Start of the content in the decoded frame. */
  readonly offset: number;
}

/** Throws RECORD_DAMAGED if a frame's index is malformed, or if its lengths do not add up to the decoded length. */
export function checkFrameIndex(header: RecordHeader, index: Buffer): void {
  const count = index.length / FRAME_ENTRY_BYTES;
  if (!Number.isInteger(count) || count === 0 || count > MAX_FRAME_CONTENTS) {
    throw recordDamaged('a frame has an impossible index');
  }
  let bytes = 0;
  for (let at = DIGEST_BYTES; at < index.length; at += FRAME_ENTRY_BYTES) {
    bytes += index.readUInt32LE(at);
  }
  if (bytes !== header.rawBytes || bytes > MAX_FRAME_RAW_BYTES) {
    throw recordDamaged('the lengths in a frame do not add up');
  }
}

/** Reads a frame's index. Throws RECORD_DAMAGED as `checkFrameIndex` does. */
export function readFrameIndex(header: RecordHeader, index: Buffer): FrameEntry[] {
  checkFrameIndex(header, index);
  const entries: FrameEntry[] = [];
  let offset = 0;
  for (let at = 0; at < index.length; at += FRAME_ENTRY_BYTES) {
    const sizeBytes = index.readUInt32LE(at + DIGEST_BYTES);
    entries.push({ digest: index.subarray(at, at + DIGEST_BYTES), sizeBytes, offset });
    offset += sizeBytes;
  }
  return entries;
}

export interface ContentIndex {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  /** Size of the whole file, only for a part; a resumed upload finds the part by it. */
  readonly fileSizeBytes: number;
  /** Decoded length of every chunk but the last; 0 if the body is in one piece. */
  readonly chunkBytes: number;
  /** Seal of the record; only if it is encrypted and chunked. */
  readonly seal?: Uint8Array | undefined;
}

export const CONTENT_INDEX_BYTES = DIGEST_BYTES + 24;

export function writeContentIndex(content: ContentIndex): Buffer {
  const index = Buffer.alloc(CONTENT_INDEX_BYTES + (content.seal?.length ?? 0));
  content.digest.copy(index, 0);
  index.writeBigUInt64LE(BigInt(content.sizeBytes), DIGEST_BYTES);
  index.writeBigUInt64LE(BigInt(content.fileSizeBytes), DIGEST_BYTES + 8);
  index.writeUInt32LE(content.chunkBytes, DIGEST_BYTES + 16);
  if (content.seal !== undefined) index.set(content.seal, CONTENT_INDEX_BYTES);
  return index;
}

/** The index of a delta: the index of a content, and these fields. */
export interface DeltaRecordIndex extends ContentIndex {
  /** Digest of the content that the delta was made on. */
  readonly basis: Buffer;
  /** True if the delta produces a part of a larger content. */
  readonly isPart: boolean;
}

export const DELTA_INDEX_BYTES: number = CONTENT_INDEX_BYTES + DIGEST_BYTES + 8;
const DELTA_OF_PART = 1;

export function writeDeltaIndex(delta: DeltaRecordIndex): Buffer {
  const { seal, ...content } = delta;
  const index = Buffer.alloc(DELTA_INDEX_BYTES + (seal?.length ?? 0));
  writeContentIndex(content).copy(index);
  delta.basis.copy(index, CONTENT_INDEX_BYTES);
  index.writeUInt32LE(delta.isPart ? DELTA_OF_PART : 0, CONTENT_INDEX_BYTES + DIGEST_BYTES);
  if (seal !== undefined) index.set(seal, DELTA_INDEX_BYTES);
  return index;
}

/** Reads the index of a delta. Throws RECORD_DAMAGED if its length, flags or sizes are impossible. */
export function readDeltaIndex(index: Buffer): DeltaRecordIndex {
  const flags = hasIndexLength(index, DELTA_INDEX_BYTES)
    ? index.readUInt32LE(DELTA_INDEX_BYTES - 8)
    : -1;
  if (flags !== 0 && flags !== DELTA_OF_PART) {
    throw recordDamaged('a delta has an impossible index');
  }
  const content = readContentIndex(index.subarray(0, CONTENT_INDEX_BYTES));
  const basis = Buffer.from(
    index.subarray(CONTENT_INDEX_BYTES, CONTENT_INDEX_BYTES + DIGEST_BYTES),
  );
  return { ...content, basis, isPart: flags === DELTA_OF_PART };
}

/** True if an index has this length, with or without a seal. */
function hasIndexLength(index: Buffer, bytes: number): boolean {
  return index.length === bytes || index.length === bytes + RECORD_SEAL_BYTES;
}

/**
 * Reads the index of a content, part, assembly or signature record. Throws RECORD_DAMAGED if its length or a size is
 * impossible.
 */
export function readContentIndex(index: Buffer): ContentIndex {
  if (!hasIndexLength(index, CONTENT_INDEX_BYTES)) {
    throw recordDamaged('a content record has an impossible index');
  }
  const content = {
    digest: Buffer.from(index.subarray(0, DIGEST_BYTES)),
    sizeBytes: Number(index.readBigUInt64LE(DIGEST_BYTES)),
    fileSizeBytes: Number(index.readBigUInt64LE(DIGEST_BYTES + 8)),
    chunkBytes: index.readUInt32LE(DIGEST_BYTES + 16),
  };
  if (!Number.isSafeInteger(content.sizeBytes) || !Number.isSafeInteger(content.fileSizeBytes)) {
    throw recordDamaged('a content record has an impossible size');
  }
  return content;
}

/** Builds and reads the bodies of content records: frames, whole contents, chunked streams. */
import { recordDamaged } from '../../errors/index.js';
import { type BytesBuilder, DIGEST_BYTES } from '../../model/index.js';
import { crc32, BODY_TAG_BYTES } from '../../system/index.js';
import {
  Codec,
  type CodecNumber,
  decode,
  type DecodedPart,
  decodePart,
  encode,
  encodedBound,
} from './codec.js';
import {
  coveredHeader,
  FRAME_ENTRY_BYTES,
  type NewHeader,
  type ParsedRecord,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeContentIndex,
  writeHeader,
} from './record.js';
import { openSealed, type RecordCipher, type SealedBody } from './record-cipher.js';

/**
 * Maximum ratio of encoded to raw size at which a body is stored compressed. A smaller saving is not worth decoding at
 * every restore.
 */
const WORTH_RATIO = 0.97;

export interface Compression {
  readonly codec: CodecNumber;
  readonly level: number;
}

/**
 * Compression of signatures. The sums of equal blocks, as of zeros, become small. Other sums look random, and are stored as
 * they are.
 */
export const SIGNATURE_COMPRESSION: Compression = { codec: Codec.zstd, level: 1 };

/** A range of bytes in a buffer, with its digest. */
export interface Slice {
  readonly digest: Uint8Array;
  readonly start: number;
  readonly sizeBytes: number;
}

let scratch: Buffer = Buffer.alloc(0);
let gathered: Buffer = Buffer.alloc(0);

function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}

/** How a record is encoded, and where it is appended. */
interface RecordForm {
  readonly compression: Compression;
  readonly target: BytesBuilder;
  readonly cipher?: RecordCipher | undefined;
}

/**
 * Appends a frame record with some contents of `source` to `target`, and returns the record's length. The record is
 * encrypted if there is a `cipher`. If compression does not save enough (`WORTH_RATIO`), the bytes are stored
 * uncompressed.
 */
export function buildFrame(
  source: Buffer,
  slices: readonly Slice[],
  { compression, target, cipher }: RecordForm,
): number {
  const indexBytes = slices.length * FRAME_ENTRY_BYTES;
  const raw = contiguous(source, slices);
  const bodyOffset = RECORD_HEADER_BYTES + indexBytes;
  const { buffer, at } = target.reserve(bodyOffset + bodyBound(compression, raw));
  const { codec, bodyBytes } = encodeBody(raw, compression, buffer, at + bodyOffset);
  let entryAt = at + RECORD_HEADER_BYTES;
  for (const slice of slices) {
    buffer.set(slice.digest, entryAt);
    buffer.writeUInt32LE(slice.sizeBytes, entryAt + DIGEST_BYTES);
    entryAt += FRAME_ENTRY_BYTES;
  }
  const parts = { kind: RecordKind.frame, codec, rawBytes: raw.length, bodyBytes, indexBytes };
  return finishRecord(target, parts, cipher);
}

function bodyBound({ codec }: Compression, raw: Buffer): number {
  return encodedBound(codec, raw.length) + BODY_TAG_BYTES;
}

/** Encodes the bytes, or copies them uncompressed if compression does not save enough. */
function encodeBody(
  raw: Buffer,
  compression: Compression,
  target: Buffer,
  at: number,
): { codec: CodecNumber; bodyBytes: number } {
  const { codec, level } = compression;
  const bodyBytes = encode(codec, level, raw, target, at);
  if (codec === Codec.none || bodyBytes <= raw.length * WORTH_RATIO) return { codec, bodyBytes };
  return { codec: Codec.none, bodyBytes: encode(Codec.none, 0, raw, target, at) };
}

/**
 * Completes a record in the space reserved for it. Encrypts the body if a cipher is given, and writes the header in
 * front of index and body. Returns the length of the record.
 */
function finishRecord(
  target: BytesBuilder,
  parts: Pick<NewHeader, 'kind' | 'codec' | 'rawBytes' | 'bodyBytes' | 'indexBytes'>,
  cipher: RecordCipher | undefined,
): number {
  const { buffer, at } = target.reserve(0);
  const indexAt = at + RECORD_HEADER_BYTES;
  const bodyAt = indexAt + parts.indexBytes;
  const tagBytes = cipher === undefined ? 0 : BODY_TAG_BYTES;
  const header = { ...parts, ...cipher?.head, bodyBytes: parts.bodyBytes + tagBytes };
  if (cipher !== undefined) {
    writeHeader(buffer, at, { ...header, bodyChecksum: 0 });
    const also = coveredBytes(buffer.subarray(at, bodyAt));
    cipher.encryptWhole(also, buffer, bodyAt, parts.bodyBytes);
  }
  const end = bodyAt + header.bodyBytes;
  const bodyChecksum = crc32(buffer.subarray(indexAt, end));
  writeHeader(buffer, at, { ...header, bodyChecksum });
  target.commit(end - at);
  return end - at;
}

/** A record in one piece whose body is already encoded. */
interface EncodedRecord {
  readonly kind: typeof RecordKind.frame | typeof RecordKind.content;
  readonly codec: CodecNumber;
  readonly rawBytes: number;
  readonly index: Buffer;
  readonly body: Buffer;
}

/** Appends an encoded record to `target`, encrypted if a cipher is given, and returns its length. */
export function buildEncoded(
  { kind, codec, rawBytes, index, body }: EncodedRecord,
  target: BytesBuilder,
  cipher?: RecordCipher,
): number {
  const bodyAt = RECORD_HEADER_BYTES + index.length;
  const { buffer, at } = target.reserve(bodyAt + body.length + BODY_TAG_BYTES);
  index.copy(buffer, at + RECORD_HEADER_BYTES);
  body.copy(buffer, at + bodyAt);
  const parts = { kind, codec, rawBytes, bodyBytes: body.length, indexBytes: index.length };
  return finishRecord(target, parts, cipher);
}

/**
 * Returns the additional data that authenticates a body in one piece: the covered header bytes, then the index.
 */
function coveredBytes(head: Buffer): Buffer {
  return Buffer.concat([coveredHeader(head), head.subarray(RECORD_HEADER_BYTES)]);
}

/**
 * Decrypts the body of a record in one piece, in place, and returns it still encoded. `record` is the whole record; its
 * checksums are not checked. Throws RECORD_DAMAGED if the cipher shows that header, index or body was changed.
 */
export function openBody(
  record: Buffer,
  header: ParsedRecord['header'],
  cipher: RecordCipher | undefined,
): Buffer {
  const sealed = sealedBody(record, header, cipher);
  return cipher === undefined ? sealed.body : openSealed(cipher.calls, sealed);
}

/**
 * Returns the body of a record in one piece, and the values that decrypt it. Throws RECORD_DAMAGED if the body is
 * shorter than its tag, or is authenticated but not encrypted and was changed.
 */
export function sealedBody(
  record: Buffer,
  { indexBytes, bodyBytes }: ParsedRecord['header'],
  cipher: RecordCipher | undefined,
): SealedBody {
  const bodyAt = RECORD_HEADER_BYTES + indexBytes;
  const body = record.subarray(bodyAt, bodyAt + bodyBytes);
  if (cipher === undefined) return { body, opening: undefined };
  return cipher.sealedWhole(coveredBytes(record.subarray(0, bodyAt)), body);
}

/** Returns the slices as one range of bytes: a view if they are adjacent, otherwise a copy in scratch memory. */
function contiguous(source: Buffer, slices: readonly Slice[]): Buffer {
  const start = slices[0]!.start;
  let end = start;
  let isContiguous = true;
  let totalBytes = 0;
  for (const slice of slices) {
    isContiguous &&= slice.start === end;
    end = slice.start + slice.sizeBytes;
    totalBytes += slice.sizeBytes;
  }
  if (isContiguous) return source.subarray(start, end);
  gathered = room(gathered, totalBytes);
  let at = 0;
  for (const slice of slices) {
    at += source.copy(gathered, at, slice.start, slice.start + slice.sizeBytes);
  }
  return gathered.subarray(0, at);
}

/** Appends a record of one medium-sized content to `target`, and returns the record's length. */
export function buildContent(
  source: Buffer,
  slice: Slice,
  { compression, target, cipher }: RecordForm,
): number {
  const raw = source.subarray(slice.start, slice.start + slice.sizeBytes);
  const index = writeContentIndex({
    digest: Buffer.from(slice.digest),
    sizeBytes: raw.length,
    fileSizeBytes: raw.length,
    chunkBytes: 0,
  });
  const bodyOffset = RECORD_HEADER_BYTES + index.length;
  const { buffer, at } = target.reserve(bodyOffset + bodyBound(compression, raw));
  const { codec, bodyBytes } = encodeBody(raw, compression, buffer, at + bodyOffset);
  index.copy(buffer, at + RECORD_HEADER_BYTES);
  const indexBytes = index.length;
  const parts = { kind: RecordKind.content, codec, rawBytes: raw.length, bodyBytes, indexBytes };
  return finishRecord(target, parts, cipher);
}

/**
 * Encodes the bytes, or returns them uncompressed if compression does not save enough. The result may be scratch
 * memory.
 */
function encodeWorthwhile(
  raw: Buffer,
  compression: Compression,
): { codec: CodecNumber; bytes: Buffer } {
  if (compression.codec === Codec.none) return { codec: Codec.none, bytes: raw };
  scratch = room(scratch, encodedBound(compression.codec, raw.length));
  const bytes = encode(compression.codec, compression.level, raw, scratch, 0);
  if (bytes > raw.length * WORTH_RATIO) return { codec: Codec.none, bytes: raw };
  return { codec: compression.codec, bytes: scratch.subarray(0, bytes) };
}

// --- chunked bodies ------------------------------------------------------------------------------

/**
 * Length of a chunk's header: u32 stored length, whose top bit means "stored uncompressed", then u32 CRC-32 of the
 * stored bytes. The stored bytes follow the header.
 */
export const CHUNK_HEADER_BYTES = 8;
const CHUNK_RAW_BIT = 0x8000_0000;
export const STREAM_CHUNK_BYTES = 1 << 20;

/** The cipher of an encrypted record, and the number of a chunk in it. */
interface ChunkPlace {
  readonly cipher: RecordCipher;
  readonly number: number;
}

/** Encodes one chunk and its header. The returned buffer owns its memory. */
export function buildChunk(raw: Buffer, compression: Compression, place?: ChunkPlace): Buffer {
  const { codec, bytes } = encodeWorthwhile(raw, compression);
  return buildEncodedChunk(bytes, codec === Codec.none, place);
}

/** Builds a chunk from bytes that are already encoded. `isRaw` is true if they are uncompressed. */
export function buildEncodedChunk(encoded: Buffer, isRaw: boolean, place?: ChunkPlace): Buffer {
  const tagBytes = place === undefined ? 0 : BODY_TAG_BYTES;
  const storedBytes = encoded.length + tagBytes;
  const chunk = Buffer.allocUnsafeSlow(CHUNK_HEADER_BYTES + storedBytes);
  chunk.set(encoded, CHUNK_HEADER_BYTES);
  place?.cipher.encryptChunk(place.number, isRaw, chunk, CHUNK_HEADER_BYTES, encoded.length);
  chunk.writeUInt32LE((storedBytes | (isRaw ? CHUNK_RAW_BIT : 0)) >>> 0, 0);
  chunk.writeUInt32LE(crc32(chunk.subarray(CHUNK_HEADER_BYTES)), 4);
  return chunk;
}

export interface ChunkHeader {
  readonly storedBytes: number;
  readonly isRaw: boolean;
  readonly checksum: number;
}

/** Reads a chunk's header. Throws RECORD_DAMAGED if its length is more than a chunk can have. */
export function readChunkHeader(buffer: Buffer, chunkBytes: number): ChunkHeader {
  const word = buffer.readUInt32LE(0);
  const storedBytes = word & ~CHUNK_RAW_BIT;
  if (storedBytes > encodedBound(Codec.zstd, chunkBytes)) {
    throw recordDamaged('a chunk has an impossible length');
  }
  return { storedBytes, isRaw: (word & CHUNK_RAW_BIT) !== 0, checksum: buffer.readUInt32LE(4) };
}

/**
 * Decodes the stored bytes of one chunk into `target`, which has exactly the decoded length, or the length of `part`. It
 * may overwrite `stored`. Throws RECORD_DAMAGED if the chunk is damaged or was changed.
 */
export function decodeChunk(
  codec: CodecNumber,
  chunk: ChunkHeader,
  {
    stored,
    target,
    place,
    part,
  }: {
    readonly stored: Buffer;
    readonly target: Buffer;
    readonly place?: ChunkPlace | undefined;
    readonly part?: DecodedPart | undefined;
  },
): void {
  const used = chunk.isRaw ? Codec.none : codec;
  const opened = openChunk(chunk, stored, place);
  if (part === undefined) decode(used, opened, target);
  else decodePart(used, opened, target, part);
}

/**
 * Checks a chunk, decrypts it in place, and returns its bytes, which are still encoded. Throws RECORD_DAMAGED if the
 * chunk is damaged or was changed.
 */
export function openChunk(chunk: ChunkHeader, stored: Buffer, place?: ChunkPlace): Buffer {
  const sealed = sealedChunk(chunk, stored, place);
  return place === undefined ? sealed.body : openSealed(place.cipher.calls, sealed);
}

/**
 * Checks a chunk, and returns its bytes and the values that decrypt them. Throws RECORD_DAMAGED if the chunk does not
 * match its checksum, and in the cases of `sealedBody`.
 */
export function sealedChunk(chunk: ChunkHeader, stored: Buffer, place?: ChunkPlace): SealedBody {
  if (crc32(stored) !== chunk.checksum) throw recordDamaged('a chunk does not match its checksum');
  if (place === undefined) return { body: stored, opening: undefined };
  return place.cipher.sealedChunk(place.number, chunk.isRaw, stored);
}

/** Building and reading the bodies of content records: frames, whole contents, chunked streams. */
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import { type BytesBuilder, DIGEST_BYTES } from '../model/index.js';
import { BODY_TAG_BYTES } from '../system/index.js';
import { Codec, type CodecNumber, decode, encode, encodedBound } from './codec.js';
import {
  FRAME_ENTRY_BYTES,
  type NewHeader,
  type ParsedRecord,
  RECORD_COVERED_BYTES,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeContentIndex,
  writeHeader,
} from './record.js';
import type { RecordCipher } from './record-cipher.js';

/** Compression that saves less than this share is not worth decoding at every restore. */
const WORTH_RATIO = 0.97;

export interface Compression {
  readonly codec: CodecNumber;
  readonly level: number;
}

/** A run of bytes in a buffer, with its digest. */
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

/**
 * Writes a frame record of some contents that stand in `source` to the end of `target`; returns its
 * length. If compression does not pay, the bytes are stored as they are.
 */
export function buildFrame(
  source: Buffer,
  slices: readonly Slice[],
  compression: Compression,
  target: BytesBuilder,
  cipher?: RecordCipher,
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

/** Encodes, or copies the raw bytes when compression does not pay. */
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
 * Encrypts the body, if that is wanted, and writes the header in front of it and the index, all in the
 * room that was reserved.
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

/** A record in one piece whose body is encoded already. */
export interface EncodedRecord {
  readonly kind: typeof RecordKind.frame | typeof RecordKind.content;
  readonly codec: CodecNumber;
  readonly rawBytes: number;
  readonly index: Buffer;
  readonly body: Buffer;
}

/** Writes it, encrypted if that is wanted, to the end of `target`; returns its length. */
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

/** What a body in one piece is bound to, of header and index in front of it. */
function coveredBytes(head: Buffer): Buffer {
  return Buffer.concat([
    head.subarray(0, RECORD_COVERED_BYTES),
    head.subarray(RECORD_HEADER_BYTES),
  ]);
}

/**
 * The encoded body of a record in one piece, decrypted in place. `record`: all of it; its checksums are
 * not looked at. Throws RECORD_DAMAGED.
 */
export function openBody(
  record: Buffer,
  { indexBytes, bodyBytes }: ParsedRecord['header'],
  cipher: RecordCipher | undefined,
): Buffer {
  const bodyAt = RECORD_HEADER_BYTES + indexBytes;
  const body = record.subarray(bodyAt, bodyAt + bodyBytes);
  if (cipher === undefined) return body;
  return cipher.decryptWhole(coveredBytes(record.subarray(0, bodyAt)), body);
}

/** The slices as one run: a view when they lie side by side, else gathered into scratch. */
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

/** Writes a record of one content of middle size to the end of `target`; returns its length. */
export function buildContent(
  source: Buffer,
  slice: Slice,
  compression: Compression,
  target: BytesBuilder,
  cipher?: RecordCipher,
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

/** Encodes, or gives the raw bytes back when that does not pay. The result may be scratch. */
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

/** Each chunk: u32 stored length (top bit: stored raw), u32 CRC-32 of the stored bytes, the bytes. */
export const CHUNK_HEADER_BYTES = 8;
const CHUNK_RAW_BIT = 0x8000_0000;
export const STREAM_CHUNK_BYTES = 1 << 20;

/** A chunk's place in a record that is encrypted. */
export interface ChunkPlace {
  readonly cipher: RecordCipher;
  readonly number: number;
}

/** Encodes one chunk with its header; the returned buffer owns its memory. */
export function buildChunk(raw: Buffer, compression: Compression, place?: ChunkPlace): Buffer {
  const { codec, bytes } = encodeWorthwhile(raw, compression);
  return buildEncodedChunk(bytes, codec === Codec.none, place);
}

/** The same of a chunk that is encoded already (`isRaw`: stored as it is). */
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

/** Reads a chunk's header; its length may not pass what a chunk can have. Throws RECORD_DAMAGED. */
export function readChunkHeader(buffer: Buffer, chunkBytes: number): ChunkHeader {
  const word = buffer.readUInt32LE(0);
  const storedBytes = word & ~CHUNK_RAW_BIT;
  if (storedBytes > encodedBound(Codec.zstd, chunkBytes)) {
    throw new TardisError('RECORD_DAMAGED', 'a chunk has an impossible length');
  }
  return {
    storedBytes,
    isRaw: (word & CHUNK_RAW_BIT) !== 0,
    checksum: buffer.readUInt32LE(4),
  };
}

/** Decodes one chunk's stored bytes, which it may spoil, into `target` (of exactly its decoded length). */
export function decodeChunk(
  codec: CodecNumber,
  chunk: ChunkHeader,
  stored: Buffer,
  target: Buffer,
  place?: ChunkPlace,
): void {
  decode(chunk.isRaw ? Codec.none : codec, openChunk(chunk, stored, place), target);
}

/** A chunk's bytes, checked and decrypted in place, but not decoded. Throws RECORD_DAMAGED. */
export function openChunk(chunk: ChunkHeader, stored: Buffer, place?: ChunkPlace): Buffer {
  if (crc32(stored) !== chunk.checksum) {
    throw new TardisError('RECORD_DAMAGED', 'a chunk does not match its checksum');
  }
  return place === undefined
    ? stored
    : place.cipher.decryptChunk(place.number, chunk.isRaw, stored);
}

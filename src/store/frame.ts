/** Building and reading the bodies of content records: frames, whole contents, chunked streams. */
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import { type BytesBuilder, DIGEST_BYTES } from '../model/index.js';
import { Codec, type CodecNumber, decode, encode, encodedBound } from './codec.js';
import {
  FRAME_ENTRY_BYTES,
  type NewHeader,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeContentIndex,
  writeHeader,
} from './record.js';

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
): number {
  const indexBytes = slices.length * FRAME_ENTRY_BYTES;
  const raw = contiguous(source, slices);
  const bodyOffset = RECORD_HEADER_BYTES + indexBytes;
  const { buffer, at } = target.reserve(bodyOffset + encodedBound(compression.codec, raw.length));
  const { codec, bodyBytes } = encodeBody(raw, compression, buffer, at + bodyOffset);
  let entryAt = at + RECORD_HEADER_BYTES;
  for (const slice of slices) {
    buffer.set(slice.digest, entryAt);
    buffer.writeUInt32LE(slice.sizeBytes, entryAt + DIGEST_BYTES);
    entryAt += FRAME_ENTRY_BYTES;
  }
  return finishRecord(target, {
    kind: RecordKind.frame,
    codec,
    rawBytes: raw.length,
    bodyBytes,
    indexBytes,
  });
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

/** Writes the header in front of index and body, which stand in the room that was reserved. */
function finishRecord(
  target: BytesBuilder,
  parts: Pick<NewHeader, 'kind' | 'codec' | 'rawBytes' | 'bodyBytes' | 'indexBytes'>,
): number {
  const { buffer, at } = target.reserve(0);
  const end = at + RECORD_HEADER_BYTES + parts.indexBytes + parts.bodyBytes;
  const bodyChecksum = crc32(buffer.subarray(at + RECORD_HEADER_BYTES, end));
  writeHeader(buffer, at, { ...parts, bodyChecksum });
  target.commit(end - at);
  return end - at;
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
): number {
  const raw = source.subarray(slice.start, slice.start + slice.sizeBytes);
  const index = writeContentIndex({
    digest: Buffer.from(slice.digest),
    sizeBytes: raw.length,
    fileSizeBytes: raw.length,
    chunkBytes: 0,
  });
  const bodyOffset = RECORD_HEADER_BYTES + index.length;
  const { buffer, at } = target.reserve(bodyOffset + encodedBound(compression.codec, raw.length));
  const { codec, bodyBytes } = encodeBody(raw, compression, buffer, at + bodyOffset);
  index.copy(buffer, at + RECORD_HEADER_BYTES);
  const indexBytes = index.length;
  return finishRecord(target, {
    kind: RecordKind.content,
    codec,
    rawBytes: raw.length,
    bodyBytes,
    indexBytes,
  });
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

/** Encodes one chunk with its header; the returned buffer owns its memory. */
export function buildChunk(raw: Buffer, compression: Compression): Buffer {
  const encoded = encodeWorthwhile(raw, compression);
  const isRaw = encoded.codec === Codec.none;
  const chunk = Buffer.allocUnsafeSlow(CHUNK_HEADER_BYTES + encoded.bytes.length);
  chunk.writeUInt32LE((encoded.bytes.length | (isRaw ? CHUNK_RAW_BIT : 0)) >>> 0, 0);
  chunk.writeUInt32LE(crc32(encoded.bytes), 4);
  chunk.set(encoded.bytes, CHUNK_HEADER_BYTES);
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

/** Decodes one chunk's stored bytes into `target` (of exactly its decoded length). */
export function decodeChunk(
  codec: CodecNumber,
  chunk: ChunkHeader,
  stored: Uint8Array,
  target: Buffer,
): void {
  if (crc32(stored) !== chunk.checksum) {
    throw new TardisError('RECORD_DAMAGED', 'a chunk does not match its checksum');
  }
  decode(chunk.isRaw ? Codec.none : codec, stored, target);
}

/** Building and reading the bodies of content records: frames, whole contents, chunked streams. */
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import { DIGEST_BYTES } from '../model/index.js';
import { Codec, type CodecNumber, decode, encode, encodedBound } from './codec.js';
import {
  buildRecord,
  FRAME_ENTRY_BYTES,
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
 * Makes a frame record of some contents that stand in `source`. If compression does not pay, the
 * bytes are stored as they are. The returned buffer owns its memory (it can be transferred).
 */
export function buildFrame(
  source: Buffer,
  slices: readonly Slice[],
  compression: Compression,
): Buffer {
  const indexBytes = slices.length * FRAME_ENTRY_BYTES;
  const raw = contiguous(source, slices);
  const bodyAt = RECORD_HEADER_BYTES + indexBytes;
  scratch = room(scratch, bodyAt + encodedBound(compression.codec, raw.length));
  let codec = compression.codec;
  let bodyBytes = encode(codec, compression.level, raw, scratch, bodyAt);
  if (codec !== Codec.none && bodyBytes > raw.length * WORTH_RATIO) {
    codec = Codec.none;
    bodyBytes = encode(codec, 0, raw, scratch, bodyAt);
  }
  let at = RECORD_HEADER_BYTES;
  for (const slice of slices) {
    scratch.set(slice.digest, at);
    scratch.writeUInt32LE(slice.sizeBytes, at + DIGEST_BYTES);
    at += FRAME_ENTRY_BYTES;
  }
  const bodyChecksum = crc32(scratch.subarray(RECORD_HEADER_BYTES, bodyAt + bodyBytes));
  writeHeader(scratch, 0, {
    kind: RecordKind.frame,
    codec,
    rawBytes: raw.length,
    bodyBytes,
    indexBytes,
    bodyChecksum,
  });
  return ownCopy(scratch.subarray(0, bodyAt + bodyBytes));
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

/** Makes a record of one content of middle size. */
export function buildContent(source: Buffer, slice: Slice, compression: Compression): Buffer {
  const raw = source.subarray(slice.start, slice.start + slice.sizeBytes);
  const encoded = encodeWorthwhile(raw, compression);
  const index = writeContentIndex({
    digest: Buffer.from(slice.digest),
    sizeBytes: raw.length,
    fileSizeBytes: raw.length,
    chunkBytes: 0,
  });
  return buildRecord(
    { kind: RecordKind.content, codec: encoded.codec, rawBytes: raw.length },
    index,
    encoded.bytes,
  );
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

/** Copies into memory of its own. The one copy a compressed content makes in a worker. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

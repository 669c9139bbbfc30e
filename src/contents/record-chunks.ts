/**
 * Reads and decodes the chunks of a record. If it is large, another thread decodes the next chunk while the caller uses
 * one.
 */
import { setImmediate } from 'node:timers/promises';
import { NO_BYTES } from '../model/index.js';
import {
  CHUNK_HEADER_BYTES,
  Codec,
  type CodecNumber,
  readChunkHeader,
  RECORD_HEADER_BYTES,
  type SealedBody,
  sealedChunk,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { decodeBody, decodeHere } from './body-decoder.js';
import { fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import { type ReusedBuffers, room } from './reused-buffers.js';
import type { RecordPlace } from './stored-piece.js';

/**
 * Decrypts and decodes a body into `target`, which has exactly the decoded length. Throws RECORD_DAMAGED if that fails.
 */
export type BodyDecoder = (codec: CodecNumber, sealed: SealedBody, target: Buffer) => void;

/**
 * Minimum decoded length of a record whose chunks other threads decode ahead, and hash. Passing the chunks of a smaller one
 * to them costs more than it gains, for example in a restore, whose processors have other files to work on (measured:
 * /usr/share).
 */
export const LEAST_AHEAD_BYTES: number = 8 << 20;

/** Number of decoded chunks in memory if they are decoded ahead: one is hashed, one is written, and one is decoded. */
const CHUNKS_IN_USE = 3;

interface ChunkReading {
  readonly memory: ReusedBuffers;
  /** Given if the caller also needs the bytes before they are decoded. Nothing is decoded ahead then. */
  readonly decode?: BodyDecoder;
}

/**
 * Yields the decoded chunks of a record. Each chunk is valid until the next one is requested, or the one after that if chunks
 * are decoded ahead. Throws RECORD_DAMAGED if a chunk is damaged.
 */
export async function* recordChunks(
  { backend, native }: RecordSource,
  record: RecordPlace,
  { header, cipher }: RecordHead,
  { memory, decode }: ChunkReading,
): AsyncGenerator<Buffer> {
  const isLarge = header.rawBytes >= LEAST_AHEAD_BYTES;
  const isAhead = isLarge && decode === undefined;
  let at = RECORD_HEADER_BYTES + header.indexBytes;
  const end = at + header.bodyBytes;
  let remaining = header.rawBytes;
  let number = 0;
  const fetch = (from: number, bytes: number): Promise<Buffer> => {
    memory.stored = room(memory.stored, bytes);
    return fetchRecord(backend, record, from, memory.stored.subarray(0, bytes));
  };
  const decoded = async (): Promise<Buffer> => {
    const chunk = readChunkHeader(await fetch(at, CHUNK_HEADER_BYTES), STREAM_CHUNK_BYTES);
    const stored = await fetch(at + CHUNK_HEADER_BYTES, chunk.storedBytes);
    const place = memory.chunk(isAhead ? number % CHUNKS_IN_USE : 0, STREAM_CHUNK_BYTES);
    const target = place.subarray(0, Math.min(STREAM_CHUNK_BYTES, remaining));
    const sealed = sealedChunk(chunk, stored, cipher && { cipher, number });
    const codec = chunk.isRaw ? Codec.none : header.codec;
    const body = { codec, sealed, target, contents: NO_BYTES };
    if (isAhead) await decodeBody(native, body);
    else if (decode === undefined) decodeHere(native, body);
    else decode(codec, sealed, target);
    at += CHUNK_HEADER_BYTES + chunk.storedBytes;
    remaining -= target.length;
    number += 1;
    return target;
  };
  const begin = (): Promise<Buffer> | undefined => {
    if (at >= end || remaining <= 0) return undefined;
    const next = decoded();
    next.catch(() => undefined); // thrown when it is awaited
    return next;
  };
  let next = begin();
  try {
    while (next !== undefined) {
      const chunk = await next;
      next = isAhead ? begin() : undefined;
      // Other work gets its turn. By then the bytes of the next chunk are read, so that its thread has begun.
      if (isLarge) await setImmediate();
      yield chunk;
      next ??= begin();
    }
  } finally {
    await next?.catch(() => undefined); // nothing may be written to the memory of a reader that is used again, or freed
  }
}

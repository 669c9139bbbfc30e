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
import type { NativeCalls } from '../system/index.js';
import { decodeBody, decodeHere } from './body-decoder.js';
import { fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import { ReusedBuffers, room } from './reused-buffers.js';
import type { RecordPlace } from './stored-piece.js';

/**
 * Decrypts and decodes a body into `target`, which has exactly the decoded length. Throws RECORD_DAMAGED if that fails.
 */
export type BodyDecoder = (
  codec: CodecNumber,
  sealed: SealedBody,
  target: Buffer,
) => Promise<void> | void;

/**
 * Minimum decoded length of a record whose chunks other threads decode ahead, and hash. Passing the chunks of a smaller one
 * to them costs more than it gains, for example in a restore, whose processors have other files to work on (measured:
 * /usr/share).
 */
export const LEAST_AHEAD_BYTES: number = 8 << 20;

interface ChunkReading {
  readonly memory: ReusedBuffers;
  /** Given if the caller also needs the bytes before they are decoded. */
  readonly decode?: BodyDecoder;
}

/**
 * Yields the decoded chunks of a record. Each chunk is valid until the one after the next is requested. Throws RECORD_DAMAGED if
 * a chunk is damaged.
 */
export async function* recordChunks(
  { backend, native }: RecordSource,
  record: RecordPlace,
  { header, cipher }: RecordHead,
  { memory, decode }: ChunkReading,
): AsyncGenerator<Buffer> {
  const second = (memory.second ??= new ReusedBuffers());
  const isAhead = header.rawBytes >= LEAST_AHEAD_BYTES;
  const places = isAhead
    ? [memory, second, (second.second ??= new ReusedBuffers())]
    : [memory, second];
  const decoder = decode ?? usualDecoder(native, isAhead);
  let at = RECORD_HEADER_BYTES + header.indexBytes;
  const end = at + header.bodyBytes;
  let remaining = header.rawBytes;
  let number = 0;
  const decoded = async (place: ReusedBuffers): Promise<Buffer> => {
    const fetch = (from: number, bytes: number): Promise<Buffer> => {
      place.stored = room(place.stored, bytes);
      return fetchRecord(backend, record, from, place.stored.subarray(0, bytes));
    };
    const chunk = readChunkHeader(await fetch(at, CHUNK_HEADER_BYTES), STREAM_CHUNK_BYTES);
    const stored = await fetch(at + CHUNK_HEADER_BYTES, chunk.storedBytes);
    place.decoded = room(place.decoded, STREAM_CHUNK_BYTES);
    const target = place.decoded.subarray(0, Math.min(STREAM_CHUNK_BYTES, remaining));
    const sealed = sealedChunk(chunk, stored, cipher && { cipher, number });
    await decoder(chunk.isRaw ? Codec.none : header.codec, sealed, target);
    at += CHUNK_HEADER_BYTES + chunk.storedBytes;
    remaining -= target.length;
    number += 1;
    return target;
  };
  const begin = (): Promise<Buffer> | undefined => {
    if (at >= end || remaining <= 0) return undefined;
    const next = decoded(places[number % places.length]!);
    next.catch(() => undefined); // thrown when it is awaited
    return next;
  };
  let next = begin();
  try {
    while (next !== undefined) {
      const chunk = await next;
      next = isAhead ? begin() : undefined;
      await setImmediate(); // other work gets its turn; the bytes of the next chunk are read by then, so that its thread has begun
      yield chunk;
      next ??= begin();
    }
  } finally {
    await next?.catch(() => undefined); // nothing may be written to the memory of a reader that is used again
  }
}

function usualDecoder(native: NativeCalls, isAhead: boolean): BodyDecoder {
  const decodeOne = isAhead ? decodeBody : decodeHere;
  return (codec, sealed, target) =>
    decodeOne(native, { codec, sealed, target, contents: NO_BYTES });
}

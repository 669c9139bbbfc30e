/**
 * Reads and decodes the chunks of a large record. With `MemoryAhead`, another thread decodes the next chunk while the
 * caller uses the current chunk.
 */
import {
  CHUNK_HEADER_BYTES,
  Codec,
  type CodecNumber,
  decode,
  openSealed,
  readChunkHeader,
  RECORD_HEADER_BYTES,
  type SealedBody,
  sealedChunk,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import { ReusedBuffers, room } from './reused-buffers.js';
import type { RecordPlace } from './stored-piece.js';

/**
 * Decrypts and decodes a body into `target`, which has exactly the decoded length. Throws RECORD_DAMAGED if that fails.
 */
export type BodyDecoder = (codec: CodecNumber, sealed: SealedBody, target: Buffer) => Promise<void>;

/** Memory of a reader that decodes ahead: it holds two chunks. */
export class MemoryAhead extends ReusedBuffers {
  readonly other: ReusedBuffers = new ReusedBuffers();

  constructor(readonly decode: BodyDecoder) {
    super();
  }
}

/**
 * Yields the decoded chunks of a record. Each chunk is valid until the next one is requested. Throws RECORD_DAMAGED if
 * a chunk is damaged.
 */
export async function* recordChunks(
  { backend, native }: RecordSource,
  record: RecordPlace,
  { header, cipher }: RecordHead,
  memory: ReusedBuffers,
): AsyncGenerator<Buffer> {
  const isAhead = memory instanceof MemoryAhead;
  const places = isAhead ? [memory, memory.other] : [memory];
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
    const codec = chunk.isRaw ? Codec.none : header.codec;
    if (isAhead) await memory.decode(codec, sealed, target);
    else decode(codec, openSealed(native, sealed), target);
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
      yield chunk;
      next ??= begin();
    }
  } finally {
    await next?.catch(() => undefined); // nothing may be written to the memory of a reader that is used again
  }
}

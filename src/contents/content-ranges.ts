/**
 * Reads any range of a stored content, without decoding the content from its beginning. The checksums of chunks and
 * frames are checked. Only the digest of a whole content proves that its bytes are right.
 *
 * Chunks are decoded in the thread that calls. Once it has read three in a row, another thread decodes the next one while
 * it uses the last one.
 *
 * Memory is bounded: decoded chunks and the indexes of deltas are cached, and the least recently used ones are evicted
 * first.
 */
import type { Basis } from '../delta/index.js';
import { recordDamaged } from '../errors/index.js';
import { NO_BYTES, releaseAll } from '../model/index.js';
import {
  Codec,
  RECORD_CHUNKED,
  RecordKind,
  sealedChunk,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { BoundedCache } from '../system/index.js';
import { decodeBody, isDecodedByAddon } from './body-decoder.js';
import { type ChunkedRecord, ChunksHere, chunkedRecord, impossibleLength } from './chunks-here.js';
import { type DecodedRecords, Pieces, RangeReader } from './range-reader.js';
import { ReusedBuffers } from './reused-buffers.js';
import { fetchHead, type RecordSource } from './record-head.js';
import { recordKey, type StoredPiece } from './stored-piece.js';
import { readWhole } from './whole-record.js';

/** Maximum number of bytes in the cache of decoded chunks, which a content shares with its bases. */
const MAX_CHUNK_BYTES = 6 << 20;
/** Number of chunks that are read in a row before the next one is decoded ahead: fewer show no order. */
const LEAST_RUN = 3;
/** Maximum number of records whose heads are kept. */
const MAX_RECORDS = 1024;

export class ContentRanges implements Basis {
  private readonly content: Pieces;
  private readonly records: RecordsHere;
  private readonly ranges: RangeReader;

  /** Reads a content that consists of these pieces, in order. */
  constructor(source: RecordSource, pieces: readonly StoredPiece[]) {
    this.content = new Pieces(pieces);
    this.records = new RecordsHere(source);
    this.ranges = new RangeReader(this.records);
  }

  get sizeBytes(): number {
    return this.content.sizeBytes;
  }

  /**
   * Fills `bytes` bytes of `target` from `at` on with the content's bytes from `position` on. Allows one call at a
   * time. Throws RECORD_DAMAGED if the content ends before that range. Throws it also if stored bytes are damaged; the
   * error then has the digest of the damaged piece in `context.damaged`.
   */
  read(position: number, target: Buffer, at: number, bytes: number): Promise<void> {
    return this.ranges.fill(this.content, position, target.subarray(at, at + bytes), 1);
  }

  /** Frees the memory; a later read starts with empty caches. */
  release(): void {
    this.records.release();
    this.ranges.release();
  }
}

/** The chunks of a record, or its length if it is in one piece. */
type Layout = ChunkedRecord | { readonly rawBytes: number; readonly places?: undefined };

/** A chunk that another thread decodes. */
interface ChunkAhead {
  readonly key: string;
  readonly target: Buffer;
  /** Resolves when nothing writes to `target` or reads the stored bytes any more, with the error if there was one. */
  readonly error: Promise<unknown>;
}

/** Records that are decoded chunk by chunk. */
class RecordsHere implements DecodedRecords {
  private readonly layouts = new BoundedCache<string, Layout>(MAX_RECORDS);
  private readonly decoded = new BoundedCache<string, Buffer>(MAX_CHUNK_BYTES, (chunk) => {
    if (chunk.length === STREAM_CHUNK_BYTES) this.spare = chunk;
  });
  /** Memory for the stored bytes of the chunk that is being decoded, here or ahead. */
  private memory = new ReusedBuffers();
  /** Memory of an evicted chunk, for the next chunk to be decoded; saves an allocation. */
  private spare: Buffer | undefined;
  private here: ChunksHere;
  private ahead: ChunkAhead | undefined;
  /** Key of the chunk that a sequential reader reads next, and the number of chunks that it has read in a row. */
  private next = '';
  private run = 0;

  constructor(private readonly source: RecordSource) {
    this.here = new ChunksHere(source.backend, this.memory);
  }

  async fill(piece: StoredPiece, from: number, target: Buffer): Promise<void> {
    const layout = await this.layout(piece);
    if (from + target.length > layout.rawBytes) throw impossibleLength(piece);
    for (let done = 0; done < target.length; ) {
      const number = layout.places ? Math.floor((from + done) / STREAM_CHUNK_BYTES) : 0;
      const start = from + done - number * STREAM_CHUNK_BYTES;
      const chunk = await this.chunk(piece, layout, number);
      done += chunk.copy(target, done, start, start + target.length - done);
    }
  }

  async *all(piece: StoredPiece): AsyncGenerator<Buffer> {
    const layout = await this.layout(piece);
    const chunks = layout.places ? Math.ceil(layout.rawBytes / STREAM_CHUNK_BYTES) : 1;
    for (let number = 0; number < chunks; number += 1) {
      yield await this.chunk(piece, layout, number);
    }
  }

  release(): void {
    const { memory, spare, ahead } = this;
    releaseAll([...this.decoded.clear(), ...(spare ? [spare] : [])]);
    this.layouts.clear();
    this.spare = undefined;
    this.ahead = undefined;
    if (ahead === undefined) {
      memory.release();
      return;
    }
    this.memory = new ReusedBuffers();
    this.here = new ChunksHere(this.source.backend, this.memory);
    void ahead.error.then(() => {
      releaseAll([ahead.target]);
      memory.release();
    });
  }

  private async layout(piece: StoredPiece): Promise<Layout> {
    const key = recordKey(piece);
    const known = this.layouts.get(key);
    if (known !== undefined) return known;
    const head = await fetchHead(this.source, piece);
    if ((head.header.kind === RecordKind.delta) !== (piece.basis !== undefined)) {
      throw recordDamaged(`a record in ${piece.object} is of the wrong kind`);
    }
    const isChunked = (head.header.flags & RECORD_CHUNKED) !== 0;
    const layout = isChunked ? chunkedRecord(head) : { rawBytes: head.header.rawBytes };
    this.layouts.set(key, layout);
    return layout;
  }

  private async chunk(piece: StoredPiece, layout: Layout, number: number): Promise<Buffer> {
    const key = chunkKey(piece, number);
    const known = this.decoded.get(key);
    if (known !== undefined) return known;
    const chunk = layout.places
      ? await this.decodedChunk(piece, layout, number)
      : (await readWhole(this.source, piece)).decoded;
    this.decoded.set(key, chunk, chunk.length);
    return chunk;
  }

  /** Decodes a chunk, or takes it if it was decoded ahead. For a sequential reader, it begins to decode the next one. */
  private async decodedChunk(
    piece: StoredPiece,
    record: ChunkedRecord,
    number: number,
  ): Promise<Buffer> {
    const key = chunkKey(piece, number);
    this.run = key === this.next ? this.run + 1 : 1;
    this.next = chunkKey(piece, number + 1);
    const chunk = (await this.takeAhead(key)) ?? (await this.decodedHere(piece, record, number));
    const restBytes = record.rawBytes - (number + 1) * STREAM_CHUNK_BYTES;
    if (this.run >= LEAST_RUN && restBytes > 0) {
      // The reader of the next chunk gets the error; a delta may not need that chunk.
      await this.begin(piece, record, number + 1).catch(() => undefined);
    }
    return chunk;
  }

  private async decodedHere(
    piece: StoredPiece,
    record: ChunkedRecord,
    number: number,
  ): Promise<Buffer> {
    const chunk = await this.here.placed(piece, record, number);
    const target = this.room(chunk.sizeBytes);
    await this.here.decode(piece, record, chunk, { target });
    return target;
  }

  /** Returns the chunk that was decoded ahead, if it is this one. Throws RECORD_DAMAGED. */
  private async takeAhead(key: string): Promise<Buffer | undefined> {
    const { ahead } = this;
    if (ahead === undefined) return undefined;
    this.ahead = undefined;
    const error = await ahead.error;
    if (ahead.key === key && error === undefined) return ahead.target;
    if (error === undefined) this.decoded.set(ahead.key, ahead.target, ahead.target.length);
    else releaseAll([ahead.target]);
    if (ahead.key === key) throw error;
    return undefined;
  }

  /**
   * Begins to decode a chunk on another thread. Its stored bytes are read before this returns, so nothing reads the store
   * when no call of the reader is running.
   */
  private async begin(piece: StoredPiece, record: ChunkedRecord, number: number): Promise<void> {
    const chunk = await this.here.placed(piece, record, number);
    const { header, sizeBytes } = chunk;
    const codec = header.isRaw ? Codec.none : record.codec;
    if (!isDecodedByAddon(codec)) return;
    const { cipher } = record;
    const stored = await this.here.stored(piece, chunk);
    const sealed = sealedChunk(header, stored, cipher && { cipher, number });
    const target = this.room(sizeBytes);
    const decoding = decodeBody(this.source.native, { codec, sealed, target, contents: NO_BYTES });
    const error = decoding.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    this.ahead = { key: chunkKey(piece, number), target, error };
  }

  private room(sizeBytes: number): Buffer {
    const { spare } = this;
    if (spare?.length !== sizeBytes) return Buffer.allocUnsafeSlow(sizeBytes);
    this.spare = undefined;
    return spare;
  }
}

function chunkKey(piece: StoredPiece, number: number): string {
  return `${recordKey(piece)}#${number}`;
}

/**
 * Reads any range of a stored content without decoding the content from its beginning. If a record is whole, the chunks
 * that hold the range are decoded. If a record is a delta, its commands show which bytes are in the delta, and which
 * must be read from the basis in the same way. The checksums of chunks and frames are checked. Only the digest of a
 * whole content proves that its bytes are right.
 *
 * Memory is bounded: decoded chunks and the indexes of deltas are cached, and the least recently used ones are evicted
 * first.
 */
import { TardisError } from '../errors/index.js';
import { releaseAll } from '../model/index.js';
import {
  openBody,
  CHUNK_HEADER_BYTES,
  decode,
  decodeChunk,
  MAX_FRAME_RAW_BYTES,
  readChunkHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordKind,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import type { Basis } from '../delta/index.js';
import { DeltaIndex } from '../delta/index.js';
import { BoundedCache } from '../system/index.js';
import { fetchHead, fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import { MAX_CHAIN, recordKey, type StoredPiece } from './stored-piece.js';

/** Maximum number of bytes in the cache of decoded chunks, which a content shares with its bases. */
const MAX_CHUNK_BYTES = 6 << 20;
/** Maximum number of bytes in the cache of open records, which a content shares with its bases too. */
const MAX_OPEN_BYTES = 8 << 20;
/** Approximate memory of an open record besides its index. */
const OPEN_RECORD_BYTES = 2 << 10;

/** State that a content shares with its bases. */
interface Shared {
  readonly source: RecordSource;
  readonly chunks: BoundedCache<string, Buffer>;
  readonly records: BoundedCache<string, OpenRecord>;
  /** Buffer for encoded bytes. */
  stored: Buffer;
  /** Memory of an evicted chunk, for the next chunk to be decoded; saves an allocation. */
  spare: Buffer | undefined;
}

function newShared(source: RecordSource): Shared {
  const chunks = new BoundedCache<string, Buffer>(MAX_CHUNK_BYTES, (chunk) => {
    if (chunk.length === STREAM_CHUNK_BYTES) shared.spare = chunk;
  });
  const records = new BoundedCache<string, OpenRecord>(MAX_OPEN_BYTES);
  const shared: Shared = { source, chunks, records, stored: Buffer.alloc(0), spare: undefined };
  return shared;
}

export class ContentRanges implements Basis {
  readonly sizeBytes: number;
  private readonly starts: number[] = [];
  private readonly pieces: readonly StoredPiece[];
  private readonly shared: Shared;
  private readonly depth: number;

  /**
   * Reads a content that consists of these pieces, in order. `shared` and `depth` are only for the bases of a content.
   * Throws RECORD_DAMAGED if more than MAX_CHAIN deltas build on each other.
   */
  constructor(source: RecordSource, pieces: readonly StoredPiece[], shared?: Shared, depth = 0) {
    if (depth > MAX_CHAIN)
      throw new TardisError('RECORD_DAMAGED', 'the chain of deltas is too long');
    this.pieces = pieces;
    this.depth = depth;
    this.shared = shared ?? newShared(source);
    let sizeBytes = 0;
    for (const piece of pieces) {
      this.starts.push(sizeBytes);
      sizeBytes += piece.sizeBytes;
    }
    this.sizeBytes = sizeBytes;
  }

  /**
   * Fills `bytes` bytes of `target` from `at` on with the content's bytes from `position` on. Allows one call at a
   * time. Throws RECORD_DAMAGED if the content ends before that range. Throws it also if stored bytes are damaged; the
   * error then has the digest of the damaged piece in `context.damaged`.
   */
  async read(position: number, target: Buffer, at: number, bytes: number): Promise<void> {
    if (position + bytes > this.sizeBytes) {
      throw new TardisError('RECORD_DAMAGED', 'a content ends before the requested range');
    }
    for (let done = 0; done < bytes; ) {
      const index = this.pieceAt(position + done);
      const piece = this.pieces[index]!;
      const from = position + done - this.starts[index]!;
      const part = Math.min(bytes - done, piece.sizeBytes - from);
      await this.readPiece(piece, from, target.subarray(at + done, at + done + part));
      done += part;
    }
  }

  /** Frees the memory; a later read starts with empty caches. */
  release(): void {
    const { shared } = this;
    releaseAll([...shared.chunks.clear(), shared.stored, ...(shared.spare ? [shared.spare] : [])]);
    shared.records.clear();
    shared.stored = Buffer.alloc(0);
    shared.spare = undefined;
  }

  /** Returns the index of the last piece that begins at or before `position`, which must be within the content. */
  private pieceAt(position: number): number {
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private async readPiece(piece: StoredPiece, from: number, target: Buffer): Promise<void> {
    try {
      const record = await this.open(piece);
      await record.read(piece.offset + from, target);
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      if (error.context['damaged'] !== undefined) throw error;
      const damaged = Buffer.from(piece.digest).toString('hex');
      const text = `a content that it depends on is damaged: ${error.message}`;
      throw new TardisError('RECORD_DAMAGED', text, { ...error.context, damaged }, error);
    }
  }

  private async open(piece: StoredPiece): Promise<OpenRecord> {
    const { records } = this.shared;
    const key = recordKey(piece);
    const open = records.get(key);
    if (open !== undefined) return open;
    const head = await fetchHead(this.shared.source, piece);
    if ((head.header.kind === RecordKind.delta) !== (piece.basis !== undefined)) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${piece.object} is of the wrong kind`);
    }
    const body = new RecordBody(this.shared, piece, head, key);
    let record: OpenRecord = body;
    let weight = OPEN_RECORD_BYTES;
    if (piece.basis !== undefined) {
      const basis = new ContentRanges(this.shared.source, piece.basis, this.shared, this.depth + 1);
      const index = await DeltaIndex.read(body.all(), basis.sizeBytes, piece.sizeBytes);
      record = new DeltaRecord(body, index, basis);
      weight += index.memoryBytes;
    }
    records.set(key, record, weight);
    return record;
  }
}

/** A record that supports reading of ranges. */
interface OpenRecord {
  /**
   * Fills `target` with bytes from `from` on. This is a position in the decoded record or, for a delta, in the content
   * that the delta produces.
   */
  read(from: number, target: Buffer): Promise<void>;
}

/** A record's own bytes, decoded chunk by chunk. */
class RecordBody implements OpenRecord {
  /** Offset in the record of each chunk found so far. */
  private readonly places: number[];
  private readonly shared: Shared;
  private readonly piece: StoredPiece;
  private readonly head: RecordHead;
  private readonly key: string;

  constructor(shared: Shared, piece: StoredPiece, head: RecordHead, key: string) {
    this.shared = shared;
    this.piece = piece;
    this.head = head;
    this.key = key;
    this.places = [RECORD_HEADER_BYTES + this.header.indexBytes];
  }

  private get header(): RecordHead['header'] {
    return this.head.header;
  }

  async read(from: number, target: Buffer): Promise<void> {
    if (from + target.length > this.header.rawBytes) throw this.tooShort();
    for (let done = 0; done < target.length; ) {
      const at = from + done;
      const chunk = await this.chunk(Math.floor(at / this.chunkBytes));
      const start = at % this.chunkBytes;
      done += chunk.copy(target, done, start, start + target.length - done);
    }
  }

  /** Yields the whole decoded record in pieces. Each piece is valid until the next one is requested. */
  async *all(): AsyncGenerator<Buffer> {
    for (let number = 0; number * this.chunkBytes < this.header.rawBytes; number += 1) {
      yield await this.chunk(number);
    }
  }

  private get isChunked(): boolean {
    return (this.header.flags & RECORD_CHUNKED) !== 0;
  }

  private get chunkBytes(): number {
    return this.isChunked ? STREAM_CHUNK_BYTES : Math.max(1, this.header.rawBytes);
  }

  private async chunk(number: number): Promise<Buffer> {
    const { chunks } = this.shared;
    const key = `${this.key}#${number}`;
    const known = chunks.get(key);
    if (known !== undefined) return known;
    const bytes = Math.min(this.chunkBytes, this.header.rawBytes - number * this.chunkBytes);
    if (bytes > MAX_FRAME_RAW_BYTES) throw this.tooShort();
    const decoded = this.chunkRoom(bytes);
    if (this.isChunked) await this.decodeChunk(number, decoded);
    else {
      const { header, piece } = this;
      if (header.bodyBytes > 2 * MAX_FRAME_RAW_BYTES) throw this.tooShort();
      const record = this.room(piece.recordBytes);
      await fetchRecord(this.shared.source.backend, piece, 0, record);
      decode(header.codec, openBody(record, header, this.head.cipher), decoded);
    }
    chunks.set(key, decoded, decoded.length);
    return decoded;
  }

  private async decodeChunk(number: number, target: Buffer): Promise<void> {
    const { source } = this.shared;
    while (this.places.length <= number) {
      const { at, storedBytes } = await this.chunkHead(this.places.length - 1);
      this.places.push(at + CHUNK_HEADER_BYTES + storedBytes);
    }
    const { at, storedBytes, ...head } = await this.chunkHead(number);
    const stored = this.room(storedBytes);
    await fetchRecord(source.backend, this.piece, at + CHUNK_HEADER_BYTES, stored);
    const { cipher } = this.head;
    const place = cipher && { cipher, number };
    decodeChunk(this.header.codec, { ...head, storedBytes }, { stored, target, place });
  }

  private async chunkHead(
    number: number,
  ): Promise<ReturnType<typeof readChunkHeader> & { at: number }> {
    const at = this.places[number]!;
    const head = Buffer.allocUnsafe(CHUNK_HEADER_BYTES);
    await fetchRecord(this.shared.source.backend, this.piece, at, head);
    return { ...readChunkHeader(head, STREAM_CHUNK_BYTES), at };
  }

  private chunkRoom(bytes: number): Buffer {
    const { shared } = this;
    const { spare } = shared;
    if (spare === undefined || bytes !== STREAM_CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    shared.spare = undefined;
    return spare;
  }

  private room(bytes: number): Buffer {
    const { shared } = this;
    if (shared.stored.length < bytes) shared.stored = Buffer.allocUnsafeSlow(bytes);
    return shared.stored.subarray(0, bytes);
  }

  private tooShort(): TardisError {
    const { object } = this.piece;
    return new TardisError('RECORD_DAMAGED', `a record in ${object} has the wrong length`);
  }
}

/** The content that a delta produces from its basis. */
class DeltaRecord implements OpenRecord {
  private readonly body: RecordBody;
  private readonly index: DeltaIndex;
  private readonly basis: ContentRanges;

  constructor(body: RecordBody, index: DeltaIndex, basis: ContentRanges) {
    this.body = body;
    this.index = index;
    this.basis = basis;
  }

  async read(from: number, target: Buffer): Promise<void> {
    let done = 0;
    for (const stretch of this.index.stretches(from, target.length)) {
      const { bytes } = stretch;
      if (stretch.isLiteral)
        await this.body.read(stretch.from, target.subarray(done, done + bytes));
      else await this.basis.read(stretch.from, target, done, bytes);
      done += bytes;
    }
    if (done < target.length) {
      throw new TardisError('RECORD_DAMAGED', 'the result of a delta is too short');
    }
  }
}

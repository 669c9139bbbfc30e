/**
 * Any range of a stored content, without what is before it: of whole records the chunks that hold it, of
 * deltas the commands that make it, and then of their basis in the same way. What it reads is checked by
 * the checksums of chunks and frames; whether a whole content is right only its digest tells.
 *
 * Memory is bounded: decoded chunks and the indexes of deltas are kept while they fit, the least recently
 * used ones go first.
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
import type { Basis } from './delta.js';
import { DeltaIndex } from './delta-index.js';
import { fetchHead, fetchRecord, type RecordHead, type RecordSource } from './fetch-record.js';
import { MAX_CHAIN, type StoredPiece } from './stored-piece.js';

/** What of decoded chunks, and of records that are looked into, is kept for one content and its bases. */
const MAX_CHUNK_BYTES = 6 << 20;
const MAX_OPEN_BYTES = 8 << 20;
/** An open record takes about this besides its index. */
const OPEN_RECORD_BYTES = 2 << 10;

/** Values that have a weight; when they weigh too much the least recently used ones go. */
class Weighed<V> {
  private readonly items = new Map<string, { readonly value: V; readonly weight: number }>();
  private weight = 0;
  private readonly most: number;
  private readonly onGone: (value: V) => void;

  constructor(most: number, onGone: (value: V) => void = () => undefined) {
    this.most = most;
    this.onGone = onGone;
  }

  get(key: string): V | undefined {
    const item = this.items.get(key);
    if (item === undefined) return undefined;
    this.items.delete(key);
    this.items.set(key, item);
    return item.value;
  }

  /** Gives all of it up, and out. */
  clear(): V[] {
    const values = [...this.items.values()].map(({ value }) => value);
    this.items.clear();
    this.weight = 0;
    return values;
  }

  /** The newest one stays, whatever it weighs. */
  add(key: string, value: V, weight: number): void {
    this.items.set(key, { value, weight });
    this.weight += weight;
    for (const [oldest, item] of this.items) {
      if (this.weight <= this.most || oldest === key) return;
      this.items.delete(oldest);
      this.weight -= item.weight;
      this.onGone(item.value);
    }
  }
}

/** What a content and all that it rests on share. */
interface Shared {
  readonly source: RecordSource;
  readonly chunks: Weighed<Buffer>;
  readonly records: Weighed<OpenRecord>;
  /** For encoded bytes. */
  stored: Buffer;
  /** A chunk that was given up, to be filled again: a collector would leave many of them. */
  spare: Buffer | undefined;
}

function newShared(source: RecordSource): Shared {
  const chunks = new Weighed<Buffer>(MAX_CHUNK_BYTES, (chunk) => {
    if (chunk.length === STREAM_CHUNK_BYTES) shared.spare = chunk;
  });
  const records = new Weighed<OpenRecord>(MAX_OPEN_BYTES);
  const shared: Shared = { source, chunks, records, stored: Buffer.alloc(0), spare: undefined };
  return shared;
}

export class ContentRanges implements Basis {
  readonly sizeBytes: number;
  private readonly starts: number[] = [];
  private readonly pieces: readonly StoredPiece[];
  private readonly shared: Shared;
  private readonly depth: number;

  /** Of the pieces of a content, in their order; `shared` and `depth` are its own affair. */
  constructor(source: RecordSource, pieces: readonly StoredPiece[], shared?: Shared, depth = 0) {
    if (depth > MAX_CHAIN) throw new TardisError('RECORD_DAMAGED', 'too many deltas on deltas');
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
   * Fills `bytes` bytes of `target` from `at` on with those of the content from `position` on. One at a
   * time. Throws RECORD_DAMAGED, with the damaged content's digest in `context.damaged`.
   */
  async read(position: number, target: Buffer, at: number, bytes: number): Promise<void> {
    if (position + bytes > this.sizeBytes) {
      throw new TardisError('RECORD_DAMAGED', 'a content ends before what is asked of it');
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

  /** Gives its memory back; what is read afterwards begins anew. */
  release(): void {
    const { shared } = this;
    releaseAll([...shared.chunks.clear(), shared.stored, ...(shared.spare ? [shared.spare] : [])]);
    shared.records.clear();
    shared.stored = Buffer.alloc(0);
    shared.spare = undefined;
  }

  /** The last piece that begins at `position` or before, and is not empty. */
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
      const text = `a content that it is made from is damaged: ${error.message}`;
      throw new TardisError('RECORD_DAMAGED', text, { ...error.context, damaged }, error);
    }
  }

  private async open(piece: StoredPiece): Promise<OpenRecord> {
    const { records } = this.shared;
    const key = `${piece.object}@${piece.position}`;
    const open = records.get(key);
    if (open !== undefined) return open;
    const head = await fetchHead(this.shared.source, piece);
    if ((head.header.kind === RecordKind.delta) !== (piece.basis !== undefined)) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${piece.object} is of another kind`);
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
    records.add(key, record, weight);
    return record;
  }
}

/** A record of which ranges can be read. */
interface OpenRecord {
  /** Fills `target` from a place in the decoded record, or in what it makes. */
  read(from: number, target: Buffer): Promise<void>;
}

/** A record's own bytes, decoded chunk by chunk. */
class RecordBody implements OpenRecord {
  /** Where in the record each chunk stands, as far as it is known. */
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

  /** All of it, in pieces that are good until the next one is asked for. */
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
    chunks.add(key, decoded, decoded.length);
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
    decodeChunk(this.header.codec, { ...head, storedBytes }, stored, target, place);
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
    return new TardisError(
      'RECORD_DAMAGED',
      `a record in ${object} has other bytes than it should`,
    );
  }
}

/** What a delta makes of its basis. */
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
      throw new TardisError('RECORD_DAMAGED', 'a delta makes less than it should');
    }
  }
}

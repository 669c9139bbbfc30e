/** Reads records of contents from a store, decodes them and checks the result. */
import { recordDamaged } from '../errors/index.js';
import type { ContentKeys } from '../model/index.js';
import {
  type ObjectReader,
  RECORD_CHUNKED,
  RecordKind,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import { ContentRanges } from './content-ranges.js';
import { patched } from '../delta/index.js';
import { damagedContent, provenBytes } from './proven-bytes.js';
import { fetchHead, fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import { type ReusedBuffers, room } from './reused-buffers.js';
import { recordChunks } from './record-chunks.js';
import type { RecordPlace, StoredPiece } from './stored-piece.js';
import { decodeWhole, hasContent, MAX_WHOLE_BYTES } from './whole-record.js';

/** A content, or a part of one, within the decoded record. */
export type RecordPiece = Pick<StoredPiece, 'digest' | 'sizeBytes' | 'offset' | 'basis'>;

/** Maximum size of a piece in memory; every piece that a backup makes is within it. */
export const MAX_PIECE_BYTES = 64 << 20;

export class RecordReader {
  /** The record whose decoded bytes are in `memory.decoded`. */
  private current: RecordPlace | undefined;
  private currentBytes = 0;
  /** The basis of the delta that was read last. */
  private basis:
    | { readonly pieces: readonly StoredPiece[]; readonly ranges: ContentRanges }
    | undefined;
  private readonly source: RecordSource;

  /** Creates the reader. `keys` are those of a client that encrypts, undefined for any other client. */
  constructor(
    backend: ObjectReader,
    native: NativeCalls,
    private readonly memory: ReusedBuffers,
    keys?: ContentKeys,
  ) {
    this.source = { backend, native, keys };
  }

  /**
   * Decodes a record into `memory.decoded`. Returns false if the record is chunked or too large for that. Throws
   * RECORD_DAMAGED if it is damaged.
   */
  async isWhole(record: RecordPlace): Promise<boolean> {
    const { current, memory } = this;
    if (record.object === current?.object && record.position === current.position) return true;
    if (record.recordBytes > MAX_WHOLE_BYTES) return false;
    // A large record is probably chunked, so its head is read first.
    if (record.recordBytes > STREAM_CHUNK_BYTES && (await this.isChunked(record))) return false;
    const bytes = await this.fetch(record, 0, record.recordBytes);
    this.current = undefined;
    const whole = decodeWhole(this.source, record, bytes, memory);
    if (whole === undefined) return false;
    this.current = record;
    this.currentBytes = whole.decoded.length;
    return true;
  }

  private async isChunked(record: RecordPlace): Promise<boolean> {
    const { header } = await fetchHead(this.source, record);
    return (header.flags & RECORD_CHUNKED) !== 0;
  }

  /**
   * The bytes of the record that `isWhole` has decoded; empty if chunks were read since. The view is valid until the
   * next call.
   */
  get decoded(): Buffer {
    return this.memory.decoded.subarray(0, this.current === undefined ? 0 : this.currentBytes);
  }

  /** Checks a piece of the record that was decoded last. Throws CONTENT_DAMAGED if it does not match its digest. */
  checkDecoded(piece: RecordPiece): void {
    const { decoded } = this.memory;
    if (!hasContent(this.source, decoded.subarray(0, this.currentBytes), piece))
      throw damagedContent();
  }

  /**
   * Yields the bytes of a piece in parts. Each part is valid until the next one is requested, and must only be read.
   * Throws CONTENT_DAMAGED after the last part if the digest does not match. If a basis of the content is damaged, throws
   * an error with the digest of that basis in `context.damaged`.
   */
  async *pieceBytes(record: RecordPlace, piece: RecordPiece): AsyncGenerator<Buffer> {
    const { sizeBytes, offset } = piece;
    if (await this.isWhole(record)) {
      this.checkDecoded(piece);
      yield this.memory.decoded.subarray(offset, offset + sizeBytes);
      return;
    }
    yield* provenBytes(this.source, this.uncheckedBytes(record, piece), piece);
  }

  /**
   * Yields the bytes as `pieceBytes` does, but checks only the checksums of the record, not the digest. Each part is valid
   * until the next one is requested; those of a record of LEAST_AHEAD_BYTES or more, until the one after that. Throws
   * RECORD_DAMAGED if a checksum or the kind of the record is wrong.
   */
  async *uncheckedBytes(record: RecordPlace, piece: RecordPiece): AsyncGenerator<Buffer> {
    const { sizeBytes, offset } = piece;
    if (await this.isWhole(record)) {
      yield this.memory.decoded.subarray(offset, offset + sizeBytes);
      return;
    }
    const head = await fetchHead(this.source, record);
    const isDelta = head.header.kind === RecordKind.delta;
    if (isDelta !== (piece.basis !== undefined)) {
      throw recordDamaged(`a record in ${record.object} is of the wrong kind`);
    }
    const chunks = this.chunks(record, head);
    if (piece.basis === undefined) {
      yield* chunks;
      return;
    }
    yield* patched(this.source.native, chunks, this.rangesOf(piece.basis), piece.sizeBytes);
  }

  /**
   * Returns a reader of a basis. It is kept with its caches until another basis is read, since parts of a content
   * usually have the same basis.
   */
  private rangesOf(pieces: readonly StoredPiece[]): ContentRanges {
    if (this.basis?.pieces === pieces) return this.basis.ranges;
    this.basis?.ranges.release();
    const ranges = new ContentRanges(this.source, pieces);
    this.basis = { pieces, ranges };
    return ranges;
  }

  /** Frees the memory of the basis. */
  release(): void {
    this.basis?.ranges.release();
    this.basis = undefined;
  }

  /** Yields the decoded body of a chunked record, for example of a signature. */
  async *body(record: RecordPlace): AsyncGenerator<Buffer> {
    yield* this.chunks(record, await fetchHead(this.source, record));
  }

  private chunks(record: RecordPlace, head: RecordHead): AsyncGenerator<Buffer> {
    this.current = undefined;
    return recordChunks(this.source, record, head, { memory: this.memory });
  }

  private async fetch(record: RecordPlace, from: number, bytes: number): Promise<Buffer> {
    this.memory.stored = room(this.memory.stored, bytes);
    return fetchRecord(this.source.backend, record, from, this.memory.stored.subarray(0, bytes));
  }
}

/** Reads contents as streams of bytes, which are checked before they are returned. */
import {
  ContentsAhead,
  MAX_PIECE_BYTES,
  rangeOf,
  ReusedBuffers,
  recordKey,
  RecordReader,
} from '../contents/index.js';
import { type History, type ContentPiece, keptReads, type ObjectReader } from '../history/index.js';
import { recordDamaged, TardisError } from '../errors/index.js';
import type { ContentKeys } from '../model/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import { type NativeCalls, type System, yieldRegularly } from '../system/index.js';

/** Maximum number of readers; each holds a decoded record, mostly of 1 MiB. */
const MAX_READERS = 16;

export class ContentReader {
  private readonly backend: ObjectReader;
  private readonly native: NativeCalls;
  private readonly keys: ContentKeys | undefined;
  /**
   * Readers by the record that each has decoded last, least recently used first. The files of a directory lie in
   * several frames, and those of the next directory in the same frames.
   */
  private readonly readers = new Map<string, RecordReader>();
  /** Reads records that are larger than a frame, one after the other. They are kept apart from the frames. */
  private readonly large: RecordReader;
  private readonly largeBackend: ObjectReader;
  /** Buffer for pieces that do not fit into a frame. */
  private piece: Buffer = Buffer.alloc(0);
  private readonly mayPassEarly: boolean;
  /** Lets signals in between the chunks, since the bytes of a local store are read without a turn of the event loop. */
  private readonly breathe: () => Promise<void> | undefined;
  private readonly ahead: ContentsAhead;

  /**
   * `mayPassEarly`: true to return the chunks of a large piece when their checksums are right, and compare its digest
   * only at its end. The caller must then be able to end its output so that it does not look complete.
   */
  constructor(system: System, history: History, mayPassEarly = false, signal?: AbortSignal) {
    this.breathe = yieldRegularly(signal);
    this.backend = keptReads(system, history, history.objects());
    this.largeBackend = keptReads(system, history, history.objects());
    this.native = system.native;
    this.keys = history.contentKeys;
    this.mayPassEarly = mayPassEarly;
    this.large = new RecordReader(this.largeBackend, system.native, new ReusedBuffers(), this.keys);
    this.ahead = new ContentsAhead(system, history, this.backend);
  }

  /** Announces the contents that are read next, in their order. Most of them can then be decoded ahead. */
  expect(contents: readonly (readonly ContentPiece[])[]): void {
    this.ahead.plan(contents);
  }

  /**
   * Returns all bytes of a content that was announced, valid until the next call; undefined if it cannot be decoded ahead.
   * Throws as `bytes`.
   */
  async ready(pieces: readonly ContentPiece[]): Promise<Buffer | undefined> {
    const [piece] = pieces;
    return piece === undefined || pieces.length > 1 ? undefined : this.ahead.take(piece);
  }

  /**
   * Yields the bytes of a content; each chunk is valid until the next one is requested. Each piece (at most 64
   * MiB) is checked before any of it is returned, unless it may pass early. Throws CONTENT_DAMAGED, RECORD_DAMAGED, INTERRUPTED.
   */
  async *bytes(pieces: readonly ContentPiece[]): AsyncGenerator<Buffer> {
    for (const piece of pieces) yield* this.pieceBytes(piece);
  }

  /** Reads a content only to check it. Throws CONTENT_DAMAGED, RECORD_DAMAGED, INTERRUPTED. */
  async check(pieces: readonly ContentPiece[]): Promise<void> {
    for (const piece of pieces) {
      // The loop reads all of the piece; damage is thrown at its end.
      for await (const _ of this.breathing(this.reader(piece).pieceBytes(piece, piece)));
    }
  }

  close(): void {
    this.ahead.close();
    this.backend.close();
    this.largeBackend.close();
  }

  private reader(piece: ContentPiece): RecordReader {
    if (piece.recordBytes > STREAM_CHUNK_BYTES) {
      this.largeBackend.expect?.([rangeOf(piece)]);
      return this.large;
    }
    const key = recordKey(piece);
    let reader = this.readers.get(key);
    if (reader !== undefined) this.readers.delete(key);
    else if (this.readers.size < MAX_READERS) {
      reader = new RecordReader(this.backend, this.native, new ReusedBuffers(), this.keys);
    } else {
      const [oldest, spare] = this.readers.entries().next().value!;
      this.readers.delete(oldest);
      reader = spare;
    }
    this.readers.set(key, reader);
    return reader;
  }

  /** Yields the chunks. Throws INTERRUPTED once the signal is aborted. */
  private async *breathing(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      await this.breathe();
      yield chunk;
    }
  }

  private async *pieceBytes(piece: ContentPiece): AsyncGenerator<Buffer> {
    await this.breathe();
    const decoded = await this.ahead.take(piece);
    if (decoded !== undefined) {
      yield decoded;
      return;
    }
    const reader = this.reader(piece);
    const chunks = this.breathing(reader.pieceBytes(piece, piece));
    if (this.mayPassEarly || (await reader.isWhole(piece))) {
      yield* chunks;
      return;
    }
    const { sizeBytes } = piece;
    if (sizeBytes > MAX_PIECE_BYTES) {
      throw recordDamaged(`a piece in ${piece.object} claims too much`);
    }
    if (this.piece.length < sizeBytes) this.piece = Buffer.allocUnsafeSlow(sizeBytes);
    let at = 0;
    for await (const chunk of chunks) {
      if (at + chunk.length > sizeBytes) {
        throw new TardisError('CONTENT_DAMAGED', 'there are more bytes than there should be');
      }
      chunk.copy(this.piece, at);
      at += chunk.length;
    }
    yield this.piece.subarray(0, at);
  }
}

/** Contents as streams of bytes that are known to be right before they are handed out. */
import type { Archive, ContentPiece, ObjectReader } from '../archive/index.js';
import { MAX_PIECE_BYTES, ReaderMemory, RecordReader } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import type { ContentKeys } from '../model/index.js';
import type { NativeCalls, System } from '../system/index.js';

/** Each holds a decoded record of 1 MiB mostly. */
const MAX_READERS = 16;

export class ContentReader {
  private readonly backend: ObjectReader;
  private readonly native: NativeCalls;
  private readonly keys: ContentKeys | undefined;
  /**
   * Readers by the record each has decoded last, least recently used first: the files of a directory
   * lie in several frames, and those of the next one in the same.
   */
  private readonly readers = new Map<string, RecordReader>();
  /** For pieces that do not fit into a frame. */
  private piece: Buffer = Buffer.alloc(0);

  constructor(system: System, archive: Archive) {
    this.backend = archive.objects();
    this.native = system.native;
    this.keys = archive.contentKeys;
  }

  /**
   * The bytes of a content, good until the next ones are asked for. Each piece (64 MiB at most) is
   * checked before any of it is handed out. Throws CONTENT_DAMAGED, RECORD_DAMAGED.
   */
  async *bytes(pieces: readonly ContentPiece[]): AsyncGenerator<Buffer> {
    for (const piece of pieces) yield* this.pieceBytes(piece);
  }

  /** Reads a content for nothing but to know that it is right. */
  async check(pieces: readonly ContentPiece[]): Promise<void> {
    for (const piece of pieces) {
      // All of it has been read when the loop ends; what is wrong is told then.
      for await (const _ of this.reader(piece).pieceBytes(piece, piece));
    }
  }

  close(): void {
    this.backend.close();
  }

  private reader({ object, position }: ContentPiece): RecordReader {
    const key = `${object}@${position}`;
    let reader = this.readers.get(key);
    if (reader !== undefined) this.readers.delete(key);
    else if (this.readers.size < MAX_READERS) {
      reader = new RecordReader(this.backend, this.native, new ReaderMemory(), this.keys);
    } else {
      const [oldest, spare] = this.readers.entries().next().value!;
      this.readers.delete(oldest);
      reader = spare;
    }
    this.readers.set(key, reader);
    return reader;
  }

  private async *pieceBytes(piece: ContentPiece): AsyncGenerator<Buffer> {
    const reader = this.reader(piece);
    if (await reader.isWhole(piece)) {
      yield* reader.pieceBytes(piece, piece);
      return;
    }
    const { sizeBytes } = piece;
    if (sizeBytes > MAX_PIECE_BYTES) {
      throw new TardisError('RECORD_DAMAGED', `a piece in ${piece.object} claims too much`);
    }
    if (this.piece.length < sizeBytes) this.piece = Buffer.allocUnsafeSlow(sizeBytes);
    let at = 0;
    for await (const chunk of reader.pieceBytes(piece, piece)) {
      if (at + chunk.length > sizeBytes) {
        throw new TardisError('CONTENT_DAMAGED', 'there are more bytes than there should be');
      }
      chunk.copy(this.piece, at);
      at += chunk.length;
    }
    yield this.piece.subarray(0, at);
  }
}

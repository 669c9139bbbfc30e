/**
 * The contents of one client's files, of which any range can be read. All requests for the client share the decoded
 * data.
 */
import { createHash } from 'node:crypto';
import {
  DecodedBlocks,
  mayHaveMoved,
  OpenContent,
  type RecordDecoder,
} from '../../../contents/index.js';
import {
  type ContentPiece,
  type History,
  type HistoryEntry,
  keptReads,
  type ObjectReader,
} from '../../../history/index.js';
import { TardisError } from '../../../errors/index.js';
import { isSparse } from '../../../model/index.js';
import type { System } from '../../../system/index.js';

/** Maximum number of bytes that one read returns. */
const PART_BYTES = 256 << 10;

/** A range of a file: `bytes` bytes, beginning at `from`. */
export interface ByteRange {
  readonly from: number;
  readonly bytes: number;
}

interface Opened {
  readonly content: OpenContent;
  /**
   * Pieces whose digests can be compared without a key. Empty for a sparse file, whose stored bytes differ from the
   * bytes that are read.
   */
  readonly pieces: readonly ContentPiece[];
}

export class OpenContents {
  /** Reads records as they are stored. */
  readonly objects: ObjectReader;
  private readonly records: ObjectReader;
  private readonly blocks: DecodedBlocks;

  constructor(
    system: System,
    private readonly history: History,
    decoder: RecordDecoder,
  ) {
    this.objects = history.objects();
    const source = { backend: this.objects, native: system.native, keys: history.contentKeys };
    this.records = keptReads(system, history, this.objects);
    this.blocks = new DecodedBlocks(source, decoder, history.directory, this.records);
  }

  close(): void {
    this.records.close();
  }

  /**
   * Yields the bytes of a range of a regular file; the caller may keep each part. The range must lie in the file. If the range
   * is the whole file, digests are compared, and damage ends the iteration. Throws NO_ACCESS, CONTENT_DAMAGED,
   * RECORD_DAMAGED, and other errors of reading.
   */
  async *bytes(entry: HistoryEntry, { from, bytes }: ByteRange): AsyncGenerator<Buffer, void> {
    const { pieces, ...first } = await this.open(entry);
    let { content } = first;
    const digests = new PieceDigests(from === 0 && bytes === entry.sizeBytes ? pieces : []);
    let mayReopen = true;
    for (let at = from; at < from + bytes; ) {
      let part: Buffer;
      try {
        part = await readPart(content, at, Math.min(PART_BYTES, from + bytes - at));
      } catch (error) {
        // The records of the content may have been moved since they were located, so it is opened once more.
        if (!mayHaveMoved(error) || !mayReopen) throw error;
        mayReopen = false;
        ({ content } = await this.open(entry));
        continue;
      }
      if (part.length === 0) throw new TardisError('CONTENT_DAMAGED', 'a content is too short');
      digests.take(part);
      at += part.length;
      yield part;
    }
  }

  private async open(entry: HistoryEntry): Promise<Opened> {
    const { history, blocks } = this;
    if (!history.access.mayRead(entry)) {
      throw new TardisError('NO_ACCESS', 'no permission to read the content');
    }
    const isEmpty = entry.contentId === undefined && entry.sizeBytes === 0;
    const [pieces] = isEmpty ? [[]] : await history.locate([entry]);
    if (pieces === undefined || (entry.contentId === undefined && !isEmpty)) {
      throw new TardisError('CONTENT_DAMAGED', 'the store lacks the content');
    }
    const isForm = isSparse(entry.metadata);
    const content = await OpenContent.open(pieces, { isSparse: isForm, isLone: true }, blocks);
    return { content, pieces: isForm || history.contentKeys !== undefined ? [] : pieces };
  }
}

/** Compares the digests of pieces that are read one after another. */
class PieceDigests {
  private index = 0;
  private left: number;
  private hash = createHash('sha256');

  constructor(private readonly pieces: readonly ContentPiece[]) {
    this.left = pieces[0]?.sizeBytes ?? 0;
  }

  /** Adds bytes. Throws CONTENT_DAMAGED at the end of a damaged piece, before its last bytes are used. */
  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = this.pieces[this.index];
      if (piece === undefined) return;
      const part = bytes.subarray(at, at + this.left);
      this.hash.update(part);
      at += part.length;
      this.left -= part.length;
      if (this.left > 0) return;
      if (!this.hash.digest().equals(piece.digest)) {
        throw new TardisError('CONTENT_DAMAGED', 'the data does not match its digest');
      }
      this.hash = createHash('sha256');
      this.index += 1;
      this.left = this.pieces[this.index]?.sizeBytes ?? 0;
    }
  }
}

/** Reads at most `bytes` bytes from `at` on. Returns a copy, since decoded data may be freed during the next await. */
async function readPart(content: OpenContent, at: number, bytes: number): Promise<Buffer> {
  const { data, from, bytes: count } = await content.read(at, bytes);
  return Buffer.from(data.subarray(from, from + count));
}

/**
 * Reads any range of a content from the decoded records that hold it. If a record is a delta, its commands show which
 * bytes are in the delta, and which must be read from the basis in the same way.
 */
import { DeltaIndex } from '../delta/index.js';
import { recordDamaged, TardisError } from '../errors/index.js';
import { startBefore } from '../model/index.js';
import { BoundedCache, keepLoading } from '../system/index.js';
import type { Soon } from './soon.js';
import { MAX_CHAIN, recordKey, type StoredPiece } from './stored-piece.js';

/** Maximum number of bytes of the indexes of deltas that are kept. */
const MAX_INDEX_BYTES = 8 << 20;

/** A content that consists of these pieces, in order. */
export class Pieces {
  readonly sizeBytes: number;
  private readonly starts: number[] = [];

  constructor(readonly pieces: readonly StoredPiece[]) {
    let sizeBytes = 0;
    for (const piece of pieces) {
      this.starts.push(sizeBytes);
      sizeBytes += piece.sizeBytes;
    }
    this.sizeBytes = sizeBytes;
  }

  /** Returns the piece that contains a position, and the position within the piece. */
  at(position: number): { piece: StoredPiece; from: number } {
    const index = startBefore(this.starts, this.starts.length, position);
    return { piece: this.pieces[index]!, from: position - this.starts[index]! };
  }
}

/** Stored records of which any decoded range can be read. */
export interface DecodedRecords {
  /** Fills `target` with the bytes of a piece's decoded record from `from` on. Throws RECORD_DAMAGED, CONTENT_DAMAGED. */
  fill(piece: StoredPiece, from: number, target: Buffer): Promise<void>;
  /** Yields the whole decoded record of a piece. Each part is valid until the next one is requested. */
  all(piece: StoredPiece): AsyncIterable<Buffer>;
}

interface Delta {
  readonly index: DeltaIndex;
  readonly basis: Pieces;
}

export class RangeReader {
  private readonly deltas = new BoundedCache<string, Soon<Delta>>(MAX_INDEX_BYTES);

  constructor(private readonly records: DecodedRecords) {}

  /**
   * Fills `target` with the bytes of a content from a position on. `depth` is the number of deltas that build on the
   * content. Throws RECORD_DAMAGED if the content ends before that range, or if more than MAX_CHAIN deltas build on each
   * other. If a basis is damaged, the error has the digest of its damaged piece in `context.damaged`.
   */
  async fill(content: Pieces, position: number, target: Buffer, depth = 0): Promise<void> {
    if (depth > MAX_CHAIN) throw recordDamaged('the chain of deltas is too long');
    if (position + target.length > content.sizeBytes) throw tooShort();
    for (let done = 0; done < target.length; ) {
      const { piece, from } = content.at(position + done);
      const bytes = Math.min(target.length - done, piece.sizeBytes - from);
      if (bytes <= 0) throw tooShort();
      try {
        await this.fillPiece(piece, from, target.subarray(done, done + bytes), depth);
      } catch (error) {
        throw depth === 0 ? error : ofBasis(error, piece);
      }
      done += bytes;
    }
  }

  /** Frees the memory of the indexes. */
  release(): void {
    void this.deltas.clear(); // those who read them get their results
  }

  private async fillPiece(
    piece: StoredPiece,
    from: number,
    target: Buffer,
    depth: number,
  ): Promise<void> {
    if (piece.basis === undefined) return this.records.fill(piece, piece.offset + from, target);
    const { index, basis } = await this.deltaOf(piece, piece.basis);
    let done = 0;
    for (const stretch of index.stretches(from, target.length)) {
      const part = target.subarray(done, done + stretch.bytes);
      if (stretch.isLiteral) await this.records.fill(piece, stretch.from, part);
      else await this.fill(basis, stretch.from, part, depth + 1);
      done += stretch.bytes;
    }
    if (done < target.length) throw tooShort();
  }

  private deltaOf(piece: StoredPiece, pieces: readonly StoredPiece[]): Soon<Delta> {
    const basis = new Pieces(pieces);
    const key = `${recordKey(piece)}/${basis.sizeBytes}`;
    const known = this.deltas.get(key);
    if (known !== undefined) return known;
    const { sizeBytes } = piece;
    const reading = DeltaIndex.read(this.records.all(piece), basis.sizeBytes, sizeBytes);
    const delta = reading.then((index) => ({ index, basis }));
    return keepLoading(this.deltas, key, delta, ({ index }) => index.memoryBytes);
  }
}

/** Returns the error for a damaged piece of a basis, with its digest; other errors as they are. */
function ofBasis(error: unknown, { digest }: StoredPiece): unknown {
  if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') return error;
  if (error.context['damaged'] !== undefined) return error;
  const damaged = Buffer.from(digest).toString('hex');
  const text = `a content that it depends on is damaged: ${error.message}`;
  return recordDamaged(text, { ...error.context, damaged }, error);
}

/** Returns the error for a content that is shorter than the range to be read. */
export function tooShort(): TardisError {
  return recordDamaged('a content ends before the requested range');
}

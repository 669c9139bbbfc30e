/**
 * Reads data before a job requests it, because the store may be remote. It is given the records of the job in the order
 * of their use, and keeps their data until the job requests it.
 */
import type { ObjectReader } from '../history/index.js';
import { releaseMemory } from '../model/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';

/** Number of bytes of a large record that are read at once. Other records are read whole, as by all other readers. */
const PIECE_BYTES = 512 << 10;
/** Maximum number of bytes that are read but not requested yet. */
const WINDOW_BYTES = 4 << 20;

/** A record to read. */
export interface ReadRange {
  readonly object: string;
  readonly position: number;
  readonly recordBytes: number;
}

interface Piece {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
  data: Promise<Uint8Array> | undefined;
  isDone: boolean;
}

export class ReadAhead implements ObjectReader {
  private readonly pieces: Piece[] = [];
  private readonly byObject = new Map<string, Piece[]>();
  private next = 0;
  private heldBytes = 0;
  private isClosed = false;
  private readonly perhaps: ReadRange[];

  /**
   * Begins to read `ranges` at once. The ranges in `perhaps` may not be needed, so each is read only when the job
   * requests it. `reader` is never closed.
   */
  constructor(
    private readonly reader: ObjectReader,
    ranges: readonly ReadRange[],
    perhaps: readonly ReadRange[] = [],
  ) {
    this.perhaps = [...perhaps];
    this.pieces.push(...ranges.flatMap((range) => this.piecesOf(range)));
    this.pump();
  }

  async read(object: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const end = position + bytes;
    this.nowNeeded(object, position);
    const own = (this.byObject.get(object) ?? []).filter(
      (piece) => piece.position < end && piece.position + piece.bytes > position && !piece.isDone,
    );
    if (!covers(own, position, end)) return this.reader.read(object, position, target, bytes);
    let got = 0;
    for (const piece of own) {
      this.begin(piece);
      const data = await piece.data!;
      const from = Math.max(0, position - piece.position);
      const part = data.subarray(from, Math.min(data.length, end - piece.position));
      target.set(part, Math.max(0, piece.position - position));
      got += part.length;
      const isShort = data.length < piece.bytes;
      if (piece.position + piece.bytes <= end) this.drop(piece, data);
      if (isShort) break;
    }
    this.pump();
    return got;
  }

  close(): void {
    this.isClosed = true;
    for (const piece of this.pieces) this.drop(piece);
  }

  private piecesOf({ object, position, recordBytes }: ReadRange): Piece[] {
    const own = this.byObject.get(object) ?? [];
    this.byObject.set(object, own);
    const pieces: Piece[] = [];
    const mostBytes = recordBytes > STREAM_CHUNK_BYTES ? PIECE_BYTES : recordBytes;
    for (let from = 0; from < recordBytes; from += mostBytes) {
      const bytes = Math.min(mostBytes, recordBytes - from);
      pieces.push({ object, position: position + from, bytes, data: undefined, isDone: false });
    }
    own.push(...pieces);
    own.sort((one, other) => one.position - other.position);
    return pieces;
  }

  private nowNeeded(object: string, position: number): void {
    const index = this.perhaps.findIndex(
      (range) =>
        range.object === object &&
        range.position <= position &&
        position < range.position + range.recordBytes,
    );
    if (index < 0) return;
    const [range] = this.perhaps.splice(index, 1);
    this.pieces.splice(this.next, 0, ...this.piecesOf(range!));
  }

  private pump(): void {
    while (!this.isClosed && this.heldBytes < WINDOW_BYTES) {
      const piece = this.pieces[this.next];
      if (piece === undefined) return;
      this.next += 1;
      if (!piece.isDone) this.begin(piece);
    }
  }

  private begin(piece: Piece): void {
    if (piece.data !== undefined) return;
    const { object, position, bytes } = piece;
    const target = new Uint8Array(bytes);
    this.heldBytes += bytes;
    const data = this.reader
      .read(object, position, target, bytes)
      .then((got) => target.subarray(0, got));
    data.catch(() => undefined); // the error is thrown when this piece is requested
    piece.data = data;
  }

  /**
   * Removes a piece, and frees the memory of `data` at once if it is given. If that memory were left to V8, V8 would
   * collect garbage after every few pieces.
   */
  private drop(piece: Piece, data?: Uint8Array): void {
    if (data !== undefined) releaseMemory(data);
    if (piece.data !== undefined && !piece.isDone) this.heldBytes -= piece.bytes;
    piece.isDone = true;
    piece.data = undefined;
  }
}

/** True if pieces in ascending order leave no gap between two positions. */
function covers(pieces: readonly Piece[], position: number, end: number): boolean {
  let at = position;
  for (const piece of pieces) {
    if (piece.position > at) return false;
    at = piece.position + piece.bytes;
  }
  return at >= end;
}

/**
 * A content of which any range can be read without decoding the data before it. Decoded bytes are kept in `DecodedBlocks`.
 */
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import { checkPiece } from './decoded-cache.js';
import { Pieces, tooShort } from './range-reader.js';
import { after, type Soon } from './soon.js';
import { SPARSE_START_BYTES, SparseMap, sparseHeadBytes } from './sparse.js';
import type { StoredPiece } from './stored-piece.js';
import type { DecodedBlocks } from './decoded-blocks.js';

/** Number of chunks that are decoded ahead of a sequential reader. */
const AHEAD_CHUNKS = 3;

/** Bytes of a content, which the caller must use at once (see DecodedBlock). */
export interface ReadBytes {
  readonly data: Uint8Array;
  readonly from: number;
  readonly bytes: number;
}

/** Bytes at the end of a file: none. */
export const NO_READ: ReadBytes = { data: new Uint8Array(0), from: 0, bytes: 0 };

interface HowOpen {
  readonly map: SparseMap | undefined;
  readonly isLone: boolean;
}

export class OpenContent {
  /** Size of the file. */
  readonly sizeBytes: number;
  /** Map of the data of a sparse file; undefined for other files. */
  readonly map: SparseMap | undefined;
  private lastEnd = -1;
  /** True if the content is decoded alone (see `DecodedBlocks.holding`). */
  private readonly isLone: boolean;

  private constructor(
    private readonly form: Pieces,
    private readonly blocks: DecodedBlocks,
    how: Partial<HowOpen> = {},
  ) {
    const { map, isLone = false } = how;
    this.map = map;
    this.isLone = isLone;
    this.sizeBytes = map?.fileBytes ?? form.sizeBytes;
  }

  /** Opens a content. For a sparse file, the head of the sparse form is read. `isLone`: see `DecodedBlocks.holding`. */
  static open(
    pieces: readonly StoredPiece[],
    { isSparse, isLone }: { readonly isSparse: boolean; readonly isLone: boolean },
    blocks: DecodedBlocks,
  ): Soon<OpenContent> {
    const form = new Pieces(pieces);
    if (!isSparse) return new OpenContent(form, blocks, { isLone });
    return OpenContent.openSparse(form, blocks);
  }

  private static async openSparse(form: Pieces, blocks: DecodedBlocks): Promise<OpenContent> {
    const plain = new OpenContent(form, blocks);
    const start = Buffer.alloc(SPARSE_START_BYTES);
    if (form.sizeBytes < start.length) throw tooShort();
    await plain.fill(0, start);
    const bytes = sparseHeadBytes(start);
    if (form.sizeBytes < bytes) throw tooShort();
    const head = Buffer.alloc(bytes);
    await plain.fill(0, head);
    const map = new SparseMap(head);
    if (map.formBytes !== form.sizeBytes) throw tooShort();
    return new OpenContent(form, blocks, { map });
  }

  /** Returns at most `bytes` bytes from a position; fewer at the end. The caller must use them at once (see DecodedBlock). */
  read(position: number, bytes: number): Soon<ReadBytes> {
    const count = Math.max(0, Math.min(bytes, this.sizeBytes - position));
    if (count === 0) return NO_READ;
    const isRandom = position !== this.lastEnd && position !== 0;
    if (this.map === undefined) this.readAhead(position, count);
    const there = this.map === undefined ? this.inOneBlock(position, count, isRandom) : undefined;
    return after(there, (data) => data ?? this.copied(position, count));
  }

  private async copied(position: number, count: number): Promise<ReadBytes> {
    const target = Buffer.allocUnsafeSlow(count);
    if (this.map === undefined) await this.fill(position, target);
    else await this.fillSparse(this.map, position, target);
    return { data: target, from: 0, bytes: count };
  }

  /** Returns a view of a decoded block, if a single block contains the whole range. */
  private inOneBlock(
    position: number,
    count: number,
    isRandom: boolean,
  ): Soon<ReadBytes | undefined> {
    const { piece, from } = this.form.at(position);
    if (piece.basis !== undefined || from + count > piece.sizeBytes) return undefined;
    const { blocks } = this;
    return after(blocks.layout(piece), (layout) => {
      if (layout !== undefined) {
        const number = Math.floor(from / STREAM_CHUNK_BYTES);
        const start = from - number * STREAM_CHUNK_BYTES;
        if (start + count > STREAM_CHUNK_BYTES) return undefined;
        const block = isRandom
          ? blocks.range(piece, layout, number, { offset: start, sizeBytes: count })
          : blocks.chunk(piece, layout, number);
        return after(block, ({ bytes, startBytes }) => {
          return { data: bytes, from: start - startBytes, bytes: count };
        });
      }
      return after(blocks.holding(piece, this.isLone), (block) => {
        if (block === undefined) return undefined;
        checkPiece(block, piece);
        if (from + count === piece.sizeBytes) blocks.noteRead(piece, block);
        return { data: block.bytes, from: piece.offset - block.startBytes + from, bytes: count };
      });
    });
  }

  /** Fills `target` from a position of the stored form. */
  private async fill(position: number, target: Buffer): Promise<void> {
    await this.blocks.ranges.fill(this.form, position, target);
  }

  private async fillSparse(map: SparseMap, position: number, target: Buffer): Promise<void> {
    target.fill(0);
    const end = position + target.length;
    for (let at = position; at < end; ) {
      const data = map.dataFrom(at);
      if (data === undefined || data.offset >= end) return;
      const from = Math.max(at, data.offset);
      const to = Math.min(end, data.offset + data.bytes);
      const part = target.subarray(from - position, to - position);
      await this.fill(data.at + (from - data.offset), part);
      at = to;
    }
  }

  /** Begins to decode the data after this range, for a sequential reader. */
  private readAhead(position: number, count: number): void {
    const isNext = position === this.lastEnd;
    this.lastEnd = position + count;
    if (!isNext) return;
    const { blocks } = this;
    const first = Math.floor(this.lastEnd / STREAM_CHUNK_BYTES);
    for (let next = first; next < first + AHEAD_CHUNKS; next += 1) {
      const at = Math.max(this.lastEnd, next * STREAM_CHUNK_BYTES);
      if (at >= this.sizeBytes || blocks.running >= AHEAD_CHUNKS) return;
      const { piece, from } = this.form.at(at);
      if (piece.basis !== undefined) return;
      const layout = blocks.layout(piece);
      if (layout === undefined) continue;
      if (layout instanceof Promise) {
        layout.catch(() => undefined); // the reader gets the error
        return;
      }
      const number = Math.floor(from / STREAM_CHUNK_BYTES);
      if (blocks.has(piece, number)) continue;
      const chunk = blocks.chunk(piece, layout, number, true);
      if (chunk instanceof Promise) chunk.catch(() => undefined); // the reader gets the error
    }
  }

  /** Begins to decode a small content, usually with its whole record. Returns false if that must wait. */
  prefetch(): boolean {
    const [piece] = this.form.pieces;
    const { blocks } = this;
    if (piece === undefined || piece.basis !== undefined) return true;
    const layout = blocks.layout(piece);
    if (layout instanceof Promise) layout.catch(() => undefined); // the reader gets the error
    return layout !== undefined || blocks.prefetchHolding(piece, this.isLone);
  }

  /**
   * Returns the whole content, if it is small and decoded; undefined if it must be decoded first; false if it is never
   * in one piece. The caller must use it at once (see DecodedBlock). Throws CONTENT_DAMAGED.
   */
  ready(): ReadBytes | undefined | false {
    const { map, form, blocks } = this;
    const [piece] = form.pieces;
    if (map !== undefined || form.pieces.length !== 1 || piece?.basis !== undefined) return false;
    const layout = blocks.layout(piece!);
    if (layout !== undefined) return layout instanceof Promise ? undefined : false;
    const block = blocks.decodedHolding(piece!);
    if (block === undefined) return undefined;
    checkPiece(block, piece!);
    return { data: block.bytes, from: piece!.offset - block.startBytes, bytes: piece!.sizeBytes };
  }

  /** Records that the whole content was read. */
  noteRead(): void {
    const [piece] = this.form.pieces;
    const block = piece && this.blocks.decodedHolding(piece);
    if (block !== undefined) this.blocks.noteRead(piece!, block);
  }
}

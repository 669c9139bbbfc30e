/**
 * A content of which any range can be read without decoding the data before it. Decoded bytes are kept in `Units`. The
 * commands of a delta are indexed. A range is then read in the same way from its literals and from its basis.
 */
import { MAX_CHAIN, type StoredPiece, SparseMap, sparseHeadBytes } from '../contents/index.js';
import { DeltaIndex } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import type { DeltaIndexes } from './delta-indexes.js';
import { NO_DATA, type ReplyData } from './kernel.js';
import { after, type Soon } from './tree.js';
import type { Unit } from './kept-units.js';
import type { Units } from './units.js';

/** Number of chunks that are decoded ahead of a sequential reader. */
const AHEAD_CHUNKS = 3;

export interface ContentMemory {
  readonly units: Units;
  readonly indexes: DeltaIndexes;
}

/** A sequence of consecutive pieces. */
class Pieces {
  readonly sizeBytes: number;
  private readonly starts: number[] = [];
  readonly pieces: readonly StoredPiece[];

  constructor(pieces: readonly StoredPiece[]) {
    this.pieces = pieces;
    let sizeBytes = 0;
    for (const piece of pieces) {
      this.starts.push(sizeBytes);
      sizeBytes += piece.sizeBytes;
    }
    this.sizeBytes = sizeBytes;
  }

  /** Returns the piece that contains a position, and the position within the piece. */
  at(position: number): { piece: StoredPiece; from: number } {
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return { piece: this.pieces[low]!, from: position - this.starts[low]! };
  }
}

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
  private readonly form: Pieces;
  private readonly memory: ContentMemory;
  /** True if the content is decoded alone (see `Units.holding`). */
  private readonly isLone: boolean;

  private constructor(form: Pieces, memory: ContentMemory, how: Partial<HowOpen> = {}) {
    const { map, isLone = false } = how;
    this.form = form;
    this.memory = memory;
    this.map = map;
    this.isLone = isLone;
    this.sizeBytes = map?.fileBytes ?? form.sizeBytes;
  }

  /** Opens a content. For a sparse file, the head of the sparse form is read. `isLone`: see `Units.holding`. */
  static open(
    pieces: readonly StoredPiece[],
    { isSparse, isLone }: { readonly isSparse: boolean; readonly isLone: boolean },
    memory: ContentMemory,
  ): Soon<OpenContent> {
    const form = new Pieces(pieces);
    if (!isSparse) return new OpenContent(form, memory, { isLone });
    return OpenContent.openSparse(form, memory);
  }

  private static async openSparse(form: Pieces, memory: ContentMemory): Promise<OpenContent> {
    const plain = new OpenContent(form, memory);
    const start = Buffer.alloc(sparseHeadBytes(undefined));
    if (form.sizeBytes < start.length) throw tooShort();
    await plain.fill(0, start);
    const bytes = sparseHeadBytes(start);
    if (form.sizeBytes < bytes) throw tooShort();
    const head = Buffer.alloc(bytes);
    await plain.fill(0, head);
    const map = new SparseMap(head);
    if (map.formBytes !== form.sizeBytes) throw tooShort();
    return new OpenContent(form, memory, { map });
  }

  /** Returns at most `bytes` bytes from a position; fewer at the end. The caller must use them at once (see Unit). */
  read(position: number, bytes: number): Soon<ReplyData> {
    const count = Math.max(0, Math.min(bytes, this.sizeBytes - position));
    if (count === 0) return NO_DATA;
    const isRandom = position !== this.lastEnd && position !== 0;
    if (this.map === undefined) this.readAhead(position, count);
    const there = this.map === undefined ? this.inOneUnit(position, count, isRandom) : undefined;
    return after(there, (data) => data ?? this.copied(position, count));
  }

  private async copied(position: number, count: number): Promise<ReplyData> {
    const target = Buffer.allocUnsafeSlow(count);
    if (this.map === undefined) await this.fill(position, target);
    else await this.fillSparse(this.map, position, target);
    return { data: target, from: 0, bytes: count };
  }

  /** Returns a view of a decoded unit, if a single unit contains the whole range. */
  private inOneUnit(
    position: number,
    count: number,
    isRandom: boolean,
  ): Soon<ReplyData | undefined> {
    const { piece, from } = this.form.at(position);
    if (piece.basis !== undefined || from + count > piece.sizeBytes) return undefined;
    const { units } = this.memory;
    return after(units.layout(piece), (layout) => {
      if (layout !== undefined) {
        const number = Math.floor(from / STREAM_CHUNK_BYTES);
        const start = from - number * STREAM_CHUNK_BYTES;
        if (start + count > STREAM_CHUNK_BYTES) return undefined;
        const unit = isRandom
          ? units.range(piece, layout, number, { offset: start, sizeBytes: count })
          : units.chunk(piece, layout, number);
        return after(unit, ({ bytes, startBytes }) => {
          return { data: bytes, from: start - startBytes, bytes: count };
        });
      }
      return after(units.holding(piece, this.isLone), (unit) => {
        if (unit === undefined) return undefined;
        checkPiece(unit, piece);
        if (from + count === piece.sizeBytes) units.noteRead(piece, unit);
        return { data: unit.bytes, from: piece.offset - unit.startBytes + from, bytes: count };
      });
    });
  }

  /** Fills `target` from a position of the stored form. */
  private async fill(position: number, target: Buffer): Promise<void> {
    await fillFrom(this.form, position, target, this.memory, 0);
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
    const { units } = this.memory;
    const first = Math.floor(this.lastEnd / STREAM_CHUNK_BYTES);
    for (let next = first; next < first + AHEAD_CHUNKS; next += 1) {
      const at = Math.max(this.lastEnd, next * STREAM_CHUNK_BYTES);
      if (at >= this.sizeBytes || units.running >= AHEAD_CHUNKS) return;
      const { piece, from } = this.form.at(at);
      if (piece.basis !== undefined) return;
      const layout = units.layout(piece);
      if (layout === undefined) continue;
      if (layout instanceof Promise) {
        layout.catch(() => undefined); // the reader gets the error
        return;
      }
      const number = Math.floor(from / STREAM_CHUNK_BYTES);
      if (units.has(piece, number)) continue;
      const chunk = units.chunk(piece, layout, number, true);
      if (chunk instanceof Promise) chunk.catch(() => undefined); // the reader gets the error
    }
  }

  /** Begins to decode a small content, usually with its whole record. Returns false if that must wait. */
  warm(): boolean {
    const [piece] = this.form.pieces;
    const { units } = this.memory;
    if (piece === undefined || piece.basis !== undefined) return true;
    const layout = units.layout(piece);
    if (layout instanceof Promise) layout.catch(() => undefined); // the reader gets the error
    return layout !== undefined || units.warmHolding(piece, this.isLone);
  }

  /**
   * Returns the whole content, if it is small and decoded; undefined if it must be decoded first; false if it is never
   * in one piece. The caller must use it at once (see Unit). Throws CONTENT_DAMAGED.
   */
  ready(): ReplyData | undefined | false {
    const { map, form, memory } = this;
    const [piece] = form.pieces;
    if (map !== undefined || form.pieces.length !== 1 || piece?.basis !== undefined) return false;
    const { units } = memory;
    const layout = units.layout(piece!);
    if (layout !== undefined) return layout instanceof Promise ? undefined : false;
    const unit = units.decodedHolding(piece!);
    if (unit === undefined) return undefined;
    checkPiece(unit, piece!);
    return { data: unit.bytes, from: piece!.offset - unit.startBytes, bytes: piece!.sizeBytes };
  }

  /** Records that the whole content was read. */
  noteRead(): void {
    const [piece] = this.form.pieces;
    const unit = piece && this.memory.units.decodedHolding(piece);
    if (unit !== undefined) this.memory.units.noteRead(piece!, unit);
  }
}

async function fillFrom(
  form: Pieces,
  position: number,
  target: Buffer,
  memory: ContentMemory,
  depth: number,
): Promise<void> {
  if (depth > MAX_CHAIN) {
    throw new TardisError('RECORD_DAMAGED', 'the chain of deltas is too long');
  }
  if (position + target.length > form.sizeBytes) throw tooShort();
  for (let done = 0; done < target.length; ) {
    const { piece, from } = form.at(position + done);
    const bytes = Math.min(target.length - done, piece.sizeBytes - from);
    if (bytes <= 0) throw tooShort();
    await fillPiece(piece, from, target.subarray(done, done + bytes), memory, depth);
    done += bytes;
  }
}

async function fillPiece(
  piece: StoredPiece,
  from: number,
  target: Buffer,
  memory: ContentMemory,
  depth: number,
): Promise<void> {
  if (piece.basis === undefined) {
    await fillRecord(piece, from + piece.offset, target, memory, true);
    return;
  }
  const basis = new Pieces(piece.basis);
  const index = await memory.indexes.of(piece, basis.sizeBytes, () =>
    DeltaIndex.read(recordBytes(piece, memory), basis.sizeBytes, piece.sizeBytes),
  );
  let done = 0;
  for (const stretch of index.stretches(from, target.length)) {
    const part = target.subarray(done, done + stretch.bytes);
    if (stretch.isLiteral) await fillRecord(piece, stretch.from, part, memory, false);
    else await fillFrom(basis, stretch.from, part, memory, depth + 1);
    done += stretch.bytes;
  }
  if (done < target.length) throw tooShort();
}

/** Fills `target` from a position of a decoded record. `isContent`: the record's piece is its content, not a delta. */
async function fillRecord(
  piece: StoredPiece,
  from: number,
  target: Buffer,
  { units }: ContentMemory,
  isContent: boolean,
): Promise<void> {
  let layout = await units.layout(piece);
  if (layout === undefined) {
    const unit = await units.whole(piece);
    if (unit !== undefined) {
      if (isContent) checkPiece(unit, piece);
      if (from + target.length > unit.bytes.length) throw tooShort();
      unit.bytes.copy(target, 0, from, from + target.length);
      return;
    }
    layout = await units.layout(piece);
    if (layout === undefined) throw tooShort();
  }
  for (let done = 0; done < target.length; ) {
    const at = from + done;
    const number = Math.floor(at / STREAM_CHUNK_BYTES);
    const { bytes } = await units.chunk(piece, layout, number);
    const start = at - number * STREAM_CHUNK_BYTES;
    const copied = bytes.copy(target, done, start, start + target.length - done);
    if (copied === 0) throw tooShort();
    done += copied;
  }
}

/** Yields a whole decoded record. */
async function* recordBytes(piece: StoredPiece, { units }: ContentMemory): AsyncGenerator<Buffer> {
  let layout = await units.layout(piece);
  if (layout === undefined) {
    const unit = await units.whole(piece);
    if (unit !== undefined) {
      yield unit.bytes;
      return;
    }
    layout = await units.layout(piece);
  }
  const rawBytes = layout?.rawBytes ?? 0;
  for (let number = 0; number * STREAM_CHUNK_BYTES < rawBytes; number += 1) {
    yield (await units.chunk(piece, layout!, number)).bytes;
  }
}

/** Throws CONTENT_DAMAGED unless a piece of a decoded record has the digest that is in the catalog. */
function checkPiece(
  { digests, bytes, startBytes }: Unit,
  { digest, offset, sizeBytes }: StoredPiece,
): void {
  const isSame = digests.has({ offset, sizeBytes }, digest);
  if (!isSame || offset < startBytes || offset - startBytes + sizeBytes > bytes.length) {
    throw new TardisError('CONTENT_DAMAGED', 'the data does not match its digest');
  }
}

function tooShort(): TardisError {
  return new TardisError('RECORD_DAMAGED', 'a content ends before the requested range');
}

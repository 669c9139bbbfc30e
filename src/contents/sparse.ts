/**
 * The sparse form of a file (docs/inside/formats.md): a head with the positions of its data, then the data alone. Holes are
 * neither read, hashed, stored nor written.
 */
import { TardisError } from '../errors/index.js';
import { bufferOf, firstIndex } from '../model/index.js';

/** Maximum number of data ranges. If a file has more, its smallest holes are read as zeros. */
export const MAX_EXTENTS: number = 1 << 18;
/** Number of bytes at the start of a head, from which its length follows. */
export const SPARSE_START_BYTES = 16;
const EXTENT_BYTES = 16;

/** A range of data in a sparse file. */
interface Extent {
  /** Offset in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** Offset in the sparse form. */
  readonly at: number;
}

/** Maps the bytes of the sparse form to positions in the file. */
export class SparseMap {
  /** Size of the file, holes included. */
  readonly fileBytes: number;
  /** Size of the sparse form. */
  readonly formBytes: number;
  private readonly extents: readonly Extent[];
  private readonly head: Buffer;

  /** Takes a whole head, which is untrusted. Throws CONTENT_DAMAGED. */
  constructor(bytes: Uint8Array) {
    this.head = bufferOf(bytes);
    if (this.head.length !== sparseHeadBytes(this.head)) throw malformed();
    this.fileBytes = safeNumber(this.head, 0);
    const extents: Extent[] = [];
    let end = 0;
    let at = this.head.length;
    for (let place = SPARSE_START_BYTES; place < this.head.length; place += EXTENT_BYTES) {
      const offset = safeNumber(this.head, place);
      const length = safeNumber(this.head, place + 8);
      if (offset < end || length === 0 || offset + length > this.fileBytes) throw malformed();
      extents.push({ offset, bytes: length, at });
      end = offset + length;
      at += length;
    }
    this.extents = extents;
    this.formBytes = at;
  }

  /**
   * Calls `visit` for each piece of `bytes` bytes of the sparse form from `from` on. Passes the offset of the piece in
   * the file, or the bytes themselves if they are in the head.
   */
  forEachPiece(
    from: number,
    bytes: number,
    visit: (piece: { at: number; bytes: number; offset: number; head?: Buffer }) => void,
  ): void {
    const to = Math.min(from + bytes, this.formBytes);
    let at = from;
    if (at < this.head.length) {
      const end = Math.min(to, this.head.length);
      visit({ at, bytes: end - at, offset: 0, head: this.head.subarray(at, end) });
      at = end;
    }
    for (let index = this.indexOf(at); at < to; index += 1) {
      const extent = this.extents[index]!;
      const within = at - extent.at;
      const count = Math.min(extent.bytes - within, to - at);
      visit({ at, bytes: count, offset: extent.offset + within });
      at += count;
    }
  }

  /** Returns the data that contains an offset of the file, or the next one after it; undefined after the last one. */
  dataFrom(offset: number): Extent | undefined {
    const { extents } = this;
    const endOf = (index: number): number => extents[index]!.offset + extents[index]!.bytes;
    return extents[firstIndex(extents.length, (index) => endOf(index) > offset)];
  }

  /** Returns the index of the extent that contains an offset after the head. */
  private indexOf(at: number): number {
    const { extents } = this;
    return Math.max(0, firstIndex(extents.length, (index) => extents[index]!.at > at) - 1);
  }
}

/** Collects the ranges of data of a file, in their order, for the head of its sparse form. */
export class DataRanges {
  private ranges: { readonly offset: number; bytes: number }[] = [];
  private leastHoleBytes = 1;

  /** Adds a range. With more than MAX_EXTENTS, the smallest holes become data. */
  add(offset: number, bytes: number): void {
    const last = this.ranges.at(-1);
    if (last !== undefined && offset - (last.offset + last.bytes) < this.leastHoleBytes) {
      last.bytes = offset + bytes - last.offset;
      return;
    }
    this.ranges.push({ offset, bytes });
    if (this.ranges.length <= MAX_EXTENTS) return;
    this.leastHoleBytes *= 2;
    const { ranges } = this;
    this.ranges = [];
    for (const range of ranges) this.add(range.offset, range.bytes);
  }

  /** Returns the head for a file of this size; undefined if the sparse form would save nothing. */
  head(fileBytes: number): Buffer | undefined {
    const { ranges } = this;
    const head = Buffer.alloc(SPARSE_START_BYTES + ranges.length * EXTENT_BYTES);
    const dataBytes = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
    if (head.length + dataBytes >= fileBytes) return undefined;
    head.writeBigUInt64LE(BigInt(fileBytes), 0);
    head.writeBigUInt64LE(BigInt(ranges.length), 8);
    for (const [index, { offset, bytes }] of ranges.entries()) {
      head.writeBigUInt64LE(BigInt(offset), SPARSE_START_BYTES + index * EXTENT_BYTES);
      head.writeBigUInt64LE(BigInt(bytes), SPARSE_START_BYTES + index * EXTENT_BYTES + 8);
    }
    return head;
  }
}

/** Collects the head from the start of a stream, then returns the file positions of the rest. */
export class SparseWriter {
  map: SparseMap | undefined;
  private head: Buffer = Buffer.alloc(0);
  private at = 0;

  /** Calls `write` with the data among these bytes, and its position in the file. Throws CONTENT_DAMAGED. */
  push(bytes: Buffer, write: (data: Buffer, position: number) => void): void {
    let rest = bytes;
    if (this.map === undefined) {
      this.head = Buffer.concat([this.head, rest]);
      if (this.head.length < SPARSE_START_BYTES) return;
      const wanted = sparseHeadBytes(this.head);
      if (this.head.length < wanted) return;
      this.map = new SparseMap(this.head.subarray(0, wanted));
      rest = this.head.subarray(wanted);
      this.head = Buffer.alloc(0);
      this.at = wanted;
    }
    if (this.at + rest.length > this.map.formBytes) throw malformed();
    const start = this.at;
    this.map.forEachPiece(start, rest.length, ({ at, bytes: count, offset }) => {
      write(rest.subarray(at - start, at - start + count), offset);
    });
    this.at += rest.length;
  }

  /** Returns the size of the file, once the whole sparse form was pushed. Throws CONTENT_DAMAGED. */
  finish(): number {
    if (this.map === undefined || this.at !== this.map.formBytes) throw malformed();
    return this.map.fileBytes;
  }
}

/** Returns the data that `push` finds in these bytes, for callers that must wait between writes. */
export function sparseData(
  writer: SparseWriter,
  bytes: Buffer,
): [data: Buffer, position: number][] {
  const found: [Buffer, number][] = [];
  writer.push(bytes, (data, position) => found.push([data, position]));
  return found;
}

/** Yields a sparse file with its holes as zeros, from its sparse form. Throws CONTENT_DAMAGED. */
export async function* withZeros(form: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const writer = new SparseWriter();
  let at = 0;
  for await (const bytes of form) {
    for (const [data, position] of sparseData(writer, bytes)) {
      yield* zeros(position - at);
      yield data;
      at = position + data.length;
    }
  }
  yield* zeros(writer.finish() - at);
}

const ZEROS = Buffer.alloc(64 << 10);

/** Yields this many zeros, in pieces that must not be changed. */
export function* zeros(bytes: number): Generator<Buffer, void> {
  for (let left = bytes; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
  }
}

/** Returns the length of a head from its first SPARSE_START_BYTES. Throws CONTENT_DAMAGED. */
export function sparseHeadBytes(head: Buffer): number {
  if (head.length < SPARSE_START_BYTES) throw malformed();
  const count = safeNumber(head, 8);
  if (count > MAX_EXTENTS) throw malformed();
  return SPARSE_START_BYTES + count * EXTENT_BYTES;
}

function safeNumber(bytes: Buffer, at: number): number {
  const value = Number(bytes.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value)) throw malformed();
  return value;
}

function malformed(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the sparse form of a file makes no sense');
}

/**
 * The sparse form of a file (docs/formats.md): a head that tells where its data lies, then the data
 * alone. A stretch of zeros nobody wrote is neither read, hashed, stored nor written.
 */
import { TardisError } from '../errors/index.js';

/** Pieces of data told apart at most; beyond, the smallest holes are read as zeros. */
export const MAX_EXTENTS: number = 1 << 18;
const FIXED_BYTES = 16;
const EXTENT_BYTES = 16;

interface Extent {
  /** In the file. */
  readonly offset: number;
  readonly bytes: number;
  /** In the sparse form. */
  readonly at: number;
}

/** Where the bytes of the sparse form are in the file. */
export class SparseMap {
  /** Of the file, holes and all. */
  readonly fileBytes: number;
  /** Of the sparse form. */
  readonly formBytes: number;
  private readonly extents: readonly Extent[];
  private readonly head: Buffer;

  /** Takes a whole head, of unknown origin. Throws CONTENT_DAMAGED. */
  constructor(bytes: Uint8Array) {
    this.head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.head.length !== headBytes(this.head)) throw malformed();
    this.fileBytes = safeNumber(this.head, 0);
    const extents: Extent[] = [];
    let end = 0;
    let at = this.head.length;
    for (let place = FIXED_BYTES; place < this.head.length; place += EXTENT_BYTES) {
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
   * Calls back for each piece of the sparse form from `from` on, `bytes` long in all: its place in
   * the file, or (for the head) the bytes themselves.
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

  /** The extent that holds a place behind the head. */
  private indexOf(at: number): number {
    let [low, high] = [0, this.extents.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.extents[middle]!.at <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Collects the head from the beginning of a stream, then says where the rest belongs. */
export class SparseWriter {
  map: SparseMap | undefined;
  private head: Buffer = Buffer.alloc(0);
  private at = 0;

  /** Calls `write` with what of these bytes is data, and its place in the file. */
  push(bytes: Buffer, write: (data: Buffer, position: number) => void): void {
    let rest = bytes;
    if (this.map === undefined) {
      this.head = Buffer.concat([this.head, rest]);
      if (this.head.length < FIXED_BYTES) return;
      const wanted = headBytes(this.head);
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

  /** Size of the file, once all of the sparse form has come. Throws CONTENT_DAMAGED. */
  finish(): number {
    if (this.map === undefined || this.at !== this.map.formBytes) throw malformed();
    return this.map.fileBytes;
  }
}

/** What `push` finds in these bytes, for who must wait between writes. */
export function sparseData(
  writer: SparseWriter,
  bytes: Buffer,
): [data: Buffer, position: number][] {
  const found: [Buffer, number][] = [];
  writer.push(bytes, (data, position) => found.push([data, position]));
  return found;
}

/** Length of a head by its first 16 bytes. */
function headBytes(head: Buffer): number {
  if (head.length < FIXED_BYTES) throw malformed();
  const count = safeNumber(head, 8);
  if (count > MAX_EXTENTS) throw malformed();
  return FIXED_BYTES + count * EXTENT_BYTES;
}

function safeNumber(bytes: Buffer, at: number): number {
  const value = Number(bytes.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value)) throw malformed();
  return value;
}

function malformed(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the sparse form of a file makes no sense');
}

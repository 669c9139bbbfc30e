/**
 * The file of page checksums (docs/formats.md, "Sums of pages"). It is a sequence of blocks, so that each change only
 * appends. If a crash has cut a block short, that block is the last one and is ignored.
 */
import { crc32 } from '../../system/index.js';

const MAGIC = Buffer.from('TDPS');
const VERSION = 1;
const HEAD_BYTES = 12;
const BLOCK_HEAD_BYTES = 8;
const CRC_BYTES = 4;
const VALUE_BYTES = 4;
const LEAST_PAGES = 1024;

/** Kinds of blocks. */
export const SumBlock = Object.freeze({
  /** Pages that a fold is about to write. Their contents are unknown until their checksums follow. */
  flux: 1,
  /** Pages, each with its checksum. */
  sums: 2,
  /** SQLite's change counter; a writer that keeps no checksums changes it. */
  stamp: 3,
  /** Pages that were found to differ from their checksums. */
  damaged: 4,
});
export type SumBlockKind = (typeof SumBlock)[keyof typeof SumBlock];

/** Checksums of pages, from page 1 on. */
export class SumTable {
  readonly damaged = new Set<number>();
  stamp: number | undefined;
  /** The highest page that ever had a checksum. */
  last = 0;
  private sums = new Uint32Array(LEAST_PAGES);
  private known = new Uint8Array(LEAST_PAGES);

  get(page: number): number | undefined {
    return page < this.known.length && this.known[page] === 1 ? this.sums[page] : undefined;
  }

  set(page: number, sum: number): void {
    if (page >= this.known.length) this.grow(page + 1);
    this.sums[page] = sum;
    this.known[page] = 1;
    this.last = Math.max(this.last, page);
  }

  forget(page: number): void {
    if (page < this.known.length) this.known[page] = 0;
  }

  private grow(least: number): void {
    const pages = Math.max(least, this.known.length * 2);
    const [sums, known] = [new Uint32Array(pages), new Uint8Array(pages)];
    sums.set(this.sums);
    known.set(this.known);
    this.sums = sums;
    this.known = known;
  }

  /** Returns the bytes of a file with exactly this table. */
  encode(pageBytes: number): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    MAGIC.copy(head);
    head.writeUInt32LE(VERSION, 4);
    head.writeUInt32LE(pageBytes, 8);
    const pages: number[] = [];
    for (let page = 1; page <= this.last; page += 1) {
      const sum = this.get(page);
      if (sum !== undefined) pages.push(page, sum);
    }
    const blocks = [head, encodeSumBlock(SumBlock.sums, pages)];
    if (this.damaged.size > 0) blocks.push(encodeSumBlock(SumBlock.damaged, [...this.damaged]));
    if (this.stamp !== undefined) blocks.push(encodeSumBlock(SumBlock.stamp, [this.stamp]));
    return Buffer.concat(blocks);
  }
}

export function encodeSumBlock(kind: SumBlockKind, values: readonly number[]): Buffer {
  const block = Buffer.alloc(BLOCK_HEAD_BYTES + values.length * VALUE_BYTES + CRC_BYTES);
  block.writeUInt32LE(kind, 0);
  block.writeUInt32LE(values.length, 4);
  for (let index = 0; index < values.length; index += 1) {
    block.writeUInt32LE(values[index]!, BLOCK_HEAD_BYTES + index * VALUE_BYTES);
  }
  const end = block.length - CRC_BYTES;
  block.writeUInt32LE(crc32(block.subarray(0, end)), end);
  return block;
}

interface ReadSums {
  readonly table: SumTable;
  /** Offset after the last complete block; the next block is appended there. */
  readonly endsAt: number;
}

/**
 * Reads a file of checksums for pages of this size. Returns undefined if it is of another format, or damaged.
 */
export function decodeSums(bytes: Buffer, pageBytes: number): ReadSums | undefined {
  const isOurs =
    bytes.length >= HEAD_BYTES &&
    bytes.subarray(0, 4).equals(MAGIC) &&
    bytes.readUInt32LE(4) === VERSION &&
    bytes.readUInt32LE(8) === pageBytes;
  if (!isOurs) return undefined;
  const table = new SumTable();
  let at = HEAD_BYTES;
  while (at + BLOCK_HEAD_BYTES <= bytes.length) {
    const end = at + BLOCK_HEAD_BYTES + bytes.readUInt32LE(at + 4) * VALUE_BYTES;
    if (end + CRC_BYTES > bytes.length) break; // a crash cut the block short
    if (crc32(bytes.subarray(at, end)) !== bytes.readUInt32LE(end)) {
      if (end + CRC_BYTES < bytes.length) return undefined;
      break;
    }
    if (!take(table, bytes.subarray(at, end))) return undefined;
    at = end + CRC_BYTES;
  }
  return { table, endsAt: at };
}

/** Applies a block to the table. Returns false if the block is malformed. */
function take(table: SumTable, block: Buffer): boolean {
  const kind = block.readUInt32LE(0);
  const step = kind === SumBlock.sums ? 2 * VALUE_BYTES : VALUE_BYTES;
  if ((block.length - BLOCK_HEAD_BYTES) % step !== 0) return false;
  for (let at = BLOCK_HEAD_BYTES; at < block.length; at += step) {
    const value = block.readUInt32LE(at);
    if (kind === SumBlock.stamp) table.stamp = value;
    else if (value > MAX_PAGES) return false;
    else if (kind === SumBlock.flux) table.forget(value);
    else if (kind === SumBlock.damaged) table.damaged.add(value);
    else if (kind === SumBlock.sums) table.set(value, block.readUInt32LE(at + VALUE_BYTES));
    else return false;
  }
  return true;
}

/** Maximum number of pages: 256 GiB in pages of 4 KiB. */
const MAX_PAGES: number = 1 << 26;

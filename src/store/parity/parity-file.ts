/**
 * Parity files. A file has a head and a table of checksums, the blocks of parity, and then table and head again. So no
 * single damaged range can destroy both copies. A parity file may be hostile, so a healed file is proven by its own
 * records.
 */
import { asTardisError, systemCode } from '../../errors/index.js';
import type { RecordReader } from '../packs/scan.js';
import { unreadableObject } from '../backends/unreadable.js';
import { MOST_PERCENT, type Shape, shapeOf, SUM_BYTES, tableBytes } from './shape.js';
import { crc32 } from '../../system/index.js';

export const HEAD_BYTES = 32;
export const PARITY_MAGIC: Buffer = Buffer.from('TDP1');
const VERSION = 1;
/**
 * Maximum number of protected bytes, which bounds the memory for the table. No file of a store is as large: a pack has
 * at most some 4 GiB.
 */
const MAX_COVERED_BYTES = 2 ** 36;
const Offset = { version: 4, percent: 5, covered: 8, tableSum: 16, headSum: 28 } as const;

/** The head and the table of a parity file. */
export interface ParityIndex {
  readonly shape: Shape;
  /** Checksums of the blocks of the file, then of the blocks of parity. */
  readonly table: Buffer;
}

/**
 * Returns the head of a parity file. The file begins with head and table, and ends with the table and the head again.
 */
export function buildHead({ shape, table }: ParityIndex): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  PARITY_MAGIC.copy(head);
  head[Offset.version] = VERSION;
  head[Offset.percent] = shape.percent;
  head.writeBigUInt64LE(BigInt(shape.coveredBytes), Offset.covered);
  head.writeUInt32LE(crc32(table), Offset.tableSum);
  head.writeUInt32LE(crc32(head.subarray(0, Offset.headSum)), Offset.headSum);
  return head;
}

/** Returns the position of a block of parity in its file. */
export function parityPosition(shape: Shape, block: number): number {
  return HEAD_BYTES + tableBytes(shape) + block * shape.blockBytes;
}

/** Returns the length of a parity file. */
export function parityBytes(shape: Shape): number {
  return 2 * (HEAD_BYTES + tableBytes(shape)) + shape.parityBlocks * shape.blockBytes;
}

/** Minimum number of free bytes that parity leaves, since data is more important. */
const SPARE_BYTES = 32 << 20;

/** True if `freeBytes` suffice for twice this length and for the space that must stay free for backups. */
export function leavesRoom(bytes: number, freeBytes: number, leastFreeBytes = 0): boolean {
  return freeBytes >= Math.max(leastFreeBytes, SPARE_BYTES) + 2 * bytes;
}

/**
 * Returns head and table of a parity file. Returns undefined if the file is absent, or if neither copy of the head or
 * of the table is intact. A place that the disk cannot read counts as damaged.
 */
export async function readIndex(
  reader: RecordReader,
  file: string,
): Promise<ParityIndex | undefined> {
  const fileBytes = await reader.size(file);
  if (fileBytes === undefined) return undefined;
  for (const headAt of [0, fileBytes - HEAD_BYTES]) {
    const head = await readExactly(reader, file, headAt, HEAD_BYTES);
    const shape = head && shapeIn(head);
    if (head === undefined || shape === undefined) continue;
    const bytes = tableBytes(shape);
    for (const tableAt of [HEAD_BYTES, parityPosition(shape, shape.parityBlocks)]) {
      const table = await readExactly(reader, file, tableAt, bytes);
      if (table !== undefined && crc32(table) === head.readUInt32LE(Offset.tableSum)) {
        return { shape, table };
      }
    }
  }
  return undefined;
}

/** Returns the shape that a head describes; undefined if it is damaged, or is no head. */
export function shapeIn(head: Buffer): Shape | undefined {
  const isHead =
    head.subarray(0, PARITY_MAGIC.length).equals(PARITY_MAGIC) &&
    head[Offset.version] === VERSION &&
    crc32(head.subarray(0, Offset.headSum)) === head.readUInt32LE(Offset.headSum);
  if (!isHead) return undefined;
  const coveredBytes = Number(head.readBigUInt64LE(Offset.covered));
  const percent = head[Offset.percent]!;
  const isPossible = coveredBytes >= 1 && coveredBytes <= MAX_COVERED_BYTES;
  if (!isPossible || percent < 1 || percent > MOST_PERCENT) return undefined;
  return shapeOf(coveredBytes, percent);
}

/** Returns bytes of a file; undefined if it has fewer, is absent, or the disk cannot read them. */
export async function readExactly(
  reader: RecordReader,
  file: string,
  position: number,
  bytes: number,
): Promise<Buffer | undefined> {
  const fileBytes = await reader.size(file);
  if (fileBytes === undefined || position < 0 || position + bytes > fileBytes) return undefined;
  const buffer = Buffer.allocUnsafe(bytes);
  try {
    return (await reader.read(file, position, buffer, bytes)) === bytes ? buffer : undefined;
  } catch (error) {
    if (!isUnreadableDisk(error) && systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** True for the error of a disk that cannot read a place of a file. A copy of the file may repair it. */
export function isUnreadableDisk(error: unknown): boolean {
  return unreadableObject(error) !== undefined && asTardisError(error).code === 'IO_FAILED';
}

/** Returns the checksum of a block in a table. */
export function sumOf(table: Buffer, block: number): number {
  return table.readUInt32LE(block * SUM_BYTES);
}

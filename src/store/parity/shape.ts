/**
 * The shape of parity: the division of a file's bytes, by which a damaged range is spread over many equations. A file
 * is a sequence of stretches. A stretch is divided into at most 128 shards of equal length. The blocks at the same
 * place in all its shards (a column) are protected together. See docs/inside/formats.md, "Parity".
 */
import { MAX_ROWS, MAX_SHARDS } from './galois-field.js';

/**
 * Number of bytes of a block, which is lost or kept as a whole. It is the size of a sector of today's disks, and of a
 * page of memory.
 */
const BLOCK_BYTES = 4096;
/** Maximum number of blocks in a stretch, which bounds the memory for making and using parity. */
const STRETCH_BLOCKS = 16_384;
/** Bytes of the checksum of a block. */
export const SUM_BYTES = 4;
/** Maximum percentage of parity: MAX_ROWS divided by MAX_SHARDS. */
export const MOST_PERCENT = 50;

export interface Stretch {
  /** Number of the stretch's first block in the file. */
  readonly first: number;
  /** Number of blocks of the stretch. */
  readonly blocks: number;
  /** Blocks in each shard; the last shard may have fewer. */
  readonly columns: number;
  readonly shards: number;
  /** Number of parity blocks for each column. As many damaged blocks of the column can be restored. */
  readonly rows: number;
  /** Number of the stretch's first block of parity. */
  readonly firstParity: number;
}

export interface Shape {
  /** Bytes of the file that are protected. */
  readonly coveredBytes: number;
  readonly percent: number;
  /** Bytes of a block; a file that is shorter than a block is one block. */
  readonly blockBytes: number;
  readonly blocks: number;
  readonly parityBlocks: number;
  readonly stretches: readonly Stretch[];
}

/** Returns the shape of the parity of a file with at least one byte. */
export function shapeOf(coveredBytes: number, percent: number): Shape {
  const blockBytes = Math.min(BLOCK_BYTES, coveredBytes);
  const blocks = Math.ceil(coveredBytes / blockBytes);
  const stretches: Stretch[] = [];
  let parityBlocks = 0;
  for (let first = 0; first < blocks; first += STRETCH_BLOCKS) {
    const count = Math.min(STRETCH_BLOCKS, blocks - first);
    const columns = Math.ceil(count / MAX_SHARDS);
    const shards = Math.ceil(count / columns);
    const rows = Math.min(MAX_ROWS, Math.max(1, Math.ceil((shards * percent) / 100)));
    stretches.push({ first, blocks: count, columns, shards, rows, firstParity: parityBlocks });
    parityBlocks += rows * columns;
  }
  return { coveredBytes, percent, blockBytes, blocks, parityBlocks, stretches };
}

/** Returns the length in bytes of the table of checksums. */
export function tableBytes({ blocks, parityBlocks }: Shape): number {
  return (blocks + parityBlocks) * SUM_BYTES;
}

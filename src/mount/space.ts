/** Writes the data that `statfs` shows, in the layout of the kernel. */
import type { DiskSpace } from '../system/index.js';
import { writeNumber } from './attributes.js';
import { MAX_NAME_BYTES } from './protocol.js';

const SPACE_BYTES = 80;

/** Writes the size of a file system (struct fuse_statfs_out); returns its end. `words` are the body's memory. */
export function writeSpace(body: Buffer, words: Uint32Array, at: number, space: DiskSpace): number {
  const { blocks, freeBlocks, availableBlocks, blockBytes } = space;
  body.fill(0, at, at + SPACE_BYTES);
  const word = at >>> 2;
  writeNumber(words, word, blocks);
  writeNumber(words, word + 2, freeBlocks);
  writeNumber(words, word + 4, availableBlocks);
  body.writeUInt32LE(blockBytes, at + 40);
  body.writeUInt32LE(MAX_NAME_BYTES, at + 44);
  body.writeUInt32LE(blockBytes, at + 48);
  return at + SPACE_BYTES;
}

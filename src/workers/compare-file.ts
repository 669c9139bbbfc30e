/** Compares an existing file with the content that a restore would write. */
import { contentDigest, type ContentKeys, DIGEST_BYTES } from '../model/index.js';
import type { System } from '../system/index.js';
import { createHash } from 'node:crypto';

const READ_BYTES = 1 << 20;

/** A piece of a content; the pieces follow one another. */
interface WantedPiece {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

/** True if an open file consists of these pieces. Throws any error of reading it. */
export function hasContent(
  { files, native }: System,
  fd: number,
  pieces: readonly WantedPiece[],
  keys: ContentKeys | undefined,
): boolean {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let position = 0;
  for (const { digest, sizeBytes } of pieces) {
    const hash = createHash('sha256');
    for (let left = sizeBytes; left > 0; ) {
      const bytes = files.read(fd, buffer, 0, Math.min(left, READ_BYTES), position);
      if (bytes === 0) return false;
      hash.update(buffer.subarray(0, bytes));
      position += bytes;
      left -= bytes;
    }
    const found = contentDigest(native, keys, hash.digest());
    if (found.compare(digest, 0, DIGEST_BYTES) !== 0) return false;
  }
  return files.read(fd, buffer, 0, 1, position) === 0;
}

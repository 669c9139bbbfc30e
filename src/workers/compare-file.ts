/** Compares an existing file with the content that a restore would write. */
import { contentDigest, type ContentKeys, DIGEST_BYTES } from '../model/index.js';
import { OpenKind, type System } from '../system/index.js';
import { createHash } from 'node:crypto';

const READ_BYTES = 1 << 20;

/** A piece of a content; the pieces follow one another. */
interface WantedPiece {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

/** True if the file consists of these pieces. Throws any error of opening and reading it. */
export function hasContent(
  system: System,
  directoryFd: number,
  {
    name,
    pieces,
    keys,
  }: {
    readonly name: Buffer;
    readonly pieces: readonly WantedPiece[];
    readonly keys: ContentKeys | undefined;
  },
): boolean {
  const { files, native } = system;
  const fd = native.openBeneath(directoryFd, name, OpenKind.file);
  try {
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
  } finally {
    native.close(fd);
  }
}

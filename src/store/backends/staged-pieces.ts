/** Reads back the bytes that were appended to an object. */
import { releaseMemory } from '../../model/index.js';
import type { Backend, ObjectWriter } from './backend.js';

/** Number of bytes read at once. */
const PIECE_BYTES = 1 << 20;

/**
 * Yields the bytes of an object that is being written, from a position on. Each piece is valid until the next one or the
 * end; after that it may be empty.
 */
export async function* stagedPieces(staged: ObjectWriter, from = 0): AsyncGenerator<Buffer> {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(1, staged.sizeBytes - from)));
  try {
    for (let at = from; at < staged.sizeBytes; ) {
      const got = staged.readBack(at, piece, Math.min(piece.length, staged.sizeBytes - at));
      if (got === 0) throw new Error('a staged object has become shorter');
      yield piece.subarray(0, got);
      at += got;
    }
  } finally {
    releaseMemory(piece);
  }
}

/** Returns a reader of an object that is being written, which ignores the name that it gets. */
export function stagedReader(staged: ObjectWriter): Pick<Backend, 'read' | 'size'> {
  return {
    size: async () => staged.sizeBytes,
    read: async (_name, position, target, bytes) => staged.readBack(position, target, bytes),
  };
}

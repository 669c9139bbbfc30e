/** Reads objects of a store through a peer, in pieces of the size that a message may have, and answers such a peer. */
import { systemCode } from '../../errors/index.js';
import type { ObjectReader } from '../../store/index.js';
import { MAX_READ_BYTES } from '../../transport/index.js';

/** A piece of an object. */
interface ObjectPiece {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
}

/**
 * Returns a reader that requests all pieces of a range at once. `request` resolves with undefined if there is no such
 * object; the reader then rejects with ENOENT.
 */
export function objectsInPieces(
  request: (piece: ObjectPiece) => Promise<Uint8Array | undefined>,
): ObjectReader {
  const readPiece = async (piece: ObjectPiece, target: Uint8Array): Promise<number> => {
    const found = await request(piece);
    if (found === undefined) {
      throw Object.assign(new Error(`ENOENT: ${piece.object}`), {
        code: 'ENOENT',
        syscall: 'read',
      });
    }
    target.set(found);
    return found.length;
  };
  return {
    read: async (object, position, target, bytes) => {
      const reads: Promise<number>[] = [];
      for (let from = 0; from < bytes; from += MAX_READ_BYTES) {
        const length = Math.min(MAX_READ_BYTES, bytes - from);
        const piece = { object, position: position + from, bytes: length };
        reads.push(readPiece(piece, target.subarray(from, from + length)));
      }
      return (await Promise.all(reads)).reduce((sum, got) => sum + got, 0);
    },
    close: () => undefined, // the connection belongs to its owner
  };
}

/** Returns the bytes of a piece, fewer than requested only at the end of its object; undefined if there is no object. */
export async function pieceOfObject(
  objects: ObjectReader,
  { object, position, bytes }: ObjectPiece,
): Promise<Buffer | undefined> {
  const target = Buffer.allocUnsafeSlow(bytes); // not of a pool: it may move to another thread
  try {
    return target.subarray(0, await objects.read(object, position, target, bytes));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

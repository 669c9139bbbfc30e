/**
 * Places of a store that cannot be read. A check reports each such file once, and continues as if it contained
 * zeros there.
 */
import { TardisError } from '../../errors/index.js';
import { type Backend, unreadableObject } from '../../store/index.js';
import { viewOf } from './bounded-backend.js';
import type { UnreadableFinding } from './findings.js';

/**
 * Number of bytes in which a range is read piece by piece if it cannot be read at once. A bad sector then hides only
 * its own piece.
 */
const PIECE_BYTES = 4096;
/**
 * Maximum number of failures in one file. After that the rest of the file is not read, since each failure may take a
 * disk seconds.
 */
const MAX_FAILURES = 64;

export class UnreadablePlaces {
  /** Number of failures of each file. */
  private readonly failures = new Map<string, number>();
  private firstDenied: TardisError | undefined;

  constructor(private readonly onFound: (finding: UnreadableFinding) => void) {}

  /**
   * Returns the error of the first file that this user may not read. Such a file need not be damaged, so nothing is
   * marked if there is one.
   */
  get denied(): TardisError | undefined {
    return this.firstDenied;
  }

  /** Returns a backend that reports unreadable places, and rejects reads of them. */
  reporting(backend: Backend): Backend {
    const read: Backend['read'] = async (...range) => {
      try {
        return await backend.read(...range);
      } catch (error) {
        this.note(error);
        throw error;
      }
    };
    return viewOf(backend, { read });
  }

  /** Returns a backend that reports unreadable places, and returns zeros for them. */
  zeroed(backend: Backend): Backend {
    const read: Backend['read'] = async (name, position, target, bytes) => {
      try {
        if (!this.isGivenUp(name)) return await backend.read(name, position, target, bytes);
      } catch (error) {
        if (!this.note(error)) throw error;
        if (bytes > PIECE_BYTES) return inPieces(read, name, { position, target, bytes });
      }
      const sizeBytes = (await backend.size(name)) ?? 0;
      const got = Math.max(0, Math.min(bytes, sizeBytes - position));
      target.fill(0, 0, got);
      return got;
    };
    return viewOf(backend, { read });
  }

  private isGivenUp(name: string): boolean {
    return (this.failures.get(name) ?? 0) >= MAX_FAILURES;
  }

  /**
   * Records a failed read, and returns true. Reports the file at its first failure. Returns false if the error is not
   * about reading a file.
   */
  private note(error: unknown): boolean {
    const file = unreadableObject(error);
    if (file === undefined || !(error instanceof TardisError)) return false;
    const known = this.failures.get(file) ?? 0;
    const isDenied = error.code === 'STORE_NOT_READABLE';
    this.failures.set(file, isDenied ? MAX_FAILURES : known + 1);
    if (isDenied) this.firstDenied ??= error;
    if (known === 0) this.onFound({ finding: 'unreadable', file, why: error.message });
    return true;
  }
}

/**
 * Reads a range piece by piece, and returns the number of bytes read, which is less than requested only at the end of
 * the file.
 */
async function inPieces(
  read: Backend['read'],
  name: string,
  {
    position,
    target,
    bytes,
  }: { readonly position: number; readonly target: Uint8Array; readonly bytes: number },
): Promise<number> {
  let done = 0;
  while (done < bytes) {
    const at = position + done;
    const most = Math.min(bytes - done, PIECE_BYTES - (at % PIECE_BYTES));
    const got = await read(name, at, target.subarray(done, done + most), most);
    done += got;
    if (got < most) break;
  }
  return done;
}

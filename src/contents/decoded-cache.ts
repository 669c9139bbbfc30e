/**
 * Cache of decoded records, contents and chunks, limited in size; those used last are kept. Each is decoded once, even
 * if several requests wait for it.
 */
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import { BoundedCache } from '../system/index.js';
import type { DecodedDigests } from './decoded-digests.js';
import { damagedContent } from './proven-bytes.js';
import type { Soon } from './soon.js';
import type { StoredPiece } from './stored-piece.js';

/** Maximum number of bytes of decoded data that are kept. */
const MAX_UNIT_BYTES = 11 << 20;
/** Approximate memory of a unit besides its bytes. */
const UNIT_BYTES = 256;
const MAX_SPARE = 4;

/** Decoded bytes, whose memory may be freed or used for others in the next turn of the event loop. Use or copy them before any `await`. */
export interface Unit {
  readonly bytes: Buffer;
  /** Offset of the first byte in the decoded record; not 0 if only one content was decoded. */
  readonly startBytes: number;
  /** Digests that were computed from the bytes. */
  readonly digests: DecodedDigests;
}

interface DecodedCacheOptions {
  readonly onAdded: () => void;
  readonly release: (blocks: readonly Buffer[]) => void;
}

export class DecodedCache {
  private readonly units = new BoundedCache<string, Soon<Unit>>(MAX_UNIT_BYTES, (unit) => {
    if (unit instanceof Promise) return;
    // Those who wait for them get them before the next turn.
    if (this.gone.length === 0) setImmediate(() => this.reuse(this.gone.splice(0)));
    this.gone.push(unit.bytes);
  });
  /** Memory of units that were just removed. */
  private readonly gone: Buffer[] = [];
  /** Memory of removed chunks, kept for reuse. */
  private readonly spare: Buffer[] = [];
  private readonly onAdded: () => void;
  private readonly release: (blocks: readonly Buffer[]) => void;

  /** `onAdded` is called when a unit was decoded. `release` frees the memory of units, or uses it again. */
  constructor({ onAdded, release }: DecodedCacheOptions) {
    this.onAdded = onAdded;
    this.release = release;
  }

  /** True if a unit is decoded, or being decoded. */
  has(key: string): boolean {
    return this.units.has(key);
  }

  /** Returns a unit that is decoded, or being decoded, and counts that as a use. */
  get(key: string): Soon<Unit> | undefined {
    return this.units.get(key);
  }

  /** Returns a unit that is decoded; undefined if it is not. */
  decoded(key: string): Unit | undefined {
    const unit = this.units.peek(key);
    return unit instanceof Promise ? undefined : unit;
  }

  /** Makes a unit and keeps it. If that fails, nothing is kept. */
  add(key: string, make: () => Promise<Unit>): Promise<Unit> {
    const making = make().then(
      (unit) => {
        this.units.set(key, unit, UNIT_BYTES + memoryOf(unit));
        this.onAdded();
        return unit;
      },
      (error: unknown) => {
        this.units.delete(key);
        throw error;
      },
    );
    this.units.set(key, making, 0);
    return making;
  }

  /** Records that all contents of a unit were read. It is then removed before units that are still being read. */
  noteSpent(key: string, unit: Unit): void {
    if (this.units.peek(key) === unit) this.units.noteSpent(key);
  }

  /** Returns memory for a decoded chunk; it may be reused from an earlier chunk. */
  room(sizeBytes: number): Buffer {
    const isFull = sizeBytes === STREAM_CHUNK_BYTES;
    return (isFull ? this.spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Keeps some buffers for the next chunks, and frees the others. */
  private reuse(gone: readonly Buffer[]): void {
    const isKept = (bytes: Buffer): boolean =>
      bytes.length === STREAM_CHUNK_BYTES && this.spare.length < MAX_SPARE;
    this.release(
      gone.filter((bytes) => {
        if (!isKept(bytes)) return true;
        this.spare.push(bytes);
        return false;
      }),
    );
  }
}

/** Returns the size of the memory of a unit, which may be larger than its bytes. */
function memoryOf({ bytes }: Unit): number {
  return bytes.buffer.byteLength;
}

/** Throws CONTENT_DAMAGED unless a piece of a decoded record has the digest that is in the catalog. */
export function checkPiece(
  { digests, bytes, startBytes }: Unit,
  { digest, offset, sizeBytes }: StoredPiece,
): void {
  const isSame = digests.has({ offset, sizeBytes }, digest);
  if (!isSame || offset < startBytes || offset - startBytes + sizeBytes > bytes.length) {
    throw damagedContent();
  }
}

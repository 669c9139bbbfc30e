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
const MAX_CACHE_BYTES = 11 << 20;
/** Approximate memory of a block besides its bytes. */
const BLOCK_BYTES = 256;
const MAX_SPARE = 4;

/** Decoded bytes, whose memory may be freed or used for others in the next turn of the event loop. Use or copy them before any `await`. */
export interface DecodedBlock {
  readonly bytes: Buffer;
  /** Offset of the first byte in the decoded record; not 0 if only one content was decoded. */
  readonly startBytes: number;
  /** Digests that were computed from the bytes. */
  readonly digests: DecodedDigests;
}

interface DecodedCacheOptions {
  readonly onAdded: () => void;
  readonly release: (memory: readonly Buffer[]) => void;
}

export class DecodedCache {
  private readonly blocks = new BoundedCache<string, Soon<DecodedBlock>>(
    MAX_CACHE_BYTES,
    (block) => {
      if (block instanceof Promise) return;
      // Those who wait for them get them before the next turn.
      if (this.gone.length === 0) setImmediate(() => this.reuse(this.gone.splice(0)));
      this.gone.push(block.bytes);
    },
  );
  /** Memory of blocks that were just removed. */
  private readonly gone: Buffer[] = [];
  /** Memory of removed chunks, kept for reuse. */
  private readonly spare: Buffer[] = [];
  private readonly onAdded: () => void;
  private readonly release: (memory: readonly Buffer[]) => void;

  /** `onAdded` is called when a block was decoded. `release` frees memory, or uses it again. */
  constructor({ onAdded, release }: DecodedCacheOptions) {
    this.onAdded = onAdded;
    this.release = release;
  }

  /** True if a block is decoded, or being decoded. */
  has(key: string): boolean {
    return this.blocks.has(key);
  }

  /** Returns a block that is decoded, or being decoded, and counts that as a use. */
  get(key: string): Soon<DecodedBlock> | undefined {
    return this.blocks.get(key);
  }

  /** Returns a block that is decoded; undefined if it is not. */
  decoded(key: string): DecodedBlock | undefined {
    const block = this.blocks.peek(key);
    return block instanceof Promise ? undefined : block;
  }

  /** Makes a block and keeps it. If that fails, nothing is kept. */
  add(key: string, make: () => Promise<DecodedBlock>): Promise<DecodedBlock> {
    const making = make().then(
      (block) => {
        this.blocks.set(key, block, BLOCK_BYTES + memoryOf(block));
        this.onAdded();
        return block;
      },
      (error: unknown) => {
        this.blocks.delete(key);
        throw error;
      },
    );
    this.blocks.set(key, making, 0);
    return making;
  }

  /** Records that all contents of a block were read. It is then removed before blocks that are still being read. */
  noteSpent(key: string, block: DecodedBlock): void {
    if (this.blocks.peek(key) === block) this.blocks.noteSpent(key);
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

/** Returns the size of the memory of a block, which may be larger than its bytes. */
function memoryOf({ bytes }: DecodedBlock): number {
  return bytes.buffer.byteLength;
}

/** Throws CONTENT_DAMAGED unless a piece of a decoded record has the digest that is in the catalog. */
export function checkPiece(
  { digests, bytes, startBytes }: DecodedBlock,
  { digest, offset, sizeBytes }: StoredPiece,
): void {
  const isSame = digests.has({ offset, sizeBytes }, digest);
  if (!isSame || offset < startBytes || offset - startBytes + sizeBytes > bytes.length) {
    throw damagedContent();
  }
}

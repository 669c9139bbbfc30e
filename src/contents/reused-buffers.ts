import { releaseAll } from '../model/index.js';

/** Buffers that are kept when a reader ends, so that the next one need not allocate them. */
export class ReusedBuffers {
  decoded: Buffer = Buffer.alloc(0);
  stored: Buffer = Buffer.alloc(0);
  /** Buffers for the next chunk, since this one may still be in use; undefined before there was one. They may have a `second` too. */
  second: ReusedBuffers | undefined;

  release(): void {
    releaseAll([this.decoded, this.stored]);
    this.decoded = Buffer.alloc(0);
    this.stored = Buffer.alloc(0);
    this.second?.release();
  }
}

/** Returns a buffer with room for `bytes`: the current one, if it is large enough. */
export function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}

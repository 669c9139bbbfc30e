/** Buffers that are kept when a reader ends, so that the next one need not allocate them. */
export class ReusedBuffers {
  decoded: Buffer = Buffer.alloc(0);
  stored: Buffer = Buffer.alloc(0);
}

/** Returns a buffer with room for `bytes`: the current one, if it is large enough. */
export function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}

/** Bytes in memory as the source of an object. */
import { createHash } from 'node:crypto';
import type { ObjectSource } from '../objects/index.js';

export function sourceOfBytes(bytes: Buffer): ObjectSource {
  return {
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest(),
    async *open() {
      yield bytes;
    },
  };
}

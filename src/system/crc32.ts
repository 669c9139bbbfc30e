/** CRC-32, as `crc32` of zlib computes it, by the addon where the processor has an instruction for it. */
import zlib from 'node:zlib';
import { loadNative, type NativeCalls } from './native.js';

/** For fewer bytes, calling the addon takes longer than computing. */
const LEAST_BYTES = 1024;

let native: NativeCalls | undefined;

/** Returns the checksum of some bytes that follow others with the checksum `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (bytes.length < LEAST_BYTES) return zlib.crc32(bytes, before);
  native ??= loadNative();
  return native.crc32(bytes, before) ?? zlib.crc32(bytes, before);
}

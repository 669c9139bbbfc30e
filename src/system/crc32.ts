/** CRC-32, as `crc32` of zlib computes it, by the addon where the processor has an instruction for it. */
import zlib from 'node:zlib';
import { loadNative, type NativeCalls } from './native.js';

/** Minimum number of bytes for which the addon is called. For fewer bytes, the call takes longer than computing. */
const LEAST_BYTES = 1024;

let native: NativeCalls | undefined;

/** Returns the checksum of bytes that follow earlier bytes with the checksum `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (bytes.length < LEAST_BYTES) return zlib.crc32(bytes, before);
  native ??= loadNative();
  return native.crc32(bytes, before) ?? zlib.crc32(bytes, before);
}

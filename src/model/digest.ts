/**
 * Hashes of contents. In scheme 1 the hash is the digest; in other schemes the digest is keyed
 * (content-keys.ts). The hash of a content in one piece is SHA-256 of its bytes; that of a content in parts is
 * SHA-512/256 of the list of parts. Two hash functions keep the two kinds apart: no file can be constructed
 * whose digest is that of a list of parts.
 */
import { bufferOf } from './bytes.js';
import { createHash } from 'node:crypto';
import { DIGEST_BYTES } from './row.js';

export interface PartDigest {
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

const PART_ENTRY_BYTES = DIGEST_BYTES + 8;

/** Returns the list of parts as bytes: for each part its digest and its size (u64, little endian). */
export function encodeParts(parts: readonly PartDigest[]): Buffer {
  const list = Buffer.alloc(parts.length * PART_ENTRY_BYTES);
  parts.forEach((part, index) => {
    part.digest.copy(list, index * PART_ENTRY_BYTES);
    list.writeBigUInt64LE(BigInt(part.sizeBytes), index * PART_ENTRY_BYTES + DIGEST_BYTES);
  });
  return list;
}

export function decodeParts(list: Buffer): PartDigest[] {
  const parts: PartDigest[] = [];
  for (let at = 0; at + PART_ENTRY_BYTES <= list.length; at += PART_ENTRY_BYTES) {
    parts.push({
      digest: Buffer.from(list.subarray(at, at + DIGEST_BYTES)),
      sizeBytes: Number(list.readBigUInt64LE(at + DIGEST_BYTES)),
    });
  }
  return parts;
}

/** Returns the hash of a content in parts. */
export function partsDigest(parts: readonly PartDigest[]): Buffer {
  return createHash('sha512-256').update(encodeParts(parts)).digest();
}

/** Returns a digest as a map key, with one character for each byte, which is cheaper than hexadecimal. */
export function digestKey(digest: Uint8Array): string {
  return bufferOf(digest).toString('latin1');
}

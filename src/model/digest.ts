/**
 * Hashes of contents, which are their digests in scheme 1; in others they are keyed (content-keys.ts):
 * SHA-256 of the bytes for a content stored in one piece; for a content in parts, SHA-512/256 over the list
 * of parts. Two hash functions keep the two kinds apart: no file can be made whose digest is that of a list
 * of parts.
 */
import { createHash } from 'node:crypto';
import { DIGEST_BYTES } from './row.js';

export interface PartDigest {
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

export const PART_ENTRY_BYTES = DIGEST_BYTES + 8;

/** The list of parts as bytes: for each, its digest and its size (u64, little endian). */
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

/** The hash of a content in parts. */
export function partsDigest(parts: readonly PartDigest[]): Buffer {
  return createHash('sha512-256').update(encodeParts(parts)).digest();
}

/** A digest as a map key: one character a byte, cheaper than hexadecimal. */
export function digestKey(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('latin1');
}

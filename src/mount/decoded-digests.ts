/** Digests of the contents of a decoded record. */
import { bufferOf, DIGEST_BYTES } from '../model/index.js';

const DIGEST_ROW_BYTES = DIGEST_BYTES + 8;

export interface DecodedDigest {
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

/** Returns the digests in the rows of `DecodeOutput.digests`, by the offsets of the contents. */
export function digestsIn(rows: Uint8Array): Map<number, DecodedDigest> {
  const all = bufferOf(rows);
  const digests = new Map<number, DecodedDigest>();
  for (let at = 0; at + DIGEST_ROW_BYTES <= all.length; at += DIGEST_ROW_BYTES) {
    const digest = all.subarray(at, at + DIGEST_BYTES);
    const offset = all.readUInt32LE(at + DIGEST_BYTES);
    digests.set(offset, { digest, sizeBytes: all.readUInt32LE(at + DIGEST_BYTES + 4) });
  }
  return digests;
}

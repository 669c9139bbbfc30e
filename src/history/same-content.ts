/** Compares the contents of two entries of one history. */
import { DIGEST_BYTES, SEAL_BYTES } from '../model/index.js';
import type { HistoryEntry } from './history.js';

/** True if both have the same content. For an untrusted store, compares the proofs of their contents. */
export function isSameContent(one: HistoryEntry, other: HistoryEntry): boolean {
  if (one.proof !== undefined && other.proof !== undefined) {
    const end = other.proof.at + SEAL_BYTES;
    const { hashes, at } = one.proof;
    return hashes.compare(other.proof.hashes, other.proof.at, end, at, at + SEAL_BYTES) === 0;
  }
  if (one.digest?.length === DIGEST_BYTES && other.digest !== undefined) {
    return one.digest.equals(other.digest);
  }
  return one.contentId === other.contentId;
}

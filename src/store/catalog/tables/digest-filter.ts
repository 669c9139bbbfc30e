/**
 * A Bloom filter over digests. In a first backup nearly every content is new, and the filter saves an index
 * lookup for each. Digests are random, so their own bytes serve as hashes. (B. H. Bloom, "Space/time trade-offs
 * in hash coding with allowable errors", 1970.)
 */
const BITS = 1 << 23; // 1 MiB; with a million digests one lookup in thirty is a false positive
const PROBE_OFFSETS = [0, 4, 8] as const;

export class DigestFilter {
  private readonly words = new Int32Array(BITS / 32);

  add(digest: Uint8Array): void {
    for (const offset of PROBE_OFFSETS) {
      const bit = bitAt(digest, offset);
      this.words[bit >>> 5]! |= 1 << (bit & 31);
    }
  }

  /**
   * Adds digests that begin every `strideBytes` bytes, up to the first one that may have been added before. Returns true
   * if there was none, so that all are new and differ from each other.
   */
  addNew(digests: Uint8Array, strideBytes: number): boolean {
    for (let at = 0; at < digests.length; at += strideBytes) {
      let isNew = false;
      for (const offset of PROBE_OFFSETS) {
        const bit = bitAt(digests, at + offset);
        const word = this.words[bit >>> 5]!;
        const mask = 1 << (bit & 31);
        if ((word & mask) !== 0) continue;
        isNew = true;
        this.words[bit >>> 5] = word | mask;
      }
      if (!isNew) return false;
    }
    return true;
  }

  /** True if the digest may have been added. False if it was certainly not added. */
  mayHave(digest: Uint8Array): boolean {
    for (const offset of PROBE_OFFSETS) {
      const bit = bitAt(digest, offset);
      if ((this.words[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}

function bitAt(digest: Uint8Array, offset: number): number {
  const low = digest[offset]! | (digest[offset + 1]! << 8) | (digest[offset + 2]! << 16);
  return low & (BITS - 1);
}

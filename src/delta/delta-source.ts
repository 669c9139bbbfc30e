/**
 * Computes deltas where the contents are stored, on a basis that the reader has. A reader with an older version of a
 * file fetches only the differences.
 */
export interface DeltaSource {
  /**
   * Takes the next bytes of the signature of a basis with `basisBytes` bytes. The caller chooses the number
   * `signature`. Rejects if the signature is malformed, or if there are too many signatures.
   */
  sign(signature: number, basisBytes: number, bytes: Uint8Array, isLast: boolean): Promise<void>;
  /** Returns the next part of the delta from that basis to a content; `isFirst` starts from the beginning. */
  next(signature: number, digest: Uint8Array, isFirst: boolean): Promise<DeltaPart>;
  /** Frees a signature that is no longer needed. */
  drop(signature: number): Promise<void>;
}

export interface DeltaPart {
  /** One chunk as in chunked bodies: a header, and the bytes encoded by zstd. */
  readonly chunk: Uint8Array;
  readonly isLast: boolean;
  /** True if the content has too little in common with the basis: reading it whole is cheaper. */
  readonly isUseless: boolean;
}

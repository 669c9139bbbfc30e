/**
 * Computes deltas at the server or in the process that has the contents, on a basis that the reader has. So a reader
 * with an older version of a file fetches only the differences.
 */
export interface DeltaSource {
  /**
   * Takes the next bytes of the signature of a basis with `basisBytes` bytes. `signature` is a number that the caller
   * chooses for it. Rejects if the signature is malformed, or if there are too many signatures.
   */
  sign(signature: number, basisBytes: number, bytes: Uint8Array, isLast: boolean): Promise<void>;
  /**
   * Returns the next part of the delta from the signed basis to the content with this digest. `isFirst` begins the
   * delta.
   */
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

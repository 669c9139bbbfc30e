/**
 * Deltas that are made where the contents are, on what is at the place they go to: whoever has an older
 * version of a file gets only what it lacks.
 */
export interface DeltaSource {
  /**
   * Takes the next bytes of the signature of a basis of `basisBytes`, under a number of the caller's
   * choice. Rejects when it makes no sense, or there are too many.
   */
  sign(signature: number, basisBytes: number, bytes: Uint8Array, isLast: boolean): Promise<void>;
  /** The next part of the delta of a content on that basis, from the beginning with `isFirst`. */
  next(signature: number, digest: Uint8Array, isFirst: boolean): Promise<DeltaPart>;
  /** The basis is of no more use. */
  drop(signature: number): Promise<void>;
}

export interface DeltaPart {
  /** One chunk as in chunked bodies: a header, and the bytes encoded by zstd. */
  readonly chunk: Uint8Array;
  readonly isLast: boolean;
  /** The content has too little of the basis: it is cheaper to read it. */
  readonly isUseless: boolean;
}

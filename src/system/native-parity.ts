/** The call of the native addon for parity. */
export interface ParityCalls {
  /**
   * Adds `bytes` bytes of `source`, each multiplied by `factor` in GF(256), to `target`. Addition is exclusive or. With
   * `isPlain`, no special instructions of the processor are used; the result is equal. Throws EINVAL for a range
   * outside its buffer, or a factor above 255.
   */
  multiplyAdd(
    target: Uint8Array,
    targetAt: number,
    source: Uint8Array,
    sourceAt: number,
    bytes: number,
    factor: number,
    isPlain: boolean,
  ): void;
}

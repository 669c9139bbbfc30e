/** The calls of the native addon for zstd and checksums. Each thread reuses contexts of its own. */
export interface CompressingCalls {
  /**
   * Compresses `source` into `target` from `at` on; returns the compressed length. `level` is zstd's level, from
   * 1. `hashLog` is the binary logarithm of the size of zstd's hash table; 0 takes the default of the level.
   * Throws an error with the code `EZSTD` if `target` is too small.
   */
  zstdCompress(
    source: Uint8Array,
    target: Uint8Array,
    at: number,
    level: number,
    hashLog: number,
  ): number;
  /**
   * Decompresses one or several frames, which may be hostile, into `target`; returns the decompressed length.
   * Throws an error with the code `EZSTD` if a frame is damaged, or if the content does not fit.
   */
  zstdDecompress(source: Uint8Array, target: Uint8Array): number;
  /**
   * Decompresses a part of a frame, which may be hostile: as many bytes as `target` has, from position `from` of the
   * content. Bytes after this part are not decompressed. Returns false if the content ends before. Throws an error with
   * the code `EZSTD` if the frame is damaged.
   */
  zstdDecompressPart(source: Uint8Array, target: Uint8Array, from: number): boolean;
  /**
   * Returns the CRC-32 of bytes that follow earlier bytes with the checksum `before`; undefined if the processor has
   * no instruction to compute it fast.
   */
  crc32(bytes: Uint8Array, before: number): number | undefined;
}

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
  /**
   * Makes records of contents, one after the other in `target`, and returns the end of the last one. Content n has the n-th number (32 bits) of `starts` and `sizes` as its place in `contents`, and the
   * n-th 32 bytes of `digests`. `wanted` has WANTED_RECORD_BYTES for each record, at the offsets of `WantedRecord`; they
   * are zeros afterwards, since they contain keys. The contents of a record are the next ones of `order`. `lengths`
   * receives the length of each record, `time` the milliseconds of the work (64 bits).
   * With `isAsync`, it works on a thread of libuv's pool and returns a promise. The buffers must not be used, transferred or
   * released before that is settled.
   */
  buildRecords(
    contents: Uint8Array,
    digests: Uint8Array,
    starts: Uint8Array,
    sizes: Uint8Array,
    order: Uint8Array,
    wanted: Uint8Array,
    target: Uint8Array,
    lengths: Uint8Array,
    time: Uint8Array,
    isAsync: boolean,
  ): Promise<number> | number;
}

/** Bytes for each record of `buildRecords`. */
export const WANTED_RECORD_BYTES = 80;
/** Offsets in these bytes: of eight numbers of 32 bits, and the salt and the key of an encrypted record. */
export const WantedRecord = Object.freeze({
  /** Number of its contents. */
  count: 0,
  /** 1 (a frame) or 2 (one content). */
  kind: 4,
  /** 0 (none) or 1 (zstd). */
  codec: 8,
  level: 12,
  hashLog: 16,
  /** A `BodyCipherNumber`, or NO_BODY_CIPHER. */
  cipher: 20,
  scheme: 24,
  epoch: 28,
  salt: 32,
  key: 48,
});

/** The call of the native addon that restores the files of a job. */
export interface RestoringCalls {
  /**
   * Restores the files of a job (RestoreInput) that need no decision: reads and decodes the records that they need, checks
   * the digest of each file, keyed if `key` is not empty, and writes it as `writeFileAt` does. Directories are opened as by
   * `openBeneath`. `places` and `directoryEnds` are the bytes of arrays of numbers. `bodies` has BODY_BYTES for each record
   * of the job, at the offsets of `BodyOffset`; `also` has the bytes that their tags authenticate, too. With the descriptor
   * FETCHED_BODY, the position is one in `fetched`.
   *
   * A file whose `how` has RestoreHow.copied gets the bytes of a file that was written before; the names of such files
   * are in `copiedNames`, each with a zero byte behind it. With RestoreHow.inherits, a file is written with
   * MetadataOption.dropInherited.
   *
   * `undecided` receives LEFT_NUMBERS (32 bits) for each file that needs a decision: its index, and the offset of its row.
   * The `how` of such a file is another one, it is sparse, its record has no descriptor (-1) or cannot be decoded, or an
   * error occurred. Nothing of it is left. `counts` receives a Float64Array, whose numbers are those of RestoreCount.
   * Returns what the system refused, for `refusedOfFiles`.
   *
   * With `isAsync`, the call works on a thread of libuv's pool and returns a promise. The buffers must not be used,
   * transferred or released before that is settled, and all descriptors must stay open. The call fails only if an argument
   * is malformed.
   */
  restoreFiles(
    ...parts: readonly [
      rootFd: number,
      directories: Uint8Array,
      directoryEnds: Uint8Array,
      rows: Uint8Array,
      places: Uint8Array,
      bodies: Uint8Array,
      also: Uint8Array,
      key: Uint8Array,
      options: number,
      copiedNames: Uint8Array,
      fetched: Uint8Array,
      undecided: Uint8Array,
      counts: Uint8Array,
      isAsync: boolean,
    ]
  ): Promise<Buffer | undefined> | Buffer | undefined;
}

/** Numbers of a file that needs a decision. */
export const LEFT_NUMBERS = 2;

/** Indexes into the Float64Array of the `counts` of `restoreFiles`. */
export const RestoreCount = Object.freeze({
  /** Number of files that the call wrote. */
  files: 0,
  /** Bytes of these files. */
  writtenBytes: 1,
  /** Number of files that need a decision. */
  undecided: 2,
  numbers: 3,
});

/** Stands for the descriptor of a body that was fetched before. */
export const FETCHED_BODY = -2;
/** Bytes for each record of `restoreFiles`. */
export const BODY_BYTES = 88;
/** Offsets in these bytes: of two doubles, six numbers of 32 bits, and the key and the nonce of an encrypted body. */
export const BodyOffset = Object.freeze({
  position: 0,
  storedBytes: 8,
  decodedBytes: 16,
  codec: 20,
  cipher: 24,
  fd: 28,
  alsoFrom: 32,
  alsoBytes: 36,
  key: 40,
  nonce: 72,
});

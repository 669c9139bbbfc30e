/**
 * Calls of the addon that read and decode on threads of libuv's pool. The buffers given must not be used, transferred
 * or released before the promise is settled.
 */

/** Results of `decodeAsync`. */
export const DecodeOutcome = Object.freeze({
  decoded: 0,
  /** The body was not encrypted with this key, or was changed. */
  changed: 1,
  /** The compressed bytes are damaged. */
  broken: 2,
  /** The body decodes to another length. */
  otherLength: 3,
  /** A content is not within the decoded bytes. */
  outside: 4,
  /** The file ends before the body does. */
  truncated: 5,
});
/** Value of `cipher` for a body that is not encrypted. */
export const NO_BODY_CIPHER = 2;
/** Bytes for each content: 32 of its digest, then its offset and size as u32. */
export const CONTENT_ROW_BYTES = 40;

/** Parameters of `decodeAsync`, and the first ones of `decodePartAsync`. */
export type DecodeArguments = readonly [
  /** A `BodyCipherNumber` or `NO_BODY_CIPHER`. */
  cipher: number,
  key: Uint8Array,
  nonce: Uint8Array,
  /** Bytes that the tag authenticates, too, but that are not encrypted. */
  also: Uint8Array,
  /** Encrypted bytes, with their tag at the end. They are decrypted in place. */
  body: Uint8Array,
  /** 0 (none) or 1 (zstd). */
  codec: number,
  target: Uint8Array,
  /** Each row has an offset and a size in `target`, and receives the SHA-256 of those bytes. */
  contents: Uint8Array,
];

/** Bytes of the place of a body in a file. */
export const BODY_PLACE_BYTES = 24;

export interface DecodingCalls {
  /**
   * Reads until `target` is full or the file ends. Resolves with the number of bytes. `fd` must stay open meanwhile.
   */
  readAsync(fd: number, position: number, target: Uint8Array): Promise<number>;
  /** Decrypts `body` and decodes it into `target`, which it fills exactly. Resolves with an `DecodeOutcome`. */
  decodeAsync(...body: DecodeArguments): Promise<number>;
  /**
   * Decodes only a part of `body` into `target`: as many bytes as `target` has, from position `from` of the decoded
   * bytes. Bytes after this part are not decoded, so damage in them is not found. Otherwise the call works as
   * `decodeAsync`.
   */
  decodePartAsync(
    ...bodyAndFrom: readonly [...body: DecodeArguments, from: number]
  ): Promise<number>;
  /**
   * Reads a body of at most 32 MiB from a file and decodes it as `decodeAsync` does, or a part of it as
   * `decodePartAsync` does. In place of the body are three doubles: its position in the file, its bytes, and the first
   * decoded byte that is wanted. -1 stands for the whole body. `fd` must stay open until the promise is settled.
   */
  decodeStoredAsync(
    ...placeAndFile: readonly [...place: DecodeArguments, fd: number]
  ): Promise<number>;
}

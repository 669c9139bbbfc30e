/**
 * Calls of the addon that read and decode on threads of libuv's pool. The buffers given must not be used, transferred
 * or released before the promise is settled.
 */

/** Results of `decodeAside`. */
export const AsideOutcome = Object.freeze({
  decoded: 0,
  /** The body was not encrypted with this key, or was changed. */
  changed: 1,
  /** The compressed bytes are damaged. */
  broken: 2,
  /** The body decodes to another length. */
  otherLength: 3,
  /** A content is not within the decoded bytes. */
  outside: 4,
});
/** Value of `cipher` for a body that is not encrypted. */
export const NO_BODY_CIPHER = 2;
/** Bytes for each content: 32 of its digest, then its offset and size as u32. */
export const CONTENT_ROW_BYTES = 40;

export interface DecodingCalls {
  /**
   * Reads until `target` is full or the file ends. Resolves with the number of bytes. `fd` must stay open meanwhile.
   */
  readAside(fd: number, position: number, target: Uint8Array): Promise<number>;
  /**
   * Decrypts `body`, which ends with its tag, in place, and decodes it into `target`. `cipher` is a `BodyCipherNumber`
   * or `NO_BODY_CIPHER`; `codec` is 0 (none) or 1 (zstd). Each row of `contents` has an offset and a size in `target`,
   * and receives the SHA-256 of those bytes. Resolves with an `AsideOutcome`.
   */
  decodeAside(
    cipher: number,
    key: Uint8Array,
    nonce: Uint8Array,
    also: Uint8Array,
    body: Uint8Array,
    codec: number,
    target: Uint8Array,
    contents: Uint8Array,
  ): Promise<number>;
  /**
   * Decodes only a part of `body` into `target`: as many bytes as it has, from position `from` of the decoded bytes.
   * Bytes after this part are not decoded, so damage in them is not found. The rest is as for `decodeAside`.
   */
  decodePartAside(
    cipher: number,
    key: Uint8Array,
    nonce: Uint8Array,
    also: Uint8Array,
    body: Uint8Array,
    codec: number,
    target: Uint8Array,
    contents: Uint8Array,
    from: number,
  ): Promise<number>;
}

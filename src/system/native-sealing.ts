/**
 * The calls of the native addon that encrypt: bodies of records, names and what else a server compares,
 * digests. Keys are never copied beyond a call, but for one in the context of each thread's cipher.
 */
export const BodyCipher = Object.freeze({ aes256Gcm: 0, chaCha20Poly1305: 1 });
export type BodyCipherNumber = (typeof BodyCipher)[keyof typeof BodyCipher];
/** What `encryptBody` adds. */
export const BODY_TAG_BYTES = 16;
export const BODY_NONCE_BYTES = 12;
/** The two keys of `sealBytes` and the like, one behind the other. */
export const SEAL_KEYS_BYTES = 64;

export interface SealingCalls {
  /** Replaces digests (32 bytes each, `count` of them from `offset` on) by their HMAC-SHA-256. */
  keyDigests(key: Uint8Array, digests: Uint8Array, offset: number, count: number): void;
  /**
   * Seals bytes so that equal ones stay equal: 16 bytes of HMAC-SHA-256 over label and bytes, from which
   * AES-256 in counter mode begins; then NUL, slash and what stands for them become two bytes each, so
   * that a seal can be a name.
   */
  sealBytes(keys: Uint8Array, label: number, bytes: Uint8Array): Buffer;
  /** The inverse; undefined when it was not made under this label with these keys. */
  openBytes(keys: Uint8Array, label: number, sealed: Uint8Array): Buffer | undefined;
  /**
   * Rows with sealed names (label 0) and link targets (label 1); attributes become one, "sealed", whose
   * value is theirs sealed (label 2, without the doubling of bytes). All else stays as it is. With
   * `entryKeys` (else empty) each row gets an attribute "seal": its seal, and a hash of its content. The seal is
   * added to `sum` (32 bytes).
   */
  sealRows(keys: Uint8Array, rows: Uint8Array, entryKeys: Uint8Array, sum: Uint8Array): Buffer;
  /**
   * The inverse of `sealRows` with `entryKeys`: checks each row's seal and adds it to `sum`. Undefined when
   * a row was not sealed with these keys, or changed. `contents` gets the hash of each row's content, 16
   * bytes: that is not checked.
   */
  openRows(
    keys: Uint8Array,
    entryKeys: Uint8Array,
    rows: Uint8Array,
    sum: Uint8Array,
    contents: Uint8Array,
  ): Buffer | undefined;
  /**
   * For each sealed row of a listing for which `wanted` has 0 (and that is not unreadable): `known` has 48
   * bytes: its seal, and the hashes of content and attributes. Those that are right are
   * added to `sum`, the others get 1 in `wanted`. Returns how many were right.
   */
  checkKnown(
    entryKeys: Uint8Array,
    rows: Uint8Array,
    known: Uint8Array,
    wanted: Uint8Array,
    sum: Uint8Array,
  ): number;
  /** Puts the first `outBytes` bytes of HMAC-SHA-256 of a part of `data` to `out`. */
  mac(
    key: Uint8Array,
    data: Uint8Array,
    dataAt: number,
    dataBytes: number,
    out: Uint8Array,
    outAt: number,
    outBytes: number,
  ): void;
  /** Adds HMAC-SHA-256 of each `eachBytes` bytes of `data` to `sum`, as numbers of 256 bits. */
  addMacs(key: Uint8Array, data: Uint8Array, eachBytes: number, sum: Uint8Array): void;
  /** Encrypts `bytes` bytes in place; the tag is put behind them, where there must be room. */
  encryptBody(
    cipher: BodyCipherNumber,
    key: Uint8Array,
    nonce: Uint8Array,
    also: Uint8Array,
    data: Uint8Array,
    offset: number,
    bytes: number,
  ): void;
  /** The inverse; `bytes` is without the tag. False when a byte was changed: what is there then is of no use. */
  decryptBody(
    cipher: BodyCipherNumber,
    key: Uint8Array,
    nonce: Uint8Array,
    also: Uint8Array,
    data: Uint8Array,
    offset: number,
    bytes: number,
  ): boolean;
}

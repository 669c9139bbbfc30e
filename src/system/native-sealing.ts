/**
 * The calls of the native addon that encrypt: bodies of records, digests, and names and other values that a
 * server must compare. No call keeps a copy of a key, except one in the context of each thread's cipher.
 */
export const BodyCipher = Object.freeze({ aes256Gcm: 0, chaCha20Poly1305: 1 });
export type BodyCipherNumber = (typeof BodyCipher)[keyof typeof BodyCipher];
/** Bytes that `encryptBody` appends. */
export const BODY_TAG_BYTES = 16;
export const BODY_NONCE_BYTES = 12;
/** Bytes of the two keys of `sealBytes` and the other sealing calls, one after the other. */
export const SEAL_KEYS_BYTES = 64;

type BodyArguments = readonly [
  cipher: BodyCipherNumber,
  key: Uint8Array,
  nonce: Uint8Array,
  also: Uint8Array,
  data: Uint8Array,
  offset: number,
  bytes: number,
];

export interface SealingCalls {
  /** Replaces `count` digests of 32 bytes each, from `offset` on, with their HMAC-SHA-256. */
  keyDigests(key: Uint8Array, digests: Uint8Array, offset: number, count: number): void;
  /**
   * Seals bytes; equal bytes get equal seals. A seal is 16 bytes of HMAC-SHA-256 over label and bytes, which is
   * the initial counter, followed by the bytes under AES-256 in counter mode. Each NUL, slash and escape byte
   * then becomes two bytes, so that a seal can be a file name.
   */
  sealBytes(keys: Uint8Array, label: number, bytes: Uint8Array): Buffer;
  /** Returns the bytes that were sealed; undefined if the seal was not made under this label with these keys. */
  openBytes(keys: Uint8Array, label: number, sealed: Uint8Array): Buffer | undefined;
  /**
   * Returns the rows with sealed names (label 0) and link targets (label 1). The attributes of a row become one
   * attribute, "sealed", whose value is their seal (label 2, without escapes). All other fields stay as they are.
   *
   * With `entryKeys` (empty: without) each row gets an attribute "seal": its own seal, and a hash of its content.
   * The seal is added to `sum` (32 bytes).
   */
  sealRows(keys: Uint8Array, rows: Uint8Array, entryKeys: Uint8Array, sum: Uint8Array): Buffer;
  /**
   * Reverses `sealRows` with `entryKeys`: checks the seal of each row and adds it to `sum`. Returns undefined if
   * a row was not sealed with these keys, or was changed. `contents` receives the hash of each row's content, 16
   * bytes each; the content itself is not checked.
   */
  openRows(
    keys: Uint8Array,
    entryKeys: Uint8Array,
    rows: Uint8Array,
    sum: Uint8Array,
    contents: Uint8Array,
  ): Buffer | undefined;
  /**
   * Opens a page of a directory whose entries are sealed: a range of `pages`, which `History.listPacked` returned.
   * `place` is the 16 bytes that identify the directory. Checks the seal of each entry and adds it to `sum`. Returns
   * the number of entries and of directories (u32 each); for each directory its id (u64) and its place; for each entry
   * the 16 bytes by which its seal covers its content, which are not compared here; and the page with the opened entries. They are sorted by name if `sorts`; otherwise they keep their order, which the head of
   * the page marks (`:` in place of `;`).
   *
   * Returns undefined, and leaves `sum` invalid, if an entry was changed or not sealed with these keys. Does so too if
   * an entry is damaged, lacks a content or directory that its seal requires, or has one that its seal excludes.
   */
  openListing(
    keys: Uint8Array,
    entryKeys: Uint8Array,
    placeKey: Uint8Array,
    place: Uint8Array,
    pages: Uint8Array,
    from: number,
    bytes: number,
    sum: Uint8Array,
    sorts: boolean,
  ): Buffer | undefined;
  /**
   * Checks the sealed rows of a listing for which `wanted` has 0, except unreadable ones. `known` has 48 bytes
   * for each row: its seal, and the hashes of its content and its attributes. A correct seal is added to `sum`;
   * for the others `wanted` becomes 1. Returns the number of correct seals.
   */
  checkKnown(
    entryKeys: Uint8Array,
    rows: Uint8Array,
    known: Uint8Array,
    wanted: Uint8Array,
    sum: Uint8Array,
  ): number;
  /** Writes the first `outBytes` bytes of the HMAC-SHA-256 of a part of `data` to `out`. */
  mac(
    key: Uint8Array,
    data: Uint8Array,
    dataAt: number,
    dataBytes: number,
    out: Uint8Array,
    outAt: number,
    outBytes: number,
  ): void;
  /** Adds the HMAC-SHA-256 of each block of `eachBytes` bytes of `data` to `sum`, as numbers of 256 bits. */
  addMacs(key: Uint8Array, data: Uint8Array, eachBytes: number, sum: Uint8Array): void;
  /**
   * Encrypts `bytes` bytes in place and writes the tag after them; `data` must have room for it. `also` is
   * authenticated but not encrypted.
   */
  encryptBody(...body: BodyArguments): void;
  /** Decrypts in place; `bytes` excludes the tag. Returns false if anything was changed; the data is then useless. */
  decryptBody(...body: BodyArguments): boolean;
}

/**
 * Schemes, and the keys of contents and digests: plain data, so that it crosses threads. Where keys come
 * from is the affair of src/crypto.
 */

/** How digests, names and bytes are keyed: the number stands in every record. */
export const Scheme = Object.freeze({
  /** Not at all. */
  plain: 1,
  /** Bodies by AES-256-GCM. */
  aes: 2,
  /** Bodies by ChaCha20-Poly1305, for processors without AES. */
  chaCha: 3,
  /** Bodies as they are, with a tag by a key: everybody can read them, nobody else make them. */
  readable: 4,
});
export type SchemeNumber = (typeof Scheme)[keyof typeof Scheme];

export function isScheme(value: number): value is SchemeNumber {
  return Number.isInteger(value) && value >= Scheme.plain && value <= Scheme.readable;
}

export interface ContentKeys {
  /** New records are made with these two, where nothing else is chosen. */
  readonly scheme: SchemeNumber;
  readonly epoch: number;
  /** One for each epoch; 32 bytes. */
  readonly contents: readonly { readonly epoch: number; readonly key: Uint8Array }[];
  /** The same in all epochs; 32 bytes. */
  readonly digests: Uint8Array;
}

/** What keys a digest: a call of the native addon. */
interface DigestCalls {
  keyDigests(key: Uint8Array, digests: Uint8Array, offset: number, count: number): void;
}

/** Makes the digest of a content of a hash of its bytes, in place; without keys it is that. */
export function contentDigest<D extends Uint8Array>(
  calls: DigestCalls,
  keys: ContentKeys | undefined,
  hash: D,
  offset = 0,
): D {
  if (keys !== undefined) calls.keyDigests(keys.digests, hash, offset, 1);
  return hash;
}

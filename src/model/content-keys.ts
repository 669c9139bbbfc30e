/**
 * Encryption schemes, and the keys of contents and digests. They are plain data, so that they can be sent to
 * other threads. The keys are derived in src/crypto.
 */

/** Scheme by which digests, names and bodies are protected; its number is in the header of every record. */
export const Scheme = Object.freeze({
  /** No keys: bodies are not encrypted, and digests are hashes. */
  plain: 1,
  /** Bodies are encrypted with AES-256-GCM. */
  aes: 2,
  /** Bodies are encrypted with ChaCha20-Poly1305, for processors without AES instructions. */
  chaCha: 3,
  /**
   * Bodies are not encrypted but authenticated with a keyed tag: anyone can read them, only holders of the key
   * can write them.
   */
  readable: 4,
});
export type SchemeNumber = (typeof Scheme)[keyof typeof Scheme];

export function isScheme(value: number): value is SchemeNumber {
  return Number.isInteger(value) && value >= Scheme.plain && value <= Scheme.readable;
}

export interface ContentKeys {
  /** Scheme of new records, unless the user chose another scheme for a file. */
  readonly scheme: SchemeNumber;
  /** Epoch whose key encrypts new records. Each change of that key (`sonic rotate`) begins an epoch. */
  readonly epoch: number;
  /** Keys of contents, one of 32 bytes for each epoch. Epochs are counted from 1. */
  readonly contents: readonly { readonly epoch: number; readonly key: Uint8Array }[];
  /** Key of digests: 32 bytes, valid in all epochs. */
  readonly digests: Uint8Array;
}

/** The function of the native addon that turns hashes into keyed digests. */
interface DigestCalls {
  keyDigests(key: Uint8Array, digests: Uint8Array, offset: number, count: number): void;
}

/** Turns the hash of a content into its digest, in place. Without keys the digest is the hash. */
export function contentDigest<D extends Uint8Array>(
  calls: DigestCalls,
  keys: ContentKeys | undefined,
  hash: D,
  offset = 0,
): D {
  if (keys !== undefined) calls.keyDigests(keys.digests, hash, offset, 1);
  return hash;
}

const NO_KEY = new Uint8Array(0);

/** Returns the key of digests as the addon takes it: no bytes without keys. */
export function digestKeyOf(keys: ContentKeys | undefined): Uint8Array {
  return keys?.digests ?? NO_KEY;
}

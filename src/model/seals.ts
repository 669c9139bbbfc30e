/** Sizes of seals (docs/inside/formats.md, "Seals"). A server stores seals, but cannot interpret them. */
import { createHash } from 'node:crypto';
import { readAttributes } from './attributes.js';

/**
 * Size of the seal of an entry, of a listing, or of a directory's place. A place is the root and the names that lead to
 * the directory.
 */
export const SEAL_BYTES = 16;
/** Size of the seal of a directory in a set: seal of its place, seal of its listing. */
export const DIRECTORY_SEAL_BYTES: number = 2 * SEAL_BYTES;
/**
 * Size of the seal stored with a skip hash: place, listing, and the proof that skip hash and listing belong together.
 */
export const SKIP_SEAL_BYTES: number = 3 * SEAL_BYTES;
/** Size of the seal in the row of an entry: the seal itself, and the hash of the content that the seal covers. */
export const ENTRY_SEAL_BYTES: number = 2 * SEAL_BYTES;
/**
 * Size of the data by which a client recognises an unchanged entry of a changed listing: seal, hash of its content,
 * hash of its attributes.
 */
export const KNOWN_BYTES: number = 3 * SEAL_BYTES;
/** Size of the seal of a set: the number of the sealed set before it (u64), the seal of that set, its own seal. */
export const SET_SEAL_BYTES: number = 8 + 2 * SEAL_BYTES;
/** Value of a missing seal: zeros. */
export const NO_SEAL: Buffer = Buffer.alloc(SEAL_BYTES);
/** Name of the attribute that holds an entry's seal. */
export const SEAL_ATTRIBUTE: Buffer = Buffer.from('seal');
/** Name of the attribute that holds all other attributes of an entry, sealed. */
export const SEALED_ATTRIBUTES: Buffer = Buffer.from('sealed');

/** Returns the entry's seal from its packed attributes; zeros if there is none. */
export function sealIn(attributes: Buffer | undefined): Buffer {
  const seal = readAttributes(attributes).find(({ name }) => name.equals(SEAL_ATTRIBUTE))?.value;
  return seal?.length === ENTRY_SEAL_BYTES ? seal.subarray(0, SEAL_BYTES) : NO_SEAL;
}

/**
 * Returns the hash of an entry's sealed attributes, which the entry's seal covers; zeros if there are no attributes.
 */
export function attributesHash(sealed: Uint8Array | undefined): Buffer {
  if (sealed === undefined) return Buffer.alloc(SEAL_BYTES);
  return createHash('sha256').update(sealed).digest().subarray(0, SEAL_BYTES);
}

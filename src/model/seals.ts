/** How long seals are (docs/formats.md, "Seals"): a server keeps them, and knows little more of them. */
import { createHash } from 'node:crypto';
import { readAttributes } from './attributes.js';

/** Of an entry, a listing, a directory's place. */
export const SEAL_BYTES = 16;
/** Of a directory in a set: its place and its listing. */
export const DIRECTORY_SEAL_BYTES: number = 2 * SEAL_BYTES;
/** What is kept beside a skip hash: the same, and the proof that both belong together. */
export const SKIP_SEAL_BYTES: number = 3 * SEAL_BYTES;
/** What an entry's row has of its seal: that, and which content it is of. */
export const ENTRY_SEAL_BYTES: number = 2 * SEAL_BYTES;
/** What an unchanged entry of a changed listing is known by: the same, and which attributes. */
export const KNOWN_BYTES: number = 3 * SEAL_BYTES;
/** Of a set: the number of the sealed set before it (u64), the seal of that, its own. */
export const SET_SEAL_BYTES: number = 8 + 2 * SEAL_BYTES;
/** Stands for a seal that is not there. */
export const NO_SEAL: Buffer = Buffer.alloc(SEAL_BYTES);
/** The attribute that holds an entry's seal. */
export const SEAL_ATTRIBUTE: Buffer = Buffer.from('seal');
/** The one that all others become. */
export const SEALED_ATTRIBUTES: Buffer = Buffer.from('sealed');

/** An entry's seal in its packed attributes; zeros where there is none. */
export function sealIn(attributes: Buffer | undefined): Buffer {
  const seal = readAttributes(attributes).find(({ name }) => name.equals(SEAL_ATTRIBUTE))?.value;
  return seal?.length === ENTRY_SEAL_BYTES ? seal.subarray(0, SEAL_BYTES) : NO_SEAL;
}

/** By what an entry's seal covers its attributes. */
export function attributesHash(sealed: Uint8Array | undefined): Buffer {
  if (sealed === undefined) return Buffer.alloc(SEAL_BYTES);
  return createHash('sha256').update(sealed).digest().subarray(0, SEAL_BYTES);
}

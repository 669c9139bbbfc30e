/**
 * Derives the keys of a client that encrypts from the master keys of its key record, one key for each purpose. The
 * derivations are in docs/inside/formats.md, "Encryption".
 */
import { hkdfSync } from 'node:crypto';
import { type ContentKeys, Scheme, type SchemeNumber } from '../model/index.js';
import { hasAes, SEAL_KEYS_BYTES, type SealingCalls } from '../system/index.js';
import { TardisError } from '../errors/index.js';
import { type KeyRecord, KeyPurpose, type KeyPurposeNumber, type MasterKey } from './key-record.js';
import { NameSealer } from './name-sealer.js';
import { TreeSealer } from './tree-sealer.js';

const KEY_BYTES = 32;

export interface Keyring {
  /** Id of the key set, in hexadecimal; equal in all key records with the same keys. */
  readonly id: string;
  readonly contents: ContentKeys;
  readonly names: NameSealer;
  /** Key of the skip hashes. */
  readonly skipHashes: Buffer;
  /** Secret of this machine's memory of similar contents. */
  readonly similar: Buffer;
  readonly tree: TreeSealer;
}

/**
 * Derives the keyring. `scheme` is the scheme of new records; by default the cipher that is faster on this processor.
 * Throws KEYS_DAMAGED if a key is missing.
 */
export function keyringOf(
  calls: SealingCalls,
  { keysetId }: KeyRecord,
  masters: readonly MasterKey[],
  scheme: Exclude<SchemeNumber, typeof Scheme.plain> = hasAes() ? Scheme.aes : Scheme.chaCha,
): Keyring {
  const of = (purpose: KeyPurposeNumber): readonly MasterKey[] => {
    const found = masters.filter((master) => master.purpose === purpose);
    if (found.length > 0) return found;
    throw new TardisError('KEYS_DAMAGED', 'a key record lacks a key');
  };
  const derive = (purpose: KeyPurposeNumber, label: string, bytes = KEY_BYTES): Buffer =>
    Buffer.from(hkdfSync('sha256', of(purpose)[0]!.key, '', `tardis keys 1: ${label}`, bytes));
  const contents = of(KeyPurpose.content);
  const nameKeys = derive(KeyPurpose.names, 'names', SEAL_KEYS_BYTES);
  const sealKey = (label: string, bytes = KEY_BYTES): Buffer =>
    derive(KeyPurpose.seals, label, bytes);
  return {
    id: keysetId.toString('hex'),
    contents: {
      scheme,
      epoch: Math.max(...contents.map(({ epoch }) => epoch)),
      contents: contents.map(({ epoch, key }) => ({ epoch, key: Uint8Array.from(key) })),
      digests: Uint8Array.from(derive(KeyPurpose.digests, 'digests')),
    },
    names: new NameSealer(calls, nameKeys),
    skipHashes: derive(KeyPurpose.digests, 'skip hashes'),
    similar: derive(KeyPurpose.digests, 'similar'),
    tree: new TreeSealer(calls, nameKeys, {
      entries: sealKey('entries', SEAL_KEYS_BYTES),
      listings: sealKey('listings'),
      places: sealKey('places'),
      proofs: sealKey('proofs'),
      sets: sealKey('sets'),
    }),
  };
}

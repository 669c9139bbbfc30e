/**
 * The key record of a client: its random master keys, wrapped by a key derived from the password, and the login
 * verifier of that password. The server stores the record, and can read neither the keys nor the password. A change of
 * password makes a new record around the same keys. If the keys are in a key file, the server's record ends with the
 * verifier. docs/inside/formats.md describes every byte.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import { isZeros } from '../model/index.js';
import { type ModPow, SRP_BYTES, srpGroup, srpPower, srpPrivateKey } from './srp.js';
import {
  isFit,
  SALT_BYTES,
  STRETCH,
  type StretchedPassword,
  type StretchParameters,
  stretchPassword,
} from './stretch.js';

const MAGIC = Buffer.from('TDK1');
const VERSION = 1;
const KDF_SCRYPT = 1;
/** Number of the login group: 3072-bit SRP with SHA-256. */
export const LOGIN_GROUP = 1;
/** Cipher of a record without keys: it ends with the verifier, and the keys are in a key file. */
const CIPHER_NONE = 0;
const CIPHER_AES_256_GCM = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEYSET_ID_BYTES = 16;
const WRAPPED_SIZE_AT = 76;
const VERIFIER_AT = 80;
const WRAPPED_AT = VERIFIER_AT + SRP_BYTES;
const CRC_BYTES = 4;
export const MAX_KEY_RECORD_BYTES: number = 64 << 10;
/** Identity in the SRP exponent x, in place of the client's name, so that the client's directory can be renamed. */
const IDENTITY = 'tardis';

/** Offset of the number of the cipher that wraps the keys. */
const CIPHER_AT = 10;
/** Offset of the flag for encrypted contents and metadata. */
const ENCRYPTS_AT = 11;
const NONCE_AT = 32 + SALT_BYTES;

/** Purposes of master keys. */
export const KeyPurpose = Object.freeze({
  content: 1,
  names: 2,
  digests: 3,
  seals: 4,
  /** Id of an earlier key set that this one replaced, padded with zeros; not a key. */
  former: 5,
});
export type KeyPurposeNumber = (typeof KeyPurpose)[keyof typeof KeyPurpose];

/** Purposes of the keys of a new client. */
const NEW_PURPOSES = [
  KeyPurpose.content,
  KeyPurpose.names,
  KeyPurpose.digests,
  KeyPurpose.seals,
] as const;

const KEY_BYTES = 32;
const ENTRY_BYTES = 40;
/** Maximum number of ids of replaced key sets in a record; the newest are kept. */
const MAX_FORMER = 64;

export interface MasterKey {
  readonly purpose: KeyPurposeNumber;
  /** Number of the epoch, from 1. Contents get a new key in each epoch; every other purpose has one key, of epoch 1. */
  readonly epoch: number;
  readonly key: Buffer;
}

export interface KeyRecord {
  /** Version of the record: 1 at first, and one more for each change of the password or the keys. */
  readonly number: number;
  /** Id of the key set; equal in all records of the same keys. */
  readonly keysetId: Buffer;
  /**
   * True if contents and metadata are encrypted. If false, the keys are unused, and the password is only for logins.
   */
  readonly isEncrypting: boolean;
  /** True if the record contains the wrapped keys. If false, they are in a key file of the owner. */
  readonly hasKeys: boolean;
  readonly parameters: StretchParameters;
  readonly salt: Buffer;
  readonly verifier: Buffer;
  readonly bytes: Buffer;
}

/**
 * Parses a record from the store or the network. Throws KEYS_DAMAGED if it is malformed, and STORE_NEWER if its kind is
 * unknown.
 */
export function parseKeyRecord(given: Uint8Array): KeyRecord {
  const bytes = Buffer.from(given);
  const refuse = (why: string): TardisError =>
    new TardisError('KEYS_DAMAGED', `a key record ${why}`);
  if (bytes.length < WRAPPED_AT + CRC_BYTES || bytes.length > MAX_KEY_RECORD_BYTES) {
    throw refuse('has the wrong length');
  }
  const end = bytes.length - CRC_BYTES;
  const isWhole = crc32(bytes.subarray(0, end)) === bytes.readUInt32LE(end);
  if (!isWhole || !bytes.subarray(0, 4).equals(MAGIC)) throw refuse('is damaged');
  const known = [VERSION, KDF_SCRYPT, LOGIN_GROUP];
  const cipher = bytes[CIPHER_AT]!;
  const isKnown = cipher === CIPHER_NONE || cipher === CIPHER_AES_256_GCM;
  if (!isKnown || [bytes[4], bytes[5], bytes[9]].some((kind, index) => kind !== known[index])) {
    throw new TardisError(
      'STORE_NEWER',
      'a key record is of a kind that this release does not know',
    );
  }
  const parameters = { logN: bytes[6]!, r: bytes[7]!, p: bytes[8]! };
  const number = bytes.readUInt32LE(12);
  const isSized = bytes.readUInt32LE(WRAPPED_SIZE_AT) === end - WRAPPED_AT;
  const encrypts = bytes[ENCRYPTS_AT]!;
  const isOrdered = cipher === CIPHER_NONE ? isBare(bytes) : end >= WRAPPED_AT + TAG_BYTES;
  if (!isFit(parameters) || number === 0 || !isSized || encrypts > 1 || !isOrdered)
    throw refuse('has invalid values');
  return {
    number,
    isEncrypting: encrypts === 1,
    hasKeys: cipher !== CIPHER_NONE,
    keysetId: bytes.subarray(16, 32),
    salt: bytes.subarray(32, 32 + SALT_BYTES),
    parameters,
    verifier: bytes.subarray(VERIFIER_AT, WRAPPED_AT),
    bytes,
  };
}

/** Returns the length of a record in bytes, read from its head; undefined if the head is too short or damaged. */
export function recordBytesByHead(head: Buffer): number | undefined {
  if (head.length < VERIFIER_AT || !head.subarray(0, 4).equals(MAGIC)) return undefined;
  const bytes = WRAPPED_AT + head.readUInt32LE(WRAPPED_SIZE_AT) + CRC_BYTES;
  return bytes > MAX_KEY_RECORD_BYTES ? undefined : bytes;
}

/** True if a record without keys is valid: no room for keys, no nonce, and marked as encrypting. */
function isBare(bytes: Buffer): boolean {
  const hasNonce = !isZeros(bytes.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES));
  return bytes.length === WRAPPED_AT + CRC_BYTES && !hasNonce && bytes[ENCRYPTS_AT] === 1;
}

/**
 * Returns the record without its keys. The store keeps this form, for logins, if the client has the keys in a key
 * file. An attacker who has it can decrypt nothing, even with the password.
 */
export function withoutKeys({ bytes }: KeyRecord): KeyRecord {
  const bare = Buffer.from(bytes.subarray(0, WRAPPED_AT));
  bare[CIPHER_AT] = CIPHER_NONE;
  bare.fill(0, NONCE_AT, NONCE_AT + NONCE_BYTES);
  bare.writeUInt32LE(0, WRAPPED_SIZE_AT);
  return sealed(bare);
}

/** True if `record` equals `shown`, or if `shown` has no keys and equals `record` without its keys. */
export function isOfRecord(record: KeyRecord, shown: KeyRecord): boolean {
  if (shown.hasKeys) return record.bytes.equals(shown.bytes);
  return withoutKeys(record).bytes.equals(shown.bytes);
}

/** Input of a new record. */
interface NewRecord {
  readonly number: number;
  readonly keysetId: Buffer;
  readonly keys: readonly MasterKey[];
  readonly isEncrypting: boolean;
  readonly parameters: StretchParameters;
}

export interface MadeKeyRecord {
  readonly record: KeyRecord;
  /** Secrets of the new password, so that a login needs no second memory-hard call. */
  readonly secrets: StretchedPassword;
}

/** Generates master keys and wraps them in a first record. */
export function newKeyRecord(
  modPow: ModPow,
  password: Buffer,
  isEncrypting: boolean,
  parameters: StretchParameters = STRETCH,
): Promise<MadeKeyRecord> {
  const [keysetId, keys] = [randomBytes(KEYSET_ID_BYTES), newKeys()];
  return makeRecord(modPow, password, { number: 1, keysetId, keys, isEncrypting, parameters });
}

function newKeys(): MasterKey[] {
  return NEW_PURPOSES.map((purpose) => ({ purpose, epoch: 1, key: randomBytes(KEY_BYTES) }));
}

/** The keys that a client had before, with the record that wrapped them. */
export interface FormerKeys {
  readonly record: KeyRecord;
  readonly keys: readonly MasterKey[];
}

/**
 * Generates master keys in place of `before` (undefined if the client had none), and wraps them in a first record; the
 * client encrypts from then on. The record lists the ids of replaced key sets, which are refused from then on. The list
 * is wrapped, so only somebody with the password can write it.
 */
export function replaceKeys(
  modPow: ModPow,
  password: Buffer,
  before: FormerKeys | undefined,
  parameters: StretchParameters = STRETCH,
): Promise<MadeKeyRecord> {
  const ids = before === undefined ? [] : [...formerIds(before.keys), before.record.keysetId];
  const former = ids.slice(-MAX_FORMER).map((id, index) => {
    const key = Buffer.alloc(KEY_BYTES);
    id.copy(key);
    return { purpose: KeyPurpose.former, epoch: index + 1, key };
  });
  return makeRecord(modPow, password, {
    number: 1,
    keysetId: randomBytes(KEYSET_ID_BYTES),
    keys: [...newKeys(), ...former],
    isEncrypting: true,
    parameters,
  });
}

/** Returns the ids of the key sets that these keys replaced, oldest first. */
export function formerIds(keys: readonly MasterKey[]): Buffer[] {
  return keys
    .filter(({ purpose }) => purpose === KeyPurpose.former)
    .map(({ key }) => key.subarray(0, KEYSET_ID_BYTES));
}

interface NewPassword {
  readonly password: Buffer;
  readonly parameters?: StretchParameters | undefined;
}

/** Returns the next record of the same keys, for another password. Throws LOGIN_FAILED if the old password is wrong. */
export async function changePassword(
  modPow: ModPow,
  record: KeyRecord,
  old: Buffer,
  { password, parameters = record.parameters }: NewPassword,
): Promise<MadeKeyRecord> {
  const { keys } = await unlockKeyRecord(record, old);
  const { number, keysetId, isEncrypting } = record;
  const fresh = { number: number + 1, keysetId, keys, isEncrypting, parameters };
  return makeRecord(modPow, password, fresh);
}

/** Returns the next record, with a content key for one more epoch. Throws LOGIN_FAILED if the password is wrong. */
export async function addEpoch(
  modPow: ModPow,
  record: KeyRecord,
  password: Buffer,
): Promise<MadeKeyRecord> {
  const { keys } = await unlockKeyRecord(record, password);
  const { number, keysetId, isEncrypting, parameters } = record;
  const epochs = keys.flatMap(({ purpose, epoch }) =>
    purpose === KeyPurpose.content ? [epoch] : [],
  );
  const epoch = Math.max(...epochs) + 1;
  const key = { purpose: KeyPurpose.content, epoch, key: randomBytes(KEY_BYTES) };
  const next = { number: number + 1, keysetId, keys: [...keys, key], isEncrypting, parameters };
  return makeRecord(modPow, password, next);
}

/**
 * Returns the first record of a sub-account: the same keys under its own password. Throws LOGIN_FAILED if the owner's
 * password is wrong.
 */
export async function newAccountRecord(
  modPow: ModPow,
  owner: KeyRecord,
  ownerPassword: Buffer,
  { password, parameters = STRETCH }: NewPassword,
): Promise<MadeKeyRecord> {
  const { keys } = await unlockKeyRecord(owner, ownerPassword);
  const { keysetId, isEncrypting } = owner;
  return makeRecord(modPow, password, { number: 1, keysetId, keys, isEncrypting, parameters });
}

/** Stretches the password and unwraps the keys of the record. Throws LOGIN_FAILED if the password is wrong. */
export async function unlockKeyRecord(
  record: KeyRecord,
  password: Buffer,
): Promise<{ keys: MasterKey[]; secrets: StretchedPassword }> {
  const secrets = await stretchPassword(password, record.salt, record.parameters);
  return { keys: openKeyRecord(record, secrets.wrapKey), secrets };
}

/** Returns the secret exponent x of the login, from which the verifier is computed. */
export function loginPrivateKey(salt: Uint8Array, { loginSecret }: StretchedPassword): Buffer {
  return srpPrivateKey(srpGroup(), salt, IDENTITY, loginSecret);
}

async function makeRecord(
  modPow: ModPow,
  password: Buffer,
  { number, keysetId, keys, isEncrypting, parameters }: NewRecord,
): Promise<MadeKeyRecord> {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const secrets = await stretchPassword(password, salt, parameters);
  const verifier = await srpPower(modPow, srpGroup(), loginPrivateKey(salt, secrets));
  const plain = encodeKeys(keys);
  const head = Buffer.alloc(VERIFIER_AT);
  MAGIC.copy(head);
  const { logN, r, p } = parameters;
  head.set([VERSION, KDF_SCRYPT, logN, r, p, LOGIN_GROUP, CIPHER_AES_256_GCM], 4);
  head[ENCRYPTS_AT] = isEncrypting ? 1 : 0;
  head.writeUInt32LE(number, 12);
  head.set(keysetId, 16);
  head.set(salt, 32);
  head.set(nonce, NONCE_AT);
  head.writeUInt32LE(plain.length + TAG_BYTES, WRAPPED_SIZE_AT);
  const cipher = createCipheriv('aes-256-gcm', secrets.wrapKey, nonce);
  cipher.setAAD(Buffer.concat([head, verifier]));
  const wrapped = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  plain.fill(0);
  return { record: sealed(Buffer.concat([head, verifier, wrapped])), secrets };
}

function sealed(body: Buffer): KeyRecord {
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32LE(crc32(body));
  return parseKeyRecord(Buffer.concat([body, crc]));
}

/**
 * Returns a record that no password opens. A server shows it for a client that does not exist, so that a peer cannot
 * distinguish the two cases. Its bytes are random where those of a real record look random.
 */
export async function decoyKeyRecord(modPow: ModPow): Promise<KeyRecord> {
  const head = Buffer.alloc(VERIFIER_AT);
  MAGIC.copy(head);
  const { logN, r, p } = STRETCH;
  head.set([VERSION, KDF_SCRYPT, logN, r, p, LOGIN_GROUP, CIPHER_AES_256_GCM], 4);
  head[ENCRYPTS_AT] = 1;
  head.writeUInt32LE(1, 12);
  const wrapped = randomBytes(ENTRY_BYTES * NEW_PURPOSES.length + TAG_BYTES);
  head.set(randomBytes(KEYSET_ID_BYTES + SALT_BYTES + NONCE_BYTES), 16);
  head.writeUInt32LE(wrapped.length, WRAPPED_SIZE_AT);
  const verifier = await srpPower(modPow, srpGroup(), randomBytes(KEY_BYTES));
  return sealed(Buffer.concat([head, verifier, wrapped]));
}

/**
 * Unwraps the master keys. Throws LOGIN_FAILED if the key is wrong or a byte was changed, KEYS_ELSEWHERE if the
 * record has no keys.
 */
export function openKeyRecord({ bytes, hasKeys }: KeyRecord, wrapKey: Buffer): MasterKey[] {
  if (!hasKeys) throw new TardisError('KEYS_ELSEWHERE', 'a key record contains no keys');
  const nonce = bytes.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES);
  const tagAt = bytes.length - CRC_BYTES - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', wrapKey, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(bytes.subarray(0, WRAPPED_AT));
  decipher.setAuthTag(bytes.subarray(tagAt, tagAt + TAG_BYTES));
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(bytes.subarray(WRAPPED_AT, tagAt)), decipher.final()]);
  } catch {
    // The error of OpenSSL explains nothing, and its stack would hold the data it worked on.
    throw new TardisError('LOGIN_FAILED', 'the password is wrong');
  }
  return decodeKeys(plain);
}

function encodeKeys(keys: readonly MasterKey[]): Buffer {
  const bytes = Buffer.alloc(keys.length * ENTRY_BYTES);
  for (const [index, { purpose, epoch, key }] of keys.entries()) {
    const at = index * ENTRY_BYTES;
    bytes[at] = purpose;
    bytes.writeUInt32LE(epoch, at + 4);
    bytes.set(key, at + 8);
  }
  return bytes;
}

function decodeKeys(bytes: Buffer): MasterKey[] {
  const keys: MasterKey[] = [];
  const known = new Set<number>(Object.values(KeyPurpose));
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const purpose = bytes[at]!;
    if (!known.has(purpose)) {
      throw new TardisError(
        'STORE_NEWER',
        'a key record has a key that this release does not know',
      );
    }
    keys.push({
      purpose: purpose as KeyPurposeNumber,
      epoch: bytes.readUInt32LE(at + 4),
      key: bytes.subarray(at + 8, at + ENTRY_BYTES),
    });
  }
  return keys;
}

/** Returns the id of a client's keys; empty if the client does not encrypt. */
export function encryptingKeyset(record: KeyRecord | undefined): Buffer {
  return record?.isEncrypting === true ? record.keysetId : Buffer.alloc(0);
}

/**
 * From a password to two independent secrets, by one memory-hard call: scrypt (RFC 7914), then HKDF
 * (RFC 5869) with a label for each. Whoever has one of the two learns nothing about the other.
 */
import { hkdfSync, scrypt } from 'node:crypto';
import { TardisError } from '../errors/index.js';

/** N = 2^logN, block size r, parallelism p. Memory: 128 N r bytes. */
export interface StretchParameters {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB, about a tenth of a second. */
export const STRETCH: StretchParameters = Object.freeze({ logN: 15, r: 8, p: 1 });

const MAX_MEMORY_BYTES = 32 << 20;
/** Below this a guess is too cheap, above it a hostile record could keep a client busy for long. */
const MIN_MEMORY_BYTES = 16 << 20;
const MAX_PASSES = 16;
export const SALT_BYTES = 16;
const KEY_BYTES = 32;

export interface StretchedPassword {
  /** Wraps the master keys. */
  readonly wrapKey: Buffer;
  /** Stands for the password in the login. */
  readonly loginSecret: Buffer;
}

/** Whether parameters from outside are neither too cheap nor too dear. */
export function isFit({ logN, r, p }: StretchParameters): boolean {
  const isWhole = [logN, r, p].every((number) => Number.isInteger(number) && number > 0);
  const memoryBytes = 128 * 2 ** logN * r;
  return (
    isWhole &&
    memoryBytes >= MIN_MEMORY_BYTES &&
    memoryBytes <= MAX_MEMORY_BYTES &&
    r >= 8 &&
    p <= MAX_PASSES
  );
}

/** Computes both secrets on a thread of libuv's pool. Throws LOGIN_FAILED for unfit parameters. */
export async function stretchPassword(
  password: Uint8Array,
  salt: Uint8Array,
  parameters: StretchParameters,
): Promise<StretchedPassword> {
  if (!isFit(parameters)) {
    throw new TardisError(
      'LOGIN_FAILED',
      'the parameters of the password are too weak or too dear',
    );
  }
  const { logN, r, p } = parameters;
  const options = { N: 2 ** logN, r, p, maxmem: 2 * MAX_MEMORY_BYTES };
  const stretched = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
  const secretFor = (label: string): Buffer =>
    Buffer.from(hkdfSync('sha256', stretched, '', `tardis password 1: ${label}`, KEY_BYTES));
  const secrets = { wrapKey: secretFor('wrap keys'), loginSecret: secretFor('login') };
  stretched.fill(0);
  return secrets;
}

/**
 * What is typed in one way may be encoded in two (é, or e and an accent): texts become NFC; what is no
 * UTF-8 stays as it is. Throws PASSWORD_NEEDED for an empty one.
 */
export function normalPassword(given: Uint8Array): Buffer {
  const bytes = Buffer.from(given);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(bytes);
  const normal = isText ? Buffer.from(text.normalize('NFC'), 'utf8') : bytes;
  if (normal.length === 0) throw new TardisError('PASSWORD_NEEDED', 'the password is empty');
  return normal;
}

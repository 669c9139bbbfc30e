/**
 * Derives two independent secrets from a password by one memory-hard call: scrypt (RFC 7914), then HKDF (RFC 5869)
 * with a label for each. Neither secret reveals anything about the other.
 */
import { hkdfSync } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import { loadNative } from '../system/index.js';

/** N = 2^logN, block size r, parallelism p. Memory: 128 N r bytes. */
export interface StretchParameters {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Default parameters: 128 MiB. A call takes some tenths of a second. */
export const STRETCH: StretchParameters = Object.freeze({ logN: 17, r: 8, p: 1 });

/** Minimum memory of a call: with less, a guess is too cheap. */
const MIN_STRETCH_BYTES: number = 16 << 20;
/** Maximum memory of a call: a hostile record or server could otherwise exhaust the client's memory. */
const MAX_STRETCH_BYTES: number = 256 << 20;
/**
 * Maximum of memory times passes, about two seconds: a hostile record or server could otherwise waste the client's
 * time.
 */
const MAX_WORK_BYTES = 512 << 20;
const R = 8;
const BLOCK_BYTES = 128;
export const SALT_BYTES = 16;
const KEY_BYTES = 32;

export interface StretchedPassword {
  /** Key that wraps the master keys. */
  readonly wrapKey: Buffer;
  /** Secret that takes the place of the password in the login. */
  readonly loginSecret: Buffer;
}

/** Returns the strongest parameters that use at most this much memory. */
export function stretchOf(memoryBytes: number): StretchParameters {
  return { logN: Math.floor(Math.log2(memoryBytes / (BLOCK_BYTES * R))), r: R, p: 1 };
}

/** Returns the memory that one call uses, in bytes. */
export function stretchBytes({ logN, r }: StretchParameters): number {
  return BLOCK_BYTES * 2 ** logN * r;
}

/** True if parameters from outside are whole numbers, and within the bounds on memory and time. */
export function isFit(parameters: StretchParameters): boolean {
  const { logN, r, p } = parameters;
  const isWhole = [logN, r, p].every((number) => Number.isInteger(number) && number > 0);
  const memoryBytes = stretchBytes(parameters);
  return (
    isWhole &&
    memoryBytes >= MIN_STRETCH_BYTES &&
    memoryBytes <= MAX_STRETCH_BYTES &&
    memoryBytes * p <= MAX_WORK_BYTES &&
    r >= R
  );
}

/**
 * Computes both secrets in another thread. Throws LOGIN_FAILED for unfit parameters. The addon is not injected: its result
 * depends on nothing else, and no test may replace it.
 */
export async function stretchPassword(
  password: Uint8Array,
  salt: Uint8Array,
  parameters: StretchParameters,
): Promise<StretchedPassword> {
  if (!isFit(parameters)) {
    throw new TardisError(
      'LOGIN_FAILED',
      'the parameters of the password are too weak or too costly',
    );
  }
  const { logN, r, p } = parameters;
  const stretched = await loadNative().scrypt(password, salt, 2 ** logN, r, p, KEY_BYTES);
  const secretFor = (label: string): Buffer =>
    Buffer.from(hkdfSync('sha256', stretched, '', `tardis password 1: ${label}`, KEY_BYTES));
  const secrets = { wrapKey: secretFor('wrap keys'), loginSecret: secretFor('login') };
  stretched.fill(0);
  return secrets;
}

/**
 * Returns the password in the form to stretch. Equal characters may be typed in two encodings (é, or e and an
 * accent). Text in UTF-8 is therefore normalized to NFC; other bytes stay as they are. Throws PASSWORD_NEEDED if the
 * password is empty.
 */
export function normalPassword(given: Uint8Array): Buffer {
  const bytes = Buffer.from(given);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(bytes);
  const normal = isText ? Buffer.from(text.normalize('NFC'), 'utf8') : bytes;
  if (normal.length === 0) throw new TardisError('PASSWORD_NEEDED', 'the password is empty');
  return normal;
}

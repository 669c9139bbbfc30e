/**
 * SRP-6a (RFC 5054, section 2.5, and RFC 2945): proves a password to a server that stores only a verifier. An
 * eavesdropper learns nothing to test guesses on. A peer that impersonates the server can test one guess per login.
 *
 * Numbers are big-endian buffers as long as the group's modulus. OpenSSL computes powers, in constant time and on
 * another thread. The rest (a product, a sum, a remainder) takes some microseconds.
 */
import { createHash, getDiffieHellman, randomBytes } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import { bufferOf } from '../model/index.js';
import type { System } from '../system/index.js';

/** `base` to the power of `exponent`, modulo `modulus`; see `NativeCalls.modPow`. */
export type ModPow = System['native']['modPow'];

export interface SrpGroup {
  /** Name of the hash function in Node. */
  readonly hash: string;
  /** N, a safe prime. */
  readonly modulus: Buffer;
  /** g, a generator of the whole group. */
  readonly generator: number;
}

/** Number of bytes of a number in the group. */
export const SRP_BYTES = 384;
/** Number of bytes of a secret exponent: 256 bits, twice the strength of the group. */
const SECRET_BYTES = 32;

let group3072: SrpGroup | undefined;

/** Returns the 3072-bit group of RFC 5054, with SHA-256. Its prime is that of RFC 3526, section 4. */
export function srpGroup(): SrpGroup {
  group3072 ??= { hash: 'sha256', modulus: getDiffieHellman('modp15').getPrime(), generator: 5 };
  return group3072;
}

/** Returns a secret exponent (a or b) from the random generator of the operating system. */
export function srpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** Returns x = H(salt | H(identity | ":" | password)). */
export function srpPrivateKey(
  { hash }: SrpGroup,
  salt: Uint8Array,
  identity: string,
  password: Uint8Array,
): Buffer {
  const inner = createHash(hash).update(`${identity}:`).update(password).digest();
  return createHash(hash).update(salt).update(inner).digest();
}

/** Returns g to the power of a secret: the verifier for x, or A for a. */
export function srpPower(modPow: ModPow, group: SrpGroup, exponent: Uint8Array): Promise<Buffer> {
  return modPow(Buffer.of(group.generator), exponent, group.modulus);
}

/** Returns B = k v + g^b. */
export async function srpServerPublic(
  modPow: ModPow,
  group: SrpGroup,
  verifier: Uint8Array,
  secret: Uint8Array,
): Promise<Buffer> {
  const power = numberOf(await srpPower(modPow, group, secret));
  return bytesOf(srpMultiplier(group) * numberOf(verifier) + power, group);
}

/** Returns k = H(N | PAD(g)). */
export function srpMultiplier(group: SrpGroup): bigint {
  const generator = bytesOf(BigInt(group.generator), group);
  return numberOf(createHash(group.hash).update(group.modulus).update(generator).digest());
}

/** Returns u = H(PAD(A) | PAD(B)). Throws LOGIN_FAILED if it is 0. */
export function srpScramble(group: SrpGroup, clientPublic: Buffer, serverPublic: Buffer): Buffer {
  const scramble = createHash(group.hash).update(clientPublic).update(serverPublic).digest();
  if (numberOf(scramble) === 0n) throw degenerate();
  return scramble;
}

/** The client's values in a login. */
interface SrpClientSide {
  readonly privateKey: Buffer;
  readonly secret: Buffer;
  readonly clientPublic: Buffer;
  readonly serverPublic: Buffer;
}

/** Returns S = (B - k g^x)^(a + u x). Throws LOGIN_FAILED for a B that no honest server sends. */
export async function srpClientKey(
  modPow: ModPow,
  group: SrpGroup,
  { privateKey, secret, clientPublic, serverPublic }: SrpClientSide,
): Promise<Buffer> {
  checkPublic(group, serverPublic);
  const scramble = srpScramble(group, clientPublic, serverPublic);
  const verifier = numberOf(await srpPower(modPow, group, privateKey));
  const base = bytesOf(numberOf(serverPublic) - srpMultiplier(group) * verifier, group);
  checkPublic(group, base);
  // The exponent is at most twice as long as a hash, far below N, so it needs no reduction.
  const exponent = numberOf(secret) + numberOf(scramble) * numberOf(privateKey);
  return modPow(base, bytesOf(exponent, group), group.modulus);
}

/** The server's values in a login. */
interface SrpServerSide {
  readonly verifier: Buffer;
  readonly secret: Buffer;
  readonly clientPublic: Buffer;
  readonly serverPublic: Buffer;
}

/** Returns S = (A v^u)^b. Throws LOGIN_FAILED for an A that no honest client sends. */
export async function srpServerKey(
  modPow: ModPow,
  group: SrpGroup,
  { verifier, secret, clientPublic, serverPublic }: SrpServerSide,
): Promise<Buffer> {
  checkPublic(group, clientPublic);
  const scramble = srpScramble(group, clientPublic, serverPublic);
  const power = numberOf(await modPow(verifier, scramble, group.modulus));
  return modPow(bytesOf(numberOf(clientPublic) * power, group), secret, group.modulus);
}

/** Throws LOGIN_FAILED for 0, 1 and -1 modulo N in any form: with these the key is known without the password. */
function checkPublic({ modulus }: SrpGroup, value: Buffer): void {
  if (value.length !== modulus.length) throw degenerate();
  const [number, prime] = [numberOf(value), numberOf(modulus)];
  if (number <= 1n || number >= prime - 1n) throw degenerate();
}

function degenerate(): TardisError {
  return new TardisError('LOGIN_FAILED', 'the peer sent an invalid value');
}

function numberOf(bytes: Uint8Array): bigint {
  const hex = bufferOf(bytes).toString('hex');
  return BigInt(`0x${hex}`);
}

/** Returns the remainder modulo N (never negative), padded to the length of N. */
function bytesOf(number: bigint, { modulus }: SrpGroup): Buffer {
  const prime = numberOf(modulus);
  const rest = ((number % prime) + prime) % prime;
  return Buffer.from(rest.toString(16).padStart(2 * modulus.length, '0'), 'hex');
}

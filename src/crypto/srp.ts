/**
 * SRP-6a (RFC 5054, section 2.5, and RFC 2945): proof of a password of which the server holds only a
 * verifier. A listener learns nothing that a guess could be tried on, and who answers in the server's
 * place can try one guess for each session.
 *
 * Numbers are big-endian buffers as long as the group's modulus. Powers are OpenSSL's, in constant time
 * and on another thread; what is left (a product, a sum, a remainder) takes some microseconds.
 */
import { createHash, getDiffieHellman, randomBytes } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';

/** `base` to the power of `exponent`, modulo `modulus`; see `NativeCalls.modPow`. */
export type ModPow = System['native']['modPow'];

export interface SrpGroup {
  /** Name of the hash function, as Node has it. */
  readonly hash: string;
  /** N, a safe prime. */
  readonly modulus: Buffer;
  /** g, which generates the whole group. */
  readonly generator: number;
}

/** Bytes of a value of the group in use. */
export const SRP_BYTES = 384;
/** Secret exponents: 256 bits are twice the strength of the group. */
const SECRET_BYTES = 32;

let group3072: SrpGroup | undefined;

/** The 3072-bit group of RFC 5054, with SHA-256. Its prime is that of RFC 3526, section 4. */
export function srpGroup(): SrpGroup {
  group3072 ??= {
    hash: 'sha256',
    modulus: getDiffieHellman('modp15').getPrime(),
    generator: 5,
  };
  return group3072;
}

/** A secret exponent (a or b), from the operating system's generator. */
export function srpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** x = H(salt | H(identity | ":" | password)). */
export function srpPrivateKey(
  { hash }: SrpGroup,
  salt: Uint8Array,
  identity: string,
  password: Uint8Array,
): Buffer {
  const inner = createHash(hash).update(`${identity}:`).update(password).digest();
  return createHash(hash).update(salt).update(inner).digest();
}

/** g to the power of a secret: the verifier of x, and A of a. */
export function srpPower(modPow: ModPow, group: SrpGroup, exponent: Uint8Array): Promise<Buffer> {
  return modPow(Buffer.of(group.generator), exponent, group.modulus);
}

/** B = k v + g^b. */
export async function srpServerPublic(
  modPow: ModPow,
  group: SrpGroup,
  verifier: Uint8Array,
  secret: Uint8Array,
): Promise<Buffer> {
  const power = numberOf(await srpPower(modPow, group, secret));
  return bytesOf(srpMultiplier(group) * numberOf(verifier) + power, group);
}

/** k = H(N | PAD(g)). */
export function srpMultiplier(group: SrpGroup): bigint {
  const generator = bytesOf(BigInt(group.generator), group);
  return numberOf(createHash(group.hash).update(group.modulus).update(generator).digest());
}

/** u = H(PAD(A) | PAD(B)). Throws LOGIN_FAILED if it is 0. */
export function srpScramble(group: SrpGroup, clientPublic: Buffer, serverPublic: Buffer): Buffer {
  const scramble = createHash(group.hash).update(clientPublic).update(serverPublic).digest();
  if (numberOf(scramble) === 0n) throw degenerate();
  return scramble;
}

/** What the client knows of a login. */
export interface SrpClientSide {
  readonly privateKey: Buffer;
  readonly secret: Buffer;
  readonly clientPublic: Buffer;
  readonly serverPublic: Buffer;
}

/** S = (B - k g^x)^(a + u x). Throws LOGIN_FAILED for a B that no honest server sends. */
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
  // At most twice as long as a hash: far below N, so that no remainder is taken of it.
  const exponent = numberOf(secret) + numberOf(scramble) * numberOf(privateKey);
  return modPow(base, bytesOf(exponent, group), group.modulus);
}

/** What the server knows of a login. */
export interface SrpServerSide {
  readonly verifier: Buffer;
  readonly secret: Buffer;
  readonly clientPublic: Buffer;
  readonly serverPublic: Buffer;
}

/** S = (A v^u)^b. Throws LOGIN_FAILED for an A that no honest client sends. */
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

/** Refuses what makes the key known without the password: 0, 1 and -1, whatever their form. */
function checkPublic({ modulus }: SrpGroup, value: Buffer): void {
  if (value.length !== modulus.length) throw degenerate();
  const [number, prime] = [numberOf(value), numberOf(modulus)];
  if (number <= 1n || number >= prime - 1n) throw degenerate();
}

function degenerate(): TardisError {
  return new TardisError('LOGIN_FAILED', 'the other end sent a value that proves nothing');
}

function numberOf(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return BigInt(`0x${hex}`);
}

/** The remainder modulo N (never negative), padded to its length. */
function bytesOf(number: bigint, { modulus }: SrpGroup): Buffer {
  const prime = numberOf(modulus);
  const rest = ((number % prime) + prime) % prime;
  return Buffer.from(rest.toString(16).padStart(2 * modulus.length, '0'), 'hex');
}

/**
 * Codes by which a new machine makes its client through a server, once. `.joins/CLIENT` in the store has the hash of the
 * secret in the code, and the time until which it counts. The client's name is in the code, so a code makes one client
 * only, and a newer code for that name replaces it. A secret has 160 random bits, so its hash needs no salt.
 */
import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import { failedStoreWrite, guardDirectory, readStart, type System } from '../../system/index.js';
import { bucketAt } from '../client/bucket-access.js';
import { isClientDirectory } from '../client/client-directory.js';
import { putFile } from '../client/store-directory.js';
import { checkClientName, isClientName, shownName } from '../layout/client-name.js';
import { JOINS_DIRECTORY } from '../layout/layout.js';
import { clientExists } from './create-client.js';

const LASTING_MS = 3_600_000;
const SECRET_BYTES = 20;
const MAX_FILE_BYTES = 256;
const LINE = /^sha256 ([0-9a-f]{64}) until (\d{1,15})\n$/;
const CODE = /^join:([^@\s]+)@([^@#/\s]+)#([\w-]{43})\.([\w-]{27})$/;

/** The parts of a code. */
export interface JoinCode {
  readonly client: string;
  /** The server as one names it: HOST or HOST:PORT. */
  readonly server: string;
  /** SHA-256 of the server's certificate. */
  readonly fingerprint: Buffer;
  readonly secret: string;
}

/** Returns the parts of a text that has the form of a code; undefined for any other text. */
export function parseJoinCode(text: string): JoinCode | undefined {
  const [, client = '', server = '', fingerprint = '', secret = ''] = CODE.exec(text.trim()) ?? [];
  if (!isClientName(client)) return undefined;
  return { client, server, fingerprint: Buffer.from(fingerprint, 'base64url'), secret };
}

/** Returns a code as one text. */
export function joinText({ client, server, fingerprint, secret }: JoinCode): string {
  return `join:${client}@${server}#${fingerprint.toString('base64url')}.${secret}`;
}

/** The client that a code makes, and the server to which its machine brings it. */
interface Joining {
  readonly client: string;
  readonly server: string;
  /** The server's certificate (PEM). */
  readonly certificate: Buffer;
}

/**
 * Makes a code, which replaces an earlier one for the same client. Returns its text, and the time until which it counts.
 * Throws CLIENT_NAME_INVALID, CLIENT_EXISTS, USAGE for a store in a bucket, and STORE_NOT_WRITABLE or the like.
 */
export async function makeJoinCode(
  system: System,
  store: string,
  { client, server, certificate }: Joining,
): Promise<{ text: string; untilMs: number }> {
  const { files, clock } = system;
  checkClientName(client);
  if (bucketAt(store) !== undefined) {
    throw new TardisError('USAGE', 'a code is for a store in a directory, not in a bucket');
  }
  if (isClientDirectory(system, path.join(store, client))) throw clientExists(client);
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const code = { client, server, fingerprint: fingerprintOf(certificate), secret };
  const text = joinText(code);
  if (parseJoinCode(text) === undefined) {
    throw new TardisError('USAGE', `"${shownName(server)}" is no server: name HOST or HOST:PORT`);
  }
  const untilMs = clock.nowMs() + LASTING_MS;
  const file = fileOf(store, client);
  const line = `sha256 ${hashOf(secret).toString('hex')} until ${untilMs}\n`;
  await putFile(files, file, line, { isSecret: true });
  return { text, untilMs };
}

/**
 * Takes the code of a client, which counts no more then for anybody. Returns a function that gives it back, for a client
 * that could not be made. Throws JOIN_CODE_INVALID with one text for all reasons.
 */
export function takeJoinCode(
  system: System,
  store: string,
  { client, secret }: Pick<JoinCode, 'client' | 'secret'>,
): () => Promise<void> {
  const { files, clock } = system;
  const file = fileOf(store, client);
  const line = readStart(files, file, MAX_FILE_BYTES)?.toString('latin1') ?? '';
  const [, hex = '', until = '0'] = LINE.exec(line) ?? [];
  const leftMs = Number(until) - clock.nowMs();
  const isRight = hex !== '' && timingSafeEqual(Buffer.from(hex, 'hex'), hashOf(secret));
  // A clock that was set back makes no code last longer.
  if (!isRight || leftMs <= 0 || leftMs > LASTING_MS) throw invalidCode();
  try {
    files.unlink(file); // of several takers, in other processes too, one succeeds
  } catch (error) {
    if (files.status(file) === undefined) throw invalidCode();
    throw failedStoreWrite(files, file, error);
  }
  return () => putFile(files, file, line, { isSecret: true });
}

function fileOf(store: string, client: string): string {
  const folder = path.join(store, JOINS_DIRECTORY);
  guardDirectory(folder, store); // files of root get the owner of the store
  return path.join(folder, client);
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Returns the SHA-256 of a certificate (PEM), as browsers and openssl show it. */
function fingerprintOf(certificate: Buffer): Buffer {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest();
}

function invalidCode(): TardisError {
  return new TardisError(
    'JOIN_CODE_INVALID',
    'the code is wrong, was used, is for another client, or is too old',
  );
}

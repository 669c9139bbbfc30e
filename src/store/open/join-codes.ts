/**
 * Codes by which a new machine makes its client through a server, once. `.joins/CLIENT` in the store has the hash of the
 * secret in the code, the time until which it counts, and the account to which the client was added for it. The client's
 * name is in the code, so a code makes one client only, and a newer code for that name replaces it. A secret has 160 random
 * bits, so its hash needs no salt.
 */
import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { TardisError, usageError } from '../../errors/index.js';
import { failedStoreWrite, type Files, readStart, type System } from '../../system/index.js';
import { removeTarget } from '../accounts/space-accounts.js';
import { bucketAt } from '../client/bucket-access.js';
import { clientExists, isClientDirectory } from '../client/client-directory.js';
import { dropFile, putFile, storeFolder } from '../client/store-directory.js';
import { checkClientName, isClientName, shownName } from '../layout/client-name.js';
import { JOINS_DIRECTORY } from '../layout/layout.js';

const LASTING_MS = 3_600_000;
const SECRET_BYTES = 20;
const MAX_FILE_BYTES = 512;
const LINE = /^sha256 ([0-9a-f]{64}) until (\d{1,15})(?: of (\S+))?\n$/;
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
  /** Account to which the client was added for this code, and which loses it if the code is never used. */
  readonly addedTo?: string | undefined;
}

/**
 * Makes a code, which replaces an earlier one for the same client. Returns its text, and the time until which it counts.
 * Throws CLIENT_NAME_INVALID, CLIENT_EXISTS, USAGE for a store in a bucket, and STORE_NOT_WRITABLE or the like.
 */
export async function makeJoinCode(
  system: System,
  store: string,
  { client, server, certificate, addedTo }: Joining,
): Promise<{ text: string; untilMs: number }> {
  const { files, clock } = system;
  checkClientName(client);
  if (bucketAt(store) !== undefined) {
    throw usageError('a code is for a store in a directory, not in a bucket');
  }
  if (isClientDirectory(system, path.join(store, client))) throw clientExists(client);
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const code = { client, server, fingerprint: fingerprintOf(certificate), secret };
  const text = joinText(code);
  if (parseJoinCode(text) === undefined) {
    throw usageError(`"${shownName(server)}" is no server: name HOST or HOST:PORT`);
  }
  const untilMs = clock.nowMs() + LASTING_MS;
  const file = fileOf(store, client);
  const account = addedTo ?? readCode(files, file)?.account;
  const of = account === undefined ? '' : ` of ${account}`;
  const line = `sha256 ${hashOf(secret).toString('hex')} until ${untilMs}${of}\n`;
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
  const code = readCode(files, file);
  const isRight = code !== undefined && timingSafeEqual(code.hash, hashOf(secret));
  if (!isRight || isOver(code, clock.nowMs())) throw invalidCode();
  try {
    files.unlink(file); // of several takers, in other processes too, one succeeds
  } catch (error) {
    if (files.status(file) === undefined) throw invalidCode();
    throw failedStoreWrite(files, file, error);
  }
  return () => putFile(files, file, code.line, { isSecret: true });
}

/**
 * Ends the codes that were not used in time, and removes their clients from the accounts to which they were added. Throws
 * STORE_NOT_WRITABLE or the like. Must not run beside other changes of accounts.
 */
export async function endOldJoinCodes(system: System, store: string): Promise<void> {
  const { files, clock } = system;
  if (bucketAt(store) !== undefined) return;
  const folder = storeFolder(store, JOINS_DIRECTORY);
  if (files.status(folder) === undefined) return;
  for (const client of files.list(folder).filter(isClientName)) {
    const file = fileOf(store, client);
    const code = readCode(files, file);
    if (code === undefined || !isOver(code, clock.nowMs())) continue;
    const { account } = code;
    const isThere = isClientDirectory(system, path.join(store, client));
    if (account !== undefined && !isThere) await removeTarget(system, store, { account, client });
    dropFile(files, file);
  }
}

/** A code as its file has it. */
interface StoredCode {
  readonly line: string;
  readonly hash: Buffer;
  readonly untilMs: number;
  /** Account to which the client was added for the code. */
  readonly account: string | undefined;
}

/** Returns the code in a file; undefined if there is none. */
function readCode(files: Files, file: string): StoredCode | undefined {
  const line = readStart(files, file, MAX_FILE_BYTES)?.toString('latin1') ?? '';
  const [, hex, until, account] = LINE.exec(line) ?? [];
  if (hex === undefined || (account !== undefined && !isClientName(account))) return undefined;
  return { line, hash: Buffer.from(hex, 'hex'), untilMs: Number(until), account };
}

/** True if a code counts no more. A clock that was set back makes no code last longer. */
function isOver({ untilMs }: StoredCode, nowMs: number): boolean {
  return untilMs <= nowMs || untilMs - nowMs > LASTING_MS;
}

function fileOf(store: string, client: string): string {
  return path.join(storeFolder(store, JOINS_DIRECTORY), client);
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

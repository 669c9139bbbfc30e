/**
 * Handles logins by the token of an account, for programs that forward the requests of others. Such a session can only
 * read, even if the account has more rights. Failed attempts are not limited, since nobody can guess 256 bits. A limit
 * would also let one user of such a program lock out all others.
 */
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import type { Right } from '../../model/index.js';
import {
  type ClientDirectory,
  hasEncryptingKeys,
  isTokenOf,
  openClientDirectory,
  parseToken,
  readRights,
  type TokenParts,
} from '../../store/index.js';
import { notBefore, type System, unguarded } from '../../system/index.js';
import type { Channel } from '../../transport/index.js';

/** Rights that a session by a token can have. */
const READING: readonly Right[] = ['list', 'read', 'admin'];
/** Minimum time of a check; it hides which files had to be read. */
const TOKEN_AFTER_MS = 10;

interface TokenPlaces {
  readonly system: System;
  readonly baseDir: string;
  readonly catalogFile: string;
  /** The only client that is served; undefined serves all. */
  readonly onlyClient: string | undefined;
  /** Access to the bucket, if the store is in one; otherwise undefined. */
  readonly shared?: BucketAccounts | undefined;
}

/** Fetches what the check of a token needs from a store in a bucket. */
interface BucketAccounts {
  look(client: string): Promise<void>;
  lookAccounts(client: string): Promise<void>;
  fetchAccounts(client: string): Promise<void>;
  refresh(client: string): Promise<void>;
}

/** An account that was authenticated by its token, and the state that its session depends on. */
export interface TokenHolder {
  readonly parts: TokenParts;
  readonly directory: ClientDirectory;
  readonly rights: ReadonlySet<Right>;
  readonly isSealed: boolean;
  /** Text that changes with the rights, the keys and the catalog of the client. */
  readonly standing: string;
}

/**
 * Checks a token. Throws NOT_PERMITTED over plain TCP, NOT_LOGGED_IN with one text for all reasons, and errors of
 * opening the client.
 */
export async function checkToken(
  places: TokenPlaces,
  token: string,
  { kind }: Pick<Channel, 'kind'>,
): Promise<TokenHolder> {
  if (kind === 'tcp') {
    throw new TardisError('NOT_PERMITTED', 'a token is taken over TLS or a unix socket only');
  }
  const { clock } = places.system;
  const startMs = clock.monotonicMs();
  const parts = parseToken(token);
  const isRight = parts !== undefined && (await isTokenNow(places, parts));
  await notBefore(clock, startMs + TOKEN_AFTER_MS);
  if (!isRight) throw wrongToken();
  await places.shared?.refresh(parts.client);
  return holderOf(places, parts);
}

async function isTokenNow(places: TokenPlaces, parts: TokenParts): Promise<boolean> {
  const { shared, onlyClient } = places;
  // Names that are not served must not use up the looks for the one that is.
  if (onlyClient !== undefined && onlyClient !== parts.client) return false;
  if (shared !== undefined) await lookForToken(shared, parts.client, isTokenHere(places, parts));
  return isTokenHere(places, parts);
}

/**
 * Fetches the accounts of a client in a bucket to this machine, to check a token. The rate of requests is not bounded
 * for a token that was valid at the last check (`isKnown`), since a stranger cannot have it.
 */
export async function lookForToken(
  shared: Omit<BucketAccounts, 'refresh'>,
  client: string,
  isKnown: boolean,
): Promise<void> {
  if (isKnown) {
    await shared.fetchAccounts(client);
    return;
  }
  await shared.look(client);
  await shared.lookAccounts(client);
}

/**
 * Throws CONNECTION_LOST if rights, keys or catalog of the client have changed, so that a new login is needed. Throws
 * NOT_LOGGED_IN if the token is not valid any more.
 */
export async function requireUnchanged(
  places: TokenPlaces,
  { parts, standing }: TokenHolder,
): Promise<void> {
  await places.shared?.fetchAccounts(parts.client);
  if (holderOf(places, parts).standing === standing) return;
  throw new TardisError('CONNECTION_LOST', 'the account or its client was changed: log in again');
}

function holderOf(places: TokenPlaces, parts: TokenParts): TokenHolder {
  if (!isTokenHere(places, parts)) throw wrongToken();
  const { system, baseDir: store, catalogFile } = places;
  const { client, account } = parts;
  const directory = openClientDirectory(system, { store, client, catalogFile });
  const granted = readRights(system, directory.path, account);
  const rights = READING.filter((right) => granted.some((one) => one === right));
  const isSealed = hasEncryptingKeys(system, directory.path);
  const catalog = system.files.status(directory.catalogPath)?.identity ?? '';
  const standing = `${rights.join(',')} ${isSealed} ${catalog}`;
  return { parts, directory, rights: new Set(rights), isSealed, standing };
}

function isTokenHere({ system, baseDir }: TokenPlaces, parts: TokenParts): boolean {
  return unguarded(() => isTokenOf(system, path.join(baseDir, parts.client), parts));
}

function wrongToken(): TardisError {
  return new TardisError('NOT_LOGGED_IN', 'the token is wrong, or does not count any more');
}

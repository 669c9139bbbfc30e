/**
 * Numbers and names of a client whose store is a log of commit objects. The catalog refers to packs by numbers, so each
 * object has one: a commit object that of its commit times a million, and the packs of a session the numbers that follow
 * the one of its claim.
 */
import { TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import { isClientName } from '../client/client-name.js';
import {
  keyFileName,
  keyFileNumber,
  KEYS_DIRECTORY,
  packName,
  packNumber,
} from '../client/layout.js';

const PACKS_OF_SESSION = 1_000_000;
/** From this index on, the packs of a session hold the store's own records. */
const FIRST_OWN_INDEX = 500_000;
/** Highest number of a commit: pack numbers must be exact. */
const MAX_COMMIT: number = Math.floor(Number.MAX_SAFE_INTEGER / PACKS_OF_SESSION) - 1;
/** Below it, each client has a place of its own. */
export const CLIENTS_PREFIX = 'c/';
const CLIENT_OBJECT = 'client.json';
/** The generation of a client's log. */
const GENERATION = 'g1';
/** The key record that stands for unknown clients at each server of the store. */
export const DECOY_OBJECT = 'login/decoy.key';
export const LOG_PREFIX = 'log/';
export const LOG_PACKS_PREFIX = 'packs/';

/** Below it, each server has its lease. */
export const LEASES_PREFIX = 'nodes/';

/** Returns the name of the lease of a server. */
export function leaseObject(node: string): string {
  return `${LEASES_PREFIX}${node}.json`;
}

/** Returns the server whose lease an object is; undefined for another object. */
export function nodeOf(object: string): string | undefined {
  return /^nodes\/([0-9a-f]{32})\.json$/.exec(object)?.[1];
}

/** Returns the name of the object that makes a client. */
export function clientObject(client: string): string {
  return `${CLIENTS_PREFIX}${client}/${CLIENT_OBJECT}`;
}

/** Returns the name of a note of a client. */
export function clientNote(client: string, name: string): string {
  return `${CLIENTS_PREFIX}${client}/${name}`;
}

/** Returns the name of the object of a key record that a client got after it was made. */
export function clientKeys(client: string, number: number): string {
  return `${CLIENTS_PREFIX}${client}/${KEYS_DIRECTORY}/${keyFileName(number)}`;
}

/** Returns the client that an object makes; undefined for another object. */
export function clientOf(object: string): string | undefined {
  const [prefix, client, name, ...rest] = object.split('/');
  const isOfClient = `${prefix}/` === CLIENTS_PREFIX && name === CLIENT_OBJECT && rest.length === 0;
  return isOfClient && client !== undefined && isClientName(client) ? client : undefined;
}

/** Returns the prefix of a client's log and packs. */
export function logPlace(client: string): string {
  return `${CLIENTS_PREFIX}${client}/${GENERATION}/`;
}

/** Returns the pack number of a commit object. */
export function logPack(commit: number): PackNumber {
  if (commit > MAX_COMMIT) throw new TardisError('INTERNAL', 'the log has no numbers left');
  return commit * PACKS_OF_SESSION;
}

/** Returns the pack number of pack `index` (from 1) with contents of the session with this claim. Throws INTERNAL. */
export function sessionPack(claim: number, index: number): PackNumber {
  if (index >= FIRST_OWN_INDEX) throw tooMany();
  return logPack(claim) + index;
}

/** Returns the pack number of a pack with records of the store's own, which need no place in a commit object. */
export function ownPack(claim: number, index: number): PackNumber {
  if (FIRST_OWN_INDEX + index >= PACKS_OF_SESSION) throw tooMany();
  return logPack(claim) + FIRST_OWN_INDEX + index;
}

function tooMany(): TardisError {
  return new TardisError('INTERNAL', 'a session has too many packs');
}

/**
 * True for a commit object, and for a pack with listings, events or lists of parts. A machine without a catalog reads
 * them all, so they are never deleted.
 */
export function isOfLog(pack: PackNumber): boolean {
  const index = pack % PACKS_OF_SESSION;
  return index === 0 || index >= FIRST_OWN_INDEX;
}

/** Returns the highest pack number that a session can have whose claim is not after this commit. */
export function lastPackUpTo(commit: number): PackNumber {
  return logPack(commit + 1) - 1;
}

/** Returns the name of a commit object. */
export function commitName(commit: number): string {
  return LOG_PREFIX + commit.toString().padStart(10, '0');
}

/** Returns the name of the object that a backend's name stands for; undefined if it is not that of a pack. */
export function objectOf(name: string): string | undefined {
  const pack = packNumber(name);
  if (pack === undefined) return undefined;
  const index = pack % PACKS_OF_SESSION;
  const commit = (pack - index) / PACKS_OF_SESSION;
  if (index === 0) return commitName(commit);
  const number = index.toString().padStart(4, '0');
  return `${LOG_PACKS_PREFIX}${commit.toString().padStart(10, '0')}-${number}`;
}

/** Returns the pack number of an object; undefined if its name is not one of the log or of a pack. */
export function packOf(object: string): PackNumber | undefined {
  const match = /^(?:log\/(\d{10})|packs\/(\d{10})-(\d{4,6}))$/.exec(object);
  if (match === null) return undefined;
  const commit = Number(match[1] ?? match[2]);
  return commit > MAX_COMMIT ? undefined : commit * PACKS_OF_SESSION + Number(match[3] ?? 0);
}

/** An object that is created once and never replaced. */
export interface WrittenOnce {
  readonly client: string;
  /** Number of a commit object or of a pack; undefined for an object of the client itself, or for one with its keys. */
  readonly pack: PackNumber | undefined;
  /** Number of the commit; undefined for every other object. */
  readonly commit: number | undefined;
}

/** Returns which object of a client that is created once has a name; undefined for every other name. */
export function writtenOnce(name: string): WrittenOnce | undefined {
  const [prefix, client, ...parts] = name.split('/');
  const isOfClient =
    `${prefix}/` === CLIENTS_PREFIX && client !== undefined && isClientName(client);
  if (!isOfClient) return undefined;
  const [folder, ...rest] = parts;
  const object = rest.join('/');
  if (folder === GENERATION) return ofLog(client, object);
  const isKeys = folder === KEYS_DIRECTORY && keyFileNumber(object) !== undefined;
  const isClient = folder === CLIENT_OBJECT && rest.length === 0;
  return isKeys || isClient ? { client, pack: undefined, commit: undefined } : undefined;
}

function ofLog(client: string, object: string): WrittenOnce | undefined {
  const pack = packOf(object);
  if (pack === undefined || objectOf(packName(pack)) !== object) return undefined;
  const isCommit = pack % PACKS_OF_SESSION === 0;
  return { client, pack, commit: isCommit ? pack / PACKS_OF_SESSION : undefined };
}

/**
 * Numbers and names of a client whose store is a log of commit objects. The catalog refers to packs by numbers, so
 * each object has one. A commit object has the number of its commit times a million. The packs of a session have the
 * numbers after that of its claim.
 */
import { TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import { isClientName } from './client-name.js';
import {
  keyFileName,
  keyFileNumber,
  KEYS_DIRECTORY,
  packName,
  packNumber,
  RUNS_DIRECTORY,
  SUB_ACCOUNTS_DIRECTORY,
} from './layout.js';

const PACKS_OF_SESSION = 1_000_000;
/** Minimum index of the packs of a session that contain the store's own records. */
const FIRST_OWN_INDEX = 500_000;
/** Maximum number of a commit, so that pack numbers are exact. */
const MAX_COMMIT: number = Math.floor(Number.MAX_SAFE_INTEGER / PACKS_OF_SESSION) - 1;
/** Prefix of the objects of clients. Each client has a place of its own below it. */
export const CLIENTS_PREFIX = 'c/';
const CLIENT_OBJECT = 'client.json';
/** The note of a copied client, with its source. */
export const COPY_NOTE = 'copy.json';
const REWRITES = 'rewrites';
/** The first generation of a client's log. A rewrite makes later ones (`sonic rekey`). */
const FIRST_GENERATION = 'g1';
const LATER_GENERATION = /^g([1-9]\d{0,3})-[0-9a-f]{16}$/;
/** Maximum number in the name of a generation. */
const MAX_GENERATION = 9999;
/** Maximum number of rewrites of a client that are followed at once; more than a client can have. */
export const MAX_GENERATIONS = 10_000;
/** Number of random digits in the name of a generation, so that no two rewrites share a name. */
const GENERATION_DIGITS = 16;
/** Name of the key record that stands for unknown clients at each server of the store. */
export const DECOY_OBJECT = 'login/decoy.key';
export const LOG_PREFIX = 'log/';
export const LOG_PACKS_PREFIX = 'packs/';
/** Prefix of the copies of the catalog. */
export const SNAPSHOTS_PREFIX = 'snap/';

/** Prefix of the leases of servers. */
export const LEASES_PREFIX = 'nodes/';

/** Prefix of the files of accounts that own clients. */
export const ACCOUNT_FILES_PREFIX = 'accounts/';

const CHAINED = /^(\d{10})\.json$/;

/** Returns the prefix of the lists of a client's accounts. */
export function accountsPrefix(client: string): string {
  return `${CLIENTS_PREFIX}${client}/${SUB_ACCOUNTS_DIRECTORY}/`;
}

/** Returns the name of a numbered object. Each such object supersedes the one before it. */
export function chainedObject(prefix: string, number: number): string {
  return `${prefix}${number.toString().padStart(10, '0')}.json`;
}

/** Returns the number in the name of a numbered object (`chainedObject`); undefined if the name is not one. */
export function chainedNumber(prefix: string, object: string): number | undefined {
  const match = object.startsWith(prefix) ? CHAINED.exec(object.slice(prefix.length)) : null;
  const number = Number(match?.[1] ?? 0);
  return number > 0 ? number : undefined;
}

/** Returns the name of the lease of a server. */
export function leaseObject(node: string): string {
  return `${LEASES_PREFIX}${node}.json`;
}

/** Returns the server whose lease an object is; undefined for another object. */
export function nodeOf(object: string): string | undefined {
  return /^nodes\/([0-9a-f]{32})\.json$/.exec(object)?.[1];
}

/** True for the name of a generation that a rewrite has made. */
export function isGeneration(name: string): boolean {
  return generationNumber(name) > 1;
}

/** Returns the number of a generation from its name (without a name: of the first one); 0 if the name is invalid. */
export function generationNumber(name: string = FIRST_GENERATION): number {
  if (name === FIRST_GENERATION) return 1;
  const number = Number(LATER_GENERATION.exec(name)?.[1] ?? 0);
  return number > 1 ? number : 0;
}

/**
 * Returns a name for the generation after `before` (undefined: the first one). `digits` are random ones, in
 * hexadecimal. Throws INTERNAL if there are too many generations.
 */
export function generationAfter(before: string | undefined, digits: string): string {
  const number = generationNumber(before) + 1;
  if (number > MAX_GENERATION)
    throw new TardisError('INTERNAL', 'the client has no generations left');
  return `g${number}-${digits.slice(0, GENERATION_DIGITS)}`;
}

/** True if the generation `name` directly follows `before` (undefined: the first one). */
export function isNextGeneration(name: string, before: string | undefined): boolean {
  return generationNumber(name) === generationNumber(before) + 1;
}

/** True for two names of one generation (`undefined`: the first one). */
export function isSameGeneration(
  one: string = FIRST_GENERATION,
  other: string = FIRST_GENERATION,
): boolean {
  return one === other;
}

/** Returns the name of the object that names the generation after `before`. The bytes of the object are that name. */
export function generationObject(client: string, before: string | undefined): string {
  const number = generationNumber(before) + 1;
  return `${CLIENTS_PREFIX}${client}/gen/${number.toString().padStart(4, '0')}.json`;
}

/** Returns the prefix of all objects of a client. */
export function clientPrefix(client: string): string {
  return `${CLIENTS_PREFIX}${client}/`;
}

/** Returns the generation that an object of a client belongs to; undefined for another object. */
export function generationOf(client: string, object: string): string | undefined {
  const [folder] = object.slice(clientPrefix(client).length).split('/', 1);
  return object.startsWith(clientPrefix(client)) && generationNumber(folder ?? '') > 0
    ? folder
    : undefined;
}

/** Returns the prefix of the notes of rewrites of a generation. Each rewrite has one while it is not complete. */
export function rewritesPrefix(client: string, generation: string | undefined): string {
  return `${logPlace(client, generation)}${REWRITES}/`;
}

/** Returns the folder of a generation's client object and keys, with a slash at its end. */
function homeOf(client: string, generation: string | undefined): string {
  return generation === undefined ? clientPrefix(client) : logPlace(client, generation);
}

/** Returns the name of the object that makes a client, or a later generation of it. */
export function clientObject(client: string, generation?: string): string {
  return `${homeOf(client, generation)}${CLIENT_OBJECT}`;
}

/** Returns the name of a note of a client. */
export function clientNote(client: string, name: string): string {
  return `${CLIENTS_PREFIX}${client}/${name}`;
}

/** Returns the prefix of the key records that a client got after it was made. */
export function clientKeysPrefix(client: string, generation?: string): string {
  return `${homeOf(client, generation)}${KEYS_DIRECTORY}/`;
}

/** Returns the name of the object of a key record that a client got after it was made. */
export function clientKeys(client: string, number: number, generation?: string): string {
  return clientKeysPrefix(client, generation) + keyFileName(number);
}

/** Returns the client whose first object this is; undefined for another object. */
export function clientOf(object: string): string | undefined {
  const [prefix, client, name, ...rest] = object.split('/');
  const isOfClient = `${prefix}/` === CLIENTS_PREFIX && name === CLIENT_OBJECT && rest.length === 0;
  return isOfClient && client !== undefined && isClientName(client) ? client : undefined;
}

/** Returns the prefix of the log and packs of a client's generation (`undefined`: the first one). */
export function logPlace(client: string, generation: string = FIRST_GENERATION): string {
  return `${CLIENTS_PREFIX}${client}/${generation}/`;
}

/** Returns the pack number of a commit object. Throws INTERNAL if the number of the commit is too large. */
export function logPack(commit: number): PackNumber {
  if (commit > MAX_COMMIT) throw new TardisError('INTERNAL', 'the log has no numbers left');
  return commit * PACKS_OF_SESSION;
}

/**
 * Returns the pack number of pack `index` (from 1) with contents of the session with this claim. Throws INTERNAL if the
 * session has too many packs.
 */
export function sessionPack(claim: number, index: number): PackNumber {
  if (index >= FIRST_OWN_INDEX) throw tooMany();
  return logPack(claim) + index;
}

/**
 * Returns the pack number of a pack with the store's own records, which are not in a commit object. Throws INTERNAL if
 * the session has too many packs.
 */
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

/** Returns the highest pack number that is possible for sessions whose claim is not after this commit. */
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

/** Returns the number of a commit object; undefined if the name of the object is not that of one. */
export function commitOf(object: string): number | undefined {
  const pack = packOf(object);
  return pack === undefined || pack % PACKS_OF_SESSION > 0 ? undefined : pack / PACKS_OF_SESSION;
}

/**
 * A copy of the catalog in the bucket: its last commit, and random digits, so that all copies have different names.
 */
export interface SnapshotPlace {
  readonly commit: number;
  readonly id: string;
}

/** Returns the name of a piece (from 0) of a copy of the catalog. */
export function snapshotPiece(place: SnapshotPlace, piece: number): string {
  return `${snapshotName(place)}/${piece.toString().padStart(4, '0')}`;
}

/** Returns the name of a copy of the catalog: the folder with its pieces, without a slash at its end. */
export function snapshotName({ commit, id }: SnapshotPlace): string {
  return `${SNAPSHOTS_PREFIX}${commit.toString().padStart(10, '0')}-${id}`;
}

/** Returns the copy of the catalog that an object is a piece of; undefined for another object. */
export function snapshotOf(object: string): SnapshotPlace | undefined {
  const match = /^snap\/(\d{10})-([0-9a-f]{16})\/\d{4}$/.exec(object);
  return match === null ? undefined : { commit: Number(match[1]), id: match[2]! };
}

/** An object that is created once and never replaced. */
export interface WrittenOnce {
  readonly client: string;
  /** Generation of the object; undefined for the first one, and for an object that belongs to no generation. */
  readonly generation: string | undefined;
  /** Number of the object in the sequence of packs and commits; undefined for every object that is neither. */
  readonly pack: PackNumber | undefined;
  /** Number of the commit; undefined for every other object. */
  readonly commit: number | undefined;
  /** True for a piece of a copy of the catalog, which may be lost without harm. */
  readonly isSnapshot?: boolean;
}

/**
 * Returns the description of an object of a client that is created once, from its name; undefined for every other
 * name.
 */
export function writtenOnce(name: string): WrittenOnce | undefined {
  const [prefix, client, ...parts] = name.split('/');
  const isOfClient =
    `${prefix}/` === CLIENTS_PREFIX && client !== undefined && isClientName(client);
  if (!isOfClient) return undefined;
  const [folder, ...rest] = parts;
  const generation = generationNumber(folder ?? '') > 1 ? folder : undefined;
  if (generation !== undefined && isOfMaking(rest)) {
    return { client, generation, pack: undefined, commit: undefined };
  }
  if (generationNumber(folder ?? '') > 0) return ofLog(client, generation, rest.join('/'));
  const isPointer = folder === 'gen' && /^\d{4}\.json$/.test(rest.join('/'));
  const isList = chainedNumber(accountsPrefix(client), name) !== undefined;
  return isPointer || isList || isOfMaking(parts)
    ? { client, generation: undefined, pack: undefined, commit: undefined }
    : undefined;
}

/**
 * True for the name of an object of a client that programs replace or remove: the note of a copy or of a rewrite, or
 * records of runs.
 */
export function isReplaced(name: string): boolean {
  const [prefix, client, folder = '', ...rest] = name.split('/');
  if (`${prefix}/` !== CLIENTS_PREFIX || client === undefined || !isClientName(client))
    return false;
  if (folder === COPY_NOTE) return rest.length === 0;
  if (folder === RUNS_DIRECTORY) return rest.length === 1;
  const [notes, built = '', ...more] = rest;
  const isNote = notes === REWRITES && isGeneration(built) && more.length === 0;
  return isNote && generationNumber(folder) > 0;
}

/** True for the object that makes a client or a generation, and for one with its keys. */
function isOfMaking([folder, ...rest]: readonly string[]): boolean {
  const isKeys = folder === KEYS_DIRECTORY && keyFileNumber(rest.join('/')) !== undefined;
  return isKeys || (folder === CLIENT_OBJECT && rest.length === 0);
}

function ofLog(
  client: string,
  generation: string | undefined,
  object: string,
): WrittenOnce | undefined {
  if (snapshotOf(object) !== undefined) {
    return { client, generation, pack: undefined, commit: undefined, isSnapshot: true };
  }
  const pack = packOf(object);
  if (pack === undefined || objectOf(packName(pack)) !== object) return undefined;
  const isCommit = pack % PACKS_OF_SESSION === 0;
  const commit = isCommit ? pack / PACKS_OF_SESSION : undefined;
  return { client, generation, pack, commit };
}

/** Names of files in a client's directory. All object names are made here. */
import type { PackNumber } from '../../model/index.js';
export const PACKS_PREFIX = 'packs/';
/** The directory of packs, as `PACKS_PREFIX` names it. */
export const PACKS_DIRECTORY = 'packs';
export const INCOMING_DIRECTORY = 'incoming';
export const LOCK_FILE = 'lock';
/** Exists while a process waits for the lock. */
export const LOCK_REQUEST_FILE = 'lock.wanted';
export const FORMAT_FILE = 'format.json';
export const CATALOG_FILE = 'tardis.db';
/** Disk space reserved for writes that must succeed on a full disk. */
export const RESERVE_FILE = 'reserve';
/** File that records which data a check has read, and when. It is only a hint. */
export const CHECKED_FILE = 'checked.db';
/** Directory of the journal: objects with records of runs. */
export const RUNS_DIRECTORY = 'runs';
export const KEYS_DIRECTORY = 'keys';
/** File that describes the source of a second generation. */
export const GENERATION_FILE = 'generation.json';
export const MAX_GENERATION_BYTES = 64 << 10;
/** Directory of the copy of the newest key record. It is inside `packs/`, a directory that must not be lost either. */
export const KEY_COPIES_DIRECTORY = 'packs/keys';
/** Locked by a process that changes sub-accounts, or copies them. */
export const ACCOUNTS_LOCK_FILE = 'accounts.lock';
/** Contains a directory for each sub-account. */
export const SUB_ACCOUNTS_DIRECTORY = 'accounts';
/**
 * Directory with the accounts of clients in a bucket, as this machine has fetched them. It is beside the directories of
 * these clients.
 */
export const KNOWN_ACCOUNTS_DIRECTORY = '.sub-accounts';
export const RIGHTS_FILE = 'rights';
/** The hash of the token by which an account logs in. */
export const TOKEN_FILE = 'token';
/** Directory of a store with the codes by which new machines make their clients. */
export const JOINS_DIRECTORY = '.joins';
/** Directory of a store with the requests that clients make backups. */
export const REQUESTS_DIRECTORY = '.requests';
/** File that marks a new store, which has no clients yet. */
export const STORE_MARK = '.tardis-store';

const OF_STORE =
  /^\.(?:tardis-store|tardis-skip|login|accounts|sub-accounts|joins|requests|profiles)(?:\.new|\.lock)?$|^\.[\w.-]+\.next(?:\.lock)?$/;
const OF_BEGUN_CLIENT =
  /^(?:\.tardis-skip|keys|lock|lock\.wanted|reserve(?:\.\w+)?|format\.json\.new)$/;

/** True for a name at the top of a store that is no client's: those of servers, rewrites and operators. */
export function isOfStore(name: string): boolean {
  return OF_STORE.test(name);
}

/** True for a name that an interrupted creation of a client leaves in its directory. */
export function isOfBegunClient(name: string): boolean {
  return OF_BEGUN_CLIENT.test(name);
}

export function keyFileName(number: number): string {
  return `${number.toString().padStart(8, '0')}.key`;
}

/** Returns the number in the name of a key record, or undefined for any other name. */
export function keyFileNumber(name: string): number | undefined {
  const match = /^(\d{8,10})\.key$/.exec(name);
  const number = match === null ? undefined : Number(match[1]);
  return number !== undefined && keyFileName(number) === name ? number : undefined;
}

/** Pack number that stands for no pack: the record is an object of its own, named by its digest. */
export const NO_PACK: PackNumber = 0;

export function packName(pack: PackNumber): string {
  return `${PACKS_PREFIX}${pack.toString().padStart(8, '0')}.pack`;
}

/** Returns the number in a pack's name, or undefined for any other name. */
export function packNumber(name: string): PackNumber | undefined {
  const match = /^packs\/(\d{8,15})\.pack$/.exec(name);
  const number = match === null ? undefined : Number(match[1]);
  return number !== undefined && packName(number) === name ? number : undefined;
}

/** Directory of parity. A file in it has the path of the pack or object that it protects. */
export const PARITY_PREFIX = 'parity/';

/** Returns the name of the parity file of a pack or object. */
export function parityName(name: string): string {
  return PARITY_PREFIX + name;
}

/** Returns the name of a large content's object, in two levels of directories (00–ff each). */
export function objectName(digest: Buffer): string {
  const hex = digest.toString('hex');
  return `${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`;
}

/** True if an untrusted name is one that an object of a store can have. */
export function isObjectName(name: string): boolean {
  return (
    packNumber(name) !== undefined || /^([0-9a-f]{2})\/([0-9a-f]{2})\/\1\2[0-9a-f]{60}$/.test(name)
  );
}

/** Position of a record: in a pack, or at the start of an object of its own if `pack` is 0. */
export interface Location {
  readonly pack: PackNumber;
  readonly position: number;
}

export function locationName(location: Location, digest: Buffer): string {
  return location.pack === NO_PACK ? objectName(digest) : packName(location.pack);
}

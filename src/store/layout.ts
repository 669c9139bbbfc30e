/** The names of things in a client's directory. The only place that makes object names. */
export const PACKS_PREFIX = 'packs/';
export const INCOMING_DIRECTORY = 'incoming';
export const LOCK_FILE = 'lock';
/** Somebody waits for the lock. */
export const WANTED_FILE = 'lock.wanted';
export const FORMAT_FILE = 'format.json';
export const CATALOG_FILE = 'tardis.db';
/** Room that is kept for what must be written when the disk is full. */
export const RESERVE_FILE = 'reserve';
/** What a check has read when; a hint only. */
export const CHECKED_FILE = 'checked.db';
export const KEYS_DIRECTORY = 'keys';
/** Sub-accounts, a directory each. */
export const SUB_ACCOUNTS_DIRECTORY = 'accounts';
export const RIGHTS_FILE = 'rights';

export function keyFileName(number: number): string {
  return `${number.toString().padStart(8, '0')}.key`;
}

/** The number in the name of a key record, or undefined for a stranger. */
export function keyFileNumber(name: string): number | undefined {
  const match = /^(\d{8,10})\.key$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Pack number 0 stands for "an object of its own, named by its digest". */
export const NO_PACK = 0;

export function packName(pack: number): string {
  return `${PACKS_PREFIX}${pack.toString().padStart(8, '0')}.pack`;
}

/** The number in a pack's name, or undefined for a stranger. */
export function packNumber(name: string): number | undefined {
  const match = /^packs\/(\d{8,15})\.pack$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Large contents lie in two levels of directories, 00–ff each. */
export function objectName(digest: Buffer): string {
  const hex = digest.toString('hex');
  return `${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`;
}

/** Whether a name from elsewhere is one that an object of a store can have. */
export function isObjectName(name: string): boolean {
  return (
    packNumber(name) !== undefined || /^([0-9a-f]{2})\/([0-9a-f]{2})\/\1\2[0-9a-f]{60}$/.test(name)
  );
}

/** Where a record starts: in a pack, or (pack 0) at the start of its digest's own object. */
export interface Location {
  readonly pack: number;
  readonly position: number;
}

export function locationName(location: Location, digest: Buffer): string {
  return location.pack === NO_PACK ? objectName(digest) : packName(location.pack);
}

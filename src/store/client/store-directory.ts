/**
 * Distinguishes a store from a directory that is none: a missing one, an empty one (such as the place of a disk that is
 * not mounted), and one with the files of another program.
 */
import path from 'node:path';
import { during, failedTo, TardisError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import {
  failedStoreWrite,
  type Files,
  guardDirectory,
  pathWithoutLinks,
  readStart,
  replaceFile,
  textBytes,
  writeNew,
  unlinkIfThere,
} from '../../system/index.js';
import { isClientName } from '../layout/client-name.js';
import { bucketAt } from './bucket-access.js';
import {
  CATALOG_FILE,
  FORMAT_FILE,
  isOfBegunClient,
  isOfStore,
  PACKS_DIRECTORY,
  STORE_MARK,
} from '../layout/layout.js';

/** Names that systems and file systems create by themselves at the top of a disk. */
const OF_SYSTEM =
  /^(?:lost\+found|\.Trash(?:es|-\d+)?|\$RECYCLE\.BIN|System Volume Information|@eaDir|\.DS_Store|\.Spotlight-V100|\.fseventsd|\.snapshots?|\.zfs|\.nfs.*|\.fuse_hidden.*|\.directory)$/;

/** Directories of other programs: each has names that match all of its patterns. */
const PROGRAMS: readonly (readonly [what: string, ...names: RegExp[]])[] = [
  ['a repository of restic', /^config$/, /^data$/, /^index$/, /^snapshots$/],
  ['a repository of borg', /^README$/, /^config$/, /^data$/],
  ['a repository of borg', /^archives$/, /^config$/, /^locks$/],
  ['a repository of kopia', /^kopia\.(?:repository|blobcfg)/],
  ['a backup of duplicity', /^duplicity-/],
  ['a backup of rdiff-backup', /^rdiff-backup-data$/],
  ['a directory of rsnapshot', /^(?:hourly|daily|weekly|monthly|alpha|beta|gamma|delta)\.\d+$/],
  ['a backup of Duplicati', /^duplicati-/],
  ['a datastore of Proxmox Backup', /^\.chunks$/],
  ['a backup of Back In Time', /^backintime$/],
  ['a directory of BackupPC', /^cpool$/, /^pc$/],
  ['a backup of Time Machine', /^Backups\.backupdb$|\.sparsebundle$/],
  ['a repository of git or bup', /^HEAD$/, /^objects$/, /^refs$/],
];

const MARK_TEXT = 'This directory is a store of Tardis. Each directory in it is a client.\n';
/** A new store has the first, or the second, which its operator makes before there are clients. */
const MARKS = [STORE_MARK, '.accounts'];
const MOST_SHOWN = 3;
/** Position and value of the application id in a catalog's header (schema/tardis.sql). */
const ID_POSITION = 68;
const CATALOG_ID = 0x54415244;

/**
 * Throws NO_SUCH_STORE unless the directory is a store: it has a client, or was made as a new store. Throws
 * STORE_NOT_READABLE if it cannot be examined.
 */
export function requireStore(files: Files, store: string): void {
  const why = whyNoStore(files, store);
  if (why !== undefined)
    throw new TardisError('NO_SUCH_STORE', `there is no store at ${store}${why}`);
}

/** Throws NO_SUCH_STORE unless the path is a directory, and STORE_NOT_READABLE if it cannot be examined. */
export function requireDirectory(files: Files, store: string): void {
  if (!isDirectory(files, store)) requireStore(files, store);
}

/** True if the directory is a store. Throws STORE_NOT_READABLE if it cannot be examined. */
export function isStore(files: Files, store: string): boolean {
  return whyNoStore(files, store) === undefined;
}

/**
 * Prepares a directory for the first client of a store, if it is no store yet. Creates only the directory itself, since
 * a missing directory above it shows a disk that is not mounted or a mistyped path. Throws NO_SUCH_STORE for that, and
 * PLACE_TAKEN if the directory has the files of another program; then nothing is changed. Returns true if it has created
 * the directory.
 */
export async function makeStore(files: Files, store: string): Promise<boolean> {
  const status = files.status(store);
  if (status === undefined) {
    pathWithoutLinks(textBytes(store), 'TARGET_UNSAFE');
    const above = path.dirname(store);
    if (files.status(above)?.isDirectory !== true) {
      const what = `cannot create the store ${store}: there is no directory ${above}`;
      throw new TardisError('NO_SUCH_STORE', `${what}; is its disk mounted, and the path right?`);
    }
    await makeDirectory(files, store);
    return true;
  }
  if (!status.isDirectory) {
    throw new TardisError('STORE_NOT_WRITABLE', `${store} is there, but is no directory`);
  }
  if (!isStore(files, store)) {
    requireNoOther(store, otherFiles(files, store, namesIn(files, store)));
  }
  return false;
}

/** Marks a new store, so that it is known as one before it has clients. Durable when the promise resolves. */
export async function markStore(files: Files, store: string): Promise<void> {
  await writeNew(files, path.join(store, STORE_MARK), Buffer.from(MARK_TEXT));
  await files.syncDirectory(store);
}

/** Creates a directory that is durable in its parent. Another process may create it at the same time. */
export async function makeDirectory(files: Files, directory: string): Promise<void> {
  try {
    files.makeDirectory(directory);
  } catch (error) {
    if (files.status(directory)?.isDirectory !== true) throw error;
  }
  await files.syncDirectory(path.dirname(directory));
}

/**
 * Writes a small file of a store, and creates its directory if that is not there. Throws STORE_NOT_WRITABLE or the like.
 */
export async function putFile(
  files: Files,
  file: string,
  text: string,
  how: Parameters<typeof replaceFile>[3] = {},
): Promise<void> {
  const folder = path.dirname(file);
  try {
    if (files.status(folder) === undefined) await makeDirectory(files, folder);
    await replaceFile(files, file, Buffer.from(text), how);
  } catch (error) {
    throw failedStoreWrite(files, file, error);
  }
}

/** Deletes a small file of a store, if it is there. Throws STORE_NOT_WRITABLE or the like. */
export function dropFile(files: Files, file: string): void {
  try {
    unlinkIfThere(files, file);
  } catch (error) {
    throw failedStoreWrite(files, file, error);
  }
}

/** Returns a directory of small files in a store, whose lock lies beside it. Files of root get the owner of the store. */
export function storeFolder(store: string, name: string): string {
  const folder = path.join(store, name);
  guardDirectory(folder, store);
  guardDirectory(`${folder}.lock`, store);
  return folder;
}

/**
 * Throws PLACE_TAKEN if the directory in which a client would be created has files that an interrupted creation cannot
 * have left. `skipFile` is the name of an empty file in new clients.
 */
export function requireNoOtherClient(
  files: Files,
  directory: string,
  skipFile: string | undefined,
): void {
  if (files.status(directory)?.isDirectory !== true) return;
  const other = foreign(namesIn(files, directory)).filter(
    (name) => name !== skipFile && !isOfBegunClient(name),
  );
  if (other.length > 0) requireNoOther(directory, describe(files, directory, other));
}

/** Returns a phrase for the files in the place of a client's directory that are not a client's; undefined if none. */
export function otherClient(files: Files, directory: string): string | undefined {
  if (files.status(directory)?.isDirectory !== true) return undefined;
  const other = foreign(namesIn(files, directory)).filter((name) => !isOfBegunClient(name));
  return other.length === 0 ? undefined : describe(files, directory, other);
}

function requireNoOther(directory: string, what: string | undefined): void {
  if (what === undefined) return;
  throw new TardisError('PLACE_TAKEN', `${directory} is in use: it ${what}`);
}

/** Returns the end of a sentence that begins with "there is no store at …"; undefined if there is one. */
function whyNoStore(files: Files, store: string): string | undefined {
  const isThere = isDirectory(files, store);
  if (isThere === undefined) return whyMissing(files, path.dirname(store));
  if (!isThere) return ': it is no directory';
  if (bucketAt(store) !== undefined) return undefined; // its clients are in the bucket
  const names = namesIn(files, store);
  if (
    MARKS.some((mark) => names.includes(mark)) ||
    names.some((name) => isClient(files, store, name))
  ) {
    return undefined;
  }
  const other = otherFiles(files, store, names);
  if (other !== undefined) return `: it ${other}`;
  const isBare = foreign(names).length === 0;
  return isBare ? ': the directory is empty; is its disk mounted?' : ': it has no client';
}

/** True for a directory, false for any other file; undefined if there is none. Throws STORE_NOT_READABLE, IO_FAILED. */
function isDirectory(files: Files, store: string): boolean | undefined {
  try {
    return files.status(store)?.isDirectory;
  } catch (error) {
    throw failedTo(`look at ${store}`, error, 'readStore');
  }
}

function whyMissing(files: Files, above: string): string {
  if (files.status(above)?.isDirectory !== true) return `: there is no directory ${above}`;
  return isEmpty(files, above) ? `: the directory ${above} is empty; is its disk mounted?` : '';
}

function isEmpty(files: Files, directory: string): boolean {
  try {
    return foreign(files.list(directory)).length === 0;
  } catch {
    return false; // only the text of another error depends on it
  }
}

/** True for the directory of a client, also of one that has lost its format file. */
function isClient(files: Files, store: string, name: string): boolean {
  if (!isClientName(name)) return false;
  return [FORMAT_FILE, PACKS_DIRECTORY].some(
    (part) => files.status(path.join(store, name, part)) !== undefined,
  );
}

/** Returns a phrase for what a directory without clients has; undefined if that is nothing of another program. */
function otherFiles(files: Files, store: string, names: readonly string[]): string | undefined {
  if (names.includes(FORMAT_FILE)) {
    return `is the directory of the client "${path.basename(store)}", in the store ${path.dirname(store)}`;
  }
  const shown = foreign(names);
  const other = shown.filter(
    (name) => !isOfStore(name) && !(isClientName(name) && isBegun(files, path.join(store, name))),
  );
  if (other.length === 0) return undefined;
  const isPython = other.some((name) => isOfPython(files, path.join(store, name)));
  return isPython ? `is a store of Tardis (Python)${TO_IMPORT}` : describe(files, store, shown);
}

/** True for a directory in which the creation of a client was interrupted. */
function isBegun(files: Files, directory: string): boolean {
  if (files.status(directory)?.isDirectory !== true) return false;
  return foreign(namesIn(files, directory)).every(isOfBegunClient);
}

/** Returns a phrase for a directory with these names. */
function describe(files: Files, directory: string, names: readonly string[]): string {
  if (isOfPython(files, directory)) return `is a client of Tardis (Python)${TO_IMPORT}`;
  const program = PROGRAMS.find(([, ...wanted]) =>
    wanted.every((pattern) => names.some((name) => pattern.test(name))),
  );
  if (program !== undefined) return `is ${program[0]}`;
  const shown = names.toSorted().slice(0, MOST_SHOWN).map(displayText);
  return `has other files (${shown.join(', ')}${names.length > MOST_SHOWN ? ', …' : ''})`;
}

/** Advice for those who meet a store of the original. */
const TO_IMPORT = ', which `tardis import CLIENT-DIRECTORY` brings over into another store';

/** True for the directory of a client of Tardis (Python): its catalog has the usual name, but is no catalog of ours. */
function isOfPython(files: Files, directory: string): boolean {
  const file = path.join(directory, CATALOG_FILE);
  if (files.status(file)?.isFile !== true) return false;
  const start = readStart(files, file, ID_POSITION + 4);
  return start?.length !== ID_POSITION + 4 || start.readUInt32BE(ID_POSITION) !== CATALOG_ID;
}

function namesIn(files: Files, directory: string): string[] {
  return during('readStore', () => files.list(directory));
}

function foreign(names: readonly string[]): string[] {
  return names.filter((name) => !OF_SYSTEM.test(name));
}

/**
 * The object that makes a client: its format file and its key record. It is created in one request, so a client exists
 * whole or not at all. If two machines create it at once, one succeeds.
 */
import path from 'node:path';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { readStart, removeTree, replaceFile, type System } from '../../system/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
import type { ClientDirectory } from '../client/client-directory.js';
import { lockByFile } from '../client/client-lock.js';
import { keyNumberIn, lostKeys, newestKeys, removeOlderKeys } from '../client/key-files.js';
import {
  clientKeys,
  clientNote,
  clientObject,
  clientOf,
  clientPrefix,
  CLIENTS_PREFIX,
  isNextGeneration,
  MAX_GENERATIONS,
} from '../layout/bucket-names.js';
import { type ClientFormat, parseFormat, readFormat } from '../layout/format-file.js';
import {
  FORMAT_FILE,
  keyFileName,
  keyFileNumber,
  KEYS_DIRECTORY,
  RUNS_DIRECTORY,
} from '../layout/layout.js';
import type { ObjectStore } from '../objects/index.js';
import { type ClientFiles, isKeyFile, objectOfFiles, readClientFiles } from './client-files.js';
import { isFollowedBy, nextNoted, noteNext } from './generation-notes.js';
import { keysBehind, putKeysBackInto } from './key-objects.js';
import { sharedStore } from './shared-stores.js';

const MAX_FILE_BYTES: number = 64 << 10;

/**
 * Throws FORMAT_DAMAGED if the bucket has objects of a client, but not its client object. A new client of that name
 * would continue the history of the old one, and would need the names of the old key records for its own.
 */
export async function requireNewIn(
  system: System,
  access: BucketAccess,
  client: string,
): Promise<void> {
  await requireNoRemains((await sharedStore(system, access)).store, client);
}

/** Creates the object of a client that was made in its directory. Returns false if such a client exists already. */
export async function publishClient(
  system: System,
  access: BucketAccess,
  client: string,
): Promise<boolean> {
  const shared = await sharedStore(system, access);
  await shared.admit();
  const bytes = clientBytes(system, path.join(access.cache, client));
  if ((await shared.store.putNew(clientObject(client), bytes)) === 'created') return true;
  discard(system, access, client); // its keys are not those of the client that exists
  return false;
}

/** Returns the bytes of the object of a client, or of a generation of one, that was made in a directory. */
export function clientBytes(system: System, directory: string): Buffer {
  return objectOfFiles(filesIn(system, directory));
}

/**
 * Fetches the small files of a client to this machine. Deletes the files here of a client that the bucket no longer
 * has, or of another client with its name. With `isEven`, a name without a client takes as much time as a client whose
 * password was never changed.
 *
 * Throws FORMAT_DAMAGED if the object of the client is damaged, or if the bucket has other objects of the client
 * without it. With `isEven`, the latter is checked only if this machine has files of the client, which then stay.
 * Throws KEYS_LOST if a lost key record cannot be put back, STORE_NEWER for a newer format, and errors of a bucket.
 */
export async function fetchClient(
  system: System,
  access: BucketAccess,
  client: string,
  { isEven = false }: { readonly isEven?: boolean } = {},
): Promise<void> {
  const { store } = await sharedStore(system, access);
  const here = formatHere(system, path.join(access.cache, client));
  const generation = here?.generation;
  const known =
    generation === undefined ? undefined : await generationFiles(store, client, generation);
  // The log shows a machine with a catalog that the client was rewritten; another one looks up the newest generation.
  const follows = here === undefined || generation !== undefined;
  const files = known ?? (await newestFiles(store, client, { follows, isEven }));
  const isKnown = system.files.status(path.join(access.cache, client)) !== undefined;
  if (files === undefined && (isKnown || !isEven)) await requireNoRemains(store, client);
  await install(system, access, client, await withKnownKeys(system, access, client, files));
}

/**
 * Returns the files of a client. If this machine has a newer key record than the bucket, or an intact copy of a damaged
 * one, the files have this machine's record. Puts a newer record back into the bucket, except into a former generation,
 * since a former password would be valid again without it. Throws KEYS_LOST if that cannot be done.
 */
async function withKnownKeys(
  system: System,
  access: BucketAccess,
  client: string,
  files: ClientFiles | undefined,
): Promise<ClientFiles | undefined> {
  const directory = path.join(access.cache, client);
  if (files === undefined || !isSameClient(system, directory, files)) return files;
  if (lostKeys(system, directory) !== 'none') return files; // this machine has lost its copy
  const known = newestKeys(system, directory);
  const there = [...files.keys()].find(isKeyFile);
  const number = there === undefined ? 0 : keyFileNumber(path.basename(there))!;
  const isDamaged = there !== undefined && keyNumberIn(files.get(there)!) === undefined;
  if (known === undefined || known.number < number || (known.number === number && !isDamaged))
    return files;
  const { generation } = parseFormat(files.get(FORMAT_FILE)!.toString('utf8'), FORMAT_FILE);
  const { store } = await sharedStore(system, access);
  // A rewrite removes the records of the former generation, whose passwords may have leaked.
  const isFormer = await isFollowedBy(store, client, generation);
  if (known.number > number && !isFormer)
    await putKeysBackInto(store, { client, generation }, known, number);
  const name = path.join(KEYS_DIRECTORY, keyFileName(known.number));
  return new Map([
    [name, known.bytes],
    [FORMAT_FILE, files.get(FORMAT_FILE)!],
  ]);
}

/**
 * Fetches the small files of the generation that follows a client's generation to this machine. Deletes the data of the
 * earlier generation here. Throws RECORD_DAMAGED if `next` cannot be its name, FORMAT_DAMAGED if its object is damaged
 * or a note names another generation, and errors of a bucket.
 */
export async function followMove(
  system: System,
  { client, generation, bucket: access }: Omit<ClientDirectory, 'path' | 'catalogPath'>,
  next: string,
): Promise<void> {
  if (access === undefined || !isNextGeneration(next, generation)) {
    throw recordDamaged(`the log of "${client}" ends with a wrong generation`);
  }
  const { store } = await sharedStore(system, access);
  await noteNext(store, client, { generation, next });
  // The next generation may itself be a former one, of which little is left.
  const files =
    (await generationFiles(store, client, next)) ??
    (await newestFiles(store, client, { follows: true, isEven: false }));
  await install(system, access, client, files);
}

/**
 * Replaces the files of a client on this machine by exactly these. Deletes all data of the client here if it is
 * another client or generation, or if there are no files. Throws CLIENT_BUSY if another process does so and does not end.
 */
async function install(
  system: System,
  access: BucketAccess,
  client: string,
  files: ClientFiles | undefined,
): Promise<void> {
  const directory = path.join(access.cache, client);
  if (isAsHere(system, directory, files)) return;
  const busy = `the files of "${client}" in ${access.cache} are being replaced`;
  using _lock = await lockByFile(system, path.join(access.cache, `.${client}.lock`), busy);
  if (isAsHere(system, directory, files)) return; // another process has fetched them meanwhile
  if (!isSameClient(system, directory, files)) discard(system, access, client);
  if (files === undefined) return;
  for (const folder of [directory, path.join(directory, KEYS_DIRECTORY)]) {
    const isWanted = folder === directory || files.size > 1;
    if (isWanted && system.files.status(folder) === undefined)
      system.files.makeDirectory(folder, true);
  }
  for (const [name, content] of files) {
    await replaceFile(system.files, path.join(directory, name), content, { isSecret: true });
  }
  const newest = [...files.keys()].find(isKeyFile);
  if (newest !== undefined)
    await removeOlderKeys(system, directory, keyFileNumber(path.basename(newest))!);
}

/** Returns the format file on this machine; undefined if it is missing or damaged. */
export function formatHere({ files }: System, directory: string): ClientFormat | undefined {
  try {
    return readFormat(files, directory);
  } catch {
    return undefined; // it is fetched again
  }
}

/**
 * Returns the files of the newest generation that a note names; without `follows`, those of the first generation.
 * Returns undefined if there is no such client. Throws FORMAT_DAMAGED if the object of the newest generation is
 * missing.
 */
async function newestFiles(
  store: ObjectStore,
  client: string,
  { follows, isEven }: { readonly follows: boolean; readonly isEven: boolean },
): Promise<ClientFiles | undefined> {
  const first = await readClientFiles(store, client);
  const next = follows || (isEven && first === undefined) ? nextNoted(store, client) : undefined;
  if (first === undefined) {
    if (isEven) await Promise.all([next, store.readWhole(clientKeys(client, 2), MAX_FILE_BYTES)]);
    return undefined;
  }
  const [whole, noted] = await Promise.all([withNewestKeys(store, client, first, undefined), next]);
  if (noted === undefined) return whole;
  let newest = noted;
  for (let made = 0; made < MAX_GENERATIONS; made += 1) {
    const later = await nextNoted(store, client, newest);
    if (later === undefined) break;
    newest = later;
  }
  const files = await generationFiles(store, client, newest);
  if (files !== undefined) return files;
  const what = `the object of the client "${client}" is missing (generation ${newest})`;
  throw new TardisError('FORMAT_DAMAGED', what);
}

async function generationFiles(
  store: ObjectStore,
  client: string,
  generation: string,
): Promise<ClientFiles | undefined> {
  const files = await readClientFiles(store, client, generation);
  return files && withNewestKeys(store, client, files, generation);
}

/**
 * Returns the files with the newest key record in place of the first one. A client that was made without a password has
 * no first record, but may have later ones.
 */
async function withNewestKeys(
  store: ObjectStore,
  client: string,
  files: ClientFiles,
  generation: string | undefined,
): Promise<ClientFiles> {
  const first = [...files.keys()].find(isKeyFile);
  const number = first === undefined ? 0 : keyFileNumber(path.basename(first))!;
  let newest: readonly [string, Buffer] | undefined;
  for await (const later of keysBehind(store, { client, generation }, number)) {
    newest = [path.join(KEYS_DIRECTORY, keyFileName(later.number)), later.bytes];
  }
  return newest === undefined ? files : new Map([newest, [FORMAT_FILE, files.get(FORMAT_FILE)!]]);
}

/** Returns the names of the clients in a bucket, sorted. */
export async function clientsIn(system: System, access: BucketAccess): Promise<string[]> {
  const { store } = await sharedStore(system, access);
  const found: string[] = [];
  for await (const name of store.list(CLIENTS_PREFIX)) {
    const client = clientOf(name);
    if (client !== undefined) found.push(client);
  }
  return found.sort();
}

/** Checks that the clients of a store can be listed, and throws if not. Takes one request. */
export async function requireClientList(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  for await (const _ of store.list(CLIENTS_PREFIX)) return;
}

/**
 * Returns the files of a client that its object contains: the newest key record if there is one, then the format file.
 */
function filesIn({ files }: System, directory: string): ClientFiles {
  const found = new Map<string, Buffer>();
  const keys = newestKeys({ files }, directory);
  if (keys !== undefined)
    found.set(path.join(KEYS_DIRECTORY, keyFileName(keys.number)), keys.bytes);
  const format = readStart(files, path.join(directory, FORMAT_FILE), MAX_FILE_BYTES);
  if (format !== undefined) found.set(FORMAT_FILE, format);
  return found;
}

/** True if the directory has the client of these files, possibly with other keys. */
function isSameClient(
  { files }: System,
  directory: string,
  wanted: ClientFiles | undefined,
): boolean {
  const format = readStart(files, path.join(directory, FORMAT_FILE), MAX_FILE_BYTES + 1);
  return format !== undefined && wanted?.get(FORMAT_FILE)?.equals(format) === true;
}

/**
 * True if the directory has the same format file and key records as `wanted`, or does not exist if `wanted` is
 * undefined.
 */
function isAsHere(system: System, directory: string, wanted: ClientFiles | undefined): boolean {
  const { files } = system;
  if (wanted === undefined) return files.status(directory) === undefined;
  const folder = path.join(directory, KEYS_DIRECTORY);
  const keys = files.status(folder) === undefined ? [] : files.list(folder);
  const isOne = keys.length === wanted.size - 1;
  return (
    isOne &&
    [...wanted].every(([name, bytes]) => {
      const here = readStart(files, path.join(directory, name), MAX_FILE_BYTES + 1);
      return here?.equals(bytes) === true;
    })
  );
}

/** Deletes all data of a client on this machine. The folder is renamed first, so that no client is half deleted. */
function discard({ files, random }: System, { cache }: BucketAccess, client: string): void {
  const directory = path.join(cache, client);
  if (files.status(directory) === undefined) return;
  const aside = path.join(cache, `.${random.bytes(8).toString('hex')}`);
  files.rename(directory, aside);
  removeTree(files, aside);
}

/**
 * Throws FORMAT_DAMAGED if the bucket lacks the main object of a client (`clientObject`), and has others of the client.
 * Its journal alone is nothing of a client: it also has runs that failed before the client was made.
 */
async function requireNoRemains(store: ObjectStore, client: string): Promise<void> {
  const object = clientObject(client);
  const runs = clientNote(client, `${RUNS_DIRECTORY}/`);
  for await (const name of store.list(clientPrefix(client))) {
    if (name.startsWith(runs)) continue;
    if (name === object || (await store.head(object)) !== undefined) return;
    const what = `the object ${object} is missing from the bucket, which has others of "${client}"`;
    throw new TardisError('FORMAT_DAMAGED', `${what}, such as ${name}`, { object });
  }
}

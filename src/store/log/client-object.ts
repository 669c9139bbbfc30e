/**
 * The object that makes a client: its format file and its key record. It is created in one request, so a client
 * exists whole or not at all, and of two machines that create it at once, one succeeds.
 */
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import { readStart, replaceFile, type System } from '../../system/index.js';
import { readFormat } from '../client/format-file.js';
import { newestKeys, removeOlderKeys } from '../client/key-files.js';
import type { ObjectStore } from '../objects/index.js';
import { FORMAT_FILE, KEYS_DIRECTORY, keyFileName, keyFileNumber } from '../client/layout.js';
import type { BucketAccess } from './bucket-access.js';
import { CLIENTS_PREFIX, clientKeys, clientObject, clientOf } from './names.js';
import { sharedStore } from './shared-stores.js';

const VERSION = 1;
const MAX_BYTES: number = 256 << 10;
const MAX_FILE_BYTES: number = 64 << 10;
/** Key records that a client can get after its first one. */
const MAX_LATER_KEYS = 10_000;
/** Most levels of folders in a client's directory. */
const MAX_DEPTH = 4;

type ClientFiles = ReadonlyMap<string, Buffer>;

/** Creates the object of a client that was made in its directory. Returns false if there is such a client already. */
export async function publishClient(
  system: System,
  access: BucketAccess,
  client: string,
): Promise<boolean> {
  const shared = await sharedStore(system, access);
  await shared.admit();
  const directory = path.join(access.cache, client);
  const files: Record<string, string> = {};
  for (const [name, bytes] of filesIn(system, directory)) files[name] = bytes.toString('base64');
  const text = JSON.stringify({ version: VERSION, files });
  return (await shared.store.putNew(clientObject(client), Buffer.from(`${text}\n`))) === 'created';
}

/**
 * Creates the object of a key record that follows the newest one. Throws STORE_TAKEN if another machine has changed the
 * keys meanwhile.
 */
export async function publishKeys(
  system: System,
  { bucket: access, client }: { readonly bucket: BucketAccess; readonly client: string },
  { number, bytes }: { readonly number: number; readonly bytes: Uint8Array },
): Promise<void> {
  const shared = await sharedStore(system, access);
  await shared.admit();
  const name = clientKeys(client, number);
  if ((await shared.store.putNew(name, bytes)) === 'created') return;
  const what = `another machine has changed the keys of "${client}" since (${name})`;
  throw new TardisError('STORE_TAKEN', what, { object: name });
}

/**
 * Brings the small files of a client to this machine. Files here of a client that the bucket no longer has, or
 * of another client with its name, are deleted. With `isEven`, a name without a client takes as many requests as a
 * client whose password was never changed. Throws FORMAT_DAMAGED, STORE_NEWER, and errors of a bucket.
 */
export async function fetchClient(
  system: System,
  access: BucketAccess,
  client: string,
  { isEven = false }: { readonly isEven?: boolean } = {},
): Promise<void> {
  const { store } = await sharedStore(system, access);
  const bytes = await store.readWhole(clientObject(client), MAX_BYTES);
  if (isEven && bytes === undefined) await store.readWhole(clientKeys(client, 2), MAX_FILE_BYTES);
  const files = bytes && (await withNewestKeys(store, client, parse(bytes, client)));
  const directory = path.join(access.cache, client);
  if (isAsHere(system, directory, files)) return;
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
  readFormat(system.files, directory); // throws if the object has a damaged one
  const newest = [...files.keys()].find(isKeyFile);
  if (newest !== undefined)
    await removeOlderKeys(system, directory, keyFileNumber(path.basename(newest))!);
}

/** Returns the files with the newest key record in place of the first one. A client made without keys has none. */
async function withNewestKeys(
  store: ObjectStore,
  client: string,
  files: ClientFiles,
): Promise<ClientFiles> {
  const first = [...files.keys()].find(isKeyFile);
  if (first === undefined) return files;
  const number = keyFileNumber(path.basename(first))!;
  let newest: readonly [string, Buffer] = [first, files.get(first)!];
  for (let next = number + 1; next <= number + MAX_LATER_KEYS; next += 1) {
    const bytes = await store.readWhole(clientKeys(client, next), MAX_FILE_BYTES);
    if (bytes === undefined) break;
    newest = [path.join(KEYS_DIRECTORY, keyFileName(next)), bytes];
  }
  return new Map([newest, [FORMAT_FILE, files.get(FORMAT_FILE)!]]);
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

/** Throws if the clients of a store cannot be listed. Takes one request. */
export async function requireClientList(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  for await (const _ of store.list(CLIENTS_PREFIX)) return;
}

function parse(bytes: Buffer, client: string): ClientFiles {
  const damaged = (): Error =>
    new TardisError('FORMAT_DAMAGED', `the object of the client "${client}" is damaged`);
  let body: { version?: unknown; files?: unknown } | null;
  try {
    body = JSON.parse(bytes.toString('utf8')) as typeof body;
  } catch {
    throw damaged();
  }
  const { version, files } = body ?? {};
  if (typeof version === 'number' && version > VERSION) {
    throw new TardisError('STORE_NEWER', `the client "${client}" has format ${version}`);
  }
  const isWhole = version === VERSION && typeof files === 'object' && files !== null;
  if (!isWhole) throw damaged();
  const parsed = new Map<string, Buffer>();
  const { [FORMAT_FILE]: format, ...keys } = files as Readonly<Record<string, unknown>>;
  for (const [name, text] of [...Object.entries(keys), [FORMAT_FILE, format] as const]) {
    const isKnown = name === FORMAT_FILE || isKeyFile(name);
    if (!isKnown || typeof text !== 'string' || parsed.size > 1) throw damaged();
    parsed.set(name, Buffer.from(text, 'base64'));
  }
  return parsed;
}

function isKeyFile(name: string): boolean {
  const isThere = path.dirname(name) === KEYS_DIRECTORY;
  return isThere && keyFileNumber(path.basename(name)) !== undefined;
}

/** Returns the files of a client that the object has: its newest key record if there is one, then its format file. */
function filesIn({ files }: System, directory: string): ClientFiles {
  const found = new Map<string, Buffer>();
  const keys = newestKeys({ files }, directory);
  if (keys !== undefined)
    found.set(path.join(KEYS_DIRECTORY, keyFileName(keys.number)), keys.bytes);
  const format = readStart(files, path.join(directory, FORMAT_FILE), MAX_FILE_BYTES);
  if (format !== undefined) found.set(FORMAT_FILE, format);
  return found;
}

/** True if the directory has the client of these files, with other keys. */
function isSameClient(
  { files }: System,
  directory: string,
  wanted: ClientFiles | undefined,
): boolean {
  const format = readStart(files, path.join(directory, FORMAT_FILE), MAX_FILE_BYTES + 1);
  return format !== undefined && wanted?.get(FORMAT_FILE)?.equals(format) === true;
}

/** True if the directory has exactly these files. */
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

/** Deletes what this machine has of a client. The folder gets another name first, so that nothing is half deleted. */
function discard({ files, random }: System, { cache }: BucketAccess, client: string): void {
  const directory = path.join(cache, client);
  if (files.status(directory) === undefined) return;
  const aside = path.join(cache, `.${random.bytes(8).toString('hex')}`);
  files.rename(directory, aside);
  const remove = (folder: string, depth: number): void => {
    for (const name of files.list(folder)) {
      const file = path.join(folder, name);
      const isFolder = !files.isLink(file) && files.status(file)?.isDirectory === true;
      if (isFolder && depth < MAX_DEPTH) remove(file, depth + 1);
      else files.unlink(file);
    }
    files.removeDirectory(folder);
  };
  remove(aside, 1);
}

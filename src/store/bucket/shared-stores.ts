/** The object stores that are open in this thread. Clients of one store share its connections. */
import path from 'node:path';
import { systemCode } from '../../errors/index.js';
import {
  type Files,
  processEnvironment,
  readStart,
  replaceFile,
  type System,
} from '../../system/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
import { clientNote, DECOY_OBJECT } from '../layout/bucket-names.js';
import type { BucketSettings, ObjectStore } from '../objects/index.js';

const MAX_BYTES: number = 64 << 10;

/** A store, and the check that it may be written to. */
export interface SharedStore {
  readonly store: ObjectStore;
  /**
   * Resolves when the store is known to arbitrate between writers, and to lock objects if that is requested. Throws
   * BUCKET_UNSAFE if it does not arbitrate, and BUCKET_CANNOT_LOCK if it does not lock.
   */
  admit(): Promise<void>;
}

/** File in the cache of a store that was found to arbitrate, so that the store is not probed again. */
const ARBITRATES_FILE = '.arbitrates';
/** File in the cache of a store that arbitrates and locks objects. */
const LOCKS_FILE = '.locks';
/** Contents of these files: the state in which the bucket was probed. */
const WITHOUT_VERSIONS = 'many\n';
const WITH_VERSIONS = 'many, with versions\n';
const MAX_STATE_BYTES = 64;

const shared = new Map<string, Promise<SharedStore>>();

/** Registers an open store for a place, in this thread, so that the place is not opened again. */
export function shareStore(cache: string, store: Promise<SharedStore>): void {
  shared.set(cache, store);
}

/**
 * Returns the store of a bucket, open in this thread. The code for buckets is loaded only here. Throws CONFIG_INVALID
 * if endpoint, region or profile is invalid.
 */
export function sharedStore(system: System, access: BucketAccess): Promise<SharedStore> {
  const known = shared.get(access.cache);
  if (known !== undefined) return known;
  const opening = open(system, access);
  shareStore(access.cache, opening);
  return opening;
}

/** Closes the stores that are open in this thread. */
export async function closeSharedStores(): Promise<void> {
  const open = [...shared.values()];
  shared.clear();
  for (const result of await Promise.allSettled(open)) {
    if (result.status === 'fulfilled') result.value.store.close();
  }
}

async function open(system: System, access: BucketAccess): Promise<SharedStore> {
  const { openBucket } = await import('../objects/index.js');
  const { settings, place } = access;
  const { files } = system;
  const file = path.join(access.cache, (settings.lockDays ?? 0) > 0 ? LOCKS_FILE : ARBITRATES_FILE);
  const decided = (isForVersions: boolean): Promise<void> =>
    replaceFile(files, file, Buffer.from(isForVersions ? WITH_VERSIONS : WITHOUT_VERSIONS));
  const refused = (): void => forget(files, file);
  const environment = processEnvironment();
  const options = { ...withBuffers(settings), environment, decided, refused };
  const bucket = await openBucket(system, place, options);
  return {
    store: bucket.store,
    admit: async () => {
      const known = readStart(files, file, MAX_STATE_BYTES);
      if (known !== undefined) bucket.trust(known.toString() === WITH_VERSIONS);
      await bucket.writers();
    },
  };
}

/** Removes the file, so that the next process probes the bucket before it writes. */
function forget(files: Files, file: string): void {
  try {
    files.unlink(file);
  } catch {
    // There is no such file, or the cache cannot be written to. The caller throws the error of the probe.
  }
}

/** Returns settings that came from another thread, with buffers in place of plain arrays of bytes. */
function withBuffers(settings: BucketAccess['settings']): BucketAccess['settings'] {
  const { authorities }: BucketSettings = settings;
  return authorities === undefined
    ? settings
    : { ...settings, authorities: Buffer.from(authorities) };
}

/** Returns the bytes of a note; undefined if there is none. */
export async function readClientNote(
  system: System,
  access: BucketAccess,
  {
    client,
    name,
    maxBytes,
  }: { readonly client: string; readonly name: string; readonly maxBytes: number },
): Promise<Buffer | undefined> {
  const { store } = await sharedStore(system, access);
  return store.readWhole(clientNote(client, name), maxBytes);
}

/** Creates or replaces a note, durable when it resolves. The caller must hold the client's claim. */
export async function writeClientNote(
  system: System,
  access: BucketAccess,
  {
    client,
    name,
    bytes,
  }: { readonly client: string; readonly name: string; readonly bytes: Buffer },
): Promise<void> {
  const { store } = await sharedStore(system, access);
  await store.putOwn(clientNote(client, name), bytes);
}

/** Returns the bytes of an object. Creates it with the bytes `fresh` if it does not exist. */
export async function sharedObject(
  system: System,
  access: BucketAccess,
  name: string,
  fresh: Buffer,
): Promise<Buffer> {
  const { store } = await sharedStore(system, access);
  // Read first: a server creates the object once, and starts often.
  const there = await store.readWhole(name, MAX_BYTES);
  if (there !== undefined) return there;
  if ((await store.putNew(name, fresh)) === 'created') return fresh;
  return (await store.readWhole(name, MAX_BYTES)) ?? fresh;
}

/**
 * Throws if the store does not answer, or refuses the request. Takes one small request: a GET, since the answer to a
 * HEAD does not show whether the object or the whole bucket is missing.
 */
export async function requireAnswer(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  try {
    await store.read(DECOY_OBJECT, 0, Buffer.alloc(1), 1);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error; // another server may not have made the object yet
  }
}

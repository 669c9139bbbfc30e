/** The object stores that are open in this thread. Clients of one store share its connections. */
import path from 'node:path';
import type { BucketSettings, ObjectStore } from '../objects/index.js';
import {
  type Files,
  processEnvironment,
  readStart,
  replaceFile,
  type System,
} from '../../system/index.js';
import type { BucketAccess } from '../client/bucket-access.js';

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

/** Machines that share a client in a bucket in memory. Each has a cache of its own, and reaches the objects in its own way. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { Access, openHistoryIn } from '../../src/history/index.js';
import { newRestoreProgress, type RestoreFailure, runRestore } from '../../src/restore/index.js';
import type { StorageHost, StorageOptions } from '../../src/server/index.js';
import {
  type BucketAccess,
  type ClientDirectory,
  createClientDirectory,
  fetchClient,
  FORMAT_FILE,
  openClientDirectory,
  shareStore,
  useBucket,
} from '../../src/store/index.js';
import type { ObjectStore } from '../../src/store/objects/index.js';
import { catchUp } from '../../src/store/writer/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../support/memory-object-store.js';
import { backupInline, type InlineServer, inlineSystem, SMALL_STORE } from './inline.js';
import { scratchInMemory } from './scratch.js';

const CLIENT = 'me';
let machines = 0;

/** Starts a machine with an empty cache, or with a copy of another one's. */
export type StartMachine = (before?: BeforeRequest, like?: ClientDirectory) => ClientDirectory;

/** Creates a client; every machine has a copy of its format file. */
export async function sharedClient(t: ExecutionContext, objects: Objects): Promise<StartMachine> {
  return startsIn(scratchInMemory(t), () => objects);
}

/** Does the same in a folder, for objects that may be exchanged. */
export async function startsIn(home: string, objects: () => Objects): Promise<StartMachine> {
  const store = path.join(home, 'first');
  const first = await createClientDirectory(inlineSystem(), { store, client: CLIENT });
  return (before, like) => {
    const directory = machine(objects(), home, before);
    if (like === undefined) {
      fs.mkdirSync(directory.path, { recursive: true });
      fs.copyFileSync(path.join(first.path, FORMAT_FILE), path.join(directory.path, FORMAT_FILE));
    } else fs.cpSync(like.path, directory.path, { recursive: true });
    return directory;
  };
}

/** Returns the access of a machine, whose cache is a folder, to a store. */
export function accessTo(store: ObjectStore, cache: string): BucketAccess {
  shareStore(cache, Promise.resolve({ store, admit: async () => undefined }));
  const where = { shown: 's3://test', address: `http://test/${cache}`, cache };
  return { ...where, place: { bucket: 'test', prefix: '' }, settings: {} };
}

function machine(objects: Objects, home: string, before?: BeforeRequest): ClientDirectory {
  machines += 1;
  const cache = path.join(home, `machine-${machines}`);
  const bucket = accessTo(new MemoryObjectStore(objects, before), cache);
  const place = path.join(cache, CLIENT);
  return { client: CLIENT, path: place, catalogPath: path.join(place, 'tardis.db'), bucket };
}

/** Checkpoints only where a set begins or ends. */
export const WHOLE_SETS: StorageOptions = {
  ...SMALL_STORE,
  checkpoint: { bytes: 64 << 20, entries: 100_000, intervalMs: 3_600_000 },
};

/** A machine that uses a client of a bucket as the commands do. */
export class BucketMachine {
  readonly access: BucketAccess;

  /** Makes the cache, a folder, empty or as a copy of the cache of another machine. */
  constructor(cache: string, objects: Objects, before?: BeforeRequest, like?: BucketMachine) {
    fs.mkdirSync(cache);
    if (like !== undefined) fs.cpSync(like.access.cache, cache, { recursive: true });
    this.access = accessTo(new MemoryObjectStore(objects, before), cache);
    useBucket(this.access);
  }

  /** Opens the client, as every command does at its start. */
  async open(client: string = CLIENT): Promise<ClientDirectory> {
    await fetchClient(inlineSystem(), this.access, client);
    await catchUp(inlineSystem(), this.present(client));
    return this.present(client);
  }

  present(client: string = CLIENT): ClientDirectory {
    return openClientDirectory(inlineSystem(), { store: this.access.cache, client });
  }
}

/** Faults of requests: of one, or of those from that one on; `applied` ones take effect before they fail. */
export const REQUEST_FAULTS = ['once', 'once, applied', 'end', 'end, applied'] as const;

/**
 * Returns a function that lets requests fail with a fault at the request `number`, at most so many of them, and the count of all
 * requests.
 */
export function failingAt(
  fault: (typeof REQUEST_FAULTS)[number],
  number: number,
  most = Infinity,
): { readonly before: BeforeRequest; count(): number } {
  let count = 0;
  const isEnd = fault.startsWith('end');
  return {
    before: (_kind, _name, apply) => {
      count += 1;
      if (!(isEnd ? count >= number && count < number + most : count === number)) return;
      if (fault.endsWith('applied') && count === number) apply();
      throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
    },
    count: () => count,
  };
}

/** Backs up from a machine. */
export async function backUpFrom(
  directory: ClientDirectory,
  source: string,
  options: InlineServer = {},
): Promise<void> {
  const place = { store: path.dirname(directory.path), client: CLIENT };
  await backupInline(inlineSystem(), place, [source], {
    ...options,
    wrapHost: inBucket(directory),
  });
}

export function inBucket(directory: ClientDirectory) {
  return (host: StorageHost): StorageHost => ({
    open: (_directory, ...rest) => host.open(directory, ...rest),
    measure: (_directory, withEntries) => host.measure(directory, withEntries),
    standing: (_directory, withFigures) => host.standing(directory, withFigures),
    collectGarbage: (_directory, work) => host.collectGarbage(directory, work),
    halt: () => host.halt(),
    close: () => host.close(),
  });
}

/** Restores a set with the catalog that a machine has, and returns what failed. */
export async function restoreFrom(
  directory: ClientDirectory,
  { source, output, set: wanted }: { source: string; output: string; set?: string },
): Promise<readonly RestoreFailure[]> {
  const system = inlineSystem();
  const history = openHistoryIn(system, directory, new Access(undefined), 0);
  const jobs = new InlineJobs(system);
  try {
    const { set } = await history.findSet(wanted);
    const { failures } = await runRestore(
      system,
      { history, jobs, progress: newRestoreProgress() },
      {
        set,
        paths: [Buffer.from(source)],
        output: Buffer.from(output),
        workers: 1,
        numericIds: false,
        policy: {},
      },
    );
    return failures;
  } finally {
    await jobs.close();
    history.close();
  }
}

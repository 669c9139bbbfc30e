/** Machines that share a client in a bucket in memory. Each has a cache of its own, and reaches the objects in its own way. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { Access, openHistoryIn } from '../../src/history/index.js';
import { newRestoreProgress, type RestoreFailure, runRestore } from '../../src/restore/index.js';
import type { StorageHost } from '../../src/server/index.js';
import {
  type ClientDirectory,
  createClientDirectory,
  FORMAT_FILE,
  shareStore,
} from '../../src/store/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../support/memory-object-store.js';
import { backupInline, type InlineServer, inlineSystem } from './inline.js';
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

function machine(objects: Objects, home: string, before?: BeforeRequest): ClientDirectory {
  machines += 1;
  const cache = path.join(home, `machine-${machines}`);
  const store = new MemoryObjectStore(objects, before);
  shareStore(cache, Promise.resolve({ store, admit: async () => undefined }));
  const place = path.join(cache, CLIENT);
  const where = { shown: 's3://test', address: `http://test/${machines}` };
  const bucket = { ...where, cache, place: { bucket: 'test', prefix: '' }, settings: {} };
  return { client: CLIENT, path: place, catalogPath: path.join(place, 'tardis.db'), bucket };
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

function inBucket(directory: ClientDirectory) {
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

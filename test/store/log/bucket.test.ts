/** A client whose records lie in an object store: what was acknowledged is there, whoever writes and whatever fails. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Access, openHistoryIn } from '../../../src/history/index.js';
import { TardisError } from '../../../src/errors/index.js';
import { newRestoreProgress, runRestore } from '../../../src/restore/index.js';
import type { StorageHost } from '../../../src/server/index.js';
import { applyEvent, Catalog, settingsOf } from '../../../src/store/catalog/index.js';
import {
  buildEvent,
  type ClientDirectory,
  createClientDirectory,
  FORMAT_FILE,
  shareStore,
} from '../../../src/store/index.js';
import { changeSetting, StoreWriter } from '../../../src/store/writer/index.js';
import { InlineJobs } from '../../../src/workers/index.js';
import { codeOf } from '../../helpers/codes.js';
import { backupInline, inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { scratch } from '../../helpers/scratch.js';
import { differences, look, noise } from '../../helpers/tree.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../../support/memory-object-store.js';

const CLIENT = 'me';
const LIMITS = SMALL_STORE.store;
let urls = 0;

/** Returns a client's place on one machine, which reaches the objects in its own way. */
async function machine(
  objects: Objects,
  home: string,
  before?: BeforeRequest,
): Promise<ClientDirectory> {
  urls += 1;
  const cache = path.join(home, `machine-${urls}`);
  const store = new MemoryObjectStore(objects, before);
  shareStore(cache, Promise.resolve({ store, admit: async () => undefined }));
  const place = path.join(cache, CLIENT);
  const where = { shown: 's3://test', address: `http://test/${urls}` };
  const bucket = { ...where, cache, place: { bucket: 'test', prefix: '' }, settings: {} };
  return { client: CLIENT, path: place, catalogPath: path.join(place, 'tardis.db'), bucket };
}

/** Creates a client; every machine has a copy of its format file. */
async function clients(t: ExecutionContext, objects: Objects) {
  const home = scratch(t);
  const store = path.join(home, 'first');
  const first = await createClientDirectory(inlineSystem(), { store, client: CLIENT });
  return async (before?: BeforeRequest): Promise<ClientDirectory> => {
    const directory = await machine(objects, home, before);
    fs.mkdirSync(directory.path, { recursive: true });
    fs.copyFileSync(path.join(first.path, FORMAT_FILE), path.join(directory.path, FORMAT_FILE));
    return directory;
  };
}

/** Stores a value that a fresh machine must see. */
function acknowledge(directory: ClientDirectory, key: string, value: number): Promise<void> {
  return changeSetting(inlineSystem(), directory, LIMITS, { text: key, value: String(value) });
}

/** Returns the settings that a machine without a catalog finds. */
async function seenBy(directory: ClientDirectory): Promise<ReadonlyMap<string, string>> {
  const system = inlineSystem();
  (await StoreWriter.open(system, directory, LIMITS)).close();
  return Catalog.reading(system, directory.catalogPath, (catalog) => settingsOf(catalog));
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

async function restored(directory: ClientDirectory, source: string, output: string) {
  const system = inlineSystem();
  const history = openHistoryIn(system, directory, new Access(undefined), 0);
  const jobs = new InlineJobs(system);
  const { set } = await history.findSet(undefined);
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
  await jobs.close();
  history.close();
  return failures;
}

test('backups to a bucket are restored on a machine that has only the bucket', async (t) => {
  const objects: Objects = new Map();
  const on = await clients(t, objects);
  const home = scratch(t);
  const source = path.join(home, 'tree');
  const first = await on();
  const store = path.dirname(first.path);
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, 'large'), noise(1, 3_000_000));
  for (let round = 1; round <= 3; round += 1) {
    for (let file = 0; file < 30; file += 1) {
      const folder = path.join(source, `d${file % 4}`);
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, `f${file}`), noise(file * round, 100 * file * round));
    }
    await backupInline(inlineSystem(), { store, client: CLIENT }, [source], {
      wrapHost: inBucket(first),
    });
  }
  const names = [...objects.keys()];
  t.true(names.every((name) => /^c\/me\/g1\/(?:log\/\d{10}|packs\/\d{10}-\d{4})$/.test(name)));
  t.true(
    names.some((name) => name.includes('/packs/')),
    names.join(' '),
  );
  const fresh = await on();
  (await StoreWriter.open(inlineSystem(), fresh, LIMITS)).close();
  t.deepEqual(await restored(fresh, source, path.join(home, 'out')), []);
  t.deepEqual(differences(look(source), look(path.join(home, 'out', 'tree'))), []);
});

test('a session that changes nothing makes one object, and lists nothing', async (t) => {
  const objects: Objects = new Map();
  const on = await clients(t, objects);
  const asked: string[] = [];
  const directory = await on((kind) => void asked.push(kind));
  await acknowledge(directory, 'KeepDaily', 3);
  asked.length = 0;
  (await StoreWriter.open(inlineSystem(), directory, LIMITS)).close();
  t.deepEqual(asked.sort(), ['head', 'put', 'read']);
});

/** Faults that strike the first machine at one request, while the second one works. */
const FAULTS = ['stops', 'fails', 'is applied, and fails', 'fails, and is applied later'] as const;

/** Most requests of the first machine that are tried. */
const MOST_REQUESTS = 24;

for (const fault of FAULTS) {
  test(`nothing acknowledged is lost if a request ${fault}`, async (t) => {
    for (let at = 1; at <= MOST_REQUESTS; at += 1) {
      if (!(await strike(t, fault, at))) return;
    }
    t.fail('the first machine makes more requests');
  });
}

/** Returns false if the first machine makes fewer requests. */
async function strike(t: ExecutionContext, fault: (typeof FAULTS)[number], at: number) {
  const objects: Objects = new Map();
  const on = await clients(t, objects);
  let requests = 0;
  let resume = (): void => undefined;
  let later = (): void => undefined;
  const paused = new Promise<void>((resolve) => {
    resume = resolve;
  });
  let strikes = (): void => undefined;
  const struck = new Promise<void>((resolve) => {
    strikes = resolve;
  });
  const first = await on(async (_kind, _name, apply) => {
    requests += 1;
    if (requests !== at) return;
    strikes();
    if (fault === 'stops') return paused;
    if (fault === 'is applied, and fails') apply();
    if (fault === 'fails, and is applied later') later = apply;
    throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
  });
  const acknowledged = new Map<string, string>();
  const errors: string[] = [];
  const work = async (): Promise<void> => {
    for (let value = 1; value <= 3; value += 1) {
      await acknowledge(first, 'KeepDaily', value);
      acknowledged.set('KeepDaily', String(value));
    }
  };
  const done = work().catch((error: unknown) => void errors.push(codeOf(error)));
  await Promise.race([struck, done]);
  if (fault !== 'stops') await done;
  const second = await on();
  await acknowledge(second, 'KeepWeekly', 1);
  later();
  await acknowledge(second, 'KeepWeekly', 2);
  resume();
  await done;
  const values = await seenBy(await on());
  t.is(values.get('KeepWeekly'), '2', `${fault} at ${at}`);
  const least = Number(acknowledged.get('KeepDaily') ?? 0);
  t.true(Number(values.get('KeepDaily') ?? 0) >= least, `${fault} at ${at}`);
  t.true(errors.length > 0 || acknowledged.get('KeepDaily') === '3');
  return requests >= at;
}

test('of two sessions that write at once, one is told that the store was taken', async (t) => {
  const objects: Objects = new Map();
  const on = await clients(t, objects);
  const [one, other] = [await on(), await on()];
  const store = await StoreWriter.open(inlineSystem(), one, LIMITS);
  await acknowledge(other, 'KeepDaily', 4);
  const event = { type: 'setting', key: 'KeepDaily', value: '5' } as const;
  applyEvent(store.catalog, event);
  store.appendOwn(buildEvent(store.nextSequence(), event));
  const error: unknown = await store.checkpoint().catch((thrown: unknown) => thrown);
  t.is(codeOf(error), 'STORE_TAKEN');
  store.abandon();
  t.is((await seenBy(await on())).get('KeepDaily'), '4');
});

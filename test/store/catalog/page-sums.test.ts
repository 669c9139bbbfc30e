// Pace: slow
/** Checksums of catalog pages: the damage they find, the changes they rightly ignore, and their state after crashes. */
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { Catalog, comparePages, PageSums } from '../../../src/store/catalog/index.js';
import { nodeSystem, type SqlDatabase, type System } from '../../../src/system/index.js';
import { flipAt } from '../../helpers/rot.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { thrownCode } from '../../helpers/codes.js';

const system = nodeSystem();
const { files } = system;
const POINT = { commit: 1, pack: 1, position: 1, checksum: 0 };
const COUNTERS = { set: 1, root: 1, directory: 1, sequence: 1 };
const PAGE_BYTES = 4096;
const now = (): undefined => undefined;

/** Creates a catalog with some sets, and closes it. */
function made(t: ExecutionContext, word = ''): string {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const catalog = Catalog.openForWriting(system, file);
  catalog.begin();
  for (let set = 1; set <= 200; set += 1) catalog.sets.open(set, `${set}${word}`.repeat(20), 1, 1);
  catalog.state.write(COUNTERS, POINT);
  catalog.commit();
  catalog.close();
  return file;
}

function change(file: string, set: number): void {
  const catalog = Catalog.openForWriting(system, file);
  catalog.begin();
  catalog.sets.open(set, 'another', 1, 1);
  catalog.commit();
  catalog.close();
}

/** Opens a catalog as a session does, so that it has a write-ahead log. */
function opened(t: ExecutionContext, file: string): SqlDatabase {
  const database = system.openDatabase(file, { readonly: false });
  t.teardown(() => database.close());
  database.pragma('journal_mode = WAL');
  database.pragma('wal_autocheckpoint = 0');
  return database;
}

test('any bit that changes in any page is found, but for those that SQLite changes beside its log', async (t) => {
  const file = made(t);
  const right = fs.readFileSync(file);
  t.true(right.length >= 8 * PAGE_BYTES);
  for (let at = 100; at < right.length; at += 101) {
    flipAt(file, at, at % 8);
    const damaged = await PageSums.read(files, file)!.compare(now);
    t.deepEqual(damaged, [Math.floor(at / PAGE_BYTES) + 1]);
    fs.writeFileSync(file, right);
  }
  t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
});

test('sessions renew the sums of what they write, however many there are', async (t) => {
  const file = made(t);
  for (let set = 300; set < 340; set += 1) {
    change(file, set);
    t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
  }
  const sizeBytes = fs.statSync(`${file}-sums`).size;
  t.true(sizeBytes < 200_000, `${sizeBytes}`);
});

test('a session is refused where pages are damaged', (t) => {
  const file = made(t);
  flipAt(file, 5 * PAGE_BYTES + 77);
  for (let time = 0; time < 2; time += 1) {
    t.is(
      thrownCode(() => Catalog.openForWriting(system, file)),
      'CATALOG_DAMAGED',
    );
  }
});

test('damage in a page that a session writes anew is found when it does', (t) => {
  const file = made(t);
  const database = opened(t, file);
  PageSums.takeAll(files, file);
  const sums = PageSums.read(files, file)!;
  database.exec("UPDATE backup_sets SET name = 'x'");
  for (let page = 1; page < fs.statSync(file).size / PAGE_BYTES; page += 1) {
    flipAt(file, page * PAGE_BYTES + 4000);
  }
  sums.around(() => database.pragma('wal_checkpoint(TRUNCATE)'));
  t.true(sums.knownDamage > 0);
  t.true(PageSums.read(files, file)!.knownDamage > 0, 'it is remembered');
});

test('a crash within a fold is not taken for damage', async (t) => {
  const file = made(t);
  const database = opened(t, file);
  PageSums.takeAll(files, file);
  database.exec("UPDATE backup_sets SET name = 'y'");
  const sums = PageSums.read(files, file)!;
  t.throws(() =>
    sums.around(() => {
      database.pragma('wal_checkpoint(TRUNCATE)');
      throw new Error('a crash');
    }),
  );
  t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
});

/** Returns a system with whose sums nothing can be done as long as `isBroken` is true. */
function failingAtSums(state: { isBroken: boolean }): System {
  const failing =
    <A extends unknown[], R>(call: (name: string, ...rest: A) => R) =>
    (name: string, ...rest: A): R => {
      if (state.isBroken && name.endsWith('-sums')) {
        throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      }
      return call(name, ...rest);
    };
  const { open, unlink, status } = files;
  const names = { open: failing(open), unlink: failing(unlink), status: failing(status) };
  return { ...system, files: { ...files, ...names } };
}

test('a log that must not be folded stays, and the catalog is closed', async (t) => {
  const file = made(t);
  const state = { isBroken: false };
  const catalog = Catalog.openForWriting(failingAtSums(state), file);
  catalog.begin();
  catalog.sets.open(300, 'of the log', 1, 1);
  catalog.commit();
  state.isBroken = true;
  t.is(
    thrownCode(() => catalog.close()),
    'IO_FAILED',
  );
  t.true(fs.statSync(`${file}-wal`).size > 0);
  state.isBroken = false;
  const refuse = (): never => {
    throw new Error('refused');
  };
  const refusing: System = {
    ...system,
    openDatabase: (name, options) => {
      const database = system.openDatabase(name, options);
      return options.readonly
        ? database
        : Object.assign(database, { extend: refuse, pragma: refuse });
    },
  };
  t.throws(() => Catalog.openForWriting(refusing, file));
  t.true(fs.statSync(`${file}-wal`).size > 0, 'nor does an opening that fails fold it');
  t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
  change(file, 301);
  t.false(fs.existsSync(`${file}-wal`));
  t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
});

/** Changes a catalog in a thread, and waits there; its parent then ends it. */
const WRITING = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { modules, file } = workerData;
  const loaded = modules.map((name) => import(name));
  Promise.all(loaded).then(([{ nodeSystem }, { Catalog }]) => {
    const catalog = (globalThis.catalog = Catalog.openForWriting(nodeSystem(), file));
    catalog.begin();
    for (let set = 300; set < 400; set += 1) catalog.sets.open(set, 'of a thread'.repeat(9), 1, 1);
    catalog.commit();
    parentPort.postMessage('written');
    setInterval(() => undefined, 1000);
  });`;

test('a thread that is ended with an open catalog leaves the log to the next session', async (t) => {
  const file = made(t);
  const modules = ['system', 'store/catalog'].map(
    (room) => new URL(`../../../src/${room}/index.js`, import.meta.url).href,
  );
  const thread = new Worker(WRITING, { eval: true, workerData: { modules, file } });
  await once(thread, 'message');
  await thread.terminate();
  t.true(fs.statSync(`${file}-wal`).size > 0);
  t.is(PageSums.changedByOthers(files, file), 0);
  change(file, 400);
  t.false(fs.existsSync(`${file}-wal`));
  t.deepEqual(await PageSums.read(files, file)!.compare(now), []);
  using catalog = Catalog.openForReading(system, file);
  t.is(catalog.sets.all().length, 301);
});

test('what others write through SQLite, and a catalog that was put in the place, are unknown and not damaged', (t) => {
  const file = made(t);
  const before = fs.readFileSync(file);
  change(file, 400);
  fs.writeFileSync(file, before);
  t.is(PageSums.read(files, file), undefined);
  const other = made(t);
  const database = system.openDatabase(other, { readonly: false });
  database.exec("UPDATE backup_sets SET name = 'z'");
  database.close();
  t.is(PageSums.read(files, other), undefined);
});

test('a log beside a catalog that another file has replaced is not mixed with it', async (t) => {
  const [file, other] = [made(t), made(t, 'of the other')];
  for (const set of [300, 301]) change(other, set);
  const catalog = Catalog.openForWriting(system, file);
  t.teardown(() => catalog.abandon());
  catalog.begin();
  catalog.sets.open(300, 'of the log', 1, 1);
  catalog.commit();
  const killed = path.join(scratchInMemory(t), 'tardis.db');
  for (const suffix of ['', '-wal', '-sums']) fs.copyFileSync(file + suffix, killed + suffix);
  t.is((await comparePages(system, killed, false)).kind, 'right', 'its own log is no damage');
  fs.copyFileSync(other, killed);
  t.is((await comparePages(system, killed, false)).kind, 'damaged');
  t.is(
    thrownCode(() => Catalog.openForWriting(system, killed)),
    'CATALOG_DAMAGED',
  );
});

test('whatever becomes of the file of sums, nothing that is right is called damaged', async (t) => {
  const file = made(t);
  change(file, 500);
  const right = fs.readFileSync(`${file}-sums`);
  for (let at = 0; at < right.length; at += 1) {
    flipAt(`${file}-sums`, at, at % 8);
    const read = PageSums.read(files, file);
    t.deepEqual((await read?.compare(now)) ?? [], [], `bit ${at % 8} of byte ${at}`);
    fs.writeFileSync(`${file}-sums`, right.subarray(0, at));
    const cut = PageSums.read(files, file);
    t.deepEqual((await cut?.compare(now)) ?? [], [], `cut at ${at}`);
    fs.writeFileSync(`${file}-sums`, right);
  }
});

/** States that a simulated disk may leave after a crash, and states that it must not leave. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  ARRIVED,
  byChance,
  type CrashChoice,
  HOLLOW,
  LOST,
  NAMELESS,
  SECTOR_BYTES,
  SimulatedDisk,
} from '../support/simulated-disk.js';
import { DiskTrace } from '../support/disk-trace.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { tracedSystem } from '../support/traced-system.js';
import { thrownCode } from '../helpers/codes.js';
import { putState, STORE_MODES } from '../helpers/disk-states.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { SqliteDisk } from '../helpers/sqlite-disk.js';

interface Lab {
  readonly folder: string;
  readonly trace: DiskTrace;
  readonly system: System;
  at(name: string): string;
  /** Returns the names and contents that a power cut would leave now. */
  left(choice: CrashChoice): Record<string, string>;
}

function lab(t: ExecutionContext, before: Readonly<Record<string, string>> = {}): Lab {
  const folder = scratchInMemory(t);
  for (const [name, text] of Object.entries(before)) {
    fs.writeFileSync(path.join(folder, name), text);
  }
  const trace = new DiskTrace(folder);
  return {
    folder,
    trace,
    system: tracedSystem(nodeSystem(), trace),
    at: (name) => path.join(folder, name),
    left: (choice) => leftBy(trace, choice),
  };
}

function diskOf(trace: DiskTrace): SimulatedDisk {
  const disk = new SimulatedDisk(trace.start);
  for (const act of trace.acts) disk.apply(act);
  return disk;
}

function leftBy(trace: DiskTrace, choice: CrashChoice): Record<string, string> {
  const { files } = diskOf(trace).crash(choice);
  return Object.fromEntries(files.map(({ path: name, bytes }) => [name, bytes.toString('latin1')]));
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function write({ system, at }: Lab, name: string, text: string): number {
  const fd = system.files.open(at(name), 'create');
  system.files.write(fd, bytes(text), 0);
  return fd;
}

test('data is durable by its own sync, a name by that of its directory', async (t) => {
  const here = lab(t);
  const { files } = here.system;
  const fd = write(here, 'file', 'text');
  t.deepEqual(here.left(LOST), {});
  t.deepEqual(here.left(ARRIVED), { file: 'text' });
  t.deepEqual(here.left(HOLLOW), { file: '\0\0\0\0' });
  await files.sync(fd);
  t.deepEqual(here.left(LOST), {});
  t.deepEqual(here.left(HOLLOW), { file: 'text' });
  await files.syncDirectory(here.folder);
  t.deepEqual(here.left(LOST), { file: 'text' });
  files.write(fd, bytes('TE'), 0);
  files.write(fd, bytes('more'), 4);
  t.deepEqual(here.left(LOST), { file: 'text' });
  t.deepEqual(here.left(HOLLOW), { file: 'text\0\0\0\0' });
  t.deepEqual(here.left(ARRIVED), { file: 'TExtmore' });
  files.close(fd);
});

test('a sync covers what was written before it began, and nothing else', async (t) => {
  const here = lab(t);
  const { files } = here.system;
  const [one, other] = [write(here, 'one', 'a'), write(here, 'other', 'b')];
  const syncing = files.sync(one);
  files.write(one, bytes('A'), 0);
  await syncing;
  await files.syncDirectory(here.folder);
  t.deepEqual(here.left(LOST), { one: 'a', other: '' });
  for (const fd of [one, other]) files.close(fd);
});

test('a rename within a directory is one step; a directory that is lost takes all with it', async (t) => {
  const here = lab(t, { old: 'old' });
  const { files } = here.system;
  const fd = write(here, 'new', 'new');
  await files.sync(fd);
  files.close(fd);
  await files.syncDirectory(here.folder);
  files.rename(here.at('new'), here.at('old'));
  t.deepEqual(here.left(LOST), { old: 'old', new: 'new' });
  t.deepEqual(here.left(ARRIVED), { old: 'new' });
  files.makeDirectory(here.at('directory'));
  const inside = files.open(here.at('directory/file'), 'create');
  files.write(inside, bytes('text'), 0);
  await files.sync(inside);
  files.close(inside);
  await files.syncDirectory(here.at('directory'));
  t.deepEqual(here.left(LOST), { old: 'old', new: 'new' });
  await files.syncDirectory(here.folder);
  t.deepEqual(here.left(LOST), { old: 'new', directory: '', 'directory/file': 'text' });
});

test('between two directories a file may have both names, or none', (t) => {
  const here = lab(t, { file: 'text' });
  const { files } = here.system;
  files.makeDirectory(here.at('to'));
  files.rename(here.at('file'), here.at('to/file'));
  const seen = new Set<string>();
  const random = seededRandom(1);
  for (let round = 0; round < 200; round += 1) {
    seen.add(Object.keys(here.left(byChance(random))).join());
  }
  t.true(seen.has('file,to,to/file') || seen.has('file,to/file,to') || seen.has('file,to'));
  t.true(seen.has(''), [...seen].join(' '));
  t.true([...seen].some((names) => names.includes('to/file')));
});

test('writes are torn at sectors, and come in any order', async (t) => {
  const here = lab(t, { file: 'o'.repeat(4 * SECTOR_BYTES) });
  const { files } = here.system;
  const fd = files.open(here.at('file'), 'write');
  files.write(fd, Buffer.alloc(3 * SECTOR_BYTES, 'a'), 100);
  files.write(fd, Buffer.alloc(SECTOR_BYTES, 'b'), 2 * SECTOR_BYTES);
  const seen = new Set<string>();
  const random = seededRandom(2);
  for (let round = 0; round < 400; round += 1) {
    const { file } = here.left(byChance(random)) as { file: string };
    t.is(file.length, 4 * SECTOR_BYTES);
    t.is(file.slice(0, 100), 'o'.repeat(100));
    t.is(file.slice(3 * SECTOR_BYTES + 100), 'o'.repeat(SECTOR_BYTES - 100));
    for (const [from, to] of [
      [100, 512],
      [512, 1024],
      [1024, 1536],
      [1536, 1636],
    ] as const) {
      t.is(new Set(file.slice(from, to)).size, 1, 'a sector is whole');
    }
    seen.add([100, 600, 1100, 1600].map((at) => file[at]).join(''));
  }
  for (const sectors of ['oooo', 'aaba', 'aaaa', 'ooba', 'oobo', 'aaoo']) {
    t.true(seen.has(sectors) || sectors === 'ooba' || sectors === 'aaoo', sectors);
  }
  t.true(seen.size > 6, [...seen].join(' '));
  await files.sync(fd);
  files.close(fd);
  t.is(here.left(LOST)['file']![1100], 'b');
});

test('the metadata of a file comes with no sync of its data, and with that of all', async (t) => {
  const here = lab(t);
  const { native } = here.system;
  const row = native.statRow(Buffer.from(here.folder), Buffer.from('x'));
  const directory = native.openDirectory(Buffer.from(here.folder));
  native.writeFileAt(directory, Buffer.from('file'), bytes('text'), 0, 4, row, 0, 0);
  native.symlinkAt(directory, Buffer.from('link'), bytes('file'), row, 0, 0);
  const rows = (choice: CrashChoice): boolean[] =>
    diskOf(here.trace)
      .crash(choice)
      .files.map((file) => file.row !== undefined);
  t.deepEqual(rows(ARRIVED), [true, true]);
  t.deepEqual(rows({ ...ARRIVED, sizes: () => 0 }), [false, false]);
  t.deepEqual(rows(LOST), []);
  await native.syncfs(directory);
  t.deepEqual(rows(LOST), [true, true]);
  t.deepEqual(here.left(LOST), { file: 'text', link: 'file' });
  native.close(directory);
});

test('a disk that lies keeps nothing of a sync', async (t) => {
  const here = lab(t);
  const fd = write(here, 'file', 'text');
  await here.system.files.sync(fd);
  await here.system.files.syncDirectory(here.folder);
  here.system.files.close(fd);
  const disk = new SimulatedDisk(here.trace.start, () => false);
  for (const act of here.trace.acts) disk.apply(act);
  t.deepEqual(disk.crash(LOST).files, []);
  t.is(disk.crash(ARRIVED).files.length, 1);
  t.is(disk.unsynced().length, 2);
});

test('what SQLite does to its files is traced in order; what arrives is what is there', (t) => {
  const folder = scratchInMemory(t);
  const sqlite = new SqliteDisk(folder);
  t.teardown(() => sqlite.close());
  const trace = new DiskTrace(folder, () => sqlite.take());
  const system = tracedSystem(nodeSystem(), trace);
  const database = system.openDatabase(path.join(folder, 'a.db'), { readonly: false });
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  trace.mark('committed');
  const there = (name: string): string => fs.readFileSync(path.join(folder, name), 'latin1');
  const arrived = leftBy(trace, ARRIVED);
  for (const name of ['a.db', 'a.db-wal']) t.true(arrived[name] === there(name), name);
  t.deepEqual(
    leftBy(trace, LOST),
    Object.fromEntries(Object.entries(arrived).filter(([name]) => !name.endsWith('-journal'))),
    'a commit is durable',
  );
  database.exec('INSERT INTO t VALUES (2)');
  trace.takeForeign();
  t.true(leftBy(trace, NAMELESS)['a.db-wal'] !== undefined);
  database.close();
  trace.takeForeign();
  const copy = path.join(folder, 'copy');
  putState(diskOf(trace).crash(LOST), copy, STORE_MODES);
  const again = nodeSystem().openDatabase(path.join(copy, 'a.db'), { readonly: false });
  t.deepEqual(again.prepare('SELECT a FROM t').pluck().all(), [1, 2]);
  again.close();
});

test('calls of SQLite fail on request, and only below their directory', (t) => {
  const folder = scratchInMemory(t);
  for (const name of ['watched', 'free']) fs.mkdirSync(path.join(folder, name));
  const sqlite = new SqliteDisk(path.join(folder, 'watched'));
  t.teardown(() => sqlite.close());
  const open = (name: string) =>
    nodeSystem().openDatabase(path.join(folder, name, 'a.db'), { readonly: false });
  const [watched, free] = [open('watched'), open('free')];
  for (const database of [watched, free]) database.exec('CREATE TABLE t (a)');
  sqlite.failAt(2, 'full', { isShort: true });
  free.exec('INSERT INTO t VALUES (1)');
  t.is(sqlite.calls, 0);
  const failing = (): string | undefined =>
    thrownCode(() => watched.exec('INSERT INTO t VALUES (3)'));
  t.is(failing(), 'SQLITE_FULL');
  t.regex(sqlite.hit ?? '', /^write a\.db-journal$/);
  watched.exec('INSERT INTO t VALUES (2)');
  t.deepEqual(watched.prepare('SELECT a FROM t').pluck().all(), [2]);
  sqlite.failAt(1, 'error', { lasts: true });
  for (let time = 0; time < 2; time += 1) t.regex(failing() ?? '', /^SQLITE_(IOERR|CANTOPEN)/);
  for (const database of [watched, free]) database.close();
});

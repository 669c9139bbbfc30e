// Pace: slow
/** Copies of a client while other commands change the source. */
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import {
  copyClient,
  type CopyProgress,
  type CopyResult,
  type CopySource,
  localSource,
} from '../../src/maintenance/rewrite/index.js';
import { Catalog } from '../../src/store/catalog/index.js';
import { lockClient, openClientDirectory } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { backup, backupsRunHere, BIN, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { file, makeTree, noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
const system = nodeSystem();

type Lab = Awaited<ReturnType<typeof twoSets>>;

/** Makes a client with two sets, the second with fewer files. */
async function twoSets(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const source = path.join(home, 'tree');
  makeTree(source, [
    ...Array.from({ length: 40 }, (_, index) => file(`gone-${index}`, noise(index, 40_000))),
    file('stays', noise(99, MIB)),
  ]);
  const place = ['-D', path.join(home, 'store'), '-C', 'me'];
  const local = [...place, '--local', '--compress-data', 'none'];
  await backup([...local, '--create', source]);
  for (let index = 0; index < 40; index += 1) fs.rmSync(path.join(source, `gone-${index}`));
  await backup([...local, source]);
  return { home, source, place };
}

const CLIENT = { client: 'me', catalogFile: 'tardis.db' };

function sourceIn({ home }: Lab, on: System = system): CopySource {
  return localSource(on, { ...CLIENT, store: path.join(home, 'store') });
}

function copied(
  lab: Lab,
  onProgress: CopyProgress = () => undefined,
  on: System = system,
  source = sourceIn(lab, on),
): Promise<CopyResult> {
  const { home } = lab;
  return copyClient(on, {
    source,
    target: {
      ...CLIENT,
      store: path.join(home, 'copy'),
      creation: 'missing',
      skipFile: '.tardis-skip',
    },
    limits: { packBytes: MIB, packContentBytes: MIB },
    deletes: false,
    wasteRatio: 0.25,
    signal: new AbortController().signal,
    onProgress,
  });
}

test('packs of the source that a deletion rewrites meanwhile are found at their new places', async (t) => {
  const lab = await twoSets(t);
  let isDone = false;
  const result = await copied(lab, (step) => {
    if (isDone || step !== 'contents') return;
    isDone = true;
    const words = ['delete', ...lab.place, '--yes', '1'];
    const { status, stderr } = spawnSync(path.join(BIN, 'sonic'), words, { encoding: 'utf8' });
    t.is(status, 0, stderr);
  });
  t.true(isDone);
  t.is(result.lostVersions, 0);
  t.true(result.sets.includes(2));
  await succeed('sonic', ['check', '--read-data', '-D', path.join(lab.home, 'copy'), '-C', 'me']);
});

test('a copy is not made of a client that is encrypted meanwhile: its keys would open nothing', async (t) => {
  const lab = await twoSets(t);
  const source = sourceIn(lab);
  await succeed('sonic', ['encrypt', ...lab.place, '--yes', '--password=secret']);
  t.is(await rejectedCode(copied(lab, undefined, system, source)), 'CLIENT_BUSY');
});

test('a copy in a directory has parity of all that it stores', async (t) => {
  const { home, source, place } = await twoSets(t);
  const copy = path.join(home, 'copy');
  const first = ['copy', ...place, '--to', copy];
  await succeed('sonic', [...first, '--create']);
  const lacking = async () => {
    const printed = await succeed('sonic', ['check', '--json', '-D', copy, '-C', 'me']);
    const end = printed.trim().split('\n').at(-1)!;
    return (JSON.parse(end) as { parity: { unprotected: number } }).parity.unprotected;
  };
  t.is(await lacking(), 0);
  fs.writeFileSync(path.join(source, 'new'), noise(7, MIB));
  await backup([...place, '--local', source]);
  await succeed('sonic', first);
  t.is(await lacking(), 0, 'also of what a later run adds');
});

test('a copy in use is busy; a source in use is copied up to its last ended set', async (t) => {
  const lab = await twoSets(t);
  const directory = openClientDirectory(system, {
    store: path.join(lab.home, 'store'),
    client: 'me',
  });
  const lock = lockClient(system, directory);
  const writer = Catalog.openForWriting(system, directory.catalogPath);
  writer.begin();
  writer.sets.open(3, 'unfinished', 1, 1);
  writer.commit();
  const result = await copied(lab);
  t.deepEqual([result.sets, result.leftSet], [[1, 2], 3]);
  writer.close();
  lock.release();
  t.deepEqual((await copied(lab)).sets, [3], 'it is copied when nobody can be writing it');
  const target = openClientDirectory(system, { store: path.join(lab.home, 'copy'), client: 'me' });
  const held = lockClient(system, target);
  t.is(await rejectedCode(copied(lab)), 'CLIENT_BUSY');
  held.release();
});

test('a source with entries that no client writes is refused, and its earlier copy stays', async (t) => {
  const lab = await twoSets(t);
  await copied(lab);
  const { home, source, place } = lab;
  fs.writeFileSync(path.join(source, 'more'), 'more');
  await backup([...place, '--local', source]);
  const catalogPath = path.join(home, 'store', 'me', 'tardis.db');
  const database = system.openDatabase(catalogPath, { readonly: false });
  database.exec(
    "UPDATE entries SET name = CAST('../more' AS BLOB) WHERE name = CAST('more' AS BLOB)",
  );
  database.close();
  fs.rmSync(`${catalogPath}-sums`);
  t.is(await rejectedCode(copied(lab)), 'CATALOG_DAMAGED');
  const target = path.join(home, 'copy', 'me', 'tardis.db');
  const sets = Catalog.reading(system, target, (catalog) => catalog.sets.all());
  t.deepEqual(
    sets.map(({ set }) => set),
    [1, 2],
  );
});

test('a fault of the disk with temporary files is not taken for a full one', async (t) => {
  const lab = await twoSets(t);
  const faulty: System = {
    ...system,
    native: system.native,
    openDatabase: (name, options) => {
      if (!name.endsWith('/copy.db')) return system.openDatabase(name, options);
      throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_READ' });
    },
  };
  t.is(await rejectedCode(copied(lab, () => undefined, faulty)), 'IO_FAILED');
});

// Pace: long
/** Unchanged, renamed and equal files are neither sent nor stored again. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  hardlink,
  look,
  makeTree,
  noise,
  sizeOf,
  symlink,
  text,
  type TreeNode,
} from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
/** Factor by which the usual parity makes a store larger, at most. */
const WITH_PARITY = 1.035;
const HOUR_MS = 3_600_000;

function manyFiles(count: number, bytes: number, seed: string): TreeNode[] {
  return Array.from({ length: count }, (_, index) =>
    file(`file ${index}`, text(`${seed} ${index}`, bytes)),
  );
}

test('an unchanged tree at rest sends no listing and no content', async (t) => {
  const directories = Array.from({ length: 300 }, (_, index) =>
    dir(`directory ${index}`, [...manyFiles(5, 700, String(index)), dir('empty')]),
  );
  const { source, place: own } = lab(t, [
    ...directories,
    file('large', noise(1, 3 * MIB)),
    dir('odd', [file('empty'), symlink('link', 'nowhere'), file('a', 'a')]),
    hardlink('b', 'odd', 'a'),
  ]);
  const place = [...own, '--local'];
  await rest();
  const first = await backup([...place, '--create', source]);
  const { progress, storedBytes } = await backup([...place, source]);
  t.is(progress.entries, first.progress.entries);
  t.like(progress, { listings: 0, contentsSent: 0, filesRead: 0, sentBytes: 0 });
  t.is(progress.sameDirectories, progress.directories);
  t.true(storedBytes < 8192, `${storedBytes} bytes stored for nothing`);
});

test('a tree backed up while it was fresh is looked at once more, then never again', async (t) => {
  const { store, source } = lab(t, [
    dir('a', manyFiles(20, 5000, 'a')),
    file('large', noise(1, 2 * MIB)),
  ]);
  const place = { store: store, client: 'me' };
  // By a clock that is an hour behind, every file has just been created.
  const behind = inlineSystem({
    clock: { ...nodeSystem().clock, nowMs: () => Date.now() - HOUR_MS },
  });
  await backupInline(behind, place, [source], { create: true });
  const second = await backupInline(inlineSystem(), place, [source]);
  t.true(second.progress.filesRead > 0, 'what was too new to be trusted was not read again');
  t.is(second.progress.contentsSent, 0);
  const third = await backupInline(inlineSystem(), place, [source]);
  t.like(third.progress, { listings: 0, contentsSent: 0, filesRead: 0 });
});

test('a renamed or moved directory of 10,000 files sends no content', async (t) => {
  const parts = Array.from({ length: 10 }, (_, index) =>
    dir(`part ${index}`, manyFiles(1000, 100, String(index))),
  );
  const { source, place, at } = lab(t, [
    dir('old', parts),
    dir('elsewhere', [file('x', 'x')]),
    dir('swap', []),
  ]);
  await rest();
  const before = look(source);
  await backup([...place, '--local', '--create', source]);
  fs.renameSync(path.join(source, 'old'), path.join(source, 'elsewhere', 'new'));
  const moved = await backup([...place, '--local', source]);
  t.like(moved.progress, { contentsSent: 0, filesRead: 0 });
  t.true(moved.progress.listings <= 3, `${moved.progress.listings} listings`);
  t.true(moved.storedBytes < 64 << 10, `${moved.storedBytes} bytes stored`);
  const names = ['elsewhere/new/part 1', 'elsewhere/new/part 2', 'swap/x'].map((name) =>
    path.join(source, name),
  );
  fs.renameSync(names[0]!, names[2]!);
  fs.renameSync(names[1]!, names[0]!);
  fs.renameSync(names[2]!, names[1]!);
  const swapped = await backup([...place, '--local', source]);
  t.like(swapped.progress, { contentsSent: 0, filesRead: 0 });

  t.deepEqual(await restoredBy(place, source, at('out')), []);
  await succeed('regenerate', [...place, '-b', '1', '-o', at('first'), source]);
  t.deepEqual(differences(before, look(at('first', 'tree'))), []);
});

test('three equal trees cost little more than one', async (t) => {
  const home = scratchInMemory(t);
  const files = (): TreeNode[] => manyFiles(1500, 32_768, 'equal');
  const bytes: { packs: number; all: number }[] = [];
  for (const copies of [1, 3]) {
    const source = path.join(home, `of ${copies}`);
    makeTree(
      source,
      Array.from({ length: copies }, (_, index) => dir(`copy ${index}`, files())),
    );
    const store = path.join(home, `store ${copies}`);
    await backup(['-D', store, '-C', 'me', '--local', '--create', source]);
    const client = path.join(store, 'me');
    bytes.push({ packs: sizeOf(path.join(client, 'packs')), all: sizeOf(client) });
  }
  const [one, three] = [bytes[0]!, bytes[1]!];
  const ratios = { packs: three.packs / one.packs, all: three.all / one.all };
  t.log(`${ratios.packs.toFixed(4)} times the packs, ${ratios.all.toFixed(4)} with the catalog`);
  t.true(ratios.packs <= 1.02);
  t.true(ratios.all <= 1.02); // the catalog takes about 100 bytes per entry, whatever its size
});

test('equal large files are stored once', async (t) => {
  const {
    store,
    source,
    place: own,
  } = lab(t, [
    dir('one', [file('large', noise(1, 20 * MIB)), file('medium', noise(2, 3 * MIB))]),
    dir('two', [file('large', noise(1, 20 * MIB)), file('medium', noise(2, 3 * MIB))]),
    dir('three', [file('same size, not same', noise(3, 20 * MIB))]),
  ]);
  const place = [...own, '--local'];
  await backup([...place, '--create', source]);
  const bytes = sizeOf(store);
  t.true(bytes < 43.5 * WITH_PARITY * MIB, `${bytes} bytes stored`);
  fs.cpSync(path.join(source, 'one', 'large'), path.join(source, 'one', 'third'));
  const { progress } = await backup([...place, source]);
  t.is(progress.contentsSent, 0);
  t.true(sizeOf(store) - bytes < MIB);
});

test('clients in one store are independent', async (t) => {
  const { store, source, at } = lab(t, manyFiles(30, 3000, 'shared'));
  const first = await backup(['-D', store, '-C', 'one', '--local', '--create', source]);
  const second = await backup(['-D', store, '-C', 'two', '--local', '--create', source]);
  t.is(second.set, 1);
  t.is(second.progress.contentsSent, first.progress.contentsSent);
  fs.rmSync(path.join(store, 'one'), { recursive: true });
  t.deepEqual(await restoredBy(['-D', store, '-C', 'two'], source, at('out')), []);
});

/** The bytes that a purge of given sets would free: contents that no other set shows. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { openLocalHistory } from '../../src/history/index.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { file, makeTree, noise } from '../helpers/tree.js';

test('only contents that no staying set shows would be freed', async (t) => {
  const home = scratchInMemory(t);
  const [place, source] = [{ store: path.join(home, 'store'), client: 'me' }, `${home}/tree`];
  makeTree(source, [file('stays', noise('stays', 500_000)), file('goes', noise('goes', 200_000))]);
  const system = inlineSystem();
  await backupInline(system, place, [source], { create: true });
  fs.rmSync(`${source}/goes`);
  fs.writeFileSync(`${source}/late`, noise('late', 100_000));
  await backupInline(system, place, [source]);
  await backupInline(system, place, [source]);
  const history = openLocalHistory(system, { ...place, catalogFile: 'tardis.db' });
  t.teardown(() => history.close());
  const freed = async (...sets: number[]): Promise<number> =>
    (await history.reports.freedBy!(new Set(sets))) ?? 0;
  const isNear = (bytes: number, wanted: number): boolean => Math.abs(bytes - wanted) < 2000;
  t.is(await freed(), 0);
  t.true(isNear(await freed(1), 200_000), String(await freed(1)));
  t.is(await freed(2), 0); // set 3 shows the same
  t.true(isNear(await freed(2, 3), 100_000), String(await freed(2, 3)));
  t.true(isNear(await freed(1, 2, 3), 800_000), String(await freed(1, 2, 3)));
});

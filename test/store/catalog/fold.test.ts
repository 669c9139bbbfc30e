/** Folding the write-ahead log of a catalog into its file, and the bytes that the file uses. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { Catalog } from '../../../src/store/catalog/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const system = nodeSystem();

test('a log is folded wholly, unless a reader still needs the pages before it', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const catalog = Catalog.openForWriting(system, file);
  t.teardown(() => catalog.close());
  const openSets = (from: number): void => {
    catalog.begin();
    for (let set = from; set < from + 100; set += 1) catalog.sets.open(set, `set ${set}`, 1, 1);
    catalog.commit();
  };
  openSets(1);
  t.true(catalog.foldLog());

  const reader = system.openDatabase(file, { readonly: true });
  t.teardown(() => reader.close());
  reader.exec('BEGIN');
  reader.query('SELECT count(*) FROM sqlite_schema', 'integer').get();
  openSets(101);
  t.false(catalog.foldLog());
  reader.exec('COMMIT');
  t.true(catalog.foldLog());
  t.is(catalog.usedBytes, fs.statSync(file).size);
});

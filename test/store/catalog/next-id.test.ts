/** Iteration over ids in slices: a huge largest id in a catalog costs no time. */
import test from 'ava';
import { Catalog, IdSet } from '../../../src/store/catalog/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { thrownCode } from '../../helpers/codes.js';
import { scratch } from '../../helpers/scratch.js';

const HUGE = 2 ** 52;

test('the next id is found however far it is, and what is no id is damage', (t) => {
  const system = nodeSystem();
  const file = `${scratch(t)}/tardis.db`;
  Catalog.openForWriting(system, file).close();
  const put = (id: string): void => {
    const database = system.openDatabase(file, { readonly: false });
    database.exec(`INSERT INTO entries VALUES (${id}, x'61', 1, NULL, 1, 0, 0, NULL, NULL, x'00')`);
    database.close();
  };
  put('5');
  put(`${HUGE}`);
  Catalog.reading(system, file, ({ reports, entryCounts }) => {
    t.is(reports.nextDirectory(0), 5);
    t.is(reports.nextDirectory(6), HUGE);
    t.is(reports.nextDirectory(HUGE + 1), undefined);
    t.is(entryCounts.nextDirectory(6), HUGE);
  });
  put(`'text'`);
  Catalog.reading(system, file, ({ reports }) => {
    t.is(
      thrownCode(() => reports.nextDirectory(HUGE + 1)),
      'CATALOG_DAMAGED',
    );
  });
});

test('a set of ids holds ids that are far apart, and no others', (t) => {
  const set = new IdSet();
  const ids = [0, 31, 32, 32_767, 32_768, 2 ** 31, 2 ** 32, 2 ** 32 + 5, HUGE];
  for (const id of ids) set.add(id);
  t.true(ids.every((id) => set.has(id)));
  for (const id of [1, 33, 5, 2 ** 31 + 1, HUGE - 1, HUGE + 1]) t.false(set.has(id), String(id));
});

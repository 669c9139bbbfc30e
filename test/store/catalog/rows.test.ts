/** The shapes of all queries: rows have the types that the code reads them with. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ReadMemory } from '../../../src/maintenance/check/read-memory.js';
import { DigestMap } from '../../../src/maintenance/rewrite/digest-map.js';
import {
  Catalog,
  CatalogAudit,
  type CommitPoint,
  ForgettingCopy,
  requireFitting,
} from '../../../src/store/catalog/index.js';
import type { Counters } from '../../../src/store/index.js';
import { nodeSystem, type RowShape, type System } from '../../../src/system/index.js';
import {
  fillTables,
  rowFaults,
  type SeenQuery,
  shapeFaults,
  someRows,
  watchingQueries,
} from '../../helpers/row-checks.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { filesOfHouse, ROOT } from '../../tidy/house.js';

/** Prepares every query of the program, on databases with rows in each table. */
function prepareAll(t: ExecutionContext, onQuery: (query: SeenQuery) => void): void {
  const folder = scratchInMemory(t);
  const file = path.join(folder, 'tardis.db');
  const plain = nodeSystem();
  const filled = (name: string): void => {
    const database = plain.openDatabase(name, { readonly: false });
    fillTables(database);
    database.close();
  };
  const empty = path.join(folder, 'empty');
  for (const name of [file, empty]) Catalog.openForWriting(plain, name).close();
  ReadMemory.open(plain, folder).close();
  DigestMap.open(plain, folder).close();
  for (const name of fs.readdirSync(folder)) {
    if (name.endsWith('.db')) filled(path.join(folder, name));
  }
  const system = watchingQueries(plain, onQuery);
  prepareCatalog(Catalog.openTemporary(system, file));
  const audit = CatalogAudit.open(system, file);
  audit.packs();
  audit.integrity();
  audit.inconsistencies();
  audit.differencesFrom(file);
  audit.lackingIn(empty);
  audit.contradictionsTo(file);
  audit.close();
  ForgettingCopy.make(system, file, []).close();
  const { counters, point } = endOf(plain, empty);
  t.throws(() => requireFitting(system, file, { empty, point, counters }), {
    code: 'CATALOG_DAMAGED',
  });
  DigestMap.open(system, folder).close();
  const memory = ReadMemory.open(system, folder);
  memory.keepOnly(new Set());
  memory.close();
}

/** Returns the end of the log that a catalog has. */
function endOf(system: System, file: string): { counters: Counters; point: CommitPoint } {
  return Catalog.reading(system, file, ({ state }) => ({
    counters: state.readCounters(),
    point: state.readCommitPoint(),
  }));
}

/** Calls all that prepares queries, then closes the catalog. */
function prepareCatalog(catalog: Catalog): void {
  const tables: unknown[] = [
    catalog.signatures,
    catalog.seals,
    catalog.named,
    catalog.differing,
    catalog.entryCounts,
    catalog.damageCounts,
    catalog.history,
    catalog.reports,
    catalog.settings,
    catalog.accounts,
    catalog.forgets,
    catalog.gc,
    catalog.unshown,
    catalog.image,
  ];
  if (tables.includes(undefined)) throw new Error('a table is missing');
  catalog.state.areCountersBehind();
  catalog.isDamaged();
  catalog.explained(new TypeError('a bug'));
  catalog.abandon();
}

test('the shape of each query fits its columns and its rows', (t) => {
  const faults: string[] = [];
  const places = new Set<string>();
  prepareAll(t, (query) => {
    places.add(query.place);
    const rows = someRows(query);
    const found = [...shapeFaults(query), ...rows.flatMap((row) => rowFaults(query.shape, row))];
    if (rows.length === 0) found.push('no row was seen');
    faults.push(...found.map((fault) => `${query.place}: ${fault} (${query.sql})`));
  });
  t.deepEqual(faults, []);
  t.deepEqual(unseen(places), []);
});

/** Returns the files that prepare queries at more places than were seen. */
function unseen(places: ReadonlySet<string>): string[] {
  return filesOfHouse()
    .filter((file) => file.startsWith('src/') && !file.startsWith('src/system/'))
    .flatMap((file) => {
      const there = fs.readFileSync(path.join(ROOT, file), 'utf8').split('.query(').length - 1;
      const name = file.split('/').slice(-2).join('/').replace(/ts$/, '');
      const seen = [...places].filter((place) => place.startsWith(name)).length;
      return seen === there ? [] : [`${file}: ${seen} of ${there}`];
    });
}

test('a shape that does not fit is found', (t) => {
  const file = path.join(scratchInMemory(t), 'a.db');
  const database = nodeSystem().openDatabase(file, { readonly: false });
  database.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL, bytes BLOB)');
  const faultsOf = (columns: string, shape: RowShape): string[] =>
    shapeFaults({ sql: `SELECT ${columns} FROM a`, shape, database });
  t.deepEqual(faultsOf('id, name, bytes', ['integer', 'text', 'blob?']), []);
  t.deepEqual(faultsOf('id, name', { id: 'bigint', name: 'text' }), []);
  t.deepEqual(faultsOf('id + 1', 'integer'), []);
  t.deepEqual(faultsOf('id', 'text'), ['id is INTEGER, not text']);
  t.deepEqual(faultsOf('bytes', 'blob'), ['bytes may be NULL']);
  t.deepEqual(faultsOf('id, name', ['integer']), ['2 columns']);
  t.deepEqual(faultsOf('id, name', 'integer'), ['2 columns']);
  t.deepEqual(faultsOf('id AS more', { id: 'integer' }), ['columns more, not id']);
  t.deepEqual(faultsOf('id, id + 1', ['bigint', 'integer']), ['integers of two kinds']);
  t.deepEqual(rowFaults(['integer', 'blob?'], [1, null]), []);
  t.deepEqual(rowFaults('integer', 'a'), ['value 0 is a, not integer']);
  t.deepEqual(rowFaults({ id: 'bigint', name: 'text' }, { id: 1, name: null }), [
    'value 0 is 1, not bigint',
    'value 1 is null, not text',
  ]);
  database.close();
});

test('the form of the rows follows from the shape', (t) => {
  const file = path.join(scratchInMemory(t), 'a.db');
  const database = nodeSystem().openDatabase(file, { readonly: false });
  const sql = "SELECT 9007199254740993 AS a, 'b' AS b";
  t.deepEqual(database.query(sql, { a: 'bigint', b: 'text' }).all(), [
    { a: 9007199254740993n, b: 'b' },
  ]);
  t.deepEqual(database.query(sql, ['bigint?', 'text']).get(), [9007199254740993n, 'b']);
  t.deepEqual([...database.query('SELECT 1, 2', 'integer').iterate()], [1]);
  t.is(database.query('SELECT 1 WHERE ? > 1', 'integer').get(1), undefined);
  database.close();
});

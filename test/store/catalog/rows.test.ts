/** The shapes of all queries: rows have the types that the code reads them with. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import Database from 'better-sqlite3';
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
import {
  nodeSystem,
  type SqlDatabase,
  type SqlValue,
  type System,
} from '../../../src/system/index.js';
import { type ColumnKind, kindsOf, type RowShape } from '../../../src/system/row-shapes.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { filesOfHouse, ROOT } from '../../tidy/house.js';

/** A column of a statement, as better-sqlite3 describes it; an expression has no type. */
interface Column {
  readonly name: string;
  readonly column: string | null;
  readonly table: string | null;
  readonly type: string | null;
}

/** A database as it is without what a test adds to it. */
interface Queried extends Pick<SqlDatabase, 'query'> {
  columnsOf(sql: string): Column[];
}

/** A prepared query. */
interface SeenQuery {
  readonly sql: string;
  readonly shape: RowShape;
  /** Where `query` was called: folder/file:line:column. */
  readonly place: string;
  readonly database: Queried;
}

const DECLARED: Readonly<Record<string, readonly string[]>> = {
  INTEGER: ['integer', 'bigint', 'content', 'record'],
  TEXT: ['text'],
  BLOB: ['blob'],
};

const IS: Readonly<Record<string, (value: unknown) => boolean>> = {
  integer: (value) => Number.isSafeInteger(value),
  content: (value) => Number.isSafeInteger(value),
  record: (value) => Number.isSafeInteger(value),
  bigint: (value) => typeof value === 'bigint',
  real: (value) => Number.isFinite(value),
  text: (value) => typeof value === 'string',
  blob: (value) => Buffer.isBuffer(value),
};

/** Returns a system that calls `onQuery` for each query that is prepared. */
function watchingQueries(base: System, onQuery: (query: SeenQuery) => void): System {
  return {
    ...base,
    native: base.native,
    openDatabase: (file, options) => {
      const database = base.openDatabase(file, options);
      const { query } = database;
      const columnsOf = (sql: string): Column[] => columnsIn(database, sql);
      const watched: SqlDatabase['query'] = (sql, shape) => {
        onQuery({ sql, shape, place: callerOf(watched), database: { query, columnsOf } });
        return query(sql, shape);
      };
      return Object.assign(database, { query: watched });
    },
  };
}

/** Returns the place in the code from which a function was called. */
function callerOf(called: SqlDatabase['query']): string {
  const at: { stack?: string } = {};
  Error.captureStackTrace(at, called);
  return /([^/ (]+\/[^/]+:\d+:\d+)\)?$/m.exec(at.stack ?? '')?.[1] ?? '';
}

/** Returns the columns of a query, which SQLite knows when it has compiled it. */
function columnsIn(database: SqlDatabase, sql: string): Column[] {
  const { prepare } = Database.prototype;
  return Reflect.apply(prepare, database, [sql]).columns();
}

/** Returns the ways in which a shape does not fit the columns of its query. */
function shapeFaults({ sql, shape, database }: Omit<SeenQuery, 'place'>): string[] {
  const columns = database.columnsOf(sql);
  const kinds = kindsOf(shape);
  const faults: string[] = [];
  if (typeof shape !== 'string' && !Array.isArray(shape)) {
    const [wanted, names] = [Object.keys(shape), columns.map(({ name }) => name)];
    if (wanted.join() !== names.join())
      faults.push(`columns ${names.join()}, not ${wanted.join()}`);
  }
  if (kinds.length !== columns.length) faults.push(`${columns.length} columns`);
  if (isMixed(kinds)) faults.push('integers of two kinds');
  for (const [index, column] of columns.entries()) {
    const kind = kinds[index];
    if (kind === undefined || kind === 'any' || column.type === null) continue;
    const isDeclared = DECLARED[column.type]?.includes(baseOf(kind)) === true;
    if (!isDeclared) faults.push(`${column.name} is ${column.type}, not ${kind}`);
    if (!kind.endsWith('?') && mayBeNull(database, sql, column))
      faults.push(`${column.name} may be NULL`);
  }
  return faults;
}

/** Returns the ways in which a row does not have the shape. */
function rowFaults(shape: RowShape, row: unknown): string[] {
  const values = typeof shape === 'string' ? [row] : Object.values(row as object);
  const kinds = kindsOf(shape);
  if (values.length !== kinds.length) return [`${values.length} values`];
  return kinds.flatMap((kind, index) => {
    const value: unknown = values[index];
    const isRight =
      kind === 'any' || (value === null ? kind.endsWith('?') : IS[baseOf(kind)]!(value));
    return isRight ? [] : [`value ${index} is ${String(value)}, not ${kind}`];
  });
}

function baseOf(kind: ColumnKind): string {
  return kind.replace('?', '');
}

function isMixed(kinds: readonly ColumnKind[]): boolean {
  const bases = kinds.map(baseOf);
  return (
    bases.includes('bigint') &&
    bases.some((base) => DECLARED['INTEGER']!.includes(base) && base !== 'bigint')
  );
}

/** True if the column of a table may be NULL and the query does not leave NULL out. */
function mayBeNull(database: Queried, sql: string, { table, column }: Column): boolean {
  if (table === null || column === null || table.startsWith('sqlite_')) return false;
  if (sql.includes(`${column} IS NOT NULL`)) return false;
  const info = `SELECT "notnull" OR pk > 0 FROM pragma_table_info(?) WHERE name = ?`;
  return database.query(info, 'integer').get(table, column) === 0;
}

/** A number above the sizes that the catalog has no index for. */
const LARGE = 2 << 20;
/** Values that are bound to a query until it returns rows. */
const BOUND: readonly SqlValue[] = [
  1,
  0,
  bytesOf(1),
  bytesOf(2),
  'complete',
  2,
  Buffer.alloc(0),
  bytesOf(0),
  LARGE,
];
/** Largest number of bindings that are tried. */
const MAX_TRIALS = 20_000;

/** Returns rows of a query, with the first values found for which it returns any. */
function someRows({ sql, shape, database }: SeenQuery): unknown[] {
  const query = database.query(sql, shape);
  const places = sql.split('?').length - 1;
  const trials = Math.min(MAX_TRIALS, BOUND.length ** places);
  for (let trial = 0; trial < trials; trial += 1) {
    const values = [...Array(places).keys()].map(
      (place) => BOUND[Math.floor(trial / BOUND.length ** place) % BOUND.length]!,
    );
    const rows = query.all(...values);
    if (rows.length > 0) return rows;
  }
  return [];
}

/** Returns 32 bytes, which may be a path, a name or a digest. */
function bytesOf(number: number): Buffer {
  return Buffer.from('/'.padEnd(32, String(number)));
}

/** The rows of each table: the number in all columns, and the columns that are NULL, if they may be, or 0. */
const ROWS: readonly { number: number; text: string; nulls: RegExp; zeros?: RegExp }[] = [
  { number: 1, text: 'complete', nulls: /^$/ },
  { number: 2, text: 'unfinished', nulls: /./ },
  { number: 0, text: 'complete', nulls: /^$/ },
  { number: LARGE, text: 'superseded', nulls: /^last_set$/, zeros: /^is_damaged$/ },
];

/** Adds rows with values of every kind to each table; only one to a table that marks others' rows. */
function fillTables(database: SqlDatabase): void {
  const tables = database.query(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'",
    'text',
  );
  const info = database.query(
    'SELECT name, type, "notnull" OR pk > 0 AS isSet FROM pragma_table_info(?) ORDER BY cid',
    { name: 'text', type: 'text', isSet: 'integer' },
  );
  for (const table of tables.all()) {
    const columns = info.all(table);
    for (const { number, text, nulls, zeros } of columns.length > 1 ? ROWS : ROWS.slice(0, 1)) {
      const values = columns.map(({ name, type, isSet }): SqlValue => {
        if (isSet === 0 && nulls.test(name)) return null;
        if (type === 'INTEGER') return zeros?.test(name) === true ? 0 : number;
        return type === 'TEXT' ? text : bytesOf(number);
      });
      const places = values.map(() => '?').join();
      database.prepare(`INSERT OR REPLACE INTO "${table}" VALUES (${places})`).run(...values);
    }
  }
}

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
    catalog.sizes,
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
    .filter((file) => !file.startsWith('src/import/')) // databases of others, which have another schema
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
  const { query } = database;
  const columnsOf = (sql: string): Column[] => columnsIn(database, sql);
  const faultsOf = (columns: string, shape: RowShape): string[] =>
    shapeFaults({ sql: `SELECT ${columns} FROM a`, shape, database: { query, columnsOf } });
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

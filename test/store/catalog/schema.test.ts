// Pace: slow
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import Database from 'better-sqlite3';
import { Catalog, CATALOG_VERSION } from '../../../src/store/catalog/index.js';
import { FaultPlan, faultySystem } from '../../support/faults.js';
import { nodeSystem } from '../../../src/system/index.js';
import { thrownCode } from '../../helpers/codes.js';
import { dumpCatalog } from '../../helpers/packed-store.js';
import { scratchInMemory, written } from '../../helpers/scratch.js';

const system = nodeSystem();
const COUNTERS = { set: 1, root: 2, directory: 3, sequence: 4 };
const POINT = { commit: 5, pack: 6, position: 7, checksum: 8 };

function pragma(file: string, text: string): unknown {
  const database = system.openDatabase(file, { readonly: false });
  try {
    return database.pragma(text, { simple: true });
  } finally {
    database.close();
  }
}

/** Returns the names and contents of all files in a folder. */
function contentsOf(folder: string): [string, string][] {
  return fs
    .readdirSync(folder)
    .map((name) => [name, fs.readFileSync(path.join(folder, name)).toString('base64')]);
}

const OPENINGS = [Catalog.openForWriting, Catalog.openForReading];

test('a new catalog has the version of this software, and what was committed', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const catalog = Catalog.openForWriting(system, file);
  catalog.begin();
  catalog.state.write(COUNTERS, POINT);
  catalog.commit();
  catalog.close();
  t.is(pragma(file, 'user_version'), CATALOG_VERSION);
  t.is(pragma(file, 'application_id'), 0x54415244);
  const others = fs
    .readdirSync(path.dirname(file))
    .filter((name) => name !== 'tardis.db' && name !== 'tardis.db-sums');
  for (const name of others) {
    t.is(fs.statSync(path.join(path.dirname(file), name)).size, 0, 'the file alone is the catalog');
  }
  for (const open of OPENINGS) {
    const again = open(system, file);
    t.deepEqual(again.state.readCounters(), COUNTERS);
    t.deepEqual(again.state.readCommitPoint(), POINT);
    again.close();
  }
});

test('a catalog of a later version is refused, and not touched', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  Catalog.openForWriting(system, file).close();
  pragma(file, `user_version = ${CATALOG_VERSION + 1}`);
  const before = contentsOf(path.dirname(file));
  const { mtimeMs } = fs.statSync(file);
  for (const open of OPENINGS) {
    const code = thrownCode(() => open(system, file));
    t.is(code, 'CATALOG_NEWER');
  }
  t.deepEqual(contentsOf(path.dirname(file)), before);
  t.is(fs.statSync(file).mtimeMs, mtimeMs);
});

test('what is no database is a damaged catalog, and not touched', (t) => {
  for (const text of ['A short text.\n\n', 'This is a text, and no database.\n'.repeat(1000)]) {
    const file = written(scratchInMemory(t), 'tardis.db', text);
    for (const open of OPENINGS) {
      const code = thrownCode(() => open(system, file));
      t.is(code, 'CATALOG_DAMAGED');
    }
    t.is(fs.readFileSync(file, 'utf8'), text);
  }
});

test('a catalog that is missing, or empty, cannot be read', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const read = (): string | undefined =>
    thrownCode(() => Catalog.openForReading(system, file).close());
  const packs = path.join(path.dirname(file), 'packs');
  t.is(read(), undefined, 'of a client that nobody has backed up to there need be none');
  const begun = system.openDatabase(file, { readonly: false });
  begun.pragma('journal_mode = WAL'); // a killed session may leave this state
  begun.close();
  t.true(fs.statSync(file).size > 0);
  t.is(read(), undefined);
  fs.rmSync(file);
  fs.mkdirSync(packs);
  t.is(read(), 'CATALOG_DAMAGED', 'a session makes its catalog first');
  fs.writeFileSync(path.join(packs, '00000001.pack'), 'a pack');
  t.is(read(), 'CATALOG_DAMAGED');
  t.false(fs.existsSync(file));
  fs.writeFileSync(file, '');
  t.is(read(), 'CATALOG_DAMAGED');
});

test('a catalog whose middle is overwritten is damaged, not a bug', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  Catalog.openForWriting(system, file).close();
  const bytes = fs.readFileSync(file);
  bytes.fill(0x5a, 100, bytes.length);
  fs.writeFileSync(file, bytes);
  for (const open of OPENINGS) {
    const code = thrownCode(() => open(system, file));
    t.is(code, 'CATALOG_DAMAGED');
  }
});

for (const [what, sql] of [
  [
    'a letter of a column',
    `PRAGMA writable_schema = ON;
     UPDATE sqlite_schema SET sql = replace(sql, 'set_number', 'set_numbev') WHERE name = 'set_seals'`,
  ],
  ['a column more', 'ALTER TABLE settings ADD COLUMN more'],
  ['a column that is computed', 'ALTER TABLE settings ADD COLUMN more AS (1)'],
  ['a column less', 'ALTER TABLE forget_requests DROP COLUMN due_at_ms'],
  ['a table more', 'CREATE TABLE more (a)'],
  ['a table less', 'DROP TABLE owner_names'],
  ['a trigger', 'CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END'],
  ['a view', 'CREATE VIEW v AS SELECT 1'],
  ...[0, -1].map(
    (version) => [`those of version ${version}`, `PRAGMA user_version = ${version}`] as const,
  ),
] as const) {
  test(`a catalog with other tables is damaged: ${what}`, (t) => {
    const file = path.join(scratchInMemory(t), 'tardis.db');
    Catalog.openForWriting(system, file).close();
    const database = new Database(file);
    database.unsafeMode().exec(sql);
    database.close();
    for (const open of OPENINGS) {
      t.is(
        thrownCode(() => open(system, file).close()),
        'CATALOG_DAMAGED',
      );
    }
  });
}

test.serial('opening a catalog compiles few statements, and using one compiles that one', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  Catalog.openForWriting(system, file).close();
  const { prepare } = Database.prototype;
  const compiled: string[] = [];
  Database.prototype.prepare = function counted(this: Database.Database, sql: string) {
    compiled.push(sql);
    return Reflect.apply(prepare, this, [sql]);
  } as typeof prepare;
  t.teardown(() => Object.assign(Database.prototype, { prepare }));
  for (const open of OPENINGS) {
    compiled.length = 0;
    using catalog = open(system, file);
    t.true(compiled.length < 6, compiled.join('\n'));
    const opened = compiled.length;
    for (let round = 0; round < 2; round += 1) {
      t.deepEqual(catalog.sets.all(), []);
      t.is(compiled.length, opened + 1, 'once');
    }
  }
});

test('a reader sees what is committed while a session writes, and no more', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const writer = Catalog.openForWriting(system, file);
  const readSet = (): number => {
    const reader = Catalog.openForReading(system, file);
    const { set } = reader.state.readCounters();
    reader.close();
    return set;
  };
  writer.begin();
  writer.state.write({ ...COUNTERS, set: 1 }, POINT);
  writer.commit();
  writer.begin();
  writer.state.write({ ...COUNTERS, set: 2 }, POINT);
  t.is(readSet(), 1);
  writer.rollback();
  t.is(readSet(), 1);
  writer.begin();
  writer.state.write({ ...COUNTERS, set: 3 }, POINT);
  writer.commit();
  writer.foldLog();
  t.is(readSet(), 3);
  writer.begin();
  writer.state.write({ ...COUNTERS, set: 4 }, POINT);
  writer.close();
  t.is(readSet(), 3, 'closing gives up what was not committed');
});

test('what was committed outlives a session that let go at once', (t) => {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const writer = Catalog.openForWriting(system, file);
  writer.begin();
  writer.state.write(COUNTERS, POINT);
  writer.commit();
  writer.begin();
  writer.state.write({ ...COUNTERS, set: 99 }, POINT);
  writer.abandon();
  const again = Catalog.openForWriting(system, file);
  t.deepEqual(again.state.readCounters(), COUNTERS);
  again.close();
});

test('making a catalog can be killed at any statement', (t) => {
  const folder = scratchInMemory(t);
  const whole = path.join(folder, 'whole.db');
  Catalog.openForWriting(system, whole).close();
  const wanted = Object.keys(dumpCatalog(whole));
  let killed = 0;
  for (let at = 1; ; at += 1) {
    const file = path.join(folder, `${at}.db`);
    const plan = new FaultPlan(at, { kind: 'kill' });
    try {
      Catalog.openForWriting(faultySystem(system, plan), file).abandon();
    } catch (error) {
      if (!plan.isKilled) throw error;
    }
    if (!plan.isKilled) break;
    killed += 1;
    const catalog = Catalog.openForWriting(system, file);
    catalog.begin();
    catalog.state.write(COUNTERS, POINT);
    catalog.commit();
    catalog.close();
    t.is(pragma(file, 'user_version'), CATALOG_VERSION, `${at}`);
    t.deepEqual(Object.keys(dumpCatalog(file)), wanted, `${at}`);
  }
  t.true(killed >= 3, `${killed}`);
});

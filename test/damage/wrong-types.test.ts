// Pace: slow
/**
 * A value of a wrong type in any column of a catalog, as an edit by hand or a bad disk may leave it. No command fails
 * with INTERNAL, a command that exits with 0 has done nothing wrong, and after CATALOG_DAMAGED a rebuild helps.
 * TEST_SEED chooses columns, values and commands.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { nodeSystem, type SqlDatabase } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { wrongWith } from '../helpers/damage-cases.js';
import { type History, makeHistory } from '../helpers/damage-history.js';
import { STEPS } from '../helpers/damage-steps.js';
import { runHere } from '../helpers/in-process.js';
import type { Place } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';

const TIMEOUT_MS = 600_000;
/** Literals of wrong types, for each type of column. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  INTEGER: [`'none'`, `x'00ff'`, '1.5'],
  TEXT: [`x'00ff'`],
  BLOB: ['7', `'text'`],
};
/** The share of the columns of a plain client, each with some commands: at least one column of each table. */
const PLAIN_SHARE = share < 1 ? 0.3 : 1;
/**
 * The share of the columns of an encrypting client, each with SOME_READERS commands. It is smaller, because stretching
 * the password takes time.
 */
const SEALED_SHARE = share < 1 ? 0.1 : 0.3;
const SOME_READERS = 2;
const READERS: readonly (readonly ['lstardis' | 'sonic', ...string[]])[] = [
  ['lstardis'],
  ['lstardis', '-l', '--recurse', 'TREE'],
  ['lstardis', '-V', 'all', 'TREE/large'],
  ['lstardis', '--find', 's1'],
  ['sonic', 'list', '--long'],
  ['sonic', 'info'],
  ['sonic', 'files'],
  ['sonic', 'stats'],
  ['sonic', 'getconfig'],
  ['sonic', 'purge', '--preview', '--keep-last', '1'],
  ['sonic', 'check'],
];
/** Commands that read each changed column of a plain client; they take turns. */
const MORE_READERS = share < 1 ? 4 : READERS.length;
/** One in this many columns of a plain client is also met by one of the next commands. */
const NEXT_EVERY = share < 1 ? 3 : 1;

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
}

function using<T>({ store, client }: Place, readonly: boolean, work: (db: SqlDatabase) => T): T {
  const file = path.join(store, client, 'tardis.db');
  const database = nodeSystem().openDatabase(file, { readonly });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** Returns the columns of all tables that have rows. */
function columnsOf(place: Place): Column[] {
  return using(place, true, (database) => {
    const columns = database
      .prepare(
        `SELECT m.name AS "table", c.name AS "column", c.type FROM sqlite_schema m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT GLOB 'sqlite_*'`,
      )
      .all() as Column[];
    const isFilled = (table: string): boolean =>
      database.prepare(`SELECT 1 FROM "${table}" LIMIT 1`).get() !== undefined;
    return columns.filter(({ table }) => isFilled(table));
  });
}

/** Sets a column of all rows to a value. Returns false if no row takes the value: row ids must be integers. */
function put(place: Place, { table, column }: Column, value: string): boolean {
  return using(place, false, (database) => {
    try {
      const sql = `UPDATE OR IGNORE "${table}" SET "${column}" = ${value}`;
      return database.prepare(sql).run().changes > 0;
    } catch {
      return false;
    }
  });
}

/** Runs readers on a copy of the history; returns those that fail with INTERNAL. */
async function bugsOf(history: History, copy: Place, readers: typeof READERS): Promise<string[]> {
  const found: string[] = [];
  const secret = history.isEncrypting ? ['--password-file', history.passwordFile] : [];
  for (const [tool, ...words] of readers) {
    const named = words.map((word) => word.replace('TREE', history.source));
    const verbs = tool === 'sonic' ? named.splice(0, 1) : [];
    const args = [...verbs, '-D', copy.store, '-C', copy.client, ...secret, ...named];
    const { code, stderr } = await runHere(tool, args);
    if (code === 'INTERNAL') found.push(`${tool} ${words.join(' ')}: ${stderr.slice(0, 500)}`);
  }
  return found;
}

for (const kind of ['plain', 'encrypting'] as const) {
  test.serial(
    `a value of a wrong type in any column of the catalog is damage, and no bug: ${kind}`,
    async (t) => {
      t.timeout(TIMEOUT_MS);
      const home = scratchInMemory(t);
      process.env['TMPDIR'] = path.join(home, 'tmp');
      fs.mkdirSync(process.env['TMPDIR']);
      const history = await makeHistory(home, kind === 'encrypting', false);
      const random = seededRandom(seed);
      const oneOf = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)]!;
      const some = Array.from({ length: SOME_READERS });
      const wrong: string[] = [];
      let cases = 0;
      const all = columnsOf(history.place);
      const columns = history.isEncrypting
        ? partOf(all, SEALED_SHARE, random)
        : partOf(all, PLAIN_SHARE, random, ({ table, type }) => [table, type]);
      for (const column of columns) {
        const value = oneOf(WRONG[column.type]!);
        const step = oneOf(Object.keys(STEPS));
        const name = `${column.table}.${column.column} = ${value}`;
        const copy = { ...history.place, store: path.join(home, 'changed') };
        fs.rmSync(copy.store, { recursive: true, force: true });
        fs.cpSync(history.place.store, copy.store, { recursive: true });
        if (!put(copy, column, value)) continue;
        cases += 1;
        const turn = (seed + cases) * MORE_READERS;
        const inTurn = READERS.map((_, at) => READERS[(turn + at) % READERS.length]!);
        const readers = history.isEncrypting
          ? some.map(() => oneOf(READERS))
          : inTurn.slice(0, MORE_READERS);
        const met = await bugsOf(history, copy, readers);
        const restored = await STEPS['restore']!({ history, copy, choice: cases });
        if (restored.status === 0) met.push(...restored.wrong!.map((what) => `restored: ${what}`));
        wrong.push(...met.map((what) => `${name}: ${what}`));
        if (!history.isEncrypting && (seed + cases) % NEXT_EVERY !== 0) continue;
        const damage = {
          name,
          file: 'tardis.db',
          apply: (place: Place) => put(place, column, value),
        };
        wrong.push(...(await wrongWith(history, { damage, step, choice: cases })));
      }
      t.true(all.length > 50);
      t.true(cases > columns.length / 2);
      t.log(`${cases} of ${all.length} columns`);
      t.deepEqual(wrong, [], `TEST_SEED=${seed}`);
    },
  );
}

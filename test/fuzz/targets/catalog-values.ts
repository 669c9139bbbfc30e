/** A catalog whose tables contain values of other types and sizes than any writer stores. */
import { writeFileSync } from 'node:fs';
import { asTardisError } from '../../../src/errors/index.js';
import type { SqlValue } from '../../../src/system/index.js';
import type { Target } from '../engine/target.js';
import { CatalogGround } from '../samples/catalog.js';

const ground = new CatalogGround();
let catalog: Buffer | undefined;
let columns: { table: string; column: string }[] = [];

interface Column {
  readonly table: string;
  readonly column: string;
}

function columnsOf(): Column[] {
  const database = ground.system.openDatabase(ground.file, { readonly: true });
  try {
    const sql = `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema m, pragma_table_info(m.name) c
      WHERE m.type = 'table' ORDER BY 1, c.cid`;
    return database.prepare(sql).all() as Column[];
  } finally {
    database.close();
  }
}

const HEAD_BYTES = 3;

/** Returns a value made of the bytes after the head: a text, a blob, a number or null. */
function valueOf(kind: number, rest: Buffer): SqlValue {
  switch (kind % 5) {
    case 0:
      return rest.toString('latin1');
    case 1:
      return rest;
    case 2:
      return rest.length < 8 ? BigInt(rest.length) : rest.readBigInt64LE(0);
    case 3:
      return rest.length < 8 ? -1.5 : rest.readDoubleLE(0);
    default:
      return null;
  }
}

/** Sets a column of all rows to a value. Returns the name of the column, or the code of an error. */
function change(data: Buffer): string {
  if (data.length < HEAD_BYTES) return 'unchanged';
  const { table, column } = columns[data[0]! % columns.length]!;
  const value = valueOf(data[1]!, data.subarray(HEAD_BYTES));
  const database = ground.system.openDatabase(ground.file, { readonly: false });
  try {
    database.pragma('journal_mode = MEMORY');
    database.pragma('synchronous = OFF');
    database.prepare(`UPDATE OR REPLACE ${table} SET ${column} = ?`).run(value);
    return `${table}.${column}`;
  } catch (error) {
    return asTardisError(error).code; // SQLite refuses the value
  } finally {
    database.close();
  }
}

export const target: Target = {
  about: 'one wrong value anywhere in the tables of a catalog: read, or an error that says so',
  seeds: () => {
    catalog = ground.make();
    columns = columnsOf();
    return columns.flatMap((_, index) =>
      [0, 1, 2, 3, 4].map((kind) => Buffer.from([index, kind, 0, 0x7b, 0x7d])),
    );
  },
  fuzz: async (data) => {
    writeFileSync(ground.file, catalog!);
    const changed = change(data);
    return `${changed} ${await ground.read()}`;
  },
  tokens: ['{}', '[]', 'null', '1e999', '"a"', 'complete', Buffer.alloc(32), Buffer.alloc(8, 0xff)],
  maxBytes: 256,
};

/** Changes values in the tables of a database. */
import { asTardisError } from '../../../src/errors/index.js';
import type { SqlValue, System } from '../../../src/system/index.js';

export interface Column {
  readonly table: string;
  readonly column: string;
}

/** Returns the columns of all tables. */
export function columnsOf(system: System, file: string): Column[] {
  const database = system.openDatabase(file, { readonly: true });
  try {
    const sql = `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema m, pragma_table_info(m.name) c
      WHERE m.type = 'table' ORDER BY 1, c.cid`;
    return database.prepare(sql).all() as Column[];
  } finally {
    database.close();
  }
}

/** Returns a value made of bytes: a text, a blob, a number or null. */
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

/** Sets a column of all rows to a value made of bytes. Returns the name of the column, or the code of an error. */
export function setColumn(
  system: System,
  file: string,
  { table, column }: Column,
  kind: number,
  rest: Buffer,
): string {
  const database = system.openDatabase(file, { readonly: false });
  try {
    database.pragma('journal_mode = MEMORY');
    database.pragma('synchronous = OFF');
    database.prepare(`UPDATE OR REPLACE "${table}" SET "${column}" = ?`).run(valueOf(kind, rest));
    return `${table}.${column}`;
  } catch (error) {
    return asTardisError(error).code; // SQLite refuses the value
  } finally {
    database.close();
  }
}

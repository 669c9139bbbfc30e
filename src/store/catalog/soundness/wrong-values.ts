/**
 * Finds values in a catalog that no writer stores. SQLite accepts a text in a column for numbers, and its own checks do
 * not report that. Code that reads such a value fails like code with a bug.
 */
import { checkRows, joinRow } from '../../../model/index.js';
import type { RowOf, SqlDatabase } from '../../../system/index.js';

const COLUMNS = `SELECT m.name AS "table", c.name AS "column", lower(c.type) AS type,
    c."notnull" = 0 AND c.pk = 0 AS mayBeNull
  FROM sqlite_schema m, pragma_table_info(m.name) c
  WHERE m.type = 'table' AND m.name NOT GLOB 'sqlite_*' ORDER BY m.name, c.cid`;

const COLUMN_ROW = { table: 'text', column: 'text', type: 'text', mayBeNull: 'integer' } as const;
type Column = RowOf<typeof COLUMN_ROW>;

/** Conditions that valid values of a column meet, beyond its type. */
const RULES: Readonly<Record<string, string>> = {
  'contents.digest': 'length(digest) = 32',
  'directories.skip_hash': 'length(skip_hash) = 32',
};

/** Returns the columns with a value of a wrong type or length, as `table.column`. Reads each table once. */
export function wrongColumns(database: SqlDatabase): string[] {
  const columns = database.query(COLUMNS, COLUMN_ROW).all();
  return [...new Set(columns.map(({ table }) => table))].flatMap((table) => {
    const own = columns.filter((column) => column.table === table);
    const sql = `SELECT ${own.map((column) => `max(${wrong(column)})`).join()} FROM "${table}"`;
    const results = own.map(() => 'integer?' as const);
    const found = database.query(sql, results).get()!;
    return own.filter((_, index) => found[index] === 1).map(nameOf);
  });
}

function nameOf({ table, column }: Column): string {
  return `${table}.${column}`;
}

/** Returns an expression that is 1 for an impossible value. */
function wrong(column: Column): string {
  const name = `"${column.column}"`;
  const rule = RULES[nameOf(column)];
  const isWrong = `typeof(${name}) != '${column.type}'${rule === undefined ? '' : ` OR NOT ${rule}`}`;
  return column.mayBeNull === 1 ? `${name} IS NOT NULL AND (${isWrong})` : isWrong;
}

/**
 * Returns the result of `wrongColumns`, and `entries.metadata` if the metadata of an entry makes no valid row.
 * Decodes every entry, which is slow.
 */
export function wrongValues(database: SqlDatabase): string[] {
  const columns = wrongColumns(database);
  const isEntryWrong = columns.some((name) => name.startsWith('entries.'));
  return isEntryWrong || areRows(database) ? columns : [...columns, 'entries.metadata'];
}

/** True if the metadata of every entry makes a valid row. */
function areRows(database: SqlDatabase): boolean {
  const entries = database
    .query('SELECT name, metadata FROM entries', { name: 'blob', metadata: 'blob' })
    .iterate();
  for (const { name, metadata } of entries) {
    try {
      checkRows(joinRow(metadata, name, undefined), false);
    } catch {
      return false; // the row is not valid; the reason does not matter
    }
  }
  return true;
}

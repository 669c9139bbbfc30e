/**
 * SQL for the sets that show a version: the listed sets in its interval that have its root. Entries below a
 * root are not part of sets without that root.
 */

/** A number greater than that of every set. */
const OPEN = Number.MAX_SAFE_INTEGER;

/**
 * Rows that are valid for an interval of sets (entries or seals of directories), and their alias in the
 * statement.
 */
export interface SpanRows {
  readonly table: 'entries' | 'directory_seals';
  readonly alias?: string;
  /** Name under which the table's database is attached. */
  readonly schema?: string;
}

/** Returns an expression for the root number of a row; NULL if its directory is unknown. */
function rootOf({ table, alias = table, schema = 'main' }: SpanRows): string {
  const known = `(SELECT shown_directory.root_id FROM ${schema}.directories shown_directory
    WHERE shown_directory.directory_id = ${alias}.directory_id)`;
  if (table !== 'entries') return known;
  // The entries of the roots themselves have the root numbers as names.
  return `CASE ${alias}.directory_id WHEN 0 THEN CAST(CAST(${alias}.name AS TEXT) AS INTEGER) ELSE ${known} END`;
}

/**
 * Returns a condition that is true if a listed set from `since` on shows the row. If the root is unknown, any
 * set in the row's interval counts.
 */
export function isShown(rows: SpanRows, since = '0'): string {
  const { table, alias = table, schema = 'main' } = rows;
  // CROSS JOIN keeps the order of the joins, so that only one range of each table's key is read.
  return `EXISTS (SELECT 1 FROM ${schema}.set_roots shown_root CROSS JOIN ${schema}.backup_sets shown_set
      ON shown_set.set_number = shown_root.set_number
    WHERE shown_root.set_number BETWEEN max(${alias}.first_set, ${since}) AND coalesce(${alias}.last_set, ${OPEN})
      AND shown_root.root_id = coalesce(${rootOf(rows)}, shown_root.root_id)
      AND shown_set.state != 'superseded')`;
}

/**
 * Finds the existing ids of a table, for scans in slices. The largest id is no usable bound, since a damaged
 * catalog may contain a huge one.
 */
import { TardisError } from '../../errors/index.js';
import type { SqlDatabase, SqlQuery } from '../../system/index.js';

export class NextId {
  private readonly statement: SqlQuery<number | null>;
  private readonly place: string;

  constructor(database: SqlDatabase, table: string, column: string) {
    this.place = `${table}.${column}`;
    this.statement = database.query(
      `SELECT min(${column}) FROM ${table} WHERE ${column} >= ?`,
      'integer?',
    );
  }

  /**
   * Returns the smallest id at or above `least`; undefined if there is none. Throws CATALOG_DAMAGED if the
   * value is not an integer.
   */
  from(least: number): number | undefined {
    const found = this.statement.get(least)!;
    if (found === null || Number.isSafeInteger(found)) return found ?? undefined;
    throw new TardisError(
      'CATALOG_DAMAGED',
      `the catalog holds values that cannot be there, in ${this.place}`,
    );
  }
}

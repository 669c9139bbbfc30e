/**
 * Shapes of the rows that queries return, from which their TypeScript types follow. The database uses a shape only to
 * choose the form of the rows (values, arrays or objects). Tests compare each shape with the columns of its query, and
 * with the rows.
 *
 * A shape describes a sound database. SQLite stores values of any type in any column, so code that reads a database
 * which may be damaged still checks the values that it relies on.
 */
import type { ContentId, RecordId } from '../model/index.js';
import type { SqlStatement, SqlValue } from './database.js';

interface Values {
  integer: number;
  /** An integer that is the id of a content. */
  content: ContentId;
  /** An integer that is the id of a record. */
  record: RecordId;
  /**
   * An integer read as a bigint. A shape has either `bigint` or `integer`, since SQLite reads all integers of a query
   * in one way.
   */
  bigint: bigint;
  /** The result of `total()` and the like. */
  real: number;
  text: string;
  blob: Buffer;
  /** A value that the caller checks. */
  any: SqlValue;
}

/** The type of a value; with a question mark, the value may be NULL. */
export type ColumnKind = keyof Values | `${Exclude<keyof Values, 'any'>}?`;

/**
 * Shape of the rows of a query. A kind returns only the first column. An array returns rows as arrays, which cost half
 * as much. Any other shape returns rows as objects.
 */
export type RowShape = ColumnKind | readonly ColumnKind[] | Readonly<Record<string, ColumnKind>>;

type ValueOf<Kind> = Kind extends keyof Values
  ? Values[Kind]
  : Kind extends `${infer Base extends keyof Values}?`
    ? Values[Base] | null
    : never;

/** The row of a shape. */
export type RowOf<Shape extends RowShape> = Shape extends ColumnKind
  ? ValueOf<Shape>
  : { -readonly [Column in keyof Shape]: ValueOf<Shape[Column]> };

/** A prepared query. */
export interface SqlQuery<Row> {
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
  iterate(...values: SqlValue[]): IterableIterator<Row>;
}

/** Returns a statement as a query whose rows have the shape. */
export function shaped<const Shape extends RowShape>(
  statement: SqlStatement,
  shape: Shape,
): SqlQuery<RowOf<Shape>> {
  if (kindsOf(shape).some((kind) => kind.startsWith('bigint'))) statement.safeIntegers();
  if (typeof shape === 'string') statement.pluck();
  else if (Array.isArray(shape)) statement.raw();
  return statement as SqlQuery<unknown> as SqlQuery<RowOf<Shape>>;
}

/** Returns the kinds of the columns, in order. */
export function kindsOf(shape: RowShape): readonly ColumnKind[] {
  return typeof shape === 'string' ? [shape] : Object.values(shape);
}

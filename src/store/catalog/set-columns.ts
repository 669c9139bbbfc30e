/**
 * Statistics, marks and the client's configuration of a set as columns of the catalog: msgpack maps like those in
 * events, or NULL for empty ones. Values are checked, since a catalog may be damaged or hostile.
 */
import {
  type ClientConfig,
  isClientConfig,
  isSetMarks,
  NO_MARKS,
  type SetMarks,
} from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import { plainPackr } from '../../system/msgpack/index.js';

export type SetStats = Readonly<Record<string, number>>;

const packr = plainPackr();

const STAT_NAME = /^[A-Za-z]{1,64}$/;
const MAX_STATS = 64;
/** Maximum length of a column that is decoded. Valid columns are shorter. */
const MAX_COLUMN_BYTES = 66 << 10;

/** Returns the column `stats`. */
export function statsColumn(stats: SetStats): Buffer | null {
  return Object.keys(stats).length === 0 ? null : packr.pack(stats);
}

/** Returns the value of the column `marks`. */
export function marksColumn(marks: SetMarks): Buffer {
  return packr.pack(marks);
}

/** Returns the statistics in a column. Malformed ones are left out, and a check reports them. */
export function statsIn(column: unknown): Record<string, number> {
  const stats = unpacked(column);
  if (typeof stats !== 'object' || stats === null) return {};
  return Object.fromEntries(Object.entries(stats).filter(isStat).slice(0, MAX_STATS));
}

/** Returns the marks in a column; no marks if they are malformed. */
export function marksIn(column: unknown): SetMarks {
  const marks = unpacked(column);
  return isSetMarks(marks) ? marks : NO_MARKS;
}

/** Returns the column `config`. */
export function configColumn(config: ClientConfig): Buffer {
  return packr.pack(config);
}

/** Returns the configuration in a column; undefined if it is malformed. */
export function configIn(column: unknown): ClientConfig | undefined {
  const config = unpacked(column);
  return isClientConfig(config) ? config : undefined;
}

/** Returns the number of sets whose statistics or marks cannot be decoded. */
export function countUnreadableSets(database: SqlDatabase): number {
  const rows = database.query('SELECT stats, marks FROM backup_sets', ['blob?', 'blob?']).iterate();
  let count = 0;
  for (const [stats, marks] of rows) {
    const areStats = stats === null || isStats(unpacked(stats));
    if (!areStats || !(marks === null || isSetMarks(unpacked(marks)))) count += 1;
  }
  return count;
}

function isStats(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((stat) => Number.isFinite(stat));
}

function isStat(entry: [string, unknown]): entry is [string, number] {
  return STAT_NAME.test(entry[0]) && Number.isFinite(entry[1]);
}

/** Returns the decoded value of a column; undefined if the column is NULL, too long or damaged. */
function unpacked(column: unknown): unknown {
  if (!Buffer.isBuffer(column) || column.length > MAX_COLUMN_BYTES) return undefined;
  try {
    return packr.unpack(column);
  } catch {
    return undefined; // the value is not msgpack; the reason does not matter
  }
}

/** Checks a catalog that came from a bucket or a server before use, since its bytes are untrusted. */
import { TardisError } from '../../../errors/index.js';
import type { SqlDatabase, System } from '../../../system/index.js';
import type { Counters } from '../../index.js';
import { type CommitPoint, StateTable } from '../tables/state.js';
import { openEmpty } from '../open.js';
import { newestVersion, versionOf } from '../versions.js';
import { wrongColumns } from './wrong-values.js';

/** Query for all that SQLite reads of a schema, in a fixed order. */
const SCHEMA = `SELECT type || char(10) || name || char(10) || tbl_name || char(10) || coalesce(sql, '')
  FROM sqlite_schema ORDER BY 1`;

/**
 * Throws CATALOG_DAMAGED unless a file is a catalog of the newest version that ends at a commit of the log. The file
 * must have exactly the tables and indexes of a new catalog, which is `empty`. `counters` are those of the next
 * commit. Leaves the file without a log beside it.
 */
export function requireFitting(
  system: System,
  file: string,
  {
    empty,
    point,
    counters,
  }: { readonly empty: string; readonly point: CommitPoint; readonly counters: Counters },
): void {
  using database = system.openDatabase(file, { readonly: false });
  beCareful(database);
  if (versionOf(database) !== newestVersion(system)) throw other('its version');
  const fault = shapeFault(database, schemaAt(system, empty));
  if (fault !== undefined) throw other(fault);
  const state = new StateTable(database);
  const there = state.readCommitPoint();
  const isAtPoint =
    there.commit === point.commit &&
    there.pack === point.pack &&
    there.position === point.position &&
    there.checksum === point.checksum;
  if (!isAtPoint) throw other('its last commit');
  if (state.areCountersBehind() || !isBefore(state.readCounters(), counters)) {
    throw other('its numbers');
  }
  database.pragma('journal_mode = TRUNCATE');
}

/**
 * Throws CATALOG_DAMAGED unless a file is a sound catalog of the newest version, with exactly the tables and indexes
 * of a new one and values of the right types. Throws CATALOG_OLDER or CATALOG_NEWER for another version. Leaves the
 * file without a log beside it.
 */
export function requireForeign(system: System, file: string): void {
  using database = system.openDatabase(file, { readonly: false });
  beCareful(database);
  const [version, newest] = [versionOf(database), newestVersion(system)];
  if (version !== newest) {
    const what = `the catalog at the server has version ${version}, this software reads ${newest}`;
    throw new TardisError(version < newest ? 'CATALOG_OLDER' : 'CATALOG_NEWER', what);
  }
  const empty = openEmpty(system);
  const schema = schemaOf(empty);
  empty.close();
  const fault =
    shapeFault(database, schema) ??
    (new StateTable(database).areCountersBehind() ? 'its numbers' : undefined) ??
    (wrongColumns(database).length > 0 ? 'its values' : undefined);
  if (fault !== undefined) {
    throw new TardisError('CATALOG_DAMAGED', `the catalog from the server is damaged: ${fault}`);
  }
  database.pragma('journal_mode = TRUNCATE');
}

/** Sets options of SQLite that protect this process from a crafted file. */
function beCareful(database: SqlDatabase): void {
  database.pragma('trusted_schema = OFF');
  database.pragma('cell_size_check = ON');
}

/** Returns the part of a file that does not fit a schema, or is damaged; undefined if there is none. */
function shapeFault(database: SqlDatabase, schema: string): string | undefined {
  if (schemaOf(database) !== schema) return 'its tables';
  const isWhole = database.query('PRAGMA quick_check(1)', 'text').get() === 'ok';
  return isWhole ? undefined : 'its pages';
}

/** True if a commit that adds no set, root or directory can lead from the counters `before` to `after`. */
function isBefore(before: Counters, after: Counters): boolean {
  return (
    before.set === after.set &&
    before.root === after.root &&
    before.directory === after.directory &&
    before.sequence < after.sequence
  );
}

function schemaOf(database: SqlDatabase): string {
  return database.query(SCHEMA, 'text').all().join('\n');
}

function schemaAt(system: System, file: string): string {
  using database = system.openDatabase(file, { readonly: true });
  return schemaOf(database);
}

function other(what: string): TardisError {
  return new TardisError('CATALOG_DAMAGED', `a copy of the catalog does not fit the log: ${what}`);
}

/** Consistency rules of a catalog, and the queries that compare a catalog with one rebuilt from the packs. */
import { RowFlag, type SetNumber } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';
import { countUnreadableSets } from '../tables/sets.js';
import { isShown, type SpanRows } from '../visible-sets.js';

/** A violated rule. */
export interface Inconsistency {
  readonly what: string;
  /** Number of rows that violate the rule. */
  readonly rows: number;
}

/** The rules, each with a query that selects the rows that violate it. */
const RULES: readonly (readonly [what: string, sql: string])[] = [
  [
    'a name has more than one open version',
    `SELECT 1 FROM entries WHERE last_set IS NULL GROUP BY directory_id, name HAVING count(*) > 1`,
  ],
  [
    'a version ends before it begins, or begins before there was a set',
    'SELECT 1 FROM entries WHERE last_set < first_set OR first_set < 1',
  ],
  [
    'two versions of a name are in one set',
    `SELECT 1 FROM (SELECT first_set, lag(coalesce(last_set, 9e15)) OVER
       (PARTITION BY directory_id, name ORDER BY first_set) AS before FROM entries)
     WHERE before >= first_set`,
  ],
  [
    'a version is of a set that there never was',
    `SELECT 1 FROM entries WHERE max(first_set, coalesce(last_set, 0)) >
       (SELECT coalesce(max(value), 0) FROM state WHERE key = 'counter.set')`,
  ],
  [
    'an entry has a content that there is not',
    `SELECT 1 FROM entries LEFT JOIN contents USING (content_id)
     WHERE entries.content_id IS NOT NULL AND contents.content_id IS NULL`,
  ],
  [
    'a directory’s entry leads nowhere',
    `SELECT 1 FROM entries LEFT JOIN directories ON directories.directory_id = child_id
     WHERE (type = 2 AND child_id IS NULL) OR (child_id IS NOT NULL AND directories.directory_id IS NULL)`,
  ],
  [
    'an entry that is no directory leads to one',
    'SELECT 1 FROM entries WHERE type != 2 AND child_id IS NOT NULL',
  ],
  [
    'a content is in a record that there is not',
    `SELECT 1 FROM contents LEFT JOIN records USING (record_id)
     WHERE contents.record_id IS NOT NULL AND records.record_id IS NULL`,
  ],
  [
    'a signature is in a record that there is not',
    `SELECT 1 FROM signatures LEFT JOIN records USING (record_id) WHERE records.record_id IS NULL`,
  ],
  [
    'a content is a delta on one that there is not',
    `SELECT 1 FROM contents LEFT JOIN contents basis ON basis.content_id = contents.basis_id
     WHERE contents.basis_id IS NOT NULL AND basis.content_id IS NULL`,
  ],
  [
    'deltas rest on each other, or too many on one another',
    `WITH RECURSIVE chain (content_id, depth) AS (
       SELECT basis_id, 1 FROM contents WHERE basis_id IS NOT NULL
       UNION SELECT basis_id, depth + 1 FROM chain JOIN contents USING (content_id)
         WHERE basis_id IS NOT NULL AND depth < 65)
     SELECT DISTINCT content_id FROM chain WHERE depth > 64`,
  ],
  [
    'a part of a content is not there',
    `SELECT 1 FROM content_parts LEFT JOIN contents part ON part.content_id = part_id
     LEFT JOIN contents whole ON whole.content_id = content_parts.content_id
     WHERE part.content_id IS NULL OR whole.content_id IS NULL`,
  ],
  ['two contents have one digest', 'SELECT 1 FROM contents GROUP BY digest HAVING count(*) > 1'],
  [
    'a set has a root that there is not',
    `SELECT 1 FROM set_roots LEFT JOIN roots USING (root_id) LEFT JOIN backup_sets USING (set_number)
     WHERE roots.root_id IS NULL OR backup_sets.set_number IS NULL`,
  ],
];

/** Returns the violated rules. Throws SQLite's errors if tables cannot be read. */
export function inconsistenciesIn(database: SqlDatabase): Inconsistency[] {
  const violated = RULES.map(([what, sql]) => ({
    what,
    rows: database.query(`SELECT count(*) FROM (${sql})`, 'integer').get()!,
  }));
  const unreadable = {
    what: 'statistics or marks of a set cannot be read',
    rows: countUnreadableSets(database),
  };
  return [...violated, unreadable].filter(({ rows }) => rows > 0);
}

const DIGEST_OF = (schema: string): string =>
  `(SELECT digest FROM ${schema}.contents c WHERE c.content_id = e.content_id)`;

/** Flags that may change without a new version. They only affect whether the next backup reads a file. */
export const PASSING_FLAGS = RowFlag.unsettled | RowFlag.changedWhileRead;

/**
 * Condition for versions and seals that are open or shown by a listed set. Others may have been
 * garbage-collected in only one of the two catalogs. Open ones are always closed in the packs before they are
 * collected.
 */
const isKept = (rows: SpanRows & { readonly alias: string }): string =>
  `(${rows.alias}.last_set IS NULL OR ${isShown(rows)})`;
const SHOWN_ENTRIES = (schema: string, column: string): string =>
  `(SELECT ${column} FROM ${schema}.entries e WHERE ${isKept({ table: 'entries', alias: 'e', schema })})`;
const LISTED = (schema: string): string =>
  `set_number IN (SELECT set_number FROM ${schema}.backup_sets WHERE state != 'superseded')`;
const NEEDED = (schema: string): string => `content_id IN ${SHOWN_ENTRIES(schema, 'content_id')}`;
/** Condition for the parts of contents that shown versions need. */
const NEEDED_PARTS = (schema: string): string =>
  `content_id IN (SELECT part_id FROM ${schema}.content_parts WHERE ${NEEDED(schema)})`;

/**
 * Condition for directories of a root whose set is unfinished. The catalog records the place of such a directory as
 * soon as the backup meets it. The packs record it later, with its row, and may lack it until the set is complete.
 */
const isUnderWay = (schema: string): string =>
  `(root_id IN (SELECT root_id FROM ${schema}.set_roots JOIN ${schema}.backup_sets USING (set_number)
     WHERE state = 'unfinished'))`;

/**
 * Queries for the data of each table that two catalogs of the same packs must have in common. They omit passing
 * flags, skip hashes, marks and all that no listed set needs. The places of contents are checked against the
 * records themselves.
 */
const COMPARED_ROWS: Readonly<Record<string, (schema: string) => string>> = {
  entries: (schema) =>
    `SELECT directory_id, name, first_set, last_set, type, flags & ~${PASSING_FLAGS}, size_bytes, child_id,
       metadata, ${DIGEST_OF(schema)} FROM ${schema}.entries e WHERE ${isKept({ table: 'entries', alias: 'e', schema })}`,
  directories: (schema) =>
    `SELECT directory_id, root_id FROM ${schema}.directories
     WHERE parent_id = 0 OR directory_id IN ${SHOWN_ENTRIES(schema, 'child_id')}`,
  'places of directories': (schema) =>
    `SELECT directory_id, parent_id, name, inode, birth_time_ns FROM ${schema}.directories
     WHERE (parent_id = 0 OR directory_id IN ${SHOWN_ENTRIES(schema, 'child_id')})
       AND NOT ${isUnderWay(schema)}`,
  'directories without a place': (schema) =>
    `SELECT directory_id FROM ${schema}.unplaced_directories LEFT JOIN ${schema}.directories USING (directory_id)
     WHERE root_id IS NULL OR NOT ${isUnderWay(schema)}`,
  numbers: (schema) =>
    `SELECT * FROM ${schema}.state WHERE (key LIKE 'counter.%' OR key LIKE 'commit.%')
       AND EXISTS (SELECT 1 FROM ${schema}.state WHERE key = 'commit.number' AND value > 0)`,
  roots: (schema) => `SELECT * FROM ${schema}.roots`,
  contents: (schema) =>
    `SELECT digest, size_bytes, record_id IS NULL FROM ${schema}.contents WHERE ${NEEDED(schema)}`,
  parts: (schema) =>
    `SELECT part_number, ${DIGEST_OF(schema)} FROM ${schema}.content_parts e WHERE ${NEEDED(schema)}`,
  'parts of files': (schema) =>
    `SELECT file_size_bytes, ${DIGEST_OF(schema)} FROM ${schema}.part_sources e WHERE ${NEEDED_PARTS(schema)}`,
  signatures: (schema) =>
    `SELECT ${DIGEST_OF(schema)} FROM ${schema}.signatures e WHERE ${NEEDED(schema)}`,
  bases: (schema) =>
    `SELECT digest, (SELECT digest FROM ${schema}.contents b WHERE b.content_id = e.basis_id)
     FROM ${schema}.contents e WHERE basis_id IS NOT NULL AND ${NEEDED(schema)}`,
  sets: (schema) =>
    `SELECT set_number, name, state, opened_at_ms, client_time_ms, closed_at_ms, stats
     FROM ${schema}.backup_sets WHERE state != 'superseded'`,
  'roots of sets': (schema) =>
    `SELECT set_number, root_id, path, directory_id FROM ${schema}.set_roots JOIN ${schema}.roots USING (root_id)
     WHERE ${LISTED(schema)}`,
  notes: (schema) => `SELECT * FROM ${schema}.set_notes WHERE ${LISTED(schema)}`,
  settings: (schema) => `SELECT * FROM ${schema}.settings`,
  'paths to be forgotten': (schema) => `SELECT * FROM ${schema}.forget_requests`,
  'settings of clients': (schema) => `SELECT * FROM ${schema}.set_configs WHERE ${LISTED(schema)}`,
  'names of owners': (schema) => `SELECT * FROM ${schema}.owner_names`,
  'seals of directories': (schema) =>
    `SELECT * FROM ${schema}.directory_seals s
     WHERE ${isKept({ table: 'directory_seals', alias: 's', schema })}`,
  'seals of sets': (schema) => `SELECT * FROM ${schema}.set_seals WHERE ${LISTED(schema)}`,
};

/** Runs `compare` while the other catalog is attached to the database, as `other`. */
function besideOther<T>(database: SqlDatabase, otherPath: string, compare: () => T): T {
  database.prepare('ATTACH ? AS other').run(otherPath);
  try {
    return compare();
  } finally {
    database.exec('DETACH other');
  }
}

/** Returns the number of versions that only the first of two catalogs has, and the sets in which they began. */
export function lackingIn(
  database: SqlDatabase,
  otherPath: string,
): { versions: number; sets: SetNumber[] } {
  return besideOther(database, otherPath, () => {
    const rowsIn = COMPARED_ROWS['entries']!;
    const lacking = `SELECT first_set FROM (${rowsIn('main')} EXCEPT ${rowsIn('other')})`;
    const rows = database
      .query(`SELECT first_set, count(*) FROM (${lacking}) GROUP BY first_set ORDER BY first_set`, [
        'integer',
        'integer',
      ])
      .all();
    const versions = rows.reduce((sum, [, count]) => sum + count, 0);
    return { versions, sets: rows.map(([set]) => set) };
  });
}

/** Returns the tables in which two catalogs differ, with the number of rows that only one of them has. */
export function differencesIn(database: SqlDatabase, otherPath: string): Inconsistency[] {
  return besideOther(database, otherPath, () =>
    Object.entries(COMPARED_ROWS).flatMap(([table, rowsIn]) => {
      const [here, there] = [rowsIn('main'), rowsIn('other')];
      const count = (sql: string): number =>
        database.query(`SELECT count(*) FROM (${sql})`, 'integer').get()!;
      const lacking = count(`${here} EXCEPT ${there}`);
      // No table has equal rows, so equally many of which none is lacking are the same.
      const isEqual = lacking === 0 && count(here) === count(there);
      const rows = isEqual ? 0 : Math.max(lacking, count(`${there} EXCEPT ${here}`));
      return rows === 0 ? [] : [{ what: `${table}: differs from the packs`, rows }];
    }),
  );
}

/**
 * Queries that return more than 0 if two catalogs are of different histories: a set or root differs, or they
 * share no set.
 */
const IDENTITY: readonly string[] = [
  `SELECT count(*) FROM main.backup_sets here JOIN other.backup_sets there USING (set_number)
   WHERE here.opened_at_ms != there.opened_at_ms OR here.client_time_ms != there.client_time_ms
     OR here.name != there.name`,
  `SELECT count(*) FROM main.roots here JOIN other.roots there USING (root_id)
   WHERE here.path != there.path OR here.directory_id != there.directory_id`,
  `SELECT (SELECT count(*) FROM main.backup_sets JOIN other.backup_sets USING (set_number)) = 0
     AND (SELECT count(*) FROM other.backup_sets) > 0`,
];

/** Counts the versions that differ between two catalogs. */
const CONTRADICTIONS = `SELECT count(*) FROM main.entries e
  JOIN other.entries o USING (directory_id, name, first_set)
  WHERE e.type != o.type OR e.size_bytes != o.size_bytes OR e.metadata != o.metadata
    OR ${DIGEST_OF('main')} IS NOT (SELECT digest FROM other.contents c WHERE c.content_id = o.content_id)`;

/**
 * Compares two catalogs of which one may end earlier than the other. Returns undefined if they are of different
 * histories, else the number of versions that differ.
 */
export function contradictionsIn(database: SqlDatabase, otherPath: string): number | undefined {
  return besideOther(database, otherPath, () => {
    const count = (sql: string): number => database.query(sql, 'integer').get()!;
    if (IDENTITY.some((sql) => count(sql) > 0)) return undefined;
    return count(CONTRADICTIONS);
  });
}

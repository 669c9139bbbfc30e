/**
 * Questions of who reports on sets and on what a client takes. Each takes a bounded slice of the catalog, since a
 * session may be writing, or wait its turn, meanwhile.
 */
import { EntryType } from '../model/index.js';
import type { SqlDatabase } from '../system/index.js';
import { type CatalogEntry, type EntryColumns, SELECT_ENTRY, toEntry } from './entries.js';

/** A place among entries, which stand in this order. */
export interface EntryPlace {
  readonly directory: number;
  readonly name: Buffer;
}

/** Two sets: what the second shows and the first does not, and the reverse, is what changed. */
export interface SetSpan {
  /** 0: nothing was there before. */
  readonly before: number;
  readonly set: number;
}

/** What the versions in a directory are: how many, how many of them are open, and of files the bytes; older ones by themselves. */
export type DirectoryUse = [
  directory: number,
  versions: number,
  openVersions: number,
  bytes: number,
  olderVersions: number,
  olderBytes: number,
];

/** A content and the record it is in. */
export type StoredUse = [
  contentId: number,
  sizeBytes: number,
  kind: number,
  recordBytes: number,
  rawBytes: number,
];

const FILE = EntryType.file;

const CHANGED = `((first_set > ? AND first_set <= ? AND (last_set IS NULL OR last_set >= ?))
  OR (first_set <= ? AND last_set >= ? AND last_set < ?))`;

export class ReportTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      rootsOfSets: database
        .prepare(
          'SELECT set_number, path FROM set_roots JOIN roots USING (root_id) ORDER BY set_number, path',
        )
        .raw(),
      restOf: database
        .prepare(
          `${SELECT_ENTRY} WHERE directory_id = ? AND name > ? AND ${CHANGED}
           ORDER BY name, first_set LIMIT ?`,
        )
        .raw(),
      between: database
        .prepare(
          `${SELECT_ENTRY} WHERE directory_id > ? AND directory_id <= ? AND ${CHANGED}
           ORDER BY directory_id, name, first_set LIMIT ?`,
        )
        .raw(),
      lastDirectory: database
        .prepare('SELECT coalesce(max(directory_id), -1) FROM entries')
        .pluck(),
      openChildren: database
        .prepare(
          `SELECT child_id, directory_id, name FROM entries
           WHERE child_id IS NOT NULL AND first_set <= ? AND (last_set IS NULL OR last_set >= ?)`,
        )
        .raw(),
      rootOf: database.prepare('SELECT root_id FROM directories WHERE directory_id = ?').pluck(),
      uses: database
        .prepare(
          `SELECT directory_id, count(*), total(last_set IS NULL), total((type = ${FILE}) * size_bytes),
             total(type = ${FILE} AND last_set IS NOT NULL),
             total((type = ${FILE} AND last_set IS NOT NULL) * size_bytes)
           FROM entries WHERE directory_id > ? AND directory_id <= ? GROUP BY directory_id`,
        )
        .raw(),
      contentsIn: database
        .prepare(
          `SELECT DISTINCT content_id FROM entries
           WHERE directory_id > ? AND directory_id <= ? AND content_id IS NOT NULL`,
        )
        .pluck(),
      stored: database
        .prepare(
          `SELECT content_id, size_bytes, kind, record_bytes, raw_bytes FROM contents JOIN records USING (record_id)
           WHERE content_id > ? ORDER BY content_id LIMIT ?`,
        )
        .raw(),
      rests: database
        .prepare(
          'SELECT part_id FROM content_parts UNION SELECT basis_id FROM contents WHERE basis_id IS NOT NULL',
        )
        .pluck(),
      records: database
        .prepare('SELECT count(*), total(record_bytes), total(raw_bytes) FROM records')
        .raw(),
    };
  }

  /** The paths of the roots of every set, in one go. */
  rootsOfSets(): [set: number, path: Buffer][] {
    return this.statements.rootsOfSets.all() as [number, Buffer][];
  }

  /** Versions of the names behind one in its directory that only one of two sets shows. */
  restOf(place: EntryPlace, span: SetSpan, limit: number): CatalogEntry[] {
    return this.read(
      this.statements.restOf.all(place.directory, place.name, ...changed(span), limit),
    );
  }

  /** The same for the directories behind one up to another. */
  between(directory: number, upTo: number, span: SetSpan, limit: number): CatalogEntry[] {
    return this.read(this.statements.between.all(directory, upTo, ...changed(span), limit));
  }

  private read(rows: unknown[]): CatalogEntry[] {
    return (rows as EntryColumns[]).map(toEntry);
  }

  /** The highest number of a directory with entries; -1: none has. */
  lastDirectory(): number {
    return this.statements.lastDirectory.get() as number;
  }

  /** Where every directory of a set was: a look at all entries. */
  placesIn(set: number): Map<number, EntryPlace> {
    const rows = this.statements.openChildren.all(set, set) as [number, number, Buffer][];
    return new Map(rows.map(([child, directory, name]) => [child, { directory, name }]));
  }

  /** 0: not known. */
  rootOf(directory: number): number {
    return (this.statements.rootOf.get(directory) as number | undefined) ?? 0;
  }

  /** Of the directories behind one up to another. */
  uses(directory: number, upTo: number): DirectoryUse[] {
    return this.statements.uses.all(directory, upTo) as DirectoryUse[];
  }

  /** Contents that their versions name. */
  contentsIn(directory: number, upTo: number): number[] {
    return this.statements.contentsIn.all(directory, upTo) as number[];
  }

  stored(after: number, limit: number): StoredUse[] {
    return this.statements.stored.all(after, limit) as StoredUse[];
  }

  /** Contents that others rest on: parts, and bases of deltas. */
  rests(): number[] {
    return this.statements.rests.all() as number[];
  }

  records(): { count: number; recordBytes: number; rawBytes: number } {
    const row = this.statements.records.get() as [number, number, number];
    return { count: row[0], recordBytes: row[1], rawBytes: row[2] };
  }
}

function changed({ before, set }: SetSpan): number[] {
  return [before, set, set, before, before, set];
}

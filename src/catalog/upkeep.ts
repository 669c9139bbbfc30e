/**
 * Questions of who clears a catalog up: versions that no set shows, contents that no version names, and where
 * the records are that are still needed. Each call takes a bounded slice; the holder of the client's lock makes
 * them while no set is open.
 */
import type { SqlDatabase } from '../system/index.js';

/** Place of a row in a table whose key is (directory, name, first set). */
export type EntryKey = readonly [directory: number, name: Buffer, firstSet: number];

export const FIRST_ENTRY: EntryKey = [-1, Buffer.alloc(0), 0];

/** What an entry keeps alive. */
export type EntryUse = [
  directory: number,
  name: Buffer,
  firstSet: number,
  isOpen: number,
  contentId: number | null,
  childId: number | null,
];

export type ContentUse = [contentId: number, recordId: number | null, sizeBytes: number];

/** A record with contents. */
export type RecordUse = [
  recordId: number,
  kind: number,
  pack: number,
  position: number,
  recordBytes: number,
  rawBytes: number,
];

/** No listed set lies within. */
const SHOWN_BY_NONE = `last_set IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM backup_sets WHERE set_number BETWEEN first_set AND last_set AND state != 'superseded')`;
const IS_DUE = 'removed_at_ms <= ? OR removed_at_ms > ?';
const IN_REMOVED = 'SELECT record_id FROM records WHERE pack IN (SELECT pack FROM removed_packs)';

export class UpkeepTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = { ...wasteStatements(database), ...removalStatements(database) };
  }

  /**
   * Removes versions that no listed set shows, of `limit` looked at behind `after`. Returns where to go on;
   * undefined: that was the last.
   */
  dropVersions(after: EntryKey, limit: number): EntryKey | undefined {
    const upTo = this.statements.key.get(...after, limit - 1) as EntryKey | undefined;
    if (upTo === undefined) this.statements.dropRest.run(...after);
    else this.statements.dropUpTo.run(...after, ...upTo);
    return upTo;
  }

  /** The same for seals of directories, and for sets that nobody sees. */
  dropTheirSets(): void {
    this.statements.dropSeals.run();
    for (const statement of this.statements.dropSuperseded) statement.run();
  }

  entryUses(after: EntryKey, limit: number): EntryUse[] {
    return this.statements.entryUses.all(...after, limit) as EntryUse[];
  }

  contentUses(after: number, limit: number): ContentUse[] {
    return this.statements.contentUses.all(after, limit) as ContentUse[];
  }

  /** What each content that is no whole one rests on: its basis, its parts. */
  needs(): IterableIterator<[contentId: number, needed: number]> {
    return this.statements.needs.iterate() as IterableIterator<[number, number]>;
  }

  signatureUses(): IterableIterator<[contentId: number, recordId: number]> {
    return this.statements.signatures.iterate() as IterableIterator<[number, number]>;
  }

  records(after: number, limit: number): RecordUse[] {
    return this.statements.records.all(after, limit) as RecordUse[];
  }

  /** Forgets a content; returns its digest if it is an object, which is of no use then. */
  dropContent(contentId: number): Buffer | undefined {
    const object = this.statements.object.get(contentId) as Buffer | undefined;
    for (const statement of this.statements.dropContent) statement.run(contentId);
    return object;
  }

  /** Whether a content is stored in this record. */
  isIn(contentId: number, recordId: number): boolean {
    return this.statements.recordOf.get(contentId) === recordId;
  }

  /** Packs that hold contents which are marked as damaged. */
  damagedPacks(): number[] {
    return this.statements.damagedPacks.all() as number[];
  }

  dropRecord(recordId: number): void {
    this.statements.dropRecord.run(recordId);
  }

  /** Directories that are no roots and have a place, behind one. */
  directories(after: number, limit: number): number[] {
    return this.statements.directories.all(after, limit) as number[];
  }

  dropDirectory(directory: number): void {
    this.statements.dropDirectory.run(directory);
    this.statements.dropSkipSeal.run(directory);
  }

  /** Packs and objects that are no longer needed; what the catalog still has in them counts as missing. */
  remove(packs: readonly number[], objects: readonly Buffer[], nowMs: number): void {
    for (const pack of packs) this.statements.removePack.run(pack, nowMs);
    if (packs.length > 0) {
      this.statements.loseContents.run();
      this.statements.loseSignatures.run();
      this.statements.loseRecords.run();
    }
    for (const digest of objects) {
      this.statements.removeObject.run(digest, nowMs);
      this.statements.loseObject.run(digest, digest);
    }
  }

  /** How much of a pack is no content, if that is known. */
  metadataBytes(pack: number): number | undefined {
    return this.statements.metadataBytes.get(pack) as number | undefined;
  }

  putMetadataBytes(pack: number, bytes: number): void {
    this.statements.putMetadataBytes.run(pack, bytes);
  }

  removedPacks(): number[] {
    return this.statements.removedPacks.all() as number[];
  }

  /** Those removed `graceMs` ago, or, by a clock that was wrong, far in the future. */
  duePacks(nowMs: number, graceMs: number): number[] {
    return this.statements.duePacks.all(nowMs - graceMs, nowMs + graceMs) as number[];
  }

  dueObjects(nowMs: number, graceMs: number, limit: number): Buffer[] {
    const due = this.statements.dueObjects.all(nowMs - graceMs, nowMs + graceMs, limit);
    return due as Buffer[];
  }

  forgetPack(pack: number): void {
    this.statements.forgetPack.run(pack);
    this.statements.forgetMetadata.run(pack);
  }

  forgetObject(digest: Buffer): void {
    this.statements.forgetObject.run(digest);
  }

  /** Whether a content is (again) an object of its own. */
  isObject(digest: Buffer): boolean {
    return this.statements.isObject.get(digest, digest) !== undefined;
  }
}

function wasteStatements(database: SqlDatabase) {
  return { ...versionStatements(database), ...contentStatements(database) };
}

function versionStatements(database: SqlDatabase) {
  return {
    key: database
      .prepare(
        `SELECT directory_id, name, first_set FROM entries
           WHERE (directory_id, name, first_set) > (?, ?, ?)
           ORDER BY directory_id, name, first_set LIMIT 1 OFFSET ?`,
      )
      .raw(),
    dropUpTo: database.prepare(
      `DELETE FROM entries WHERE (directory_id, name, first_set) > (?, ?, ?)
           AND (directory_id, name, first_set) <= (?, ?, ?) AND ${SHOWN_BY_NONE}`,
    ),
    dropRest: database.prepare(
      `DELETE FROM entries WHERE (directory_id, name, first_set) > (?, ?, ?) AND ${SHOWN_BY_NONE}`,
    ),
    dropSeals: database.prepare(`DELETE FROM directory_seals WHERE ${SHOWN_BY_NONE}`),
    dropSuperseded: [
      "DELETE FROM backup_sets WHERE state = 'superseded'",
      ...['set_roots', 'set_notes', 'set_seals', 'set_configs'].map(
        (table) =>
          `DELETE FROM ${table} WHERE set_number NOT IN (SELECT set_number FROM backup_sets)`,
      ),
    ].map((sql) => database.prepare(sql)),
    entryUses: database
      .prepare(
        `SELECT directory_id, name, first_set, last_set IS NULL, content_id, child_id FROM entries
           WHERE (directory_id, name, first_set) > (?, ?, ?)
           ORDER BY directory_id, name, first_set LIMIT ?`,
      )
      .raw(),
  };
}

function contentStatements(database: SqlDatabase) {
  return {
    contentUses: database
      .prepare(
        `SELECT content_id, record_id, size_bytes FROM contents
           WHERE content_id > ? ORDER BY content_id LIMIT ?`,
      )
      .raw(),
    needs: database
      .prepare(
        `SELECT content_id, basis_id FROM contents WHERE basis_id IS NOT NULL
           UNION ALL SELECT content_id, part_id FROM content_parts`,
      )
      .raw(),
    signatures: database.prepare('SELECT content_id, record_id FROM signatures').raw(),
    records: database
      .prepare(
        `SELECT record_id, kind, pack, position, record_bytes, raw_bytes FROM records
           WHERE record_id > ? ORDER BY record_id LIMIT ?`,
      )
      .raw(),
    object: database
      .prepare(
        'SELECT digest FROM contents JOIN records USING (record_id) WHERE content_id = ? AND pack = 0',
      )
      .pluck(),
    dropContent: [
      'DELETE FROM contents WHERE content_id = ?',
      'DELETE FROM content_parts WHERE content_id = ?',
      'DELETE FROM part_sources WHERE content_id = ?',
      'DELETE FROM signatures WHERE content_id = ?',
    ].map((sql) => database.prepare(sql)),
    recordOf: database.prepare('SELECT record_id FROM contents WHERE content_id = ?').pluck(),
    damagedPacks: database
      .prepare('SELECT DISTINCT pack FROM contents JOIN records USING (record_id) WHERE is_damaged')
      .pluck(),
    dropRecord: database.prepare('DELETE FROM records WHERE record_id = ?'),
    directories: database
      .prepare(
        `SELECT directory_id FROM directories WHERE directory_id > ? AND parent_id != 0
             AND directory_id NOT IN (SELECT directory_id FROM unplaced_directories)
           ORDER BY directory_id LIMIT ?`,
      )
      .pluck(),
    dropDirectory: database.prepare('DELETE FROM directories WHERE directory_id = ?'),
    dropSkipSeal: database.prepare('DELETE FROM skip_seals WHERE directory_id = ?'),
  };
}

function removalStatements(database: SqlDatabase) {
  return {
    removePack: database.prepare('INSERT OR REPLACE INTO removed_packs VALUES (?, ?)'),
    removeObject: database.prepare('INSERT OR REPLACE INTO removed_objects VALUES (?, ?)'),
    loseContents: database.prepare(
      `UPDATE contents SET record_id = NULL, basis_id = NULL WHERE record_id IN (${IN_REMOVED})`,
    ),
    loseSignatures: database.prepare(`DELETE FROM signatures WHERE record_id IN (${IN_REMOVED})`),
    loseRecords: database.prepare(
      'DELETE FROM records WHERE pack IN (SELECT pack FROM removed_packs)',
    ),
    loseObject: database.prepare(
      `UPDATE contents SET record_id = NULL WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND digest = ?
           AND record_id IN (SELECT record_id FROM records WHERE pack = 0)`,
    ),
    removedPacks: database.prepare('SELECT pack FROM removed_packs ORDER BY pack').pluck(),
    duePacks: database
      .prepare(`SELECT pack FROM removed_packs WHERE ${IS_DUE} ORDER BY pack`)
      .pluck(),
    dueObjects: database
      .prepare(`SELECT digest FROM removed_objects WHERE ${IS_DUE} LIMIT ?`)
      .pluck(),
    metadataBytes: database.prepare('SELECT bytes FROM pack_metadata WHERE pack = ?').pluck(),
    putMetadataBytes: database.prepare('INSERT OR REPLACE INTO pack_metadata VALUES (?, ?)'),
    forgetMetadata: database.prepare('DELETE FROM pack_metadata WHERE pack = ?'),
    forgetPack: database.prepare('DELETE FROM removed_packs WHERE pack = ?'),
    forgetObject: database.prepare('DELETE FROM removed_objects WHERE digest = ?'),
    isObject: database
      .prepare(
        `SELECT 1 FROM contents JOIN records USING (record_id)
           WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND digest = ? AND pack = 0`,
      )
      .pluck(),
  };
}

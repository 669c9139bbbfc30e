/**
 * Queries for garbage collection: versions that no set shows, contents that no version names, and the places of
 * records that are still needed. Each query handles a bounded slice. The caller must hold the client's lock, and
 * no set may be open.
 */
import {
  type ContentId,
  type DirectoryId,
  NO_CONTENT,
  NO_RECORD_ID,
  type PackNumber,
  type RecordId,
  type RootNumber,
  type SetNumber,
} from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import type { IdSet } from './id-set.js';
import { pages } from './pages.js';
import { isShown } from './visible-sets.js';

/** Key of a row in a table of versions. */
export type EntryKey = readonly [directory: DirectoryId, name: Buffer, firstSet: SetNumber];

export const FIRST_ENTRY: EntryKey = [-1, Buffer.alloc(0), 0];

/** A version, and the content and directory that it needs. */
type EntryUse = [
  directory: DirectoryId,
  name: Buffer,
  firstSet: SetNumber,
  isOpen: number,
  contentId: ContentId | null,
  childId: DirectoryId | null,
];

type ContentUse = [contentId: ContentId, recordId: RecordId | null, sizeBytes: number];

/** A record with contents. */
export type RecordUse = [
  recordId: RecordId,
  kind: number,
  pack: PackNumber,
  position: number,
  recordBytes: number,
  rawBytes: number,
];

/** True for a version that has ended and that no listed set shows. */
const SHOWN_BY_NONE = `last_set IS NOT NULL AND NOT ${isShown({ table: 'entries' })}`;
const SEALS_SHOWN_BY_NONE = `last_set IS NOT NULL AND NOT ${isShown({ table: 'directory_seals' })}`;
const IS_DUE = 'removed_at_ms <= ? OR removed_at_ms > ?';
const IN_CUT = 'SELECT record_id FROM records WHERE pack = ? AND position >= ?';
const IN_REMOVED = 'SELECT record_id FROM records WHERE pack IN (SELECT pack FROM removed_packs)';

export class GcTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = { ...wasteStatements(database), ...removalStatements(database) };
  }

  /**
   * Deletes ended versions that no listed set shows, among the `limit` versions after `after`. Returns the key to
   * continue after; undefined at the end.
   */
  dropVersions(after: EntryKey, limit: number): EntryKey | undefined {
    const upTo = this.statements.key.get(...after, limit - 1);
    if (upTo === undefined) this.statements.dropRest.run(...after);
    else this.statements.dropUpTo.run(...after, ...upTo);
    return upTo;
  }

  /** Deletes superseded sets, and the ended seals of directories that no listed set shows. */
  deleteTheirSets(): void {
    this.statements.dropSeals.run();
    for (const statement of this.statements.dropSuperseded) statement.run();
  }

  /** Yields all versions. */
  entryUses(): Iterable<EntryUse[]> {
    const { entryUses } = this.statements;
    return pages(
      FIRST_ENTRY,
      (after, limit) => entryUses.all(...after, limit),
      ([directory, name, firstSet]) => [directory, name, firstSet] as const,
    );
  }

  /** Yields all contents, and the records that have them. */
  contentUses(): Iterable<ContentUse[]> {
    const { contentUses } = this.statements;
    return pages(
      NO_CONTENT,
      (...page) => contentUses.all(...page),
      ([contentId]) => contentId,
    );
  }

  /** Returns the basis of each delta, and the parts of each assembly. */
  needs(): IterableIterator<[contentId: ContentId, needed: ContentId]> {
    return this.statements.needs.iterate();
  }

  signatureUses(): IterableIterator<[contentId: ContentId, recordId: RecordId]> {
    return this.statements.signatures.iterate();
  }

  /** Yields all records with contents. */
  records(): Iterable<RecordUse[]> {
    return pages(
      NO_RECORD_ID,
      (...page) => this.statements.records.all(...page),
      ([recordId]) => recordId,
    );
  }

  /**
   * Deletes a content. Returns its digest if it was an object of its own, which is then unneeded; otherwise undefined.
   */
  dropContent(contentId: ContentId): Buffer | undefined {
    const object = this.statements.object.get(contentId);
    for (const statement of this.statements.dropContent) statement.run(contentId);
    return object;
  }

  /** True if the catalog reads the content from this record. */
  isIn(contentId: ContentId, recordId: RecordId): boolean {
    return this.statements.recordOf.get(contentId) === recordId;
  }

  /** Returns packs that hold contents marked as damaged. */
  damagedPacks(): PackNumber[] {
    return this.statements.damagedPacks.all();
  }

  dropRecord(recordId: RecordId): void {
    this.statements.dropRecord.run(recordId);
  }

  /** Yields the directories that are neither roots nor unplaced. */
  directories(): Iterable<DirectoryId[]> {
    return pages(0, (...page) => this.statements.directories.all(...page), Number);
  }

  dropDirectory(directory: DirectoryId): void {
    this.statements.dropDirectory.run(directory);
    this.statements.dropSkipSeal.run(directory);
  }

  /**
   * Records unneeded packs and objects for deletion. Contents that the catalog still locates in them count as missing.
   */
  remove(packs: readonly PackNumber[], objects: readonly Buffer[], nowMs: number): void {
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

  /**
   * Records that the bytes of a pack from `to` on are unneeded. Contents that the catalog still locates there count as
   * missing.
   */
  cut(pack: PackNumber, to: number): void {
    this.statements.cutContents.run(pack, to);
    this.statements.cutSignatures.run(pack, to);
    this.statements.cutRecords.run(pack, to);
  }

  /** Returns the number of bytes in a pack that are not contents; undefined if it is not known. */
  metadataBytes(pack: PackNumber): number | undefined {
    return this.statements.metadataBytes.get(pack);
  }

  putMetadataBytes(pack: PackNumber, bytes: number): void {
    this.statements.putMetadataBytes.run(pack, bytes);
  }

  removedPacks(): PackNumber[] {
    return this.statements.removedPacks.all();
  }

  /** True if packs or objects are waiting to be deleted. */
  isSomethingRemoved(): boolean {
    return this.statements.isRemoved.get() === 1;
  }

  /**
   * Returns the packs that were removed at least `graceMs` ago. If a removal lies more than `graceMs` in the future,
   * the clock was wrong, and its pack is returned too.
   */
  duePacks(nowMs: number, graceMs: number): PackNumber[] {
    return this.statements.duePacks.all(nowMs - graceMs, nowMs + graceMs);
  }

  dueObjects(nowMs: number, graceMs: number, limit: number): Buffer[] {
    return this.statements.dueObjects.all(nowMs - graceMs, nowMs + graceMs, limit);
  }

  removedObjects(): Buffer[] {
    return this.statements.removedObjects.all();
  }

  forgetPack(pack: PackNumber): void {
    this.statements.forgetPack.run(pack);
    this.statements.forgetMetadata.run(pack);
  }

  forgetObject(digest: Buffer): void {
    this.statements.forgetObject.run(digest);
  }

  /** True if the catalog has an object of its own as the place of a content. */
  isObject(digest: Buffer): boolean {
    return this.statements.isObject.get(digest, digest) !== undefined;
  }
}

function wasteStatements(database: SqlDatabase) {
  return { ...versionStatements(database), ...contentStatements(database) };
}

function versionStatements(database: SqlDatabase) {
  return {
    key: database.query(
      `SELECT directory_id, name, first_set FROM entries
           WHERE (directory_id, name, first_set) > (?, ?, ?)
           ORDER BY directory_id, name, first_set LIMIT 1 OFFSET ?`,
      ['integer', 'blob', 'integer'],
    ),
    dropUpTo: database.prepare(
      `DELETE FROM entries WHERE (directory_id, name, first_set) > (?, ?, ?)
           AND (directory_id, name, first_set) <= (?, ?, ?) AND ${SHOWN_BY_NONE}`,
    ),
    dropRest: database.prepare(
      `DELETE FROM entries WHERE (directory_id, name, first_set) > (?, ?, ?) AND ${SHOWN_BY_NONE}`,
    ),
    dropSeals: database.prepare(`DELETE FROM directory_seals WHERE ${SEALS_SHOWN_BY_NONE}`),
    dropSuperseded: [
      "DELETE FROM backup_sets WHERE state = 'superseded'",
      ...['set_roots', 'set_notes', 'set_seals', 'set_configs'].map(
        (table) =>
          `DELETE FROM ${table} WHERE set_number NOT IN (SELECT set_number FROM backup_sets)`,
      ),
    ].map((sql) => database.prepare(sql)),
    entryUses: database.query(
      `SELECT directory_id, name, first_set, last_set IS NULL, content_id, child_id FROM entries
           WHERE (directory_id, name, first_set) > (?, ?, ?)
           ORDER BY directory_id, name, first_set LIMIT ?`,
      ['integer', 'blob', 'integer', 'integer', 'content?', 'integer?'],
    ),
  };
}

function contentStatements(database: SqlDatabase) {
  return {
    contentUses: database.query(
      `SELECT content_id, record_id, size_bytes FROM contents
           WHERE content_id > ? ORDER BY content_id LIMIT ?`,
      ['content', 'record?', 'integer'],
    ),
    needs: database.query(
      `SELECT content_id, basis_id FROM contents WHERE basis_id IS NOT NULL
           UNION ALL SELECT content_id, part_id FROM content_parts`,
      ['content', 'content'],
    ),
    signatures: database.query('SELECT content_id, record_id FROM signatures', [
      'content',
      'record',
    ]),
    records: database.query(
      `SELECT record_id, kind, pack, position, record_bytes, raw_bytes FROM records
           WHERE record_id > ? ORDER BY record_id LIMIT ?`,
      ['record', 'integer', 'integer', 'integer', 'integer', 'integer'],
    ),
    object: database.query(
      'SELECT digest FROM contents JOIN records USING (record_id) WHERE content_id = ? AND pack = 0',
      'blob',
    ),
    dropContent: [
      'DELETE FROM contents WHERE content_id = ?',
      'DELETE FROM content_parts WHERE content_id = ?',
      'DELETE FROM part_sources WHERE content_id = ?',
      'DELETE FROM signatures WHERE content_id = ?',
      'DELETE FROM unproven_contents WHERE content_id = ?',
      'DELETE FROM unproven_signatures WHERE content_id = ?',
    ].map((sql) => database.prepare(sql)),
    recordOf: database.query('SELECT record_id FROM contents WHERE content_id = ?', 'record?'),
    damagedPacks: database.query(
      'SELECT DISTINCT pack FROM contents JOIN records USING (record_id) WHERE is_damaged',
      'integer',
    ),
    dropRecord: database.prepare('DELETE FROM records WHERE record_id = ?'),
    directories: database.query(
      `SELECT directory_id FROM directories WHERE directory_id > ? AND parent_id != 0
             AND directory_id NOT IN (SELECT directory_id FROM unplaced_directories)
           ORDER BY directory_id LIMIT ?`,
      'integer',
    ),
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
    cutContents: database.prepare(
      `UPDATE contents SET record_id = NULL, basis_id = NULL WHERE record_id IN (${IN_CUT})`,
    ),
    cutSignatures: database.prepare(`DELETE FROM signatures WHERE record_id IN (${IN_CUT})`),
    cutRecords: database.prepare('DELETE FROM records WHERE pack = ? AND position >= ?'),
    loseObject: database.prepare(
      `UPDATE contents SET record_id = NULL WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND digest = ?
           AND record_id IN (SELECT record_id FROM records WHERE pack = 0)`,
    ),
    removedPacks: database.query('SELECT pack FROM removed_packs ORDER BY pack', 'integer'),
    removedObjects: database.query('SELECT digest FROM removed_objects', 'blob'),
    isRemoved: database.query(
      'SELECT EXISTS (SELECT 1 FROM removed_packs UNION SELECT 1 FROM removed_objects)',
      'integer',
    ),
    duePacks: database.query(
      `SELECT pack FROM removed_packs WHERE ${IS_DUE} ORDER BY pack`,
      'integer',
    ),
    dueObjects: database.query(
      `SELECT digest FROM removed_objects WHERE ${IS_DUE} LIMIT ?`,
      'blob',
    ),
    metadataBytes: database.query('SELECT bytes FROM pack_metadata WHERE pack = ?', 'integer'),
    putMetadataBytes: database.prepare('INSERT OR REPLACE INTO pack_metadata VALUES (?, ?)'),
    forgetMetadata: database.prepare('DELETE FROM pack_metadata WHERE pack = ?'),
    forgetPack: database.prepare('DELETE FROM removed_packs WHERE pack = ?'),
    forgetObject: database.prepare('DELETE FROM removed_objects WHERE digest = ?'),
    isObject: database.query(
      `SELECT 1 FROM contents JOIN records USING (record_id)
           WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND digest = ? AND pack = 0`,
      'integer',
    ),
  };
}

/** An assembly or a delta, and a content that it needs. */
type ContentNeed = readonly [contentId: ContentId, needed: number];

/** Adds all contents to `contents` that its members need, directly or indirectly. */
export function addRests(needs: Iterable<ContentNeed>, contents: IdSet): void {
  const pairs = [...needs];
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const [contentId, rest] of pairs) {
      if (!contents.has(contentId) || contents.has(rest)) continue;
      contents.add(rest);
      isMore = true; // a content examined earlier may need this one
    }
  }
}

/**
 * Returns the number of decoded bytes of each record that contents use, at least 1, by record id. With `needed`, only
 * its contents count; otherwise all known contents.
 */
export async function measureRecords(
  { gc }: { readonly gc: GcTable },
  breathe: () => Promise<void> | undefined,
  needed?: IdSet,
): Promise<ReadonlyMap<RecordId, number>> {
  const counts = (contentId: ContentId): boolean => needed?.has(contentId) ?? true;
  const used = new Map<RecordId, number>();
  for (const page of gc.contentUses()) {
    for (const [contentId, recordId, sizeBytes] of page) {
      if (recordId !== null && counts(contentId))
        used.set(recordId, (used.get(recordId) ?? 0) + Math.max(1, sizeBytes));
    }
    await breathe();
  }
  for (const [contentId, recordId] of gc.signatureUses()) {
    if (counts(contentId)) used.set(recordId, 1);
  }
  return used;
}

/** An open version of a name, with the fields needed to close it. */
type OpenName = [name: Buffer, firstSet: SetNumber];

/** A root, its own directory, and the newest listed set that includes it. */
export interface RootUse {
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** The newest listed set that includes the root; 0 if there is none. */
  readonly newest: SetNumber;
}

export class UnlistedTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = openStatements(database);
  }

  /** Returns all roots. */
  roots(): RootUse[] {
    return this.statements.roots.all();
  }

  /** Yields all directories with their roots. */
  rootsOfDirectories(): Iterable<[directory: DirectoryId, root: RootNumber][]> {
    return pages(
      0,
      (...page) => this.statements.rootsOfDirectories.all(...page),
      ([directory]) => directory,
    );
  }

  /** Returns up to `limit` open versions in a directory that began after a set. */
  openSince(directory: DirectoryId, set: SetNumber, limit: number): OpenName[] {
    return this.statements.openSince.all(directory, set, limit);
  }

  /** True if a directory has an open seal that began after a set. */
  isSealOpenSince(directory: DirectoryId, set: SetNumber): boolean {
    return this.statements.sealSince.get(directory, set) !== undefined;
  }

  /** Returns unplaced directories without open entries, with their roots. Directories of roots are left out. */
  emptyUnplaced(): [directory: DirectoryId, root: RootNumber][] {
    return this.statements.emptyUnplaced.all();
  }
}

function openStatements(database: SqlDatabase) {
  return {
    roots: database.query(
      `SELECT root_id AS root, directory_id AS directory, coalesce((SELECT max(set_number)
         FROM set_roots JOIN backup_sets USING (set_number)
         WHERE set_roots.root_id = roots.root_id AND state != 'superseded'), 0) AS newest
       FROM roots`,
      { root: 'integer', directory: 'integer', newest: 'integer' },
    ),
    rootsOfDirectories: database.query(
      `SELECT directory_id, root_id FROM directories WHERE directory_id > ?
       ORDER BY directory_id LIMIT ?`,
      ['integer', 'integer'],
    ),
    openSince: database.query(
      `SELECT name, first_set FROM entries
       WHERE directory_id = ? AND last_set IS NULL AND first_set > ? ORDER BY name LIMIT ?`,
      ['blob', 'integer'],
    ),
    sealSince: database.query(
      'SELECT 1 FROM directory_seals WHERE directory_id = ? AND last_set IS NULL AND first_set > ?',
      'integer',
    ),
    emptyUnplaced: database.query(
      `SELECT directory_id, root_id FROM unplaced_directories JOIN directories USING (directory_id)
       WHERE parent_id != 0 AND NOT EXISTS (SELECT 1 FROM entries
         WHERE entries.directory_id = directories.directory_id AND last_set IS NULL)`,
      ['integer', 'integer'],
    ),
  };
}

/**
 * The catalog of one client: its tables and their transactions. A session keeps one transaction open from
 * checkpoint to checkpoint, so that the committed catalog never contains more than the packs on disk.
 */
import { asTardisError, systemCode, TardisError } from '../../errors/index.js';
import {
  type ContentId,
  contentIdOf,
  type DirectoryId,
  EntryType,
  type PackNumber,
  type RecordId,
  type SetNumber,
} from '../../model/index.js';
import type { SqlDatabase, SqlQuery, System } from '../../system/index.js';
import { GcTable, UnlistedTable } from './gc-queries.js';
import { HistoryTable } from './history.js';
import {
  closeAfterWriting,
  openForReading,
  openForWriting,
  openWithSums,
  type WrittenCatalog,
  type WritingOptions,
} from './open.js';
import { ImageLoader } from './recovery/image-loader.js';
import { ImageTable } from './recovery/image.js';
import { DifferingEntries, NamedEntries, ReportTable } from './reports.js';
import { SizeTable } from './sizes.js';
import { wrongColumns, wrongValues } from './soundness/wrong-values.js';
import { AccountTable } from './tables/accounts.js';
import { BasisTable } from './tables/bases.js';
import { ContentTable, NextId } from './tables/contents.js';
import { DirectoryTable } from './tables/directories.js';
import { EntryTable } from './tables/entries.js';
import { ForgetRequests } from './tables/forget-requests.js';
import { OwnerTable } from './tables/owners.js';
import { SealTable } from './tables/seals.js';
import { SetTable } from './tables/sets.js';
import { ClientSettings } from './tables/settings.js';
import { type CommitPoint, StateTable } from './tables/state.js';
import { foldWal, pragmaNumber } from './versions.js';

type TableClass<T> = new (database: SqlDatabase) => T;

/** The catalog of one client, open for reading or for writing. */
export class Catalog implements Disposable {
  readonly sets: SetTable;
  readonly directories: DirectoryTable;
  readonly entries: EntryTable;
  readonly contents: ContentTable;
  readonly bases: BasisTable;
  readonly owners: OwnerTable;
  readonly state: StateTable;
  /** The tables that were used, of those that not every catalog needs. */
  private readonly used = new Map<TableClass<object>, object>();

  private constructor(
    private readonly database: SqlDatabase,
    /** Undefined for a reader. */
    private readonly written: WrittenCatalog | undefined,
  ) {
    this.sets = new SetTable(database);
    this.directories = new DirectoryTable(database);
    this.entries = new EntryTable(database);
    this.contents = new ContentTable(database);
    this.bases = new BasisTable(database);
    this.owners = new OwnerTable(database);
    this.state = new StateTable(database);
  }

  get signatures(): SignatureTable {
    return this.table(SignatureTable);
  }

  get seals(): SealTable {
    return this.table(SealTable);
  }

  get named(): NamedEntries {
    return this.table(NamedEntries);
  }

  get sizes(): SizeTable {
    return this.table(SizeTable);
  }

  get differing(): DifferingEntries {
    return this.table(DifferingEntries);
  }

  get entryCounts(): EntryCounts {
    return this.table(EntryCounts);
  }

  get damageCounts(): DamageCounts {
    return this.table(DamageCounts);
  }

  get history(): HistoryTable {
    return this.table(HistoryTable);
  }

  get reports(): ReportTable {
    return this.table(ReportTable);
  }

  get settings(): ClientSettings {
    return this.table(ClientSettings);
  }

  /** Sets and contents that accounts of the client wrote; for writers only. */
  get accounts(): AccountTable {
    return this.table(AccountTable);
  }

  /** Pending forget requests. */
  get forgets(): ForgetRequests {
    return this.table(ForgetRequests);
  }

  /** Queries of garbage collection. Like `unshown`, `image` and `imageLoader`, they are for writers only. */
  get gc(): GcTable {
    return this.table(GcTable);
  }

  get unshown(): UnlistedTable {
    return this.table(UnlistedTable);
  }

  get image(): ImageTable {
    return this.table(ImageTable);
  }

  get bulk(): BulkRows {
    return this.table(BulkRows);
  }

  get imageLoader(): ImageLoader {
    return this.table(ImageLoader);
  }

  /** Returns a table, which is made at its first use. */
  private table<T extends object>(Table: TableClass<T>): T {
    const known = this.used.get(Table) as T | undefined;
    if (known !== undefined) return known;
    const table = new Table(this.database);
    this.used.set(Table, table);
    return table;
  }

  /**
   * Opens a catalog for writing. The caller must hold the client's lock. Throws CATALOG_NEWER for a later version,
   * CATALOG_OLDER for an earlier version that must not be upgraded, and CATALOG_DAMAGED for a damaged file.
   */
  static openForWriting(system: System, catalogPath: string, options?: WritingOptions): Catalog {
    const opened = openWithSums(system, catalogPath, options);
    return Catalog.around(opened.database, catalogPath, opened);
  }

  /**
   * Opens a temporary catalog for writing. Nothing is synced to disk. Throws the errors of `openForWriting`.
   */
  static openTemporary(system: System, catalogPath: string): Catalog {
    const database = openForWriting(system, catalogPath);
    database.pragma('synchronous = OFF');
    return Catalog.around(database, catalogPath, { database, sums: undefined });
  }

  /** Opens a catalog for reading. The reader sees committed data, even while a session writes. */
  static openForReading(system: System, catalogPath: string): Catalog {
    return Catalog.around(openForReading(system, catalogPath), catalogPath);
  }

  /**
   * Opens a catalog for reading while `look` runs. `look` must be synchronous, and its result must not need the
   * catalog.
   */
  static reading<T>(system: System, catalogPath: string, look: (catalog: Catalog) => T): T {
    using catalog = Catalog.openForReading(system, catalogPath);
    return look(catalog);
  }

  /** Returns the last commit in a catalog; zeros if there is none. */
  static lastCommit(system: System, catalogPath: string): CommitPoint {
    return Catalog.reading(system, catalogPath, ({ state }) => state.readCommitPoint());
  }

  private static around(
    database: SqlDatabase,
    catalogPath: string,
    opened?: WrittenCatalog,
  ): Catalog {
    try {
      return new Catalog(database, opened);
    } catch (error) {
      database.close();
      throw asTardisError(error, `opening ${catalogPath}`, 'readStore');
    }
  }

  begin(): void {
    this.database.exec('BEGIN IMMEDIATE');
  }

  /**
   * Begins a short read transaction. Without one, every statement locks and unlocks the file, which costs more
   * than the statement. The transaction must be short, since it can block a session that begins or ends.
   */
  beginReading(): void {
    if (!this.database.inTransaction) this.database.exec('BEGIN');
  }

  /**
   * Ends the read transaction, if there is one. Errors of SQLite are ignored: they repeat the damage that an earlier
   * statement has met.
   */
  endReading(): void {
    if (!this.database.inTransaction) return;
    try {
      this.database.exec('COMMIT');
    } catch (error) {
      if (systemCode(error)?.startsWith('SQLITE_') !== true) throw error;
      this.rollback(); // a reader has nothing to commit
    }
  }

  /** True if SQLite finds damage in the file: in its pages, its rows, or an index that lacks rows. */
  isDamaged(): boolean {
    return this.database.query('PRAGMA integrity_check(1)', 'text').get() !== 'ok';
  }

  /** Returns columns with values of types that no writer stores, as `table.column`. Reads all tables. */
  wrongColumns(): string[] {
    return wrongColumns(this.database);
  }

  /**
   * Returns the error to throw for an error that occurred while the catalog was read. This is CATALOG_DAMAGED if the
   * error looks like a bug and the catalog contains impossible values, which takes a read of all tables. Otherwise it
   * is the error itself.
   */
  explained(error: unknown): unknown {
    if (asTardisError(error).code !== 'INTERNAL') return error;
    const wrong = wrongValues(this.database);
    if (wrong.length === 0) return error;
    const message = `the catalog holds values that cannot be there, in ${wrong.join(', ')}`;
    return new TardisError('CATALOG_DAMAGED', message, {}, error);
  }

  /**
   * Returns the result of `explained` for a catalog that is not open. If opening or reading it throws CATALOG_DAMAGED,
   * returns that error. If it fails in another way, returns `error`.
   */
  static explainedAt(system: System, catalogPath: string, error: unknown): unknown {
    if (asTardisError(error).code !== 'INTERNAL') return error;
    try {
      return Catalog.reading(system, catalogPath, (catalog) => catalog.explained(error));
    } catch (failure) {
      return asTardisError(failure).code === 'CATALOG_DAMAGED' ? failure : error;
    }
  }

  /** Commits the transaction. Returns when it is durable. */
  commit(): void {
    this.database.exec('COMMIT');
  }

  rollback(): void {
    if (this.database.inTransaction) this.database.exec('ROLLBACK');
  }

  /** Runs `work` in a transaction. Commits it, or rolls it back if `work` throws. */
  async transact(work: () => Promise<void>): Promise<void> {
    this.begin();
    try {
      await work();
      this.commit();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Folds the write-ahead log into the file. Must be called between transactions. Returns false if a part of the log
   * stays, because the catalog is being read.
   */
  foldLog(): boolean {
    return this.folding(() => foldWal(this.database));
  }

  /** Number of bytes of the file that are in use. */
  get usedBytes(): number {
    const usedPages =
      pragmaNumber(this.database, 'page_count') - pragmaNumber(this.database, 'freelist_count');
    return usedPages * pragmaNumber(this.database, 'page_size');
  }

  /** Runs `fold`, which folds the log into the file, and updates the page checksums. */
  private folding<T>(fold: () => T): T {
    const sums = this.written?.sums;
    return sums === undefined ? fold() : sums.around(fold);
  }

  /** Closes the file by `close`; or without folding the log, if that fails before the file is closed. */
  private ending(close: () => void): void {
    try {
      this.rollback();
      this.folding(close);
    } finally {
      if (this.database.open) this.database.close();
    }
  }

  /** True if the changes since `begin` can still be committed. */
  get isInTransaction(): boolean {
    return this.database.inTransaction;
  }

  /**
   * Closes the catalog. A writer's log is folded into it. While the disk is too full for that, `makeRoom` is called,
   * which frees some space. If it returns false, the log stays.
   */
  close(makeRoom: () => boolean = () => false): void {
    if (this.written === undefined) {
      this.database.close();
      return;
    }
    this.ending(() => closeAfterWriting(this.database, makeRoom));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs work, and closes the catalog: if the work fails, as a crash would. */
  async closedAfter<T>(work: (catalog: Catalog) => Promise<T>): Promise<T> {
    try {
      const result = await work(this);
      this.close();
      return result;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Closes the file without cleaning up, as a crash would; for tests and after failures. */
  abandon(): void {
    this.database.close();
  }
}

/**
 * Inserts many rows by one statement. Its values are packed, and the addon's tables unpack them
 * (native/src/packed-tables.cc). A first backup takes half as long for its rows as with a statement for each.
 */
class BulkRows {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      entries: database.prepare(
        'INSERT INTO packed_entries (rows, places, set_number) VALUES (?, ?, ?)',
      ),
      contents: database.prepare('INSERT INTO packed_contents (frame, record_id) VALUES (?, ?)'),
    };
  }

  /**
   * Writes checked rows as the open versions of their names from `set` on, as `EntryTable.put` does. `places` has the
   * numbers of RowPlace for each row.
   */
  addEntries(rows: Uint8Array, places: Float64Array, set: SetNumber): void {
    const bytes = new Uint8Array(places.buffer, places.byteOffset, places.byteLength);
    this.statements.entries.run(rows, bytes, set);
  }

  /** Adds the contents of a checked index of a frame, all of them new. Returns the first of their consecutive ids. */
  addContents(index: Uint8Array, recordId: RecordId): ContentId {
    return contentIdOf(Number(this.statements.contents.run(index, recordId).lastInsertRowid));
  }
}

/** Counts the contents marked as damaged. The mark has no index, so they are counted in slices. */
class DamageCounts {
  private readonly ids: NextId;
  private readonly count: SqlQuery<number>;

  constructor(database: SqlDatabase) {
    this.ids = new NextId(database, 'contents', 'content_id');
    this.count = database.query(
      'SELECT total(is_damaged) FROM contents WHERE content_id >= ? AND content_id < ?',
      'real',
    );
  }

  /** Returns the first content id at or above `from`; undefined if there is none. */
  nextContent(from: ContentId): ContentId | undefined {
    const id = this.ids.from(from);
    return id === undefined ? undefined : contentIdOf(id);
  }

  /** Returns the number of damaged contents with ids from `from` to below `upTo`. */
  between(from: ContentId, upTo: ContentId): number {
    return this.count.get(from, upTo)!;
  }
}

interface VersionCounts {
  readonly all: number;
  /** Number of directories among the versions. */
  readonly directories: number;
}

/** Counts versions of entries, for the quotas of accounts. */
class EntryCounts {
  private readonly ids: NextId;
  private readonly count: SqlQuery<[all: number, directories: number]>;

  constructor(database: SqlDatabase) {
    this.ids = new NextId(database, 'entries', 'directory_id');
    this.count = database.query(
      'SELECT count(*), total(type = ?) FROM entries WHERE directory_id >= ? AND directory_id < ?',
      ['integer', 'real'],
    );
  }

  /** Returns the first directory with entries whose id is at or above `from`; undefined if there is none. */
  nextDirectory(from: DirectoryId): DirectoryId | undefined {
    return this.ids.from(from);
  }

  /** Counts the versions in directories with ids from `from` to below `upTo`. */
  between(from: DirectoryId, upTo: DirectoryId): VersionCounts {
    const [all, directories] = this.count.get(EntryType.directory, from, upTo)!;
    return { all, directories };
  }
}

/** The place of the record with a signature. */
interface StoredSignature {
  readonly pack: PackNumber;
  readonly position: number;
  readonly recordBytes: number;
  /** Size of the signature itself. */
  readonly rawBytes: number;
}

/** Places of the signatures of contents. */
class SignatureTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      put: database.prepare(
        'INSERT OR REPLACE INTO signatures (content_id, record_id) VALUES (?, ?)',
      ),
      find: database.query(
        `SELECT pack, position, record_bytes AS recordBytes, raw_bytes AS rawBytes
         FROM signatures JOIN records USING (record_id) WHERE content_id = ?`,
        { pack: 'integer', position: 'integer', recordBytes: 'integer', rawBytes: 'integer' },
      ),
    };
  }

  put(contentId: ContentId, recordId: RecordId): void {
    this.statements.put.run(contentId, recordId);
  }

  find(contentId: ContentId): StoredSignature | undefined {
    return this.statements.find.get(contentId);
  }
}

/**
 * The catalog of one client: its tables behind one transaction. A session holds one transaction open
 * from checkpoint to checkpoint, so that what is committed never knows more than the disk holds.
 */
import { asTardisError } from '../errors/index.js';
import type { SqlDatabase, System } from '../system/index.js';
import { BasisTable } from './bases.js';
import { ContentTable } from './contents.js';
import { DirectoryTable } from './directories.js';
import { EntryCounts } from './entry-counts.js';
import { EntryTable } from './entries.js';
import { HistoryTable } from './history.js';
import { closeAfterWriting, openForReading, openForWriting } from './open.js';
import { OwnerTable } from './owners.js';
import { SealTable } from './seals.js';
import { SetTable } from './sets.js';
import { SignatureTable } from './signatures.js';
import { StateTable } from './state.js';

export class Catalog {
  readonly sets: SetTable;
  readonly directories: DirectoryTable;
  readonly entries: EntryTable;
  readonly contents: ContentTable;
  readonly bases: BasisTable;
  readonly owners: OwnerTable;
  readonly state: StateTable;
  private signatureTable: SignatureTable | undefined;
  private sealTable: SealTable | undefined;
  private entryCountsTable: EntryCounts | undefined;
  private historyTable: HistoryTable | undefined;
  private readonly database: SqlDatabase;
  private readonly isWriter: boolean;

  private constructor(database: SqlDatabase, isWriter: boolean) {
    this.database = database;
    this.isWriter = isWriter;
    this.sets = new SetTable(database);
    this.directories = new DirectoryTable(database);
    this.entries = new EntryTable(database);
    this.contents = new ContentTable(database);
    this.bases = new BasisTable(database);
    this.owners = new OwnerTable(database);
    this.state = new StateTable(database);
  }

  /** For writers: a catalog of the first version, which may be read as it is, has none. */
  get signatures(): SignatureTable {
    this.signatureTable ??= new SignatureTable(this.database);
    return this.signatureTable;
  }

  /** Not there in a catalog of an older version, which no encrypting client has. */
  get seals(): SealTable {
    this.sealTable ??= new SealTable(this.database);
    return this.sealTable;
  }

  get entryCounts(): EntryCounts {
    this.entryCountsTable ??= new EntryCounts(this.database);
    return this.entryCountsTable;
  }

  /** Of a catalog of the newest version. */
  get history(): HistoryTable {
    this.historyTable ??= new HistoryTable(this.database);
    return this.historyTable;
  }

  /** For the holder of the client's lock. Throws CATALOG_NEWER, CATALOG_DAMAGED. */
  static openForWriting(system: System, catalogPath: string, cacheBytes?: number): Catalog {
    return Catalog.around(openForWriting(system, catalogPath, cacheBytes), catalogPath, true);
  }

  /** Sees what is committed, also while a session writes. */
  static openForReading(system: System, catalogPath: string): Catalog {
    return Catalog.around(openForReading(system, catalogPath), catalogPath, false);
  }

  private static around(database: SqlDatabase, catalogPath: string, isWriter: boolean): Catalog {
    try {
      return new Catalog(database, isWriter);
    } catch (error) {
      database.close();
      throw asTardisError(error, `opening ${catalogPath}`);
    }
  }

  begin(): void {
    this.database.exec('BEGIN IMMEDIATE');
  }

  /**
   * A short transaction for reading: without one, every statement takes and gives back the file's
   * locks, which costs more than the statement. It must be short, since it can hold up a session
   * that begins or ends.
   */
  beginReading(): void {
    if (!this.database.inTransaction) this.database.exec('BEGIN');
  }

  endReading(): void {
    if (this.database.inTransaction) this.database.exec('COMMIT');
  }

  /** Returns when the transaction is durable. */
  commit(): void {
    this.database.exec('COMMIT');
  }

  rollback(): void {
    if (this.database.inTransaction) this.database.exec('ROLLBACK');
  }

  /** Moves the write-ahead log into the file; call between transactions. */
  foldLog(): void {
    this.database.pragma('wal_checkpoint(PASSIVE)');
  }

  close(): void {
    if (!this.isWriter) {
      this.database.close();
      return;
    }
    this.rollback();
    closeAfterWriting(this.database);
  }

  /** Lets go of the file without tidying up, as a crash would: for tests and after failures. */
  abandon(): void {
    this.database.close();
  }
}

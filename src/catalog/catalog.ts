/**
 * The catalog of one client: its tables behind one transaction. A session holds one transaction open
 * from checkpoint to checkpoint, so that what is committed never knows more than the disk holds.
 */
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import type { SqlDatabase, System } from '../system/index.js';
import { BasisTable } from './bases.js';
import { ContentTable } from './contents.js';
import { DifferingEntries } from './differing-entries.js';
import { DamageCounts } from './damage-counts.js';
import { DirectoryTable } from './directories.js';
import { EntryCounts } from './entry-counts.js';
import { EntryTable } from './entries.js';
import { ForgetRequests } from './forget-requests.js';
import { HistoryTable } from './history.js';
import { closeAfterWriting, openForReading, openForWriting, type WritingOptions } from './open.js';
import { OwnerTable } from './owners.js';
import { SealTable } from './seals.js';
import { SetTable } from './sets.js';
import { ReportTable } from './reports.js';
import { KeptSettings } from './settings.js';
import { SignatureTable } from './signatures.js';
import { StateTable } from './state.js';
import { UpkeepTable } from './upkeep.js';
import { ImageTable } from './image.js';

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
  private damageCountsTable: DamageCounts | undefined;
  private entryCountsTable: EntryCounts | undefined;
  private differingEntries: DifferingEntries | undefined;
  private historyTable: HistoryTable | undefined;
  private reportTable: ReportTable | undefined;
  private settingsTable: KeptSettings | undefined;
  private forgetRequests: ForgetRequests | undefined;
  private upkeepTable: UpkeepTable | undefined;
  private imageTable: ImageTable | undefined;
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

  get differing(): DifferingEntries {
    this.differingEntries ??= new DifferingEntries(this.database);
    return this.differingEntries;
  }

  get entryCounts(): EntryCounts {
    this.entryCountsTable ??= new EntryCounts(this.database);
    return this.entryCountsTable;
  }

  get damageCounts(): DamageCounts {
    this.damageCountsTable ??= new DamageCounts(this.database);
    return this.damageCountsTable;
  }

  /** Of a catalog of the newest version. */
  get history(): HistoryTable {
    this.historyTable ??= new HistoryTable(this.database);
    return this.historyTable;
  }

  get reports(): ReportTable {
    this.reportTable ??= new ReportTable(this.database);
    return this.reportTable;
  }

  get settings(): KeptSettings {
    this.settingsTable ??= new KeptSettings(this.database);
    return this.settingsTable;
  }

  /** What is to be forgotten. */
  get forgets(): ForgetRequests {
    this.forgetRequests ??= new ForgetRequests(this.database);
    return this.forgetRequests;
  }

  /** For writers, like those below. */
  get upkeep(): UpkeepTable {
    this.upkeepTable ??= new UpkeepTable(this.database);
    return this.upkeepTable;
  }

  get image(): ImageTable {
    this.imageTable ??= new ImageTable(this.database);
    return this.imageTable;
  }

  /** For the holder of the client's lock. Throws CATALOG_NEWER, CATALOG_OLDER, CATALOG_DAMAGED. */
  static openForWriting(system: System, catalogPath: string, options?: WritingOptions): Catalog {
    return Catalog.around(openForWriting(system, catalogPath, options), catalogPath, true);
  }

  /** One that is thrown away afterwards: nothing of it needs to last. Throws what `openForWriting` throws. */
  static openTemporary(system: System, catalogPath: string): Catalog {
    const database = openForWriting(system, catalogPath);
    database.pragma('synchronous = OFF');
    return Catalog.around(database, catalogPath, true);
  }

  /** Sees what is committed, also while a session writes. */
  static openForReading(system: System, catalogPath: string): Catalog {
    return Catalog.around(openForReading(system, catalogPath), catalogPath, false);
  }

  /** Opens for reading while `look` runs, which waits for nothing: what it returns may not need the catalog any more. */
  static reading<T>(system: System, catalogPath: string, look: (catalog: Catalog) => T): T {
    const catalog = Catalog.openForReading(system, catalogPath);
    try {
      return look(catalog);
    } finally {
      catalog.close();
    }
  }

  private static around(database: SqlDatabase, catalogPath: string, isWriter: boolean): Catalog {
    try {
      return new Catalog(database, isWriter);
    } catch (error) {
      database.close();
      if (systemCode(error) !== 'SQLITE_ERROR')
        throw asTardisError(error, `opening ${catalogPath}`);
      // Our statements are right, so its tables are not.
      throw new TardisError('CATALOG_DAMAGED', `${catalogPath} has other tables`, {}, error);
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

  /** Whether SQLite finds something wrong with its file. */
  isDamaged(): boolean {
    return this.database.prepare('PRAGMA quick_check(1)').pluck().get() !== 'ok';
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

  /** Whether what was changed since `begin` is still there to be committed. */
  get isInTransaction(): boolean {
    return this.database.inTransaction;
  }

  /** `makeRoom`: for a writer whose disk is full; false: there is no more. */
  close(makeRoom: () => boolean = () => false): void {
    if (!this.isWriter) {
      this.database.close();
      return;
    }
    this.rollback();
    closeAfterWriting(this.database, makeRoom);
  }

  /** Lets go of the file without tidying up, as a crash would: for tests and after failures. */
  abandon(): void {
    this.database.close();
  }
}

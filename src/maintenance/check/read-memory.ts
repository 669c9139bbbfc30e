/**
 * Stores when each record was last read and found right, in a file beside the catalog. The file is only a hint:
 * if it is lost or unreadable, the next check begins anew. If it cannot be written, as on a full disk, nothing
 * is remembered.
 */
import path from 'node:path';
import { fromSystem, isDiskFull, systemCode } from '../../errors/index.js';
import { removeDatabase } from '../../store/catalog/index.js';
import { CHECKED_FILE, PACKS_PREFIX } from '../../store/index.js';
import type { SqlDatabase, SqlQuery, SqlValue, System } from '../../system/index.js';

/** Number of rows written in one transaction. */
const BATCH = 1024;
const VERSION = 1;
const TABLE =
  'CREATE TABLE reads (object TEXT, position INTEGER, read_at_ms INTEGER NOT NULL, PRIMARY KEY (object, position)) WITHOUT ROWID';

export class ReadMemory {
  private waiting: { object: string; position: number; atMs: number }[] = [];
  private database: SqlDatabase | undefined;
  private find: SqlQuery<SqlValue> | undefined;
  /** True if nothing more is written, because the disk is full or another check writes to the file. */
  private isStopped = false;

  private constructor(
    private readonly system: System,
    private readonly file: string,
    database: SqlDatabase | undefined,
  ) {
    this.use(database);
  }

  /** Opens or creates the file in `folder`, the client's directory. */
  static open(system: System, folder: string): ReadMemory {
    const file = path.join(folder, CHECKED_FILE);
    if (!system.files.isWritable(folder)) return new ReadMemory(system, file, undefined);
    try {
      return new ReadMemory(system, file, openFile(system, file));
    } catch (error) {
      const isBusy = systemCode(error)?.startsWith('SQLITE_BUSY') === true; // another check writes to it
      if (isBusy || isDiskFull(error)) return new ReadMemory(system, file, undefined);
      // The file is damaged, or of another version. It is created anew, which loses nothing important.
      return new ReadMemory(system, file, openAnew(system, file));
    }
  }

  private use(database: SqlDatabase | undefined): void {
    this.database = database;
    this.find = database?.query(
      'SELECT read_at_ms FROM reads WHERE object = ? AND position = ?',
      'any',
    );
  }

  /** True if nothing more of this run is stored. */
  get isForgetful(): boolean {
    return this.database === undefined || this.isStopped;
  }

  /** Returns the time at which a record was last read, in ms since 1970; 0 if never, or if the time is unknown. */
  readAtMs(object: string, position: number): number {
    const atMs = this.orAnew(() => this.find?.get(object, position));
    return typeof atMs === 'number' && Number.isSafeInteger(atMs) ? atMs : 0;
  }

  note(object: string, position: number, atMs: number): void {
    if (this.isForgetful) return;
    this.waiting.push({ object, position, atMs });
    if (this.waiting.length >= BATCH) this.flush();
  }

  /** Deletes the rows of packs that no longer exist. */
  keepOnly(packs: ReadonlySet<string>): void {
    this.orAnew((database) => {
      const known = database.query('SELECT DISTINCT object FROM reads', 'any').all();
      const remove = database.prepare('DELETE FROM reads WHERE object = ?');
      for (const object of known) {
        const isGone = typeof object !== 'string' || (isInPack(object) && !packs.has(object));
        if (isGone) remove.run(object);
      }
    });
  }

  close(): void {
    try {
      this.flush();
    } finally {
      this.database?.close();
    }
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = [];
    if (waiting.length === 0 || this.isStopped) return;
    this.orAnew((database) => {
      const put = database.prepare('INSERT OR REPLACE INTO reads VALUES (?, ?, ?)');
      database.exec('BEGIN IMMEDIATE');
      for (const { object, position, atMs } of waiting) put.run(object, position, atMs);
      database.exec('COMMIT');
    });
  }

  /** Writes the pending rows. Returns true if the file contains everything that was read. */
  settle(): boolean {
    this.flush();
    return !this.isForgetful;
  }

  /**
   * Returns the result of a query; undefined if there is no file or the query fails. If SQLite finds damage, the file
   * is created anew. After any other error of the system, nothing more is written.
   */
  private orAnew<T>(work: (database: SqlDatabase) => T): T | undefined {
    const { database, system, file } = this;
    if (database === undefined) return undefined;
    try {
      return work(database);
    } catch (error) {
      if (!isDamage(error)) {
        if (fromSystem(error) === undefined) throw error;
        this.isStopped = true;
        if (database.inTransaction) database.exec('ROLLBACK');
        return undefined;
      }
      this.use(undefined);
      database.close();
      this.use(openAnew(system, file));
      return undefined;
    }
  }
}

function isInPack(object: string): boolean {
  return object.startsWith(PACKS_PREFIX);
}

function isDamage(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  return code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB');
}

/** Creates the file anew. Returns undefined if that fails, for example on a full disk. Then nothing is remembered. */
function openAnew(system: System, file: string): SqlDatabase | undefined {
  try {
    removeDatabase(system, file);
    return openFile(system, file);
  } catch {
    return undefined; // the file only saves reading: without it, a check reads everything
  }
}

function openFile(system: System, file: string): SqlDatabase {
  const database = system.openDatabase(file, { readonly: false });
  try {
    database.pragma('synchronous = OFF'); // the file is not synced, since it may be lost
    const versionNow = (): unknown => database.pragma('user_version', { simple: true });
    if (versionNow() === 0) {
      database.exec('BEGIN IMMEDIATE'); // another first check may create the table at the same time
      if (versionNow() === 0) database.exec(`${TABLE}; PRAGMA user_version = ${VERSION}`);
      database.exec('COMMIT');
    }
    if (versionNow() !== VERSION) throw new Error('another version');
    const tables = database.query('SELECT sql FROM sqlite_schema', 'text?').all();
    const isWhole = database.query('PRAGMA quick_check(1)', 'any').get() === 'ok';
    if (!isWhole || tables.length !== 1 || tables[0] !== TABLE) throw new Error('damaged');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

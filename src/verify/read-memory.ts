/**
 * When which record was last read and found right: a file beside the catalog, and never more than a hint. Lost or unreadable,
 * the next check begins anew; where it cannot be written, nothing is remembered.
 */
import path from 'node:path';
import { CHECKED_FILE } from '../store/index.js';
import type { SqlDatabase, SqlStatement, System } from '../system/index.js';

/** Written together. */
const BATCH = 1024;
const VERSION = 1;

export class ReadMemory {
  private waiting: { object: string; position: number; atMs: number }[] = [];
  private readonly database: SqlDatabase | undefined;
  private readonly find: SqlStatement | undefined;

  private constructor(database: SqlDatabase | undefined) {
    this.database = database;
    this.find = database
      ?.prepare('SELECT read_at_ms FROM reads WHERE object = ? AND position = ?')
      .pluck();
  }

  /** `folder`: the client's. */
  static open(system: System, folder: string): ReadMemory {
    if (!system.files.isWritable(folder)) return new ReadMemory(undefined);
    const file = path.join(folder, CHECKED_FILE);
    try {
      return new ReadMemory(openFile(system, file));
    } catch {
      // Damaged, or of another version: it is no loss.
      for (const suffix of ['', '-journal', '-wal', '-shm']) {
        if (system.files.status(file + suffix) !== undefined) system.files.unlink(file + suffix);
      }
      return new ReadMemory(openFile(system, file));
    }
  }

  /** Nothing is kept of this run. */
  get isForgetful(): boolean {
    return this.database === undefined;
  }

  /** 0: never. */
  readAtMs(object: string, position: number): number {
    return (this.find?.get(object, position) as number | undefined) ?? 0;
  }

  note(object: string, position: number, atMs: number): void {
    if (this.database === undefined) return;
    this.waiting.push({ object, position, atMs });
    if (this.waiting.length >= BATCH) this.flush();
  }

  /** Forgets packs that are no longer there. */
  keepOnly(packs: ReadonlySet<string>): void {
    const { database } = this;
    if (database === undefined) return;
    const known = database.prepare('SELECT DISTINCT object FROM reads').pluck().all() as string[];
    const remove = database.prepare('DELETE FROM reads WHERE object = ?');
    for (const object of known) {
      if (object.startsWith('packs/') && !packs.has(object)) remove.run(object);
    }
  }

  close(): void {
    if (this.database === undefined) return;
    try {
      this.flush();
    } finally {
      this.database.close();
    }
  }

  private flush(): void {
    const { database, waiting } = this;
    this.waiting = [];
    if (database === undefined || waiting.length === 0) return;
    const put = database.prepare('INSERT OR REPLACE INTO reads VALUES (?, ?, ?)');
    database.exec('BEGIN IMMEDIATE');
    for (const { object, position, atMs } of waiting) put.run(object, position, atMs);
    database.exec('COMMIT');
  }
}

function openFile(system: System, file: string): SqlDatabase {
  const database = system.openDatabase(file, { readonly: false });
  try {
    database.pragma('synchronous = OFF'); // it may be lost
    const version = database.pragma('user_version', { simple: true });
    if (version === 0) {
      database.exec(`CREATE TABLE reads (object TEXT, position INTEGER, read_at_ms INTEGER NOT NULL,
        PRIMARY KEY (object, position)) WITHOUT ROWID`);
      database.pragma(`user_version = ${VERSION}`);
    } else if (version !== VERSION) throw new Error('another version');
    database.prepare('SELECT count(*) FROM reads').get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

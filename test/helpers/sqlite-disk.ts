/**
 * Records SQLite's own calls on its files and makes them fail, with the test extension
 * native/testing/sqlite-disk.cc.
 */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import type { ForeignAct } from '../support/disk-trace.js';

const EXTENSION = path.join(process.cwd(), 'native', 'build', 'Release', 'sqlite_disk.so');
const ACTS = [undefined, 'create', 'write', 'resize', 'sync', 'remove', 'syncDirectory'] as const;
const HEAD_BYTES = 20;

/** The failure of a call of SQLite: a full disk, or a broken one. */
export type SqliteFailure = 'full' | 'error';

/** Watches SQLite's files below one directory. Several instances may watch, each a directory of its own. */
export class SqliteDisk {
  private readonly control = new Database(':memory:');

  constructor(directory: string) {
    this.control.loadExtension(EXTENSION);
    this.query('disk_watch(?)', realpathSync(directory));
  }

  /** Returns the changes since the last call. */
  take(): ForeignAct[] {
    const reported = this.query('disk_take()') as Buffer;
    const acts: ForeignAct[] = [];
    for (let at = 0; at < reported.length; ) {
      const [pathBytes, bytes] = [reported.readUInt32LE(at + 4), reported.readUInt32LE(at + 16)];
      const act = ACTS[reported[at]!];
      if (act === undefined) throw new Error('an act of SQLite that nobody knows');
      const dataAt = at + HEAD_BYTES + pathBytes;
      acts.push({
        act,
        path: reported.toString('utf8', at + HEAD_BYTES, dataAt),
        position: Number(reported.readBigUInt64LE(at + 8)),
        bytes: reported.subarray(dataAt, dataAt + bytes),
      });
      at = dataAt + bytes;
    }
    return acts;
  }

  /** Makes the call `at` from now on fail (1 is the next); with `lasts` all later ones too. */
  failAt(at: number, how: SqliteFailure, more: { lasts?: boolean; isShort?: boolean } = {}): void {
    const { lasts = false, isShort = false } = more;
    this.query('disk_fault(?, ?, ?, ?)', at, how, Number(lasts), Number(isShort));
  }

  /** Number of calls since `failAt`. */
  get calls(): number {
    return this.query('disk_calls()') as number;
  }

  /** The call that failed first; undefined if none did. */
  get hit(): string | undefined {
    return (this.query('disk_hit()') as string | null) ?? undefined;
  }

  close(): void {
    this.control.close();
  }

  private query(what: string, ...values: (string | number)[]): unknown {
    return this.control
      .prepare(`SELECT ${what}`)
      .pluck()
      .get(...values);
  }
}

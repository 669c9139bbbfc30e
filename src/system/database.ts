/** SQLite behind an interface, so that a test can fail or kill at the n-th statement. */
import type SqliteDatabase from 'better-sqlite3';
import fs from 'node:fs';
import nodePath from 'node:path';
import { createRequire } from 'node:module';
import { exactPath, hasStrayBytes } from './process-input.js';

const require = createRequire(import.meta.url);

export type SqlValue = number | bigint | string | Uint8Array | null;

export interface SqlStatement {
  run(...values: SqlValue[]): { changes: number; lastInsertRowid: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  iterate(...values: SqlValue[]): IterableIterator<unknown>;
  /** Integers come as bigint. */
  safeIntegers(): SqlStatement;
  /** Rows come as arrays. */
  raw(): SqlStatement;
  /** Rows come as their first column. */
  pluck(): SqlStatement;
}

export interface SqlDatabase {
  prepare(sql: string): SqlStatement;
  exec(sql: string): unknown;
  pragma(text: string, options?: { simple?: boolean }): unknown;
  close(): unknown;
  readonly inTransaction: boolean;
}

export interface OpenDatabaseOptions {
  readonly readonly: boolean;
}

/** How long a statement waits for another process's lock before it fails as busy. */
const LOCK_TIMEOUT_MS = 5000;

/** Opens (when not read-only: makes) a database file; `path` is byte text. Throws SQLite's errors. */
export function openSqlite(
  path: string,
  options: OpenDatabaseOptions & { readonly umask: number },
): SqlDatabase {
  // SQLite makes files for everybody to read; its journals take after the database.
  if (!options.readonly) fs.closeSync(fs.openSync(exactPath(path), 'a', 0o666 & ~options.umask));
  if (!hasStrayBytes(path)) return open(path, options);
  // The library takes UTF-8 only; SQLite itself follows this link to whatever bytes it leads to.
  const fd = fs.openSync(
    exactPath(nodePath.dirname(path)),
    fs.constants.O_RDONLY | fs.constants.O_DIRECTORY,
  );
  try {
    return open(`/proc/self/fd/${fd}/${nodePath.basename(path)}`, options);
  } finally {
    fs.closeSync(fd);
  }
}

function open(path: string, options: OpenDatabaseOptions): SqlDatabase {
  // Loaded by who opens a catalog: a client does not.
  const Database = require('better-sqlite3') as typeof SqliteDatabase;
  try {
    return new Database(path, {
      readonly: options.readonly,
      fileMustExist: options.readonly,
      timeout: LOCK_TIMEOUT_MS,
    });
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('bindings file')) throw error;
    throw Object.assign(new Error('SQLite is not built for this version of Node'), {
      code: 'ERR_NATIVE_MISSING',
    });
  }
}

/** SQLite behind an interface, so that a test can fail or kill at the n-th statement. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import type SqliteDatabase from 'better-sqlite3';
import { filesWith } from './files.js';
import {
  onGuardedWay,
  openOnWay,
  requirePlain,
  requirePlainAt,
  type Way,
} from './guarded-paths.js';
import { O_PATH } from './ways.js';
import { MediumFault } from './medium-fault.js';
import { addonPath, notLoaded } from './native.js';
import { hasStrayBytes } from './process-input.js';
import { type RowOf, type RowShape, shaped, type SqlQuery } from './row-shapes.js';
import { makeUnlessThere } from './small-files.js';
import './whole-addons.js';

const require = createRequire(import.meta.url);

export type SqlValue = number | bigint | string | Uint8Array | null;

export interface SqlStatement {
  run(...values: SqlValue[]): { changes: number; lastInsertRowid: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  iterate(...values: SqlValue[]): IterableIterator<unknown>;
  /** Makes the statement return integers as bigint. */
  safeIntegers(): SqlStatement;
  /** Makes the statement return rows as arrays. */
  raw(): SqlStatement;
  /** Makes the statement return only the first column of each row. */
  pluck(): SqlStatement;
}

export interface SqlDatabase extends Disposable {
  /** Returns a statement that returns no rows, or whose rows may be anything. */
  prepare(sql: string): SqlStatement;
  /** Returns a query whose rows have a shape. */
  query<const Shape extends RowShape>(sql: string, shape: Shape): SqlQuery<RowOf<Shape>>;
  /**
   * Lets statements use the tables of the addon (native/src/packed-tables.cc). From then on, closing leaves the log beside
   * the file, also where a thread or the process ends.
   */
  extend(): void;
  exec(sql: string): unknown;
  pragma(text: string, options?: { simple?: boolean }): unknown;
  close(): unknown;
  /** False after `close`. */
  readonly open: boolean;
  readonly inTransaction: boolean;
}

export interface OpenDatabaseOptions {
  readonly readonly: boolean;
}

/** Suffixes of the files beside a database that SQLite opens by itself. */
const LOGS = ['-journal', '-wal'] as const;

/** Milliseconds that a statement waits for the lock of another process before it fails as busy. */
const LOCK_TIMEOUT_MS = 5000;

/**
 * Opens a database file, and creates it unless read-only; `path` is byte text. Throws SQLite's errors, and STORE_UNSAFE
 * if the database or a log of it is no plain file.
 */
export function openSqlite(
  path: string,
  options: OpenDatabaseOptions & { readonly umask: number },
): SqlDatabase {
  const fault = new MediumFault(path, () => openUnexplained(path, { ...options, readonly: true }));
  return explained(
    fault.explaining(() => openUnexplained(path, options)),
    fault,
  );
}

function openUnexplained(
  path: string,
  options: OpenDatabaseOptions & { readonly umask: number },
): SqlDatabase {
  // SQLite creates world-readable files; its journals get the permissions and the owner of the database.
  if (!options.readonly) {
    const files = filesWith(options.umask);
    makeUnlessThere(files, path, () => files.close(files.open(path, 'create')));
  }
  for (const suffix of ['', ...LOGS]) requirePlainAt(path + suffix);
  return onGuardedWay(path, options.readonly ? 'read' : 'write', (way) => {
    if (!options.readonly) fs.accessSync(way.at, fs.constants.W_OK); // otherwise SQLite opens it and fails at the first change
    const fd = pinned(path, way);
    if (fd === undefined) return open(path, options);
    try {
      return open(`/proc/self/fd/${fd}`, options);
    } finally {
      fs.closeSync(fd);
    }
  });
}

/** Returns a database whose errors of the disk are known as such, and whose statements are compiled at first use. */
function explained(database: SqlDatabase, fault: MediumFault): SqlDatabase {
  const prepare = database.prepare.bind(database);
  explainCalls(database, ['exec', 'pragma'], fault);
  database.prepare = (sql) => new LateStatement(() => prepare(sql), fault);
  database.query = (sql, shape) => shaped(database.prepare(sql), shape);
  return database;
}

/**
 * A statement that is compiled when it is first used. A catalog has over a hundred statements, of which a command uses a
 * few; to compile one takes 20 µs. An error of its text is thrown by the first use. Calls are not wrapped by functions of
 * their own, since a session makes one for each directory.
 */
class LateStatement implements SqlStatement {
  private compiled: SqlStatement | undefined;
  private readonly forms: ('safeIntegers' | 'raw' | 'pluck')[] = [];

  constructor(
    private readonly compile: () => SqlStatement,
    private readonly fault: MediumFault,
  ) {}

  private made(): SqlStatement {
    const compiled = this.compile();
    for (const form of this.forms) compiled[form]();
    this.compiled = compiled;
    return compiled;
  }

  run(...values: SqlValue[]): ReturnType<SqlStatement['run']> {
    try {
      return (this.compiled ?? this.made()).run(...values);
    } catch (error) {
      throw this.fault.explain(error);
    }
  }

  get(...values: SqlValue[]): unknown {
    try {
      return (this.compiled ?? this.made()).get(...values);
    } catch (error) {
      throw this.fault.explain(error);
    }
  }

  all(...values: SqlValue[]): unknown[] {
    try {
      return (this.compiled ?? this.made()).all(...values);
    } catch (error) {
      throw this.fault.explain(error);
    }
  }

  iterate(...values: SqlValue[]): IterableIterator<unknown> {
    try {
      const rows = (this.compiled ?? this.made()).iterate(...values);
      return explainCalls(rows, ['next'], this.fault);
    } catch (error) {
      throw this.fault.explain(error);
    }
  }

  safeIntegers(): this {
    this.forms.push('safeIntegers');
    return this;
  }

  raw(): this {
    this.forms.push('raw');
    return this;
  }

  pluck(): this {
    this.forms.push('pluck');
    return this;
  }
}

/** Makes calls of an object explain what they throw. Returns the object. */
function explainCalls<T extends object>(of: T, names: readonly (keyof T)[], fault: MediumFault): T {
  for (const name of names) {
    const call = of[name] as (...values: unknown[]) => unknown;
    const explaining = (...values: unknown[]): unknown => {
      try {
        return Reflect.apply(call, of, values);
      } catch (error) {
        throw fault.explain(error);
      }
    };
    Object.defineProperty(of, name, { value: explaining });
  }
  return of;
}

/**
 * Opens the file of a database with O_PATH. SQLite then opens /proc/self/fd/N and resolves it to the true path: it
 * follows no link from there, and accepts any bytes. An ordinary descriptor would not do, because closing it drops
 * SQLite's locks on the file.
 *
 * Returns undefined if SQLite can open the path itself: it is not guarded, and is UTF-8. Throws STORE_UNSAFE if a
 * guarded path is no plain file.
 */
function pinned(path: string, way: Way): number | undefined {
  if (!way.isGuarded && !hasStrayBytes(path)) return undefined;
  const fd = openOnWay(way, O_PATH);
  try {
    if (way.isGuarded) requirePlain(fd, path);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  return fd;
}

/** A connection as it is; the published types lack the entry point of an extension. */
type Extensible = SqliteDatabase.Database & {
  loadExtension(file: string, entryPoint?: string): unknown;
};

function open(path: string, options: OpenDatabaseOptions): SqlDatabase {
  // Loaded at first use: a client never opens a catalog.
  try {
    const Database = require('better-sqlite3') as typeof SqliteDatabase;
    const database = new Database(path, {
      readonly: options.readonly,
      fileMustExist: true,
      timeout: LOCK_TIMEOUT_MS,
    }) as Extensible;
    const plain = database.prepare.bind(database);
    const prepare: SqlDatabase['prepare'] = (sql) => plain(steadySql(sql));
    const query: SqlDatabase['query'] = (sql, shape) => shaped(prepare(sql), shape);
    const dispose = (): void => void database.close();
    const extend = (): void => void database.loadExtension(addonPath());
    // A full disk must be an error, no signal (native/src/log-index.cc).
    database.loadExtension(addonPath(), 'tardis_guard_index');
    return Object.assign(database, { prepare, query, extend, [Symbol.dispose]: dispose });
  } catch (error) {
    if (!isUnloadable(error)) throw error;
    throw notLoaded('SQLite cannot be loaded by this Node.js', error);
  }
}

/** True if native code is missing, damaged, or built for another system. */
function isUnloadable(error: unknown): boolean {
  const code = error instanceof Error && (error as NodeJS.ErrnoException).code;
  return code === 'ERR_DLOPEN_FAILED' || code === 'MODULE_NOT_FOUND';
}

/**
 * Returns SQL whose compiled form does not depend on the values bound to it. SQLite looks at the value of a bare `?`
 * while it plans a query, and compiles the statement again as soon as another value is bound. That takes 10 to 60 µs
 * for each use of a join or of an ordered query, as measured with 3.54. A sign before the `?` hides the value, even one
 * that is looked up in an index. In LIMIT, SQLite looks behind a sign, but not into a sum.
 *
 * The text must not have `?` in strings or comments.
 */
export function steadySql(sql: string): string {
  return sql.replace(/(\blimit\s+)?\?/gi, (_, limit?: string) =>
    limit === undefined ? '+?' : `${limit}(? + 0)`,
  );
}

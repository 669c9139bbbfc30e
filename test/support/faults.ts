/**
 * Fault injection. A plan counts every operation on the injected system, and makes the n-th one fail or kills the
 * process there. After a kill, that operation and all later ones throw `KilledError`. Nothing is cleaned up, and only
 * data that had reached the operating system stays, as after kill -9. A test runs its scenario for n = 1, 2, 3 … until
 * a run meets no fault.
 */
import type { SqlDatabase, SqlQuery, SqlStatement } from '../../src/system/index.js';
import type { Files } from '../../src/system/index.js';
import type { System } from '../../src/system/index.js';
import { leavesFiles } from './leaves-all.js';

export type FaultMode =
  /** The n-th operation fails with `code`; later ones succeed. */
  | { readonly kind: 'fail-once'; readonly code: string }
  /** The n-th operation fails with `code`, and so does each later one that writes, as on a full disk. */
  | {
      readonly kind: 'fail-from';
      readonly code: string;
      /** True if a failing write of a file writes the first half of its bytes. */
      readonly isShort?: boolean;
    }
  | { readonly kind: 'kill' };

export class KilledError extends Error {
  constructor() {
    super('killed by the fault plan');
    this.name = 'KilledError';
  }
}

const WRITING = new Set([
  'files.write',
  'files.truncate',
  'files.sync',
  'files.syncNow',
  'files.syncDirectory',
  'files.makeDirectory',
  'files.rename',
  'sql.run',
  'sql.exec',
  'native.writeFileAt',
  'native.createFileAt',
  'native.makeDirectoryAt',
  'native.symlinkAt',
  'native.linkAt',
  'native.makeNodeAt',
  'native.renameAt',
]);

/** True if an operation, with its arguments, may need space on a disk. */
export function isWriting(operation: string, values: readonly unknown[]): boolean {
  const [, how] = values;
  const isMaking = how === 'create' || how === 'createSecret';
  return WRITING.has(operation) || (operation === 'files.open' && isMaking);
}

export class FaultPlan {
  /** Number of operations seen so far. */
  count = 0;
  /** The first operation that failed; undefined before. */
  hit: string | undefined;
  private readonly at: number;
  private readonly mode: FaultMode;

  constructor(at: number, mode: FaultMode) {
    this.at = at;
    this.mode = mode;
  }

  get isKilled(): boolean {
    return this.hit !== undefined && this.mode.kind === 'kill';
  }

  get writesHalf(): boolean {
    return this.mode.kind === 'fail-from' && this.mode.isShort === true;
  }

  /** Counts one operation. Throws if it is the one to fail, or if the process is dead. */
  step(operation: string, values: readonly unknown[] = []): void {
    if (this.isKilled) throw new KilledError();
    this.count += 1;
    if (this.count < this.at) return;
    if (this.count > this.at) {
      if (this.mode.kind !== 'fail-from' || !isWriting(operation, values)) return;
    }
    this.hit ??= operation;
    if (this.mode.kind === 'kill') throw new KilledError();
    throw injected(this.mode.code, operation);
  }
}

/** Errors that Node.js does not know. It shows them by their number. */
const NUMBERS: Readonly<Record<string, number>> = {
  EDQUOT: 122,
  EUCLEAN: 117,
  ESTALE: 116,
  EREMOTEIO: 121,
  ENOMEDIUM: 123,
  ENOKEY: 126,
};

/** Returns the error that the system calls report for a code. */
function injected(code: string, operation: string): Error {
  const number = NUMBERS[code];
  const sql = operation.startsWith('sql.');
  const named = number === undefined ? code : `Unknown system error -${number}`;
  const shown = sql ? (code === 'ENOSPC' ? 'SQLITE_FULL' : 'SQLITE_IOERR') : named;
  const text = number === undefined ? 'injected' : named;
  return Object.assign(new Error(`${shown}: ${text}, ${operation}`), { code: shown });
}

/** Wraps every function of `target`, so that the plan counts each call first. */
export function withFaults<T extends object>(target: T, plan: FaultPlan, area: string): T {
  // The proxy wraps an empty object, since it would have to return the members of a frozen target unchanged.
  return new Proxy({} as T, {
    get(_empty, key): unknown {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== 'function' || typeof key !== 'string') return member;
      return (...values: unknown[]): unknown => {
        plan.step(`${area}.${key}`, values);
        return Reflect.apply(member, target, values);
      };
    },
  });
}

function faultyDatabase(database: SqlDatabase, plan: FaultPlan): SqlDatabase {
  const wrapStatement = (statement: SqlStatement): SqlStatement => ({
    run: (...values) => (plan.step('sql.run'), statement.run(...values)),
    get: (...values) => (plan.step('sql.get'), statement.get(...values)),
    all: (...values) => (plan.step('sql.all'), statement.all(...values)),
    iterate: (...values) => (plan.step('sql.iterate'), statement.iterate(...values)),
    safeIntegers: () => wrapStatement(statement.safeIntegers()),
    raw: () => wrapStatement(statement.raw()),
    pluck: () => wrapStatement(statement.pluck()),
  });
  const wrapQuery = <Row>(query: SqlQuery<Row>): SqlQuery<Row> => ({
    get: (...values) => (plan.step('sql.get'), query.get(...values)),
    all: (...values) => (plan.step('sql.all'), query.all(...values)),
    iterate: (...values) => (plan.step('sql.iterate'), query.iterate(...values)),
  });
  return {
    prepare: (sql) => wrapStatement(database.prepare(sql)),
    query: (sql, shape) => wrapQuery(database.query(sql, shape)),
    extend: () => database.extend(),
    exec: (sql) => (plan.step('sql.exec'), database.exec(sql)),
    pragma: (text, options) => database.pragma(text, options),
    close: () => database.close(),
    [Symbol.dispose]: () => void database.close(),
    get inTransaction() {
      return database.inTransaction;
    },
    get open() {
      return database.open;
    },
  };
}

function withShortWrites(real: Files, faulty: Files, plan: FaultPlan): Files {
  if (!plan.writesHalf) return faulty;
  const write: Files['write'] = (fd, data, position) => {
    try {
      faulty.write(fd, data, position);
    } catch (error) {
      real.write(fd, data.subarray(0, data.length >> 1), position);
      throw error;
    }
  };
  return withCall(faulty, 'write', write);
}

/** Returns `target` with another call of this name. */
function withCall<T extends object>(target: T, name: keyof T, call: unknown): T {
  return new Proxy(target, {
    get: (_target, key): unknown => (key === name ? call : Reflect.get(target, key)),
  });
}

/**
 * Returns a system whose files, addon and databases obey the plan. Clock and randomness are those of `base`. Files are
 * restored one by one, since the addon would restore many of them in one operation.
 */
export function faultySystem(base: System, plan: FaultPlan): System {
  return {
    clock: base.clock,
    random: base.random,
    network: base.network,
    catalogSteps: base.catalogSteps,
    files: withShortWrites(base.files, withFaults(base.files, plan, 'files'), plan),
    native: withCall(withFaults(base.native, plan, 'native'), 'restoreFiles', leavesFiles),
    openDatabase: (path, options) => {
      plan.step('sql.open');
      return faultyDatabase(base.openDatabase(path, options), plan);
    },
  };
}

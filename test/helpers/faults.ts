/**
 * Injects crashes and failures, and shows the state after them. A killed process is imitated by a copy of its
 * store, made at that moment: clean-up by the code does not affect the copy. For the state after a power cut see
 * disk-states.ts.
 */
import fs from 'node:fs';
import { type FaultMode, FaultPlan, isWriting, KilledError } from '../support/faults.js';
import { type SqlDatabase, type System } from '../../src/system/index.js';
import { leavesFiles } from '../support/leaves-all.js';

/** A plan that reports when it hits, and may choose its moment by more than a count. */
export class Plan extends FaultPlan {
  /** All operations requested up to the hit, in order. */
  readonly seen: string[] = [];
  private readonly onHit: (operation: string) => void;
  private readonly fits: ((operation: string, plan: Plan) => boolean) | undefined;

  constructor(
    at: number,
    mode: FaultMode,
    onHit: (operation: string) => void = () => undefined,
    fits?: (operation: string, plan: Plan) => boolean,
  ) {
    super(at, mode);
    this.onHit = onHit;
    this.fits = fits;
  }

  override step(operation: string, values: readonly unknown[] = []): void {
    const wasHit = this.hit !== undefined;
    if (!wasHit) this.seen.push(operation);
    if (!wasHit && this.fits?.(operation, this) === true) {
      this.hit = operation;
      this.onHit(operation);
      throw new KilledError();
    }
    try {
      super.step(operation, values);
    } catch (error) {
      if (!wasHit) this.onHit(operation);
      throw error;
    }
  }

  /** Returns how often an operation was requested up to the hit. */
  times(operation: string): number {
    return this.seen.filter((seen) => seen === operation).length;
  }
}

/** Hits the n-th operation that may need space on a disk. These operations have the same order in every run. */
export class WritePlan extends Plan {
  override step(operation: string, values: readonly unknown[] = []): void {
    if (isWriting(operation, values)) super.step(operation, values);
  }
}

/** Returns a plan that kills at the first operation for which `fits` returns true. */
export function killWhen(
  fits: (operation: string, plan: Plan) => boolean,
  onHit?: (operation: string) => void,
): Plan {
  return new Plan(Infinity, { kind: 'kill' }, onHit, fits);
}

/** Returns a plan that only counts and records. */
export function watchOnly(): Plan {
  return new Plan(Infinity, { kind: 'kill' });
}

export function copyStore(from: string, to: string): void {
  if (fs.existsSync(from)) fs.cpSync(from, to, { recursive: true });
}

/**
 * Wraps a system below the faults and tracks open files. A test can then close what a killed process would have
 * closed, and find what an error path forgot to close.
 */
export class Ledger {
  readonly system: System;
  /** Number of closed descriptors that were not open: another owner may have them by now. */
  strayCloses = 0;
  private readonly descriptors = new Map<number, string>();
  /** The descriptors that the addon opened, which it must also close. */
  private readonly native = new Set<number>();
  private readonly databases = new Set<SqlDatabase>();
  private readonly base: System;

  constructor(base: System) {
    this.base = base;
    this.system = {
      ...base,
      clock: base.clock,
      native: this.watchedNative(),
      files: this.watchedFiles(),
      openDatabase: (file, options) => {
        const database = base.openDatabase(file, options);
        const close = database.close.bind(database);
        this.databases.add(database);
        database.close = () => {
          this.databases.delete(database);
          return close();
        };
        return database;
      },
    };
  }

  private watchedNative(): System['native'] {
    const { native } = this.base;
    const opening = <A extends unknown[]>(what: string, call: (...args: A) => number) => {
      return (...args: A): number => {
        const fd = call(...args);
        this.descriptors.set(fd, what);
        this.native.add(fd);
        return fd;
      };
    };
    return {
      ...native,
      restoreFiles: leavesFiles,
      openDirectory: opening('openDirectory', native.openDirectory),
      openBeneath: opening('openBeneath', native.openBeneath),
      openListed: opening('openListed', native.openListed),
      openListedAt: opening('openListedAt', native.openListedAt),
      openOwnersAt: opening('openOwnersAt', native.openOwnersAt),
      createFileAt: opening('createFileAt', native.createFileAt),
      close: (fd) => {
        this.forget(fd);
        native.close(fd);
      },
    };
  }

  private watchedFiles(): System['files'] {
    const { files } = this.base;
    return {
      ...files,
      open: (file, how) => {
        const fd = files.open(file, how);
        this.descriptors.set(fd, file);
        return fd;
      },
      close: (fd) => {
        this.forget(fd);
        files.close(fd);
      },
    };
  }

  private forget(fd: number): void {
    if (!this.descriptors.delete(fd)) this.strayCloses += 1;
    this.native.delete(fd);
  }

  /** Descriptions of all open files and databases. */
  get open(): string[] {
    return [...this.descriptors.values(), ...[...this.databases].map(() => 'a database')];
  }

  /** Closes what the end of a process would close. */
  closeAll(): void {
    const { files, native } = this.base;
    for (const fd of this.descriptors.keys()) (this.native.has(fd) ? native : files).close(fd);
    this.descriptors.clear();
    this.native.clear();
    for (const database of this.databases) database.close();
    this.databases.clear();
  }
}

/** A failure that can hit a program in the middle of its work. */
export interface Trouble {
  readonly name: string;
  readonly mode: FaultMode;
  /** True if the process is gone: only what was on the disk at that moment remains. */
  readonly dies?: boolean;
}

export const TROUBLES: readonly Trouble[] = [
  { name: 'killed', mode: { kind: 'kill' }, dies: true },
  { name: 'an input/output error', mode: { kind: 'fail-once', code: 'EIO' } },
  { name: 'too many open files', mode: { kind: 'fail-once', code: 'EMFILE' } },
  { name: 'a full disk', mode: { kind: 'fail-from', code: 'ENOSPC' } },
  {
    name: 'a quota, after half a write',
    mode: { kind: 'fail-from', code: 'EDQUOT', isShort: true },
  },
];

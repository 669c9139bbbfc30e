/**
 * Crashes and failures on purpose, and what the world looks like after them. A killed process is
 * imitated by a copy of its store, taken at the very moment: whatever the code does on its way out
 * does not reach the copy. A cut power line takes from the copy what no sync had covered.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  type FaultMode,
  FaultPlan,
  KilledError,
  type SqlDatabase,
  type System,
} from '../../src/system/index.js';

/** A plan that tells when it hits, and may choose its moment by more than a count. */
export class Plan extends FaultPlan {
  /** Every operation that was asked for, in order. */
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

  override step(operation: string): void {
    const wasHit = this.hit !== undefined;
    if (!wasHit) this.seen.push(operation);
    if (!wasHit && this.fits?.(operation, this) === true) {
      this.hit = operation;
      this.onHit(operation);
      throw new KilledError();
    }
    try {
      super.step(operation);
    } catch (error) {
      if (!wasHit) this.onHit(operation);
      throw error;
    }
  }

  /** How often an operation was asked for. */
  times(operation: string): number {
    return this.seen.filter((seen) => seen === operation).length;
  }
}

/** Kills at the first operation that fits. */
export function killWhen(
  fits: (operation: string, plan: Plan) => boolean,
  onHit?: (operation: string) => void,
): Plan {
  return new Plan(Infinity, { kind: 'kill' }, onHit, fits);
}

/** Only counts and remembers. */
export function watchOnly(): Plan {
  return new Plan(Infinity, { kind: 'kill' });
}

export function copyStore(from: string, to: string): void {
  if (fs.existsSync(from)) fs.cpSync(from, to, { recursive: true });
}

interface Written {
  /** Bytes that a sync has covered. */
  syncedBytes: number;
  writtenBytes: number;
  /** The directory has been synced since the name was made. */
  isNameSynced: boolean;
}

/**
 * Stands below the faults and knows what is open and what is durable, so that a test can close what a
 * killed process would have closed, find what an error path forgot, and cut the power.
 */
export class Ledger {
  readonly system: System;
  /** Descriptors closed that were not open: by now they may be somebody else's. */
  strayCloses = 0;
  private readonly descriptors = new Map<number, string>();
  /** Of these, the ones the addon opened: it has to close them too. */
  private readonly native = new Set<number>();
  private readonly databases = new Set<SqlDatabase>();
  private readonly written = new Map<string, Written>();
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
      openDirectory: opening('openDirectory', native.openDirectory),
      openBeneath: opening('openBeneath', native.openBeneath),
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
        if (how === 'create') {
          this.written.set(file, { syncedBytes: 0, writtenBytes: 0, isNameSynced: false });
        }
        return fd;
      },
      close: (fd) => {
        this.forget(fd);
        files.close(fd);
      },
      write: (fd, data, position) => {
        files.write(fd, data, position);
        const known = this.written.get(this.descriptors.get(fd) ?? '');
        if (known === undefined) return;
        known.writtenBytes = Math.max(known.writtenBytes, position + data.length);
        // What is written over what was synced is not durable either.
        known.syncedBytes = Math.min(known.syncedBytes, position);
      },
      sync: async (fd) => {
        const known = this.written.get(this.descriptors.get(fd) ?? '');
        const upTo = known?.writtenBytes ?? 0;
        await files.sync(fd);
        if (known !== undefined) known.syncedBytes = Math.max(known.syncedBytes, upTo);
      },
      syncDirectory: async (directory) => {
        await files.syncDirectory(directory);
        for (const [file, known] of this.written) {
          if (path.dirname(file) === path.resolve(directory)) known.isNameSynced = true;
        }
      },
      rename: (from, to) => {
        files.rename(from, to);
        const known = this.written.get(from);
        if (known === undefined) return;
        this.written.delete(from);
        this.written.set(to, { ...known, isNameSynced: false });
        for (const [fd, file] of this.descriptors) if (file === from) this.descriptors.set(fd, to);
      },
    };
  }

  private forget(fd: number): void {
    if (!this.descriptors.delete(fd)) this.strayCloses += 1;
    this.native.delete(fd);
  }

  /** What is open now. */
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

  /**
   * Takes from a copy of the store what a power cut may take: names and bytes of packs and objects
   * that no sync had covered. `next` says how much, from 0 to 1.
   */
  cutPower(store: string, copy: string, next: () => number): void {
    for (const [file, { syncedBytes, writtenBytes, isNameSynced }] of this.written) {
      if (writtenBytes === 0) continue; // SQLite writes and syncs its files by itself
      const relative = path.relative(store, file);
      const copied = path.join(copy, relative);
      if (relative.startsWith('..') || !fs.existsSync(copied)) continue;
      if (!isNameSynced && next() < 0.5) fs.rmSync(copied);
      else {
        const kept = syncedBytes + Math.floor(next() * (writtenBytes - syncedBytes + 1));
        fs.truncateSync(copied, Math.min(kept, fs.statSync(copied).size));
      }
    }
  }
}

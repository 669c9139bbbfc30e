/**
 * A history that lasts as long as a mount. It is opened again if its server or disk was away and is back, or if
 * another catalog has replaced the one that is read.
 */
import type { History, ObjectReader, StoreState } from '../history/index.js';
import { asTardisError } from '../errors/index.js';
import type { DiskSpace } from '../system/index.js';

/** Minimum time between two checks of the store after failed requests. */
const RETRY_MS = 2000;
/** Time for which a replaced history stays open, for the requests that still read it. */
const CLOSE_AFTER_MS = 10_000;
/** Names of the calls that open a lost history again before they read. */
const READING: ReadonlySet<PropertyKey> = new Set<keyof History>([
  'sets',
  'roots',
  'find',
  'list',
  'versions',
  'locate',
]);

interface LastingOptions {
  /** Opens the history again, without waiting for a server that is away. */
  readonly reopen: () => Promise<History>;
  /** Writes a line to the log. */
  readonly warn: (line: string) => void;
}

export class LastingHistory {
  /** A history that passes each call to the history that is currently open. */
  readonly history: History;
  /** Called when the numbers of directories and contents have become invalid. */
  onReplaced: () => Promise<void> = async () => undefined;
  private looking: Promise<boolean> | undefined;
  private lookedMs = -Infinity;
  private lastReported = '';
  private isLost = false;
  private isClosed = false;

  private constructor(
    private current: History,
    private state: StoreState,
    private readonly options: LastingOptions,
  ) {
    this.history = this.forwarded();
  }

  /** Returns a lasting history that begins with an open history. Throws the errors of that history. */
  static async of(history: History, options: LastingOptions): Promise<LastingHistory> {
    return new LastingHistory(history, await history.reports.store(), options);
  }

  /** Returns the size of the file system that contains the store, as of the last check. */
  get space(): DiskSpace {
    return this.state.space;
  }

  /** Checks for a lost or replaced store, and opens it again. Returns false if it cannot be read. */
  look(): Promise<boolean> {
    this.looking ??= this.lookNow()
      .then((isThere) => {
        this.isLost = !isThere;
        return isThere;
      })
      .finally(() => {
        this.lookedMs = performance.now();
        this.looking = undefined;
      });
    return this.looking;
  }

  /** Checks the store soon after a request failed, unless that was done a moment ago. */
  lookAfterFailure(): void {
    if (this.isClosed || !this.isTime()) return;
    this.look().catch((error: unknown) => this.warn(asTardisError(error).message));
  }

  private isTime(): boolean {
    return performance.now() - this.lookedMs >= RETRY_MS;
  }

  close(): void {
    this.isClosed = true;
    this.current.close();
  }

  private async lookNow(): Promise<boolean> {
    if (await this.isSound()) return true;
    if (this.isClosed) return false;
    let fresh: History | undefined;
    let state: StoreState;
    try {
      fresh = await this.options.reopen();
      state = await fresh.reports.store();
    } catch (error) {
      fresh?.close();
      const { message, code } = asTardisError(error);
      this.warn(`the store cannot be read: ${message} [${code}]`);
      return false;
    }
    await this.exchange(fresh, state);
    return true;
  }

  private async isSound(): Promise<boolean> {
    try {
      const state = await this.current.reports.store();
      if (state.isReplaced || state.catalog !== this.state.catalog) return false;
      this.state = state;
      return true;
    } catch {
      return false; // opening it again shows why
    }
  }

  private async exchange(fresh: History, state: StoreState): Promise<void> {
    const old = this.current;
    const isSame = state.catalog === this.state.catalog;
    this.current = fresh;
    this.state = state;
    setTimeout(() => old.close(), CLOSE_AFTER_MS).unref();
    if (this.isClosed) fresh.close();
    if (isSame) {
      this.warn('the store can be read again');
      return;
    }
    this.warn('the catalog was replaced: files and directories that are open are stale');
    await this.onReplaced();
  }

  /** Writes a line to the log, unless it equals the line before. */
  private warn(line: string): void {
    if (line === this.lastReported) return;
    this.lastReported = line;
    this.options.warn(line);
  }

  private forwarded(): History {
    const calls = new Map<PropertyKey, unknown>([['objects', () => this.objects()]]);
    return new Proxy({} as History, {
      get: (_first, name) => {
        const known = calls.get(name);
        if (known !== undefined) return known;
        const value: unknown = Reflect.get(this.current, name, this.current);
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]): unknown => this.call(name, args);
        const first = (...args: unknown[]): unknown =>
          this.isLost && this.isTime() ? this.look().then(() => call(...args)) : call(...args);
        calls.set(name, READING.has(name) ? first : call);
        return calls.get(name);
      },
    });
  }

  private call(name: PropertyKey, args: readonly unknown[]): unknown {
    const method: unknown = Reflect.get(this.current, name, this.current);
    return (method as (...all: unknown[]) => unknown).apply(this.current, [...args]);
  }

  /** Returns a reader of objects. Each call reads from the history that is open at that moment. */
  private objects(): ObjectReader {
    let from = this.current;
    let reader = from.objects();
    const current = (): ObjectReader => {
      if (from === this.current) return reader;
      reader.close();
      from = this.current;
      reader = from.objects();
      return reader;
    };
    return {
      read: (...args) => current().read(...args),
      expect: (ranges) => current().expect?.(ranges),
      close: () => reader.close(),
    };
  }
}

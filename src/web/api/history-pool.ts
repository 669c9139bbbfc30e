/** Histories that are open, by their keys. They are shared by requests, bounded in number, and closed when idle. */
import type { RecordDecoder } from '../../contents/index.js';
import type { History } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import { OpenContents } from './content/open-contents.js';
import type { Lease } from './door.js';

interface PoolLimits {
  /** Maximum number of histories that are open at once. */
  readonly most: number;
  /** Time after the last use of a history at which it is closed. */
  readonly idleMs: number;
  /** Called when a history is closed. */
  readonly onClosed?: (history: History) => void;
}

const POOL_LIMITS: PoolLimits = Object.freeze({ most: 32, idleMs: 30_000 });

interface Pooled {
  readonly opening: Promise<Opened>;
  opened?: Opened;
  /** True if no further request uses this history; the last user closes it. */
  isRetired: boolean;
  uses: number;
  closing: NodeJS.Timeout | undefined;
}

interface Opened {
  readonly history: History;
  readonly contents: OpenContents;
  readonly isSealed: boolean;
}

export class HistoryPool {
  private readonly pooled = new Map<string, Pooled>();

  constructor(
    private readonly system: System,
    private readonly decoder: RecordDecoder,
    private readonly limits: PoolLimits = POOL_LIMITS,
  ) {}

  get size(): number {
    return this.pooled.size;
  }

  /** Returns the history with this key if it is open. */
  find(key: string): History | undefined {
    return this.pooled.get(key)?.opened?.history;
  }

  /** Returns the histories that are open. */
  all(): History[] {
    return [...this.pooled.values()].flatMap(({ opened }) => opened?.history ?? []);
  }

  /**
   * Returns a lease of the open history with this key; calls `open` if there is none. Throws TOO_MANY_REQUESTS if the
   * maximum number of histories is in use, and errors of `open`.
   */
  async lease(
    key: string,
    open: () => Promise<{ readonly history: History; readonly isSealed: boolean }>,
  ): Promise<Lease> {
    const pooled = this.pooled.get(key) ?? this.add(key, open);
    pooled.uses += 1;
    clearTimeout(pooled.closing);
    let opened: Opened;
    try {
      opened = await pooled.opening;
    } catch (error) {
      pooled.uses -= 1;
      throw error;
    }
    return { ...opened, release: () => this.release(key, pooled) };
  }

  /**
   * Makes the next request for a key open another history. The given history is closed when no request uses it any
   * more.
   */
  retire(key: string, history: History): void {
    const pooled = this.pooled.get(key);
    if (pooled?.opened?.history !== history) return;
    this.forget(key, pooled);
    pooled.isRetired = true;
    clearTimeout(pooled.closing);
    if (pooled.uses === 0) this.closeLater(pooled);
  }

  /** Closes all histories. Leases cannot be used afterwards. */
  async close(): Promise<void> {
    const all = [...this.pooled];
    this.pooled.clear();
    for (const [, pooled] of all) {
      clearTimeout(pooled.closing);
      await this.closeOpened(pooled);
    }
  }

  private async closeOpened({ opening }: Pooled): Promise<void> {
    const opened = await opening.catch(() => undefined); // its error was reported
    if (opened === undefined) return;
    const { history, contents } = opened;
    contents.close();
    history.close();
    this.limits.onClosed?.(history);
  }

  private closeLater(pooled: Pooled): void {
    this.closeOpened(pooled).catch(() => undefined); // what was open is closed
  }

  private add(
    key: string,
    open: () => Promise<{ readonly history: History; readonly isSealed: boolean }>,
  ): Pooled {
    if (this.pooled.size >= this.limits.most) this.makeRoom();
    const opening = open().then(({ history, isSealed }) => {
      const contents = new OpenContents(this.system, history, this.decoder);
      pooled.opened = { history, isSealed, contents };
      return pooled.opened;
    });
    const pooled: Pooled = { opening, isRetired: false, uses: 0, closing: undefined };
    this.pooled.set(key, pooled);
    opening.catch(() => this.forget(key, pooled)); // the caller gets the error
    return pooled;
  }

  private makeRoom(): void {
    for (const [key, pooled] of this.pooled) {
      if (pooled.uses > 0) continue;
      this.drop(key, pooled);
      return;
    }
    throw new TardisError('TOO_MANY_REQUESTS', 'too many clients are read at once', { seconds: 5 });
  }

  private release(key: string, pooled: Pooled): void {
    pooled.uses -= 1;
    if (pooled.uses > 0) return;
    if (pooled.isRetired) this.closeLater(pooled);
    if (this.pooled.get(key) !== pooled) return;
    pooled.closing = setTimeout(() => this.drop(key, pooled), this.limits.idleMs);
    pooled.closing.unref();
  }

  private drop(key: string, pooled: Pooled): void {
    clearTimeout(pooled.closing);
    this.forget(key, pooled);
    this.closeLater(pooled);
  }

  private forget(key: string, pooled: Pooled): void {
    if (this.pooled.get(key) === pooled) this.pooled.delete(key);
  }
}

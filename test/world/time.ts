/**
 * Virtual time of this thread. Timers and clocks stand still while anything is to be done, and then jump to the next
 * timer, so that an hour of waiting costs nothing.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { Clock } from '../../src/system/index.js';
import { callsRunning, watchOtherThreads } from './other-threads.js';

/** Turns of the event loop in which nothing happens before time jumps. */
const IDLE_TURNS = 3;
/** Least real time without an event before a long timer ends, since work of other threads is not seen. */
const LONG_IDLE_MS = 4;
const LONG_MS = 2000;
/** Real time in which nothing happens and no timer waits, after which the work is stuck. */
const STUCK_MS = 20_000;
/** Handles of the process that are there while nothing is done. */
const RESTING = /^(Timeout|Pipe|TTY|MessagePort|TCP|FSEvent|Signal|Process|Immediate$)/;

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  readonly everyMs: number | undefined;
  readonly call: () => void;
}

/** The module of timers as promises, whose functions can be exchanged. */
const promised = createRequire(import.meta.url)('node:timers/promises') as { setTimeout: unknown };
const realSleep = promised.setTimeout;
const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, performance };

/** The handle of a timer, as far as programs use it. */
class Timer {
  constructor(
    private readonly time: VirtualTime,
    readonly id: number,
    private readonly again: () => void,
  ) {}

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    this.again();
    return this;
  }

  close(): this {
    this.time.clear(this);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.id;
  }

  [Symbol.dispose](): void {
    this.time.clear(this);
  }
}

export class VirtualTime {
  /** The clocks of a machine; `aheadMs` is how far its wall clock is ahead of the world. */
  aheadMs = 0;
  private monotonic = 0;
  private count = 0;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly startMs: number) {}

  get clock(): Clock {
    return {
      nowMs: () => this.startMs + this.monotonic + this.aheadMs,
      monotonicMs: () => this.monotonic,
    };
  }

  /** Lets time pass at once, without the timers in it. */
  pass(ms: number): void {
    this.monotonic += ms;
  }

  clear(timer: unknown): void {
    if (timer instanceof Timer) this.waiting.delete(timer.id);
    else real.clearTimeout(timer as NodeJS.Timeout);
  }

  /** Does work, all of whose timers are of this time. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.install();
    const state = { isDone: false };
    const result = work().finally(() => {
      state.isDone = true;
    });
    result.catch(() => undefined); // the caller gets the error
    let idle = 0;
    let sinceMs = real.performance.now();
    try {
      while (!state.isDone) {
        await new Promise((resolve) => real.setImmediate(resolve));
        if (isBusy()) {
          idle = 0;
          sinceMs = real.performance.now();
          continue;
        }
        idle += 1;
        const idleMs = real.performance.now() - sinceMs;
        if (idle > IDLE_TURNS && this.jump(idleMs)) idle = 0;
        if (idleMs > STUCK_MS)
          throw new Error('the world is stuck: nothing happens, and no timer waits');
      }
    } finally {
      Object.assign(globalThis, real);
      promised.setTimeout = realSleep;
      syncBuiltinESMExports();
      this.waiting.clear();
    }
    return result;
  }

  private install(): void {
    watchOtherThreads();
    const add = (call: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      this.add(() => call(...args), ms, undefined);
    const every = (call: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      this.add(() => call(...args), ms, Math.max(1, ms));
    const clear = (timer: unknown): void => this.clear(timer);
    Object.assign(globalThis, {
      setTimeout: add,
      setInterval: every,
      clearTimeout: clear,
      clearInterval: clear,
    });
    promised.setTimeout = (ms?: number, value?: unknown, more?: { signal?: AbortSignal }) =>
      this.sleep(ms ?? 0, value, more?.signal);
    syncBuiltinESMExports();
  }

  private sleep(ms: number, value: unknown, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const timer = this.add(() => resolve(value), ms, undefined);
      const stop = (): void => {
        timer.close();
        reject(signal!.reason as Error);
      };
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  private add(call: () => void, ms: number, everyMs: number | undefined): Timer {
    this.count += 1;
    const id = this.count;
    const put = (): void => {
      const dueMs = this.monotonic + Math.max(1, Number.isFinite(ms) ? ms : 1e12);
      this.waiting.set(id, { dueMs, order: id, everyMs, call });
    };
    put();
    return new Timer(this, id, put);
  }

  /** Ends the next timer, and sets the clock to it. Returns false if it is not its turn yet. */
  private jump(idleMs: number): boolean {
    let next: [number, Waiting] | undefined;
    for (const one of this.waiting) {
      const [, { dueMs, order }] = one;
      const isFirst =
        next === undefined ||
        dueMs < next[1].dueMs ||
        (dueMs === next[1].dueMs && order < next[1].order);
      if (isFirst) next = one;
    }
    if (next === undefined) return false;
    const [id, one] = next;
    if (one.dueMs - this.monotonic > LONG_MS && idleMs < LONG_IDLE_MS) return false;
    this.monotonic = Math.max(this.monotonic, one.dueMs);
    if (one.everyMs === undefined) this.waiting.delete(id);
    else this.waiting.set(id, { ...one, dueMs: this.monotonic + one.everyMs });
    one.call();
    return true;
  }
}

/** True if a request of this process runs, such as a computation of another thread. */
function isBusy(): boolean {
  if (callsRunning() > 0) return true;
  return process
    .getActiveResourcesInfo()
    .some((kind) => kind === 'Immediate' || !RESTING.test(kind));
}

/**
 * Schedules garbage collection: after each session of a client, and for all clients at intervals, since removed
 * files are deleted only after a delay. Clients are processed one at a time. A session that waits for a client has
 * priority, and its end queues the client again.
 */
import type { Logger } from 'pino';
import { asTardisError } from '../errors/index.js';
import { listClients, openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import type { ServerPurge, GcResult, GcWork } from './storage/gc-work.js';
import type { StorageHost } from './storage/storage-host.js';
import { listAt } from '../model/index.js';

export interface GcPlan extends Omit<GcWork, 'early' | 'purge' | 'forgets'> {
  /** Milliseconds between two rounds over all clients; 0 disables rounds and runs after sessions. */
  readonly intervalMs: number;
  /**
   * Limits for deleting expendable sets early, if space is low after their client has stored data; undefined deletes
   * none early.
   */
  readonly early: GcWork['early'];
  /** The rules by which a purge keeps sets. */
  readonly purge: Omit<ServerPurge, 'resistsFloods'>;
  /** True if the server ends with its only session, so that an early purge has to run before the server ends. */
  readonly isOneSession: boolean;
  /** Milliseconds between two purges of all clients; 0 purges only the clients that request it. */
  readonly purgeIntervalMs: number;
}

/** The reason for running garbage collection for a client. */
interface GcReason {
  /** True if the client has just stored data. */
  readonly hasGrown?: boolean;
  /** True if the client's sets are to be purged by the retention rules. */
  readonly isPurge?: boolean;
  /** True if the account that requested the purge has the right to purge. */
  readonly mayPurge?: boolean;
  /** True if the run is part of a round over all clients, and not caused by a session of this client. */
  readonly isRound?: boolean;
}

/** The result of garbage collection for a client; undefined if nothing was due. */
export type GcOutcome =
  | { readonly done: GcResult }
  /** The code is absent if the work is only done later. */
  | { readonly failure: string; readonly code?: string }
  | undefined;

/** The location of the clients. */
interface Place {
  readonly baseDir: string;
  readonly catalogFile: string;
  /** Returns the reason why a client in a bucket is left to another server; undefined if it is not. */
  readonly leftTo?: (client: string, isRound: boolean) => Promise<string | undefined>;
  /** Called with the result for each client. */
  readonly collected?: (client: string, outcome: GcOutcome, beganMs: number) => Promise<void>;
}

/** Delay after a session, so that a client that returns at once finds its store unlocked. */
const AFTER_SESSION_MS = 1000;
const FORGET_AGAIN_MS = 24 * 3_600_000;

export class GcScheduler {
  /** Clients to process, with the reasons. */
  private readonly queue = new Map<string, GcReason>();
  /** Clients that were busy, with the reasons; they are processed when their session ends. */
  private readonly waiting = new Map<string, GcReason>();
  /** Callbacks for the result of a client's next garbage collection. */
  private readonly listeners = new Map<string, ((outcome: GcOutcome) => void)[]>();
  private running: Promise<void> | undefined;
  private isStopped = false;
  /** Monotonic time, by client, at which forgetting paths failed last. */
  private readonly notForgotten = new Map<string, number>();
  private timers: NodeJS.Timeout[] = [];
  private readonly place: Place;
  private plan: GcPlan | undefined;
  private readonly log: Logger;

  /** Creates a scheduler, which does nothing if `plan` is undefined. */
  constructor(
    private readonly system: System,
    private readonly storage: StorageHost,
    {
      place,
      plan,
      log,
    }: { readonly place: Place; readonly plan: GcPlan | undefined; readonly log: Logger },
  ) {
    this.place = place;
    this.plan = plan;
    this.log = log;
    this.beginRounds();
  }

  /** Follows another plan from now on. Its rounds begin after its intervals. */
  renew(plan: GcPlan | undefined): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    this.plan = plan;
    if (!this.isStopped) this.beginRounds();
  }

  private beginRounds(): void {
    this.repeat(this.plan?.intervalMs ?? 0, { isRound: true });
    this.repeat(this.plan?.purgeIntervalMs ?? 0, { isPurge: true, isRound: true });
  }

  private repeat(intervalMs: number, reason: GcReason): void {
    if (intervalMs === 0) return;
    const timer = setInterval(() => this.requestForAll(reason), intervalMs);
    timer.unref();
    this.timers.push(timer);
  }

  /**
   * Handles the end of a client's session or of its connection. A requested purge begins at once; so does an early
   * purge that must run before the server ends. The promise then resolves with the result. Other work is done later,
   * and the promise resolves at once with undefined.
   */
  sessionEnded(client: string, reason: GcReason): Promise<GcOutcome> {
    const { plan } = this;
    if (plan === undefined || this.isStopped) return Promise.resolve(undefined);
    const isPurge = reason.isPurge === true || this.waiting.get(client)?.isPurge === true;
    if (isPurge || this.isEarlyDue(plan, reason)) {
      const outcome = new Promise<GcOutcome>((resolve) => this.listen(client, resolve));
      this.request(client, reason);
      return outcome;
    }
    if (plan.intervalMs > 0) {
      setTimeout(() => this.request(client, reason), AFTER_SESSION_MS).unref();
    }
    return Promise.resolve(undefined);
  }

  /**
   * True if sets must be deleted early at once: space is low, and the server ends with its only session, so that no
   * later round could delete them.
   */
  private isEarlyDue({ isOneSession, early }: GcPlan, { hasGrown }: GcReason): boolean {
    if (!isOneSession || hasGrown !== true || early === undefined) return false;
    return this.system.files.freeBytes(this.place.baseDir) < early.belowBytes;
  }

  private listen(client: string, resolve: (outcome: GcOutcome) => void): void {
    listAt(this.listeners, client).push(resolve);
  }

  private takeListeners(client: string): readonly ((outcome: GcOutcome) => void)[] {
    const listeners = this.listeners.get(client) ?? [];
    this.listeners.delete(client);
    return listeners;
  }

  /** Resolves when the queue is empty. */
  async settled(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  /** Interrupts running work, and starts nothing more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    for (const timer of this.timers) clearInterval(timer);
    this.queue.clear();
    if (this.running !== undefined) {
      this.storage.halt();
      await this.running;
    }
    const failure = 'the server has stopped: the rest is done later';
    for (const client of this.listeners.keys()) {
      for (const resolve of this.takeListeners(client)) resolve({ failure });
    }
  }

  private requestForAll(reason: GcReason): void {
    try {
      for (const client of listClients(this.system, this.place.baseDir))
        this.request(client, reason);
    } catch (error) {
      this.log.error({ err: error }, 'the clients cannot be listed for garbage collection');
    }
  }

  private request(client: string, reason: GcReason): void {
    if (this.isStopped) return;
    const before = [this.queue.get(client), this.waiting.get(client)];
    this.waiting.delete(client);
    this.queue.set(client, before.reduce<GcReason>(both, reason));
    this.running ??= this.runQueue();
  }

  private runQueue(): Promise<void> {
    return this.work().finally(() => {
      // A client may have been queued after the queue was last checked.
      this.running = this.queue.size > 0 && !this.isStopped ? this.runQueue() : undefined;
    });
  }

  private async work(): Promise<void> {
    for (const [client, reason] of this.queue) {
      this.queue.delete(client);
      // A purge that is requested during this run belongs to the next one, and so do its listeners.
      const listeners = this.takeListeners(client);
      const beganMs = this.system.clock.nowMs();
      const outcome = await this.collectGarbage(client, reason);
      await this.place.collected?.(client, outcome, beganMs);
      for (const resolve of listeners) resolve(outcome);
      if (this.isStopped) return;
    }
  }

  private async collectGarbage(client: string, reason: GcReason): Promise<GcOutcome> {
    const {
      early,
      purge,
      intervalMs: _,
      purgeIntervalMs: __,
      isOneSession: ___,
      ...rest
    } = this.plan!;
    const { baseDir: store, catalogFile, leftTo } = this.place;
    const work: GcWork = {
      ...rest,
      early: reason.hasGrown === true ? early : undefined,
      purge:
        reason.isPurge === true ? { ...purge, resistsFloods: reason.mayPurge !== true } : undefined,
      forgets: this.mayForget(client),
    };
    try {
      const other = leftTo && (await leftTo(client, reason.isRound === true));
      if (other !== undefined) return { failure: `${other}: the rest is done later` };
      const directory = openClientDirectory(this.system, { store, client, catalogFile });
      const done = await this.storage.collectGarbage(directory, work);
      this.logReport(client, done);
      return { done };
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code === 'CLIENT_BUSY')
        this.waiting.set(client, reason); // queued again when its session ends
      else if (code !== 'INTERRUPTED') {
        this.log.error({ client, code, reason: message }, 'garbage collection failed');
      }
      const isLater = code === 'CLIENT_BUSY' || code === 'INTERRUPTED';
      return { failure: `${message}: the rest is done later`, ...(!isLater && { code }) };
    }
  }

  /**
   * True if paths may be forgotten now. Forgetting rewrites the whole client, so it is retried only a day after a
   * failure.
   */
  private mayForget(client: string): boolean {
    const failedMs = this.notForgotten.get(client);
    return failedMs === undefined || this.system.clock.monotonicMs() - failedMs >= FORGET_AGAIN_MS;
  }

  private logReport(client: string, report: GcResult): void {
    const { isDone, contents, packs, deletedFiles, early, purged, unusedTags } = report;
    const { isClockInDoubt, purgeFailure } = report;
    const { log } = this;
    if (report.forgotten > 0) log.info({ client, paths: report.forgotten }, 'paths were forgotten');
    if (report.forgetFailure !== undefined) {
      this.notForgotten.set(client, this.system.clock.monotonicMs());
      log.error({ client, reason: report.forgetFailure }, 'paths that are due cannot be forgotten');
    }
    if (early.length > 0) {
      log.warn({ client, sets: early }, 'space ran low: expendable sets were deleted early');
    }
    if (purged.length > 0) log.info({ client, sets: purged }, 'sets were purged by the rules');
    if (purged.length > 0 && unusedTags.length > 0) {
      log.warn({ client, tags: unusedTags }, 'no set of this client has a tag in KeepTags');
    }
    if (purgeFailure !== undefined) {
      log.error({ client, reason: purgeFailure }, 'nothing is purged: the rules make no sense');
    }
    if (isClockInDoubt) {
      log.warn({ client }, 'nothing is purged: the clock has jumped, or nobody backed up for long');
    }
    if (!isDone || contents + packs + deletedFiles > 0) {
      log.info(
        { client, ...report },
        isDone ? 'garbage was collected' : 'garbage collection was interrupted',
      );
    }
  }
}

function both(one: GcReason, other: GcReason | undefined): GcReason {
  const purges = [one, other].filter((reason) => reason?.isPurge === true);
  return {
    hasGrown: one.hasGrown === true || other?.hasGrown === true,
    isRound: one.isRound === true && (other === undefined || other.isRound === true),
    isPurge: purges.length > 0,
    mayPurge: purges.length > 0 && purges.every((reason) => reason?.mayPurge === true),
  };
}

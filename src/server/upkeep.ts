/**
 * When the server clears clients up: after each session of one, and all of them once in a while, since what was removed
 * is deleted later. One client at a time; a session that wants it comes first, and its end puts the client in
 * the queue again.
 */
import type { Logger } from 'pino';
import { asTardisError } from '../errors/index.js';
import { listClients, openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import type { ServerPurge, StorageHost, UpkeepDone, UpkeepWork } from './storage/index.js';

export interface UpkeepPlan extends Omit<UpkeepWork, 'early' | 'purge' | 'forgets'> {
  /** Between two rounds over all clients; 0: none, and none after sessions. */
  readonly intervalMs: number;
  /** For a client that has just stored something; undefined: no set goes early. */
  readonly early: UpkeepWork['early'];
  /** Which sets stay when a client is purged. */
  readonly purge: ServerPurge;
  /** Between two purges of all clients; 0: only those that ask for it. */
  readonly purgeIntervalMs: number;
}

/** What a client is looked at for. */
export interface UpkeepReason {
  /** It has just stored something. */
  readonly hasGrown?: boolean;
  /** Its sets are to be purged by the rules. */
  readonly isPurge?: boolean;
}

/** Where the clients are. */
interface Place {
  readonly baseDir: string;
  readonly catalogFile: string;
}

/** After a session, so that a client that comes back at once finds nobody. */
const AFTER_SESSION_MS = 1000;
const FORGET_AGAIN_MS = 24 * 3_600_000;

export class Upkeep {
  /** Clients to clear up, and why. */
  private readonly queue = new Map<string, UpkeepReason>();
  /** What could not be done since the client was busy: for the end of its session. */
  private readonly waiting = new Map<string, UpkeepReason>();
  private running: Promise<void> | undefined;
  private isStopped = false;
  /** When it could not be carried out that a client is to forget something. */
  private readonly notForgotten = new Map<string, number>();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly system: System;
  private readonly storage: StorageHost;
  private readonly place: Place;
  private readonly plan: UpkeepPlan | undefined;
  private readonly log: Logger;

  /** `plan` undefined: there is no upkeep. */
  constructor(
    system: System,
    storage: StorageHost,
    place: Place,
    plan: UpkeepPlan | undefined,
    log: Logger,
  ) {
    this.system = system;
    this.storage = storage;
    this.place = place;
    this.plan = plan;
    this.log = log;
    this.repeat(plan?.intervalMs ?? 0, {});
    this.repeat(plan?.purgeIntervalMs ?? 0, { isPurge: true });
  }

  private repeat(intervalMs: number, reason: UpkeepReason): void {
    if (intervalMs === 0) return;
    const timer = setInterval(() => this.askForAll(reason), intervalMs);
    timer.unref();
    this.timers.push(timer);
  }

  /** A session of this client is over, or its connection. A purge that was asked for begins at once. */
  sessionEnded(client: string, reason: UpkeepReason): void {
    if (this.plan === undefined) return;
    const isPurge = reason.isPurge === true || this.waiting.get(client)?.isPurge === true;
    if (isPurge) this.ask(client, reason);
    else if (this.plan.intervalMs > 0) {
      setTimeout(() => this.ask(client, reason), AFTER_SESSION_MS).unref();
    }
  }

  /** Resolves when there is nothing to do at present. */
  async settled(): Promise<void> {
    await this.running;
  }

  /** Breaks off what is under way, and begins nothing more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    for (const timer of this.timers) clearInterval(timer);
    this.queue.clear();
    if (this.running === undefined) return;
    this.storage.halt();
    await this.running;
  }

  private askForAll(reason: UpkeepReason): void {
    try {
      for (const client of listClients(this.system, this.place.baseDir)) this.ask(client, reason);
    } catch (error) {
      this.log.error({ err: error }, 'the clients cannot be listed for upkeep');
    }
  }

  private ask(client: string, reason: UpkeepReason): void {
    if (this.isStopped) return;
    const before = [this.queue.get(client), this.waiting.get(client)];
    this.waiting.delete(client);
    this.queue.set(client, before.reduce<UpkeepReason>(both, reason));
    this.running ??= this.work().finally(() => {
      this.running = undefined;
    });
  }

  private async work(): Promise<void> {
    for (const [client, reason] of this.queue) {
      this.queue.delete(client);
      await this.keepUp(client, reason);
      if (this.isStopped) return;
    }
  }

  private async keepUp(client: string, reason: UpkeepReason): Promise<void> {
    const { early, purge, intervalMs: _, purgeIntervalMs: __, ...rest } = this.plan!;
    const { baseDir: store, catalogFile } = this.place;
    const work: UpkeepWork = {
      ...rest,
      early: reason.hasGrown === true ? early : undefined,
      purge: reason.isPurge === true ? purge : undefined,
      forgets: this.mayForget(client),
    };
    try {
      const directory = openClientDirectory(this.system, { store, client, catalogFile });
      this.tell(client, await this.storage.keepUp(directory, work));
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code === 'CLIENT_BUSY')
        this.waiting.set(client, reason); // its session's end asks again
      else if (code !== 'INTERRUPTED') {
        this.log.error({ client, code, reason: message }, 'upkeep failed');
      }
    }
  }

  /** It writes all of a client anew: after a failure not again at once. */
  private mayForget(client: string): boolean {
    const failedMs = this.notForgotten.get(client);
    return failedMs === undefined || this.system.clock.monotonicMs() - failedMs >= FORGET_AGAIN_MS;
  }

  private tell(client: string, report: UpkeepDone): void {
    const { isDone, contents, packs, deletedFiles, early, purged, isClockInDoubt, purgeFailure } =
      report;
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
    if (purgeFailure !== undefined) {
      log.error({ client, reason: purgeFailure }, 'nothing is purged: the rules make no sense');
    }
    if (isClockInDoubt) {
      log.warn({ client }, 'nothing is purged: the clock has jumped, or nobody backed up for long');
    }
    if (!isDone || contents + packs + deletedFiles > 0) {
      log.info({ client, ...report }, isDone ? 'cleared up' : 'upkeep gave way');
    }
  }
}

function both(one: UpkeepReason, other: UpkeepReason | undefined): UpkeepReason {
  return {
    hasGrown: one.hasGrown === true || other?.hasGrown === true,
    isPurge: one.isPurge === true || other?.isPurge === true,
  };
}

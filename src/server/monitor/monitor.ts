/**
 * Monitoring of clients: the last complete set of each, clients that are overdue by the server's own clock, and
 * failed backups. All clients are examined at intervals, and one client when its session is over. Each alert is
 * sent once; the state is also published as metrics.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import { asTardisError, type TardisError } from '../../errors/index.js';
import {
  type AlertKind,
  clientState,
  NO_FACTS,
  type RunNumbers,
  savedAtMs,
  type SetNumber,
  type SpaceFacts,
} from '../../model/index.js';
import type { HookEvent } from '../../notify/index.js';
import { FORMAT_FILE, openClientDirectory } from '../../store/index.js';
import { outputPath, replaceFile, type System, textBytes } from '../../system/index.js';
import { Remembered, spaceFacts } from '../storage/client-space.js';
import type { SpaceTaken } from '../storage/measure-space.js';
import type { RunRecorder } from '../run-recorder.js';
import type { ClientStanding, GoodSet, StoreFigures } from '../storage/client-standing.js';
import type { StorageHost } from '../storage/storage-host.js';
import type { EndpointAddress } from './endpoint.js';
import { type ClientFigures, metricsText, type ServerFigures } from './metrics.js';
import { Notices, type NoticeSettings } from './notices.js';
import { emptied, StoreSight } from './store-sight.js';

export interface WatchPlan {
  /** Milliseconds between two examinations of all clients. */
  readonly intervalMs: number;
  /** Minimum age of the newest complete set of an overdue client; 0 means that no client is overdue. */
  readonly overdueAfterMs: number;
  /** Limits for single clients, in place of `overdueAfterMs`. */
  readonly overdueFor: ReadonlyMap<string, number>;
  /** File to which the metrics are written after each examination (path as byte text). */
  readonly metricsFile: string | undefined;
  readonly metricsAddress: EndpointAddress | undefined;
  readonly notices: NoticeSettings;
}

/** The state that the server provides for monitoring. */
export interface Watched {
  hasSession(client: string): boolean;
  figures(): Pick<
    ServerFigures,
    'sessions' | 'parkedSessions' | 'connections' | 'storeAnswers' | 'certificateEndsAtMs'
  >;
  /** Returns what a client may find wrong with the dates of the certificate, now or soon; undefined if nothing. */
  certificateFault(): string | undefined;
  /**
   * Updates the catalog of a client in a bucket, since another server may have served the client. Throws errors of a
   * bucket.
   */
  bringUpToDate(client: string): Promise<void>;
  /** Checks if the store can be used. Never rejects. */
  lookAtStore(): Promise<unknown>;
}

interface Place {
  readonly baseDir: string;
  readonly catalogFile: string;
}

/** The parts of a watch: the store, the plan, and the server with its state and log. */
interface WatchParts {
  readonly place: Place;
  readonly plan: WatchPlan;
  readonly watched: Watched;
  readonly recorder: RunRecorder;
  readonly log: Logger;
}

/** State of a client when it was last examined. */
interface Known {
  /** Undefined if the client can no longer be seen. */
  readonly standing: ClientStanding | undefined;
  /** The newest complete set that was seen. */
  readonly newest: GoodSet | undefined;
  readonly store: StoreFigures | undefined;
  readonly space: Partial<SpaceFacts>;
  /** Monotonic time at which the client's store was measured. */
  readonly measuredAtMs: number;
  /** Monotonic time at which this server first found the newest complete set, or the client if it has none. */
  readonly seenAtMs: number;
  /** Wall clock time at which the newest complete set ended; the client's creation if it has none. */
  readonly dateMs: number;
  /** The client's creation. */
  readonly madeMs: number;
}

/** Delay after a session, so that a client that returns at once causes no alert. */
const AFTER_SESSION_MS = 5000;
/** A store is measured after each session, and again after this time, since garbage collection changes it. */
const MEASURE_AGAIN_MS = 3_600_000;
/**
 * Permissions of the metrics file. All users can read it, since the collector of metrics usually runs as another user.
 */
const METRICS_MODE = 0o644;

/** Alerts: those of the journal, and that a client can no longer be seen. */
type Alert = AlertKind | 'UNSEEN';

export class Watch {
  private readonly known = new Map<string, Known>();
  /** The newest complete set of each client when an alert was sent, and the interval that its journal has. */
  private readonly sent = new Map<string, Partial<Record<Alert, SetNumber>>>();
  private readonly intervals = new Map<string, number>();
  private readonly memory = { spaces: new Remembered<SpaceTaken>() };
  private notices: Notices;
  private readonly sight: StoreSight;
  /** The reason why the store could not be seen at the last look; it is logged once. */
  private fault: TardisError | undefined;
  /** The reason why a client cannot be seen, until it is reported. */
  private readonly unseen = new Map<string, TardisError>();
  /** End and fault of the certificate in the last mail about one. */
  private mailedFault = '';
  private readonly startedAtMs: number;
  private lookedAtMs: number | undefined;
  /** Resolves when the last examination has ended; they run one after the other. */
  private turn: Promise<void> = Promise.resolve();
  private isRoundWaiting = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly place: Place;
  private plan: WatchPlan;
  private readonly watched: Watched;
  private readonly recorder: RunRecorder;
  private readonly log: Logger;

  constructor(
    private readonly system: System,
    private readonly storage: StorageHost,
    { place, plan, watched, recorder, log }: WatchParts,
  ) {
    this.place = place;
    this.plan = plan;
    this.watched = watched;
    this.recorder = recorder;
    this.log = log;
    this.notices = new Notices(plan.notices, log);
    this.sight = new StoreSight(system, place.baseDir);
    this.startedAtMs = system.clock.nowMs();
  }

  /** Examines all clients now, and then at intervals. */
  start(): void {
    void this.lookAtAll();
    clearInterval(this.timer);
    this.timer = setInterval(() => void this.lookAtAll(), this.plan.intervalMs);
    this.timer.unref();
  }

  /** Follows another plan from now on, and examines all clients by it. */
  renew(plan: WatchPlan): void {
    if (this.isStopped) return;
    this.plan = plan;
    this.notices = new Notices(plan.notices, this.log); // a notice that is being sent is sent to its end
    this.start();
  }

  /** Stops a running hook, and waits for the examination in progress. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.timer);
    this.notices.stop();
    await this.turn;
  }

  /** Handles the end of a session that may add sets. */
  sessionEnded(client: string): void {
    if (!this.isStopped) setTimeout(() => void this.lookAt(client), AFTER_SESSION_MS).unref();
  }

  /** Returns the metrics as text, with ages, and whether the store can be seen, as of now. */
  metrics(): string {
    const isStoreReadable = (this.fault ?? this.sight.faultNow()) === undefined;
    const server = {
      ...this.watched.figures(),
      startedAtMs: this.startedAtMs,
      lookedAtMs: this.lookedAtMs,
      isStoreReadable,
      freeBytes: isStoreReadable ? this.freeBytes() : undefined,
    };
    const names = [...this.known.keys()].sort();
    return metricsText(
      server,
      names.map((name) => this.figuresOf(name, isStoreReadable)),
    );
  }

  /** Examines all clients. Never throws; resolves when the examination is done. */
  lookAtAll(): Promise<void> {
    if (this.isRoundWaiting) return this.turn;
    this.isRoundWaiting = true;
    return this.inTurn(async () => {
      this.isRoundWaiting = false;
      await this.watched.lookAtStore();
      const { clients, unseen, fault } = this.sight.look([...this.known.keys()]);
      this.noteStore(fault);
      for (const client of unseen) this.lose(client, fault ?? emptied(client));
      for (const client of clients) {
        if (this.isStopped) return;
        await this.look(client, false);
      }
      if (fault === undefined) {
        const isThere = new Set([...clients, ...unseen]);
        for (const client of this.known.keys()) if (!isThere.has(client)) this.known.delete(client);
        if (this.lookedAtMs === undefined) this.nameStrangers(clients);
        this.lookedAtMs = this.system.clock.nowMs();
      }
      await this.judge();
    });
  }

  /** Examines one client after its session. Never throws; resolves when the examination is done. */
  lookAt(client: string): Promise<void> {
    return this.inTurn(async () => {
      await this.look(client, true);
      await this.judge();
    });
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(async () => {
      if (this.isStopped) return;
      try {
        await work();
      } catch (error) {
        const { code, message } = asTardisError(error);
        this.log.error({ code, reason: message }, 'the watch over the clients has failed');
      }
    });
    return this.turn;
  }

  /** Returns the code of the error that prevents the use of the store now; undefined if there is none. */
  storeFault(): string | undefined {
    return this.sight.faultNow()?.code;
  }

  /** Logs that the store cannot be seen, or can be seen again. A store that is not yet there is no fault. */
  private noteStore(fault: TardisError | undefined): void {
    const before = this.fault;
    const isNew = fault?.code === 'NO_SUCH_STORE' && this.known.size === 0;
    this.fault = isNew ? undefined : fault;
    if (before !== undefined && fault === undefined) this.log.warn('the store can be seen again');
    if (this.fault === undefined || before?.code === this.fault.code) return;
    const { code, message } = this.fault;
    this.log.error({ code, reason: message, clients: this.known.size }, 'the store is gone');
  }

  /** Logs clients of OverdueFor that the store lacks: no alarm would come for a misspelled name. */
  private nameStrangers(clients: readonly string[]): void {
    const missing = [...this.plan.overdueFor.keys()].filter((name) => !clients.includes(name));
    if (missing.length === 0) return;
    this.log.error({ clients: missing }, 'OverdueFor names clients that are not in the store');
  }

  /** Records that a client can no longer be seen. Its age goes on, by what was known of it. */
  private lose(client: string, why: TardisError): void {
    const nowMs = this.system.clock.monotonicMs();
    const dateMs = this.system.clock.nowMs();
    const none = {
      store: undefined,
      newest: undefined,
      space: {},
      measuredAtMs: 0,
      seenAtMs: nowMs,
      dateMs,
      madeMs: dateMs,
    };
    const before = this.known.get(client);
    if (before === undefined || before.standing !== undefined) this.unseen.set(client, why);
    this.known.set(client, { ...(before ?? none), standing: undefined });
  }

  private async look(client: string, isChanged: boolean): Promise<void> {
    const before = this.known.get(client);
    const nowMs = this.system.clock.monotonicMs();
    const isMeasured =
      this.plan.metricsFile !== undefined || this.plan.metricsAddress !== undefined;
    const isOld = before?.store === undefined || nowMs - before.measuredAtMs >= MEASURE_AGAIN_MS;
    const withFigures = isMeasured && (isChanged || isOld);
    try {
      await this.watched.bringUpToDate(client);
      const { baseDir: store, catalogFile } = this.place;
      const directory = openClientDirectory(this.system, { store, client, catalogFile });
      const standing = await this.storage.standing(directory, withFigures);
      const place = { store, catalogFile, memory: this.memory };
      const space = (await spaceFacts(this.system, place, [client])).get(client) ?? {};
      await this.noteSent(client, standing);
      const madeMs = this.madeAtMs(directory.path);
      const isSame = before !== undefined && before.newest?.set === standing.newest?.set;
      this.known.set(client, {
        standing,
        newest: standing.newest,
        space,
        store: standing.figures ?? before?.store,
        measuredAtMs: withFigures ? nowMs : (before?.measuredAtMs ?? 0),
        seenAtMs: isSame ? before.seenAtMs : nowMs,
        dateMs: standing.newest?.closedAtMs ?? madeMs,
        madeMs,
      });
    } catch (error) {
      const failure = asTardisError(error);
      if (failure.code === 'NO_SUCH_CLIENT') return; // removed just now, which the next listing shows
      this.lose(client, failure);
    }
  }

  private madeAtMs(directory: string): number {
    const status = this.system.files.status(path.join(directory, FORMAT_FILE));
    return status?.mtimeMs ?? this.system.clock.nowMs();
  }

  /** Writes the metrics, then sends new alerts; the metrics do not wait for the alerts. */
  private async judge(): Promise<void> {
    const nowMs = this.system.clock.nowMs();
    const failed = this.newFailures();
    const lost = this.newlyUnseen();
    const late = this.newlyOverdue();
    await this.writeMetrics();
    await this.warnOfCertificate(nowMs);
    await this.notices.unseen(lost, nowMs);
    for (const event of failed) await this.notices.failed(event, nowMs);
    await this.notices.overdue(late, nowMs);
    await this.recorder.settled();
  }

  /** Sends a mail about a certificate that expires soon or has expired. Its log has the same, once a day. */
  private async warnOfCertificate(nowMs: number): Promise<void> {
    const fault = this.watched.certificateFault();
    const endsAtMs = this.watched.figures().certificateEndsAtMs;
    if (fault === undefined || endsAtMs === undefined) return;
    const until = new Date(endsAtMs).toISOString();
    const faultNow = `${until} ${fault.replace(/\d+/, '')}`;
    if (faultNow === this.mailedFault) return;
    this.mailedFault = faultNow;
    await this.notices.certificate(fault, until, nowMs);
  }

  private newlyUnseen(): HookEvent[] {
    const lost: HookEvent[] = [];
    for (const [client, { code, message }] of this.unseen) {
      if (!this.begin('UNSEEN', client)) continue;
      lost.push({ ...this.event('failure', client), code, message });
    }
    this.unseen.clear();
    for (const [client, { standing }] of this.known) {
      const sent = this.sent.get(client);
      if (standing === undefined || sent?.UNSEEN === undefined) continue;
      delete sent.UNSEEN;
      this.log.warn({ client }, 'a client can be seen again');
    }
    return lost;
  }

  private newlyOverdue(): HookEvent[] {
    const late = [...this.known.keys()].filter(
      (client) => this.figuresOf(client).isOverdue && this.begin('OVERDUE', client),
    );
    return late.map((client) => this.event('overdue', client));
  }

  private newFailures(): HookEvent[] {
    const failed = [...this.known.keys()].filter(
      (client) => this.figuresOf(client).isFailing && this.begin('FAILING', client),
    );
    return failed.map((client) => {
      const { failureCode, failure } = this.known.get(client)!.standing!.facts;
      const unsaid = failureCode === '' ? 'the run was cut off' : 'the backup was not completed';
      const message = failure === '' ? unsaid : failure;
      return { ...this.event('failure', client), code: failureCode || undefined, message };
    });
  }

  /**
   * Begins an alert, which the journal of the client gets, so that a server that starts anew does not send it again. Returns
   * false if it was sent for the present newest set.
   */
  private begin(kind: Alert, client: string): boolean {
    const set = this.newestOf(client);
    const sent = this.sent.get(client) ?? {};
    if (sent[kind] === set) return false;
    this.sent.set(client, { ...sent, [kind]: set });
    // A client that cannot be seen has no journal that could take it.
    if (kind !== 'UNSEEN') void this.note(client, kind, { set });
    return true;
  }

  /** Takes over what the journal of a client has of alerts, and adds the interval by which this server judges the client. */
  private async noteSent(client: string, { alerted, intervalMs }: ClientStanding): Promise<void> {
    this.sent.set(client, { ...alerted, ...this.sent.get(client) });
    const lateAfterMs = this.overdueAfterMs(client);
    if (lateAfterMs === (this.intervals.get(client) ?? intervalMs)) return;
    this.intervals.set(client, lateAfterMs);
    await this.note(client, 'INTERVAL', { lateAfterMs });
  }

  private note(client: string, code: string, numbers: RunNumbers): Promise<void> {
    return this.recorder.add(client, { kind: 'alert', end: 'done', code, numbers });
  }

  private newestOf(client: string): SetNumber {
    return this.known.get(client)?.newest?.set ?? 0;
  }

  private event(event: HookEvent['event'], client: string): HookEvent {
    const newest = this.known.get(client)?.newest;
    const { ageMs, state } = this.figuresOf(client);
    const { restoredAtMs } = state.proof ?? {};
    return {
      event,
      client,
      set: newest?.set,
      lastGood: newest === undefined ? undefined : new Date(newest.closedAtMs).toISOString(),
      ageSeconds: Math.round(ageMs / 1000),
      lastRestore: restoredAtMs === undefined ? undefined : new Date(restoredAtMs).toISOString(),
      advice: state.advice || undefined,
    };
  }

  private figuresOf(client: string, isStoreReadable = true): ClientFigures {
    const { newest, store, space, seenAtMs, dateMs, madeMs, ...known } = this.known.get(client)!;
    const standing = isStoreReadable ? known.standing : undefined;
    const { clock } = this.system;
    const nowMs = clock.nowMs();
    // If a wrong clock dated a set into the future, its age counts from the moment when it was first seen.
    const seenWallMs = nowMs - (clock.monotonicMs() - seenAtMs);
    const datedMs = Math.min(dateMs, seenWallMs);
    const facts = standing?.facts ?? NO_FACTS;
    const overdueAfterMs = this.overdueAfterMs(client);
    // A root that no set has could be saved since the client was made.
    const roots = facts.roots.map((root) => ({
      ...root,
      atMs: root.atMs === 0 ? madeMs : Math.min(root.atMs, seenWallMs),
    }));
    const savedMs = savedAtMs({ roots, newestAtMs: datedMs });
    const state = clientState(
      {
        ...NO_FACTS,
        ...facts,
        ...space,
        newestAtMs: newest === undefined ? 0 : dateMs,
        fault: standing === undefined ? 'its catalog cannot be read' : '',
        isInUse: this.watched.hasSession(client) || facts.isInUse,
        lateAfterMs: overdueAfterMs > 0 ? overdueAfterMs : facts.lateAfterMs,
        damagedContents: store?.damagedContents ?? 0,
      },
      nowMs,
    );
    return {
      client,
      standing,
      newest,
      store,
      ageMs: nowMs - datedMs,
      overdueAfterMs,
      isOverdue: overdueAfterMs > 0 && nowMs - savedMs >= overdueAfterMs,
      isFailing: state.state === 'failed' && ['failed', 'cut'].includes(state.cause.code),
      state,
    };
  }

  private overdueAfterMs(client: string): number {
    return this.plan.overdueFor.get(client) ?? this.plan.overdueAfterMs;
  }

  private freeBytes(): number | undefined {
    try {
      return this.system.files.freeBytes(this.place.baseDir);
    } catch {
      return undefined; // there is no store yet, or it cannot be read: the metric is left out
    }
  }

  private async writeMetrics(): Promise<void> {
    const { metricsFile } = this.plan;
    if (metricsFile === undefined) return;
    try {
      const bytes = Buffer.from(this.metrics());
      const prepare = (fd: number): void => fs.fchmodSync(fd, METRICS_MODE);
      const file = outputPath(textBytes(metricsFile));
      const temporary = outputPath(textBytes(`${metricsFile}.new`));
      await replaceFile(this.system.files, file, bytes, { prepare, temporary });
    } catch (error) {
      const { code, message } = asTardisError(error, 'writing the metrics');
      this.log.error({ code, reason: message }, 'the metrics cannot be written');
    }
  }
}

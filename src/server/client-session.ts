/**
 * A client's open session in the storage, independent of its connection. A backup session outlives its connection:
 *
 *   live ──connection lost──▸ parked ──resume──▸ live
 *   live, parked ──end, abandon──▸ over
 *
 * A parked session keeps the client's lock and the answers that the client has not acknowledged. A checkpoint is made
 * when the session is parked. A parked session ends, at a checkpoint, if the client does not return in time, if too
 * many sessions are parked, if another process waits for the client's lock, or if another session of the client
 * replaces it, here or at another server of the bucket. A client that returns authenticates itself with its ticket.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import { asTardisError, protocolViolation, type TardisError } from '../errors/index.js';
import { type ClientDirectory, LEASE_MS } from '../store/index.js';
import type { System } from '../system/index.js';
import {
  type Connection,
  decodeMessage,
  type Head,
  type MessageName,
  MESSAGES,
  NOTHING_SETTLED,
  Purpose,
  type PurposeName,
  TICKET_BYTES,
} from '../transport/index.js';
import type { GcOutcome } from './gc-scheduler.js';
import type { Admission, Quotas } from './quotas.js';
import { type ProfilePlan, SessionProfile } from './session-profile.js';
import type { StorageHost } from './storage/storage-host.js';
import type { ClosingRequests, StorageHandle, StorageOptions } from './storage/storage-options.js';

/**
 * Maximum number of bytes of answers that a client has not acknowledged, or has not read from its socket. Beyond that,
 * the client's messages wait.
 */
const MAX_UNREAD_ANSWER_BYTES = 16 << 20;
const UNREAD_CHECK_MS = 100;

/** Interval at which a dead or parked session checks if a process waits for its lock. Such a process waits about 2 s. */
const LOCK_LOOK_MS = 250;
/**
 * Milliseconds without a message after which a session counts as dead. A new session of its client may then end it.
 */
const DEAD_AFTER_MS = 10_000;
/** Interval at which a parked session looks for a newer session of its client at another server of the bucket. */
const TAKEN_LOOK_MS = LEASE_MS;

export interface ClientSessionServices {
  readonly system: System;
  /** True if the server serves this session only. */
  readonly single: boolean;
  readonly storage: StorageHost;
  readonly storageOptions: StorageOptions;
  readonly quotas: Quotas;
  readonly creditBytes: number;
  /** Plan for CPU profiles of sessions; undefined if none are made. */
  readonly profiles?: ProfilePlan | undefined;
  /** Milliseconds for which a session without a connection is kept; 0 ends it with its connection. */
  readonly parkMs: number;
  readonly log: Logger;
  /** True if another process waits for the lock of a client. */
  isRequested(directory: ClientDirectory): boolean;
  /** Called after a session was parked. Too many may be parked now, so the server may have to end one. */
  parked(): void;
  /** Called when a session ends because of an error. */
  refused(client: string, error: TardisError): void;
  /** Gets the error with which a session ended, in place of the log. */
  readonly onFault?: ((error: TardisError) => void) | undefined;
}

/** The result of a session; `none` if it had no set. */
export type SessionOutcome = 'none' | 'complete' | 'failed';

/** The session of a client, when it has ended. */
export interface Visit {
  readonly client: string;
  /** Address of the client; empty over a socket of this machine. */
  readonly address: string;
  readonly purpose: PurposeName;
  readonly outcome: SessionOutcome;
  /** Bytes of messages. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly durationMs: number;
}

/** The connection that a session uses at present. The session calls `refuse` if its storage fails. */
interface Speaker {
  readonly connection: Connection;
  refuse(error: unknown): void;
}

export interface SessionOwner {
  readonly client: string;
  /** The sub-account that is logged in; empty for the owner. */
  readonly account: string;
  readonly purpose: PurposeName;
  readonly mayPurge: boolean;
  /** Id of the run in the journal; empty if the client has sent none. */
  readonly run: string;
}

export class ClientSession implements SessionOwner {
  readonly client: string;
  readonly account: string;
  readonly purpose: PurposeName;
  readonly mayPurge: boolean;
  readonly run: string;
  readonly beganMs: number;
  /** Resolves when the storage is closed and the client's lock is released. */
  readonly over: Promise<void>;
  space: Admission | undefined;
  parkedAtMs = 0;
  private readonly settling = Promise.withResolvers<void>();
  private handle: StorageHandle | undefined;
  private speaker: Speaker | undefined;
  private opening: Promise<void> | undefined;
  private ending: Promise<void> | undefined;
  private parkTimer: NodeJS.Timeout | undefined;
  private lockTimer: NodeJS.Timeout | undefined;
  private takenTimer: NodeJS.Timeout | undefined;
  private directory: ClientDirectory | undefined;
  /** The newest ticket. `shownTicket` is valid too, since the client may not have received this one yet. */
  private ticket: Buffer = newTicket();
  private shownTicket: Buffer | undefined;
  private hasSet = false;
  private isSetClosed = false;
  private afterSet: ClosingRequests = { isPurgeRequested: false, isAwaited: false };
  /** Number of messages received from the client. */
  private received = 0;
  private receivedBytes = 0;
  private sentBytes = 0;
  private readonly beganAtMs = performance.now();
  private unprocessedBytes = 0;
  /** Messages that are held back until the client has acknowledged answers. */
  private readonly heldBack: { name: MessageName; bytes: Buffer }[] = [];
  private readonly answers = new UnacknowledgedAnswers();
  private profile: SessionProfile | undefined;
  private pausedConnection: Connection | undefined;

  constructor(
    owner: SessionOwner,
    speaker: Speaker,
    private readonly services: ClientSessionServices,
  ) {
    this.client = owner.client;
    this.account = owner.account;
    this.purpose = owner.purpose;
    this.mayPurge = owner.mayPurge;
    this.run = owner.run;
    this.beganMs = services.system.clock.nowMs();
    this.speaker = speaker;
    this.over = this.settling.promise;
  }

  /**
   * Opens the client's storage. Throws CLIENT_BUSY if it is in use, and errors of opening a catalog; the session is
   * then over.
   */
  open(directory: ClientDirectory): Promise<void> {
    this.directory = directory;
    this.profile = this.startProfile();
    const opening = this.openStorage(directory);
    this.opening = opening.catch(() => undefined); // the caller handles the error
    return opening;
  }

  private async openStorage(directory: ClientDirectory): Promise<void> {
    const { storage, storageOptions, quotas } = this.services;
    try {
      if (this.purpose !== Purpose.read) this.space = await quotas.admit(this.client);
      const options = {
        ...storageOptions,
        space: this.space?.grant,
        mayPurge: this.mayPurge,
        account: this.account,
      };
      this.handle = await storage.open(directory, this.purpose, options, {
        answer: (answer, processedBytes) => this.answered(answer, processedBytes),
        closing: (requests) => (this.afterSet = requests),
        failed: (error) => this.failed(error),
      });
      if (this.purpose !== Purpose.read) {
        this.lockTimer = setInterval(() => this.makeWay(), LOCK_LOOK_MS).unref();
      }
    } catch (error) {
      this.finish();
      throw error;
    }
  }

  /** Result of the session so far: `none` without a set, `failed` until its set is closed, then `complete`. */
  get outcome(): SessionOutcome {
    if (!this.hasSet) return 'none';
    return this.isSetClosed ? 'complete' : 'failed';
  }

  /** Returns what the client has done, from an address. */
  visitFrom(address: string): Visit {
    const { client, purpose, outcome, receivedBytes, sentBytes } = this;
    const durationMs = performance.now() - this.beganAtMs;
    return { client, address, purpose, outcome, receivedBytes, sentBytes, durationMs };
  }

  get isEnding(): boolean {
    return this.ending !== undefined;
  }

  get isParked(): boolean {
    return this.speaker === undefined && !this.isEnding;
  }

  /** True if nothing has come from the client for a while, or if it has no connection. */
  get isDead(): boolean {
    return (this.speaker?.connection.silentMs ?? Infinity) >= DEAD_AFTER_MS;
  }

  /** True if the client requested a purge of old sets after the session. */
  get requestsPurge(): boolean {
    return this.afterSet.isPurgeRequested;
  }

  /** The ticket with which the client can resume the session. */
  get newestTicket(): Buffer {
    return this.ticket;
  }

  get receivedCount(): number {
    return this.received;
  }

  /** True if the session can be resumed with this ticket. The comparison takes constant time. */
  accepts(ticket: Buffer): boolean {
    const { shownTicket = this.ticket } = this;
    const [isNewest, isShown] = [isSame(ticket, this.ticket), isSame(ticket, shownTicket)];
    return (isNewest || isShown) && this.hasSet && !this.isEnding;
  }

  /**
   * Continues the session over another connection; the client has handled the first `upTo` answers. The caller then
   * sends the welcome and calls `sendUnacknowledged`. Throws PROTOCOL_VIOLATION if there are not so many answers.
   */
  resume(speaker: Speaker, ticket: Buffer, upTo: number): void {
    this.answers.acknowledge(upTo);
    this.stopWaiting();
    const old = this.speaker;
    this.speaker = speaker;
    old?.connection.terminate(); // it is dead, but this was not detected yet
    this.shownTicket = ticket;
    this.ticket = newTicket();
    this.services.log.info({ client: this.client }, 'session goes on');
  }

  /** Reports the result of the garbage collection after the session to the client, if the client waits for it. */
  settled(outcome: GcOutcome): void {
    if (!this.afterSet.isAwaited) return;
    this.speaker?.connection.send('settled', settledHead(outcome));
  }

  sendUnacknowledged(): void {
    for (const answer of this.answers.unacknowledged) this.speaker?.connection.sendBytes(answer);
    this.release();
  }

  /** Records that the client handled `upTo` answers. Throws PROTOCOL_VIOLATION for a wrong ticket or number. */
  acknowledge(ticket: Buffer, upTo: number): void {
    if (!isSame(ticket, this.ticket)) {
      throw protocolViolation('that ticket is not of this connection');
    }
    this.shownTicket = undefined;
    if (this.keepsAnswers) this.answers.acknowledge(upTo);
    this.release();
  }

  /** Queues a message for the storage. */
  post(name: MessageName, bytes: Buffer): void {
    this.received += 1;
    this.receivedBytes += bytes.length;
    this.unprocessedBytes += bytes.length;
    this.hasSet ||= name === 'openSet';
    this.heldBack.push({ name, bytes });
    this.release();
  }

  /**
   * Handles the end of the connection of `speaker`. Parks the session if it was cut and can be resumed; else ends it.
   */
  lost(speaker: Speaker, isCut: boolean): void {
    if (this.speaker !== speaker) return; // another connection has replaced it
    this.speaker = undefined;
    if (!isCut || !this.keepsAnswers || !this.hasSet || this.handle === undefined) {
      void this.end();
      return;
    }
    const { parkMs, log } = this.services;
    log.info({ client: this.client }, 'session parked');
    this.parkedAtMs = performance.now();
    this.handle.park();
    this.takenTimer = setInterval(() => this.handle?.park(), TAKEN_LOOK_MS).unref();
    this.parkTimer = setTimeout(() => void this.end(), parkMs);
    this.parkTimer.unref();
    this.services.parked();
  }

  /** Ends a dead or parked session if another process waits for the client's lock, since the client may never return. */
  private makeWay(): void {
    if (!this.isDead || this.isEnding || !this.services.isRequested(this.directory!)) return;
    const what = this.isParked ? 'parked' : 'dead';
    this.services.log.info(
      { client: this.client },
      `the client is wanted: its ${what} session ends`,
    );
    void this.cut();
  }

  private stopWaiting(): void {
    clearTimeout(this.parkTimer);
    clearInterval(this.takenTimer);
  }

  /** Ends the session at a checkpoint, and cuts its dead connection. */
  async cut(): Promise<void> {
    const ended = this.end();
    this.speaker?.connection.terminate();
    await ended;
  }

  /** Ends the session at a checkpoint. Never throws; may be called twice. */
  end(): Promise<void> {
    this.ending ??= this.close((handle) => handle.end(), 'session over');
    return this.ending;
  }

  /** Ends the session at once, and discards all data that no checkpoint covers. Never throws; may be called twice. */
  abandon(): Promise<void> {
    this.ending ??= this.close((handle) => handle.abandon(), 'session abandoned');
    return this.ending;
  }

  private get isBackup(): boolean {
    return this.purpose === Purpose.backup;
  }

  private get keepsAnswers(): boolean {
    return this.isBackup && this.services.parkMs > 0;
  }

  private async close(how: (handle: StorageHandle) => Promise<void>, what: string): Promise<void> {
    await this.opening;
    const { handle, client, services } = this;
    this.handle = undefined;
    this.heldBack.length = 0;
    this.stopWaiting();
    clearInterval(this.lockTimer);
    try {
      if (handle !== undefined) await how(handle);
      services.log.info(this.isBackup ? { client, outcome: this.outcome } : { client }, what);
    } catch (error) {
      const failure = asTardisError(error);
      const { code, message: reason } = failure;
      if (services.onFault !== undefined) services.onFault(failure);
      else services.log.error({ client, code, reason }, `${what}, and its end failed`);
    }
    this.finish();
  }

  private startProfile(): SessionProfile | undefined {
    const { client } = this;
    const { log, profiles } = this.services;
    return SessionProfile.start(profiles, client, 'server', ({ code, message }) =>
      log.warn({ client, code, reason: message }, 'no profile of the session was made'),
    );
  }

  private finish(): void {
    this.ending ??= Promise.resolve();
    this.profile?.stop();
    this.space?.release();
    this.space = undefined;
    this.settling.resolve();
  }

  private failed(error: TardisError): void {
    this.handle = undefined; // the storage has already released everything
    if (this.speaker !== undefined) {
      this.speaker.refuse(error);
      return;
    }
    this.services.refused(this.client, error);
    this.services.log.warn({ client: this.client, code: error.code }, 'a parked session failed');
    void this.abandon();
  }

  private answered(answer: Buffer | undefined, processedBytes: number): void {
    this.unprocessedBytes -= processedBytes;
    if (answer !== undefined) {
      this.sentBytes += answer.length;
      this.isSetClosed ||= answer[0] === MESSAGES.setClosed.number;
      this.warnOfMachine(answer);
      if (this.keepsAnswers) {
        this.answers.keep(answer);
        this.speaker?.connection.sendBytes(answer);
      } else this.speaker?.connection.sendLast(answer);
    }
    this.throttle();
    if (this.isSetClosed && this.afterSet.isAwaited) void this.end();
  }

  /**
   * Logs that another machine has made the set before the one that `answer` opens, since the sets of both are then mixed.
   * The client of a server for one session prints that itself, on the same terminal.
   */
  private warnOfMachine(answer: Buffer): void {
    if (answer[0] !== MESSAGES.setOpened.number) return;
    const { set, otherMachine } = decodeMessage('setOpened', answer).head;
    if (otherMachine === undefined) return;
    const { log, single } = this.services;
    const { client } = this;
    log[single ? 'warn' : 'error'](
      { client, set, otherMachine },
      'another machine has made the set before',
    );
  }

  /** Passes held-back messages to the storage, as long as the unacknowledged answers are within their limit. */
  private release(): void {
    while (this.answers.bytes <= MAX_UNREAD_ANSWER_BYTES) {
      const next = this.heldBack.shift();
      if (next === undefined) break;
      this.handle?.post(next.name, next.bytes);
    }
    this.throttle();
  }

  /** Pauses the connection while the storage has too many bytes to process, or the client too many answers to read. */
  private throttle(): void {
    const connection = this.speaker?.connection;
    const tooMany =
      this.unprocessedBytes > this.services.creditBytes ||
      (connection?.bufferedBytes ?? 0) > MAX_UNREAD_ANSWER_BYTES;
    const isPaused = connection !== undefined && this.pausedConnection === connection;
    if (connection === undefined || tooMany === isPaused) return;
    this.pausedConnection = tooMany ? connection : undefined;
    if (!tooMany) {
      connection.resume();
      return;
    }
    connection.pause();
    const recheck = setInterval(() => {
      this.throttle();
      if (this.pausedConnection !== connection) clearInterval(recheck);
    }, UNREAD_CHECK_MS);
    recheck.unref();
  }
}

/** Returns a new ticket from the system's random generator, which cannot be replaced by a predictable one. */
function newTicket(): Buffer {
  return randomBytes(TICKET_BYTES);
}

function isSame(shown: Buffer, ticket: Buffer): boolean {
  return shown.length === TICKET_BYTES && timingSafeEqual(shown, ticket);
}

/** Returns the message `settled`, which reports the result of garbage collection to a client that waits for it. */
function settledHead(outcome: GcOutcome): Head<'settled'> {
  if (outcome === undefined) return NOTHING_SETTLED;
  if ('failure' in outcome) return { ...NOTHING_SETTLED, isDone: false, failure: outcome.failure };
  const { purged, early, young, isCautious, isClockInDoubt, purgeFailure = '' } = outcome.done;
  const { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone } = outcome.done;
  const cleared = { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone };
  const gone = { purged: [...purged], early: [...early], young, cautious: isCautious };
  return { ...gone, ...cleared, inDoubt: isClockInDoubt, failure: purgeFailure };
}

/**
 * Answers that a client has not acknowledged. They are sent again when the client returns over another connection.
 * Both ends count messages, so no message needs a number.
 */
export class UnacknowledgedAnswers {
  /** Number of bytes of the answers that are kept. */
  bytes = 0;
  private acknowledged = 0;
  private readonly kept: Buffer[] = [];

  keep(answer: Buffer): void {
    this.kept.push(answer);
    this.bytes += answer.length;
  }

  /**
   * Discards the answers that the client has handled: the first `upTo` of all. Throws PROTOCOL_VIOLATION if there are
   * not so many, or if it has acknowledged more before.
   */
  acknowledge(upTo: number): void {
    const count = upTo - this.acknowledged;
    if (count < 0 || count > this.kept.length) {
      throw protocolViolation('the client acknowledges what it cannot have heard');
    }
    for (const answer of this.kept.splice(0, count)) this.bytes -= answer.length;
    this.acknowledged = upTo;
  }

  /** The answers to send again, in order. */
  get unacknowledged(): readonly Buffer[] {
    return this.kept;
  }
}

/**
 * What a client has open in the storage, whichever connection it speaks by. A backup outlives its connection:
 *
 *   live ──connection lost──▸ parked ──resume──▸ live
 *   live, parked ──end, abandon──▸ over
 *
 * While it is parked it holds the client's lock and what the server owes the client; a checkpoint is made at
 * once. It ends at a checkpoint when its time is over, when too many are parked, when another process wants the
 * client's lock, or when another session of the
 * client takes its place. A client shows by its ticket that it is the one that began it.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import { TardisError } from '../errors/index.js';
import type { ClientDirectory } from '../store/index.js';
import {
  type Connection,
  decodeMessage,
  type MessageName,
  MESSAGES,
  Purpose,
  type PurposeName,
  TICKET_BYTES,
} from '../transport/index.js';
import { KeptAnswers } from './kept-answers.js';
import type { Admission, Quotas } from './quotas.js';
import type { StorageHandle, StorageHost, StorageOptions } from './storage/index.js';
import { type ProfilePlan, SessionProfile } from './session-profile.js';
import type { SessionOutcome } from './watch/index.js';

/** Answers a client has not acknowledged, or does not read; then its messages wait. */
const MAX_UNREAD_ANSWER_BYTES = 16 << 20;
const UNREAD_CHECK_MS = 100;

/** Between two looks whether somebody wants the lock of a parked session: he waits for some two seconds. */
const LOCK_LOOK_MS = 250;

export interface ClientSessionServices {
  readonly storage: StorageHost;
  readonly storageOptions: StorageOptions;
  readonly quotas: Quotas;
  readonly creditBytes: number;
  /** Each session's time is looked at. */
  readonly profiles?: ProfilePlan | undefined;
  /** How long a session whose connection is lost is kept; 0: it ends with its connection. */
  readonly parkMs: number;
  readonly log: Logger;
  /** Whether somebody else waits for the lock of a client. */
  isWanted(directory: ClientDirectory): boolean;
  /** A session was parked: there may be too many. */
  parked(): void;
  /** A session ends because something was refused. */
  refused(client: string, error: TardisError): void;
}

/** Who speaks, over what, and is told when the storage fails. */
export interface Speaker {
  readonly connection: Connection;
  refuse(error: unknown): void;
}

export interface SessionOwner {
  readonly client: string;
  /** The sub-account that is logged in; empty: the owner. */
  readonly account: string;
  readonly purpose: PurposeName;
}

export class ClientSession implements SessionOwner {
  readonly client: string;
  readonly account: string;
  readonly purpose: PurposeName;
  /** Resolves when the storage is closed, and with it the client's lock. */
  readonly over: Promise<void>;
  space: Admission | undefined;
  /** Orders parked sessions. */
  parkedAtMs = 0;
  private settleOver!: () => void;
  private handle: StorageHandle | undefined;
  private speaker: Speaker | undefined;
  private opening: Promise<void> | undefined;
  private ending: Promise<void> | undefined;
  private parkTimer: NodeJS.Timeout | undefined;
  private lockTimer: NodeJS.Timeout | undefined;
  private directory: ClientDirectory | undefined;
  /** The newest ticket, and the one the client showed last: it may not have heard of the newest. */
  private ticket: Buffer = newTicket();
  private shownTicket: Buffer | undefined;
  private hasSet = false;
  private isSetClosed = false;
  private isPurgeWanted = false;
  /** Messages of the client that have come. */
  private received = 0;
  private unprocessedBytes = 0;
  /** Messages that are held back until the client has acknowledged answers. */
  private readonly heldBack: { name: MessageName; bytes: Buffer }[] = [];
  private readonly answers = new KeptAnswers();
  private readonly services: ClientSessionServices;
  private profile: SessionProfile | undefined;
  private pausedConnection: Connection | undefined;

  constructor(owner: SessionOwner, speaker: Speaker, services: ClientSessionServices) {
    this.client = owner.client;
    this.account = owner.account;
    this.purpose = owner.purpose;
    this.speaker = speaker;
    this.services = services;
    this.over = new Promise((resolve) => {
      this.settleOver = resolve;
    });
  }

  /** Opens the client's storage. Throws CLIENT_BUSY and what opening a catalog throws; then it is over. */
  open(directory: ClientDirectory): Promise<void> {
    this.directory = directory;
    this.profile = this.startProfile();
    const opening = this.openStorage(directory);
    this.opening = opening.catch(() => undefined); // told to who waits for it
    return opening;
  }

  private async openStorage(directory: ClientDirectory): Promise<void> {
    const { storage, storageOptions, quotas } = this.services;
    try {
      if (this.isBackup) this.space = await quotas.admit(this.client);
      const options = { ...storageOptions, space: this.space?.grant };
      this.handle = await storage.open(directory, this.purpose, options, {
        answer: (answer, processedBytes) => this.answered(answer, processedBytes),
        failed: (error) => this.failed(error),
      });
    } catch (error) {
      this.finish();
      throw error;
    }
  }

  /** What has become of its set so far. */
  get outcome(): SessionOutcome {
    if (!this.hasSet) return 'none';
    return this.isSetClosed ? 'complete' : 'failed';
  }

  get isEnding(): boolean {
    return this.ending !== undefined;
  }

  get isParked(): boolean {
    return this.speaker === undefined && !this.isEnding;
  }

  /** Milliseconds since the client was last heard of, by a connection that is open. */
  get silentMs(): number {
    return this.speaker?.connection.silentMs ?? Infinity;
  }

  /** Old sets are to be purged when it is over. */
  get wantsPurge(): boolean {
    return this.isPurgeWanted;
  }

  /** What the client has to show, if it wants to come back. */
  get newestTicket(): Buffer {
    return this.ticket;
  }

  /** How many of the client's messages have come. */
  get receivedCount(): number {
    return this.received;
  }

  /** Whether a ticket is one of ours, in constant time. */
  accepts(ticket: Buffer): boolean {
    const { shownTicket = this.ticket } = this;
    const [isNewest, isShown] = [isSame(ticket, this.ticket), isSame(ticket, shownTicket)];
    return (isNewest || isShown) && this.hasSet && !this.isEnding;
  }

  /**
   * The client goes on over another connection, having handled the first `upTo` answers. The welcome is to be
   * sent next, then `sayAgain` called. Throws PROTOCOL_VIOLATION.
   */
  resume(speaker: Speaker, ticket: Buffer, upTo: number): void {
    this.answers.acknowledge(upTo);
    this.stopWaiting();
    const old = this.speaker;
    this.speaker = speaker;
    old?.connection.terminate(); // it is dead, though nobody has noticed yet
    this.shownTicket = ticket;
    this.ticket = newTicket();
    this.services.log.info({ client: this.client }, 'session goes on');
  }

  sayAgain(): void {
    for (const answer of this.answers.unacknowledged) this.speaker?.connection.sendBytes(answer);
    this.release();
  }

  /** The client has heard the newest ticket, and handled the first `upTo` answers. Throws PROTOCOL_VIOLATION. */
  acknowledge(ticket: Buffer, upTo: number): void {
    if (!isSame(ticket, this.ticket)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'that ticket is not of this connection');
    }
    this.shownTicket = undefined;
    if (this.keepsAnswers) this.answers.acknowledge(upTo);
    this.release();
  }

  /** Takes a message for the storage. */
  post(name: MessageName, bytes: Buffer): void {
    this.received += 1;
    this.unprocessedBytes += bytes.length;
    this.hasSet ||= name === 'openSet';
    if (name === 'closeSet') this.isPurgeWanted = decodeMessage(name, bytes).head.purge;
    this.heldBack.push({ name, bytes });
    this.release();
  }

  /** The connection of `speaker` is over. If it was cut, what the client may come back to is parked. */
  lost(speaker: Speaker, isCut: boolean): void {
    if (this.speaker !== speaker) return; // another one has taken its place
    this.speaker = undefined;
    if (!isCut || !this.keepsAnswers || !this.hasSet || this.handle === undefined) {
      void this.end();
      return;
    }
    const { parkMs, log } = this.services;
    log.info({ client: this.client }, 'session parked');
    this.parkedAtMs = performance.now();
    this.handle.checkpoint();
    this.parkTimer = setTimeout(() => void this.end(), parkMs);
    this.parkTimer.unref();
    this.lockTimer = setInterval(() => this.makeWay(), LOCK_LOOK_MS);
    this.lockTimer.unref();
    this.services.parked();
  }

  /** Nobody need wait for a client that may never come back. */
  private makeWay(): void {
    if (this.directory === undefined || !this.services.isWanted(this.directory)) return;
    this.services.log.info(
      { client: this.client },
      'the client is wanted: its parked session ends',
    );
    void this.end();
  }

  private stopWaiting(): void {
    clearTimeout(this.parkTimer);
    clearInterval(this.lockTimer);
  }

  /** For a connection that is dead, and a session nobody comes back to: it ends at a checkpoint. */
  async cut(): Promise<void> {
    const ended = this.end();
    this.speaker?.connection.terminate();
    await ended;
  }

  /** Ends at a checkpoint. Never throws; may be called twice. */
  end(): Promise<void> {
    this.ending ??= this.close((handle) => handle.end(), 'session over');
    return this.ending;
  }

  /** Ends at once, giving up what no checkpoint covered. The same. */
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
    const { handle, client } = this;
    const { log } = this.services;
    this.handle = undefined;
    this.heldBack.length = 0;
    this.stopWaiting();
    try {
      if (handle !== undefined) await how(handle);
      log.info(this.isBackup ? { client, outcome: this.outcome } : { client }, what);
    } catch (error) {
      log.error({ client, err: error }, `${what}, its last checkpoint failed`);
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
    this.settleOver();
  }

  private failed(error: TardisError): void {
    this.handle = undefined; // it has let go of all it had
    const { speaker } = this;
    if (speaker !== undefined) {
      speaker.refuse(error);
      return;
    }
    this.services.refused(this.client, error);
    this.services.log.warn({ client: this.client, code: error.code }, 'a parked session failed');
    void this.abandon();
  }

  private answered(answer: Buffer | undefined, processedBytes: number): void {
    this.unprocessedBytes -= processedBytes;
    if (answer !== undefined) {
      this.isSetClosed ||= answer[0] === MESSAGES.setClosed.number;
      if (this.keepsAnswers) this.answers.keep(answer);
      this.speaker?.connection.sendBytes(answer);
    }
    this.throttle();
  }

  /** Hands messages to the storage as long as the client takes its answers. */
  private release(): void {
    while (this.answers.bytes <= MAX_UNREAD_ANSWER_BYTES) {
      const next = this.heldBack.shift();
      if (next === undefined) break;
      this.handle?.post(next.name, next.bytes);
    }
    this.throttle();
  }

  /** Reads no further while the storage, or the client's reading of answers, is behind. */
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

/** From the system's own generator: no injected one may make it guessable. */
function newTicket(): Buffer {
  return randomBytes(TICKET_BYTES);
}

function isSame(shown: Buffer, ticket: Buffer): boolean {
  return shown.length === TICKET_BYTES && timingSafeEqual(shown, ticket);
}

/**
 * One backup session on one client's store. It handles messages one at a time and in order, and decides when a
 * checkpoint is due. It reports how many messages it has handled (the protocol calls them received), and how many of
 * them are durable. It runs in a storage thread, or in the caller's thread for deterministic tests.
 */
import {
  asTardisError,
  isDoneUnlessBug,
  protocolViolation,
  TardisError,
} from '../../errors/index.js';
import { writeImageIfRoom } from '../../maintenance/gc/index.js';
import {
  MAX_ADDED_RUNS,
  parseRun,
  releaseMemory,
  runsOfClient,
  type SetNumber,
} from '../../model/index.js';
import { NO_LOSS } from '../../store/catalog/index.js';
import { addRuns, type ClientDirectory, requesterOf } from '../../store/index.js';
import { ageFigures, makeSnapshot, SpaceMeter, StoreWriter } from '../../store/writer/index.js';
import { type System, wallMs } from '../../system/index.js';
import {
  type BackupMessage,
  decodeMessage,
  encodeMessage,
  type Head,
  isBackupMessage,
  type MessageName,
  openedDigest,
} from '../../transport/index.js';
import {
  formatsFor,
  optionsFor,
  type StorageEvents,
  type StorageHandle,
  type StorageOptions,
} from '../storage/storage-options.js';
import { type BackupHandlers, backupHandlers } from './backup-handlers.js';
import { type Answer, BasisOffers } from './basis-offers.js';
import { IncomingContents } from './incoming-contents.js';
import { Ingest } from './ingest.js';
import { changeKeys, requireKeys } from './key-change.js';
import { countsIn } from './notes.js';
import { named, setsBefore } from './set-request.js';
import { SpaceLimits } from './space-limits.js';
import { Trust } from './trust.js';

/** A report is sent after this many bytes, or after this time. */
const RECEIPT_BYTES = 1 << 20;
const RECEIPT_DELAY_MS = 2;

/** Services for a session: they receive its reports. */
interface SessionServices {
  readonly events: StorageEvents;
  /** Called when no copy of the catalog could be made in a bucket, which ends no session. */
  readonly copyFailed: (error: TardisError) => void;
}

export class StorageSession implements StorageHandle {
  private readonly queue: { name: MessageName; bytes: Buffer }[] = [];
  private isPumping = false;
  private failure: unknown;
  private isReleased = false;
  private readonly beginning = new SetBeginning();
  private idle: (() => void)[] = [];
  private ingest: Ingest | undefined;
  private readonly large: IncomingContents;
  private readonly room: SpaceLimits;
  private readonly offers: BasisOffers;
  private readonly trust: Trust;
  private readonly receipts: Receipts;
  private readonly handlers: BackupHandlers;
  /** Digest of the answer to `openSet`. */
  private opened: Buffer = Buffer.alloc(0);
  private durableUpTo = 0;
  private isCheckpointRequested = false;
  private isLookRequested = false;
  private lastCheckpointMs: number;
  private readonly timer: NodeJS.Timeout;
  private storedBytesBefore = 0;
  /** Monotonic age of the set. */
  private age: ReturnType<typeof ageFigures> = {};
  private readonly options: StorageOptions;
  private readonly events: StorageEvents;
  private readonly copyFailed: SessionServices['copyFailed'];

  private constructor(
    private readonly system: System,
    private readonly store: StoreWriter,
    private readonly directory: ClientDirectory,
    { events, copyFailed, ...options }: SessionServices & StorageOptions,
  ) {
    this.trust = new Trust(store.catalog, options.account);
    const answer: Answer = (name, head) => this.answer(name, head);
    this.offers = new BasisOffers(system, store, {
      limits: { ...options.deltas, isRemote: directory.bucket !== undefined },
      trust: this.trust,
      answer,
    });
    this.large = new IncomingContents(store, this.offers, this.trust);
    this.room = new SpaceLimits(store, this.large);
    this.receipts = new Receipts((upTo, bytes) => this.acknowledge(upTo, bytes));
    this.options = options;
    this.events = events;
    this.copyFailed = copyFailed;
    this.handlers = {
      openSet: (head) => this.onOpenSet(head),
      closeSet: (head) => this.onCloseSet(head),
      setKeys: (head) => this.onSetKeys(head),
      ...backupHandlers(store, this.large, this.offers, {
        currentSet: () => this.currentSet,
        answer,
        savesConfig: options.saveConfig,
      }),
    };
    this.lastCheckpointMs = system.clock.monotonicMs();
    // A timed checkpoint has to happen even if no message arrives.
    this.timer = setInterval(() => this.pump(), Math.max(50, options.checkpoint.intervalMs / 2));
    this.timer.unref();
  }

  /** Locks and opens the client, recovering it if needed. Throws errors of StoreWriter.open. */
  static async open(
    system: System,
    directory: ClientDirectory,
    options: StorageOptions,
    services: SessionServices,
  ): Promise<StorageSession> {
    const space = options.space && new SpaceMeter(options.space);
    const store = await StoreWriter.open(system, directory, options.store, space);
    try {
      requireKeys(system, store.catalog, directory);
      const own = optionsFor(store.catalog, options);
      return new StorageSession(system, store, directory, { ...own, ...services });
    } catch (error) {
      throw store.closeAfterFailure(error);
    }
  }

  /** Queues one message; the connection's credit limits the queue. */
  post(name: MessageName, bytes: Buffer): void {
    if (this.failure !== undefined) return;
    this.queue.push({ name, bytes });
    this.pump();
  }

  /**
   * Requests a checkpoint as soon as the received messages are handled. In a bucket, it also requests a check for
   * another session of the client.
   */
  park(): void {
    this.isCheckpointRequested = true;
    this.isLookRequested = this.store.isShared;
    this.pump();
  }

  /**
   * Ends the session at a checkpoint. Keeps everything received, but not a set that received only its first messages.
   * Throws if the checkpoint fails.
   */
  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.whenIdle();
    const isBare = this.ingest !== undefined && this.durableUpTo === 0 && this.beginning.isAll;
    if (isBare) await this.abandon();
    await this.offers.stop();
    if (this.failure !== undefined) return;
    try {
      this.large.dropAll();
      if (this.ingest === undefined) await this.store.checkpoint();
      else await this.ingest.checkpoint();
      await writeImageIfRoom(this.store);
      // The parity of a set that was broken off is made by garbage collection: it reads whole parts, and its user waits for this end.
      if (this.ingest?.isClosed !== false) await this.store.parity.protectAll();
      await this.copyToBucket();
      this.room.settle();
      this.store.close();
    } catch (error) {
      this.failure = this.room.explained(error);
      this.release();
      throw this.failure;
    }
  }

  private async copyToBucket(): Promise<void> {
    const failure = await makeSnapshot(this.system, this.directory, this.store);
    if (failure !== undefined) this.copyFailed(failure);
  }

  /** Ends the session at once, and discards all data that no checkpoint covers. */
  async abandon(): Promise<void> {
    this.failure ??= new TardisError('CONNECTION_LOST', 'the session was abandoned');
    this.queue.length = 0;
    await this.whenIdle(); // a running checkpoint must end before the lock is released
    await this.offers.stop();
    this.release();
  }

  /** Closes everything at once, staged streams included. Never throws. */
  private release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    clearInterval(this.timer);
    this.queue.length = 0;
    this.offers.halt();
    try {
      this.large.dropAll();
    } catch {
      // The next opening removes the staged files; the failure that led here is the one to report.
    }
    this.store.closeAfterFailure(this.failure);
  }

  private whenIdle(): Promise<void> | undefined {
    if (!this.isPumping) return undefined;
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private pump(): void {
    if (this.isPumping || this.failure !== undefined) return;
    this.isPumping = true;
    this.run().then(
      () => this.pumped(),
      (error: unknown) => {
        const explained = this.room.explained(error);
        this.failure = explained;
        this.release();
        this.events.failed(asTardisError(explained));
        this.pumped();
      },
    );
  }

  private pumped(): void {
    this.isPumping = false;
    // A message or a request may have arrived after the last look at the queue, while this pump was still running.
    const isMore = this.queue.length > 0 || this.isLookRequested || this.isCheckpointDue();
    if (isMore && this.failure === undefined) this.pump();
    else for (const resolve of this.idle.splice(0)) resolve();
  }

  private async run(): Promise<void> {
    for (;;) {
      const message = this.queue.shift();
      if (message === undefined) {
        this.receipts.acknowledgeSoon();
        if (this.isCheckpointDue()) await this.commit();
        else if (this.isLookRequested) await this.look();
        else return;
        continue;
      }
      try {
        const pending = this.handle(message.name, message.bytes);
        if (pending !== undefined) await pending;
        await this.room.count(message.name === 'closeSet');
      } catch (error) {
        // The error reports the space that is free now, not the space after `keep` has made room.
        const explained = this.room.explained(this.store.catalog.explained(error));
        await this.room.keep(error, async () => this.ingest?.checkpoint());
        throw explained;
      }
      const { length } = message.bytes;
      // These two contain records only, and nothing keeps a reference to them.
      if (message.name === 'parcel' || message.name === 'streamChunk') {
        releaseMemory(message.bytes);
      }
      this.receipts.add(length);
      if (this.isCheckpointDue()) await this.commit();
    }
  }

  private acknowledge(upTo: number, bytes: number): void {
    if (this.failure !== undefined) return;
    this.events.answer(encodeMessage('received', { upTo }).head, bytes);
  }

  private isCheckpointDue(): boolean {
    if (this.ingest === undefined) return false;
    const { checkpoint } = this.options;
    const { uncommittedBytes } = this.store.packs;
    if (uncommittedBytes >= checkpoint.bytes) return true;
    if (this.ingest.entriesSinceCheckpoint >= checkpoint.entries) return true;
    if (uncommittedBytes === 0 && this.receipts.handled === this.durableUpTo) return false;
    if (this.isCheckpointRequested) return true;
    return this.system.clock.monotonicMs() - this.lastCheckpointMs >= checkpoint.intervalMs;
  }

  private async commit(): Promise<void> {
    const upTo = this.receipts.handled;
    await this.ingest!.checkpoint();
    this.lastCheckpointMs = this.system.clock.monotonicMs();
    this.durableUpTo = upTo;
    this.isCheckpointRequested = false;
    this.answer('durable', { upTo });
    await this.store.parity.protectFinished();
  }

  /**
   * Throws STORE_TAKEN if another session of the client has begun elsewhere. No commit of this session runs at the same
   * time.
   */
  private async look(): Promise<void> {
    this.isLookRequested = false;
    try {
      await this.store.packs.requireNewest();
    } catch (error) {
      // The bucket may be away for a while: the next look, or the next commit, finds out.
      if (asTardisError(error).code === 'STORE_TAKEN') throw error;
    }
  }

  private answer<N extends MessageName>(name: N, head: Head<N>): void {
    this.events.answer(encodeMessage(name, head).head, 0);
  }

  private get currentSet(): Ingest {
    if (this.ingest === undefined) {
      throw protocolViolation('a message came before its set was opened');
    }
    if (this.ingest.isClosed) throw protocolViolation('a message came behind the end of its set');
    return this.ingest;
  }

  /** Handles one message. Returns a promise only if there is something to wait for. */
  private handle(name: MessageName, bytes: Buffer): Promise<void> | void {
    this.beginning.take(name);
    if (!isBackupMessage(name)) throw protocolViolation(`"${name}" is no backup message`);
    return this.take(name, bytes);
  }

  /** Decodes a message and passes it to its handler. */
  private take<N extends BackupMessage>(name: N, bytes: Buffer): Promise<void> | void {
    const { head, attachment } = decodeMessage(name, bytes);
    this.room.prepare(bytes.length, attachment.length);
    return this.handlers[name](head, attachment, bytes.length);
  }

  private onOpenSet(head: Head<'openSet'>): void {
    if (this.ingest !== undefined) throw protocolViolation('the session has a set already');
    this.room.require();
    const nowMs = wallMs(this.system.clock);
    this.storedBytesBefore = this.store.packs.appendedBytes;
    const { catalog } = this.store;
    const before = catalog.sets.listed();
    const formats = formatsFor(catalog, this.options.names);
    const requestedBy = requesterOf(this.system, this.directory);
    const chosen = named(catalog, head, before, { nowMs, formats, requestedBy });
    this.age = ageFigures(before, nowMs);
    const request = { ...head, ...chosen, nowMs };
    const { ingest, opened } = Ingest.open(this.store, request, this.offers, this.trust);
    this.ingest = ingest;
    const { set, name, isEmpty: empty, protection } = opened;
    const about = setsBefore(this.store, before, { set, marks: request.marks });
    const answer = { set, name, empty, protection: [...protection], ...about };
    this.opened = openedDigest(answer);
    this.answer('setOpened', answer);
  }

  private async onSetKeys({ keys }: Head<'setKeys'>): Promise<void> {
    this.answer('keysSet', { number: await changeKeys(this.system, this.directory, keys) });
  }

  private async onCloseSet(head: Head<'closeSet'>): Promise<void> {
    const { stats, seal, opened, purge, waits, runs } = head;
    if (seal.length > 0 && !this.opened.equals(opened)) {
      const what = 'the answer to "openSet" was changed on its way, so the seal proves another set';
      throw protocolViolation(what);
    }
    this.events.closing({ isPurgeRequested: purge, isAwaited: waits });
    if (this.large.openCount > 0) throw protocolViolation('a set ends while streams are open');
    const { currentSet } = this;
    const counts = countsIn(stats);
    const upTo = this.receipts.handled + 1;
    // The set records the bytes stored before its end; the client's answer includes the last records too.
    const figures = { ...counts, ...this.age, storedBytes: this.storedBytes };
    this.store.catalog.state.writeFoundLoss(NO_LOSS); // it was reported to the client
    await currentSet.complete(wallMs(this.system.clock), figures, seal);
    this.durableUpTo = upTo;
    this.answer('durable', { upTo });
    await this.store.parity.protectFinished();
    this.store.parity.expectLast();
    this.room.settle();
    const isRecorded = await this.record(runs, currentSet.set);
    const usedBytes = this.store.space?.usedBytes ?? 0;
    const { storedBytes } = this;
    this.answer('setClosed', { set: currentSet.set, storedBytes, usedBytes, isRecorded });
  }

  /**
   * Adds the records that end a set to the journal. Without them the set is as complete, so a failure ends nothing: then it
   * returns false, and the client keeps them.
   */
  private async record(lines: readonly string[], set: SetNumber): Promise<boolean> {
    const sent = lines.slice(-MAX_ADDED_RUNS).flatMap((line) => parseRun(line) ?? []);
    const runs = runsOfClient(sent, this.options.account ?? '');
    const own = runs.pop();
    if (own === undefined) return true;
    const numbers = { ...own.numbers, set, storedBytes: this.storedBytes };
    const all = [...runs, { ...own, numbers }];
    return isDoneUnlessBug(() => addRuns(this.system, this.directory, all));
  }

  private get storedBytes(): number {
    return this.store.packs.appendedBytes - this.storedBytesBefore;
  }
}

const BEGINNING: ReadonlySet<MessageName> = new Set([
  'openSet',
  'configuration',
  'owners',
  'heads',
]);

/** Detects a set that received only its first messages, which a client sends before it has an answer. */
class SetBeginning {
  /** True as long as nothing was received that would be lost with the set. */
  isAll = true;

  take(name: MessageName): void {
    this.isAll &&= BEGINNING.has(name);
  }
}

/** Reports to the client how many of its messages have been handled; one report covers many messages. */
class Receipts {
  /** Number of messages handled so far. */
  handled = 0;
  private acknowledged = 0;
  private unacknowledgedBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly acknowledge: (upTo: number, bytes: number) => void;

  /**
   * Creates the reports, which call `send` with the number of handled messages and the bytes of those handled since
   * the last call.
   */
  constructor(send: (upTo: number, bytes: number) => void) {
    this.acknowledge = send;
  }

  add(bytes: number): void {
    this.handled += 1;
    this.unacknowledgedBytes += bytes;
    if (this.unacknowledgedBytes >= RECEIPT_BYTES) this.acknowledgeNow();
  }

  /** Schedules a report; small messages that arrive in a short time share one. */
  acknowledgeSoon(): void {
    if (this.acknowledged === this.handled || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.acknowledgeNow(), RECEIPT_DELAY_MS);
  }

  private acknowledgeNow(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.acknowledged === this.handled) return;
    this.acknowledged = this.handled;
    const bytes = this.unacknowledgedBytes;
    this.unacknowledgedBytes = 0;
    this.acknowledge(this.handled, bytes);
  }
}

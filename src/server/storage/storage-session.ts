/**
 * One session's messages against one client's store, one at a time and in order. It decides when a
 * checkpoint is due, answers what is asked, and tells how far the client's messages have been
 * received (are in the write path) and are durable. It runs in the storage thread, or in the caller's thread when a test wants determinism.
 */
import { TardisError } from '../../errors/index.js';
import { releaseMemory } from '../../model/index.js';
import type { ClientDirectory } from '../../store/index.js';
import { type System, wallMs } from '../../system/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
} from '../../transport/index.js';
import { BasisOffers } from './basis-offers.js';
import { formatsFor, optionsFor } from './client-settings.js';
import { ClientStore, SpaceMeter, stampFigures } from '../../keeper/index.js';
import { IncomingContents } from './incoming-contents.js';
import { Ingest } from './ingest.js';
import { changeKeys } from './key-change.js';
import { countsIn, takeConfiguration, takeNotes } from './notes.js';
import { Receipts } from './receipts.js';
import { Room } from './room.js';
import { named, setsBefore } from './set-request.js';
import { splitRecords } from './split-records.js';
import type { AnswerSink, StorageOptions } from './storage-options.js';

export class StorageSession {
  private readonly queue: { name: MessageName; bytes: Buffer }[] = [];
  private isPumping = false;
  private failure: unknown;
  private isReleased = false;
  private idle: (() => void)[] = [];
  private ingest: Ingest | undefined;
  private readonly large: IncomingContents;
  private readonly room: Room;
  private readonly offers: BasisOffers;
  private readonly receipts: Receipts;
  private durableUpTo = 0;
  private isCheckpointWanted = false;
  private lastCheckpointMs: number;
  private readonly timer: NodeJS.Timeout;
  private storedBytesBefore = 0;
  private readonly system: System;
  private readonly store: ClientStore;
  private readonly directory: ClientDirectory;
  private readonly options: StorageOptions;
  private readonly sink: AnswerSink;
  private readonly onFailure: (error: unknown) => void;

  private constructor(
    system: System,
    store: ClientStore,
    directory: ClientDirectory,
    options: StorageOptions,
    sink: AnswerSink,
    onFailure: (error: unknown) => void,
  ) {
    this.system = system;
    this.store = store;
    this.directory = directory;
    this.offers = new BasisOffers(system, store, options.deltas, (name, head) =>
      this.answer(name, head),
    );
    this.large = new IncomingContents(store, this.offers);
    this.room = new Room(store, this.large);
    this.receipts = new Receipts((upTo, bytes) => this.tellReceived(upTo, bytes));
    this.options = options;
    this.sink = sink;
    this.onFailure = onFailure;
    this.lastCheckpointMs = system.clock.monotonicMs();
    // A timed checkpoint comes even when no message does.
    this.timer = setInterval(() => this.pump(), Math.max(50, options.checkpoint.intervalMs / 2));
    this.timer.unref();
  }

  /** Locks and opens the client (recovering if needed). Throws what ClientStore.open throws. */
  static async open(
    system: System,
    directory: ClientDirectory,
    options: StorageOptions,
    sink: AnswerSink,
    onFailure: (error: unknown) => void,
  ): Promise<StorageSession> {
    const space = options.space && new SpaceMeter(options.space);
    const store = await ClientStore.open(system, directory, options.store, space);
    try {
      const own = optionsFor(store.catalog, options);
      return new StorageSession(system, store, directory, own, sink, onFailure);
    } catch (error) {
      throw store.letGo(error);
    }
  }

  get hasChanges(): boolean {
    return this.store.entriesWritten > 0;
  }

  /** Queues one message; the connection's credit bounds the queue. */
  post(name: MessageName, bytes: Buffer): void {
    if (this.failure !== undefined) return;
    this.queue.push({ name, bytes });
    this.pump();
  }

  /** A checkpoint of what has come, as soon as it is handled. */
  checkpointSoon(): void {
    this.isCheckpointWanted = true;
    this.pump();
  }

  /** Ends at a checkpoint: everything received so far is kept. Throws if that fails. */
  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.whenIdle();
    await this.offers.stop();
    if (this.failure !== undefined) return;
    try {
      this.large.dropAll();
      if (this.ingest === undefined) await this.store.checkpoint();
      else await this.ingest.checkpoint();
      this.store.close();
    } catch (error) {
      this.failure = this.room.told(error);
      this.letGo();
      throw this.failure;
    }
  }

  /** Ends at once; what no checkpoint covered is given up. */
  async abandon(): Promise<void> {
    this.failure ??= new TardisError('CONNECTION_LOST', 'the session was abandoned');
    this.queue.length = 0;
    await this.whenIdle(); // a checkpoint under way must not go on without the lock
    await this.offers.stop();
    this.letGo();
  }

  /** Closes everything at once, what was staged included. Never throws. */
  private letGo(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    clearInterval(this.timer);
    this.queue.length = 0;
    this.offers.halt();
    try {
      this.large.dropAll();
    } catch {
      // The next opening clears what is left of it; the failure that led here is the one to tell.
    }
    this.store.letGo(this.failure);
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
        const told = this.room.told(error);
        this.failure = told;
        this.letGo();
        this.onFailure(told);
        this.pumped();
      },
    );
  }

  private pumped(): void {
    this.isPumping = false;
    // A message may have come after the last look at the queue, and found us still pumping.
    if (this.queue.length > 0) this.pump();
    else for (const resolve of this.idle.splice(0)) resolve();
  }

  private async run(): Promise<void> {
    for (;;) {
      const message = this.queue.shift();
      if (message === undefined) {
        this.receipts.tellSoon();
        if (!this.isCheckpointDue()) return;
        await this.checkpoint();
        continue;
      }
      try {
        const pending = this.handle(message.name, message.bytes);
        if (pending !== undefined) await pending;
        this.room.count(message.name === 'closeSet');
      } catch (error) {
        const told = this.room.told(error); // what is full now, not when room was made
        await this.room.keep(error, async () => this.ingest?.checkpoint());
        throw told;
      }
      const { length } = message.bytes;
      // These two hold records only, of which nothing is kept.
      if (message.name === 'parcel' || message.name === 'streamChunk') {
        releaseMemory(message.bytes);
      }
      this.receipts.add(length);
      if (this.isCheckpointDue()) await this.checkpoint();
    }
  }

  private tellReceived(upTo: number, bytes: number): void {
    if (this.failure !== undefined) return;
    this.sink(encodeMessage('received', { upTo }).head, bytes);
  }

  private isCheckpointDue(): boolean {
    if (this.ingest === undefined) return false;
    const { checkpoint } = this.options;
    const { uncommittedBytes } = this.store.packs;
    if (uncommittedBytes >= checkpoint.bytes) return true;
    if (this.ingest.entriesSinceCheckpoint >= checkpoint.entries) return true;
    if (uncommittedBytes === 0 && this.receipts.handled === this.durableUpTo) return false;
    if (this.isCheckpointWanted) return true;
    return this.system.clock.monotonicMs() - this.lastCheckpointMs >= checkpoint.intervalMs;
  }

  private async checkpoint(): Promise<void> {
    const upTo = this.receipts.handled;
    await this.ingest!.checkpoint();
    this.lastCheckpointMs = this.system.clock.monotonicMs();
    this.durableUpTo = upTo;
    this.isCheckpointWanted = false;
    this.answer('durable', { upTo });
  }

  private answer<N extends MessageName>(name: N, head: Head<N>): void {
    this.sink(encodeMessage(name, head).head, 0);
  }

  private get openSet(): Ingest {
    if (this.ingest === undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a message came before its set was opened');
    }
    return this.ingest;
  }

  /** Handles one message; a promise only where there is something to wait for. */
  private handle(name: MessageName, bytes: Buffer): Promise<void> | undefined {
    switch (name) {
      case 'openSet':
        this.onOpenSet(decodeMessage(name, bytes).head);
        return undefined;
      case 'heads': {
        const { head } = decodeMessage(name, bytes);
        const same = this.openSet.heads(head);
        if (head.ask) {
          const seals = this.openSet.seals.keptOf(head.slots, same);
          this.answer('headsAnswer', { slots: head.slots, same: Buffer.from(same), seals });
        }
        return undefined;
      }
      case 'listing': {
        const { slot, rows, last } = decodeMessage(name, bytes).head;
        const { wanted, known } = this.openSet.listing(slot, rows, last);
        this.answer('differs', { slot, last, wanted: Buffer.from(wanted), known });
        return undefined;
      }
      case 'parcel': {
        const { head, attachment } = decodeMessage(name, bytes);
        this.openSet.parcel(head, splitRecords(attachment, head.records));
        return undefined;
      }
      case 'ask': {
        const { ask, digests, promise } = decodeMessage(name, bytes).head;
        const verdicts = Buffer.from(this.openSet.ask(digests, promise));
        this.answer('verdicts', { ask, verdicts });
        return undefined;
      }
      case 'done': {
        const { slots, settled, seals } = decodeMessage(name, bytes).head;
        this.openSet.seals.done(slots, seals);
        this.openSet.done(slots, settled);
        for (const slot of slots) this.offers.slotDone(slot);
        return undefined;
      }
      case 'moved': {
        const { slots, seals } = decodeMessage(name, bytes).head;
        this.openSet.seals.moved(slots, seals);
        return undefined;
      }
      case 'notes':
        this.store.space?.take(bytes.length); // there may be any number of them
        takeNotes(this.openSet, decodeMessage(name, bytes).head);
        return undefined;
      case 'configuration':
        this.store.space?.take(bytes.length);
        takeConfiguration(this.openSet, decodeMessage(name, bytes).head, this.options.saveConfig);
        return undefined;
      case 'owners':
        this.openSet.owners(decodeMessage(name, bytes).head);
        return undefined;
      case 'closeSet':
        return this.onCloseSet(decodeMessage(name, bytes).head);
      default:
        return this.handleContent(name, bytes);
    }
  }

  /** The same for what brings large contents, their signatures and deltas. */
  private handleContent(name: MessageName, bytes: Buffer): Promise<void> | undefined {
    switch (name) {
      case 'streamOpen':
        this.large.open(decodeMessage(name, bytes).head);
        return undefined;
      case 'streamChunk': {
        const { head, attachment } = decodeMessage(name, bytes);
        this.large.chunk(head.stream, attachment);
        return undefined;
      }
      case 'streamEnd':
        return this.large.end(this.openSet, decodeMessage(name, bytes).head);
      case 'streamAbort': {
        this.large.abort(decodeMessage(name, bytes).head.stream);
        return undefined;
      }
      case 'signatureOpen':
        this.large.openSignature(decodeMessage(name, bytes).head);
        return undefined;
      case 'signatureEnd':
        return this.large.endSignature(this.openSet, decodeMessage(name, bytes).head);
      case 'deltaOpen':
        this.large.openDelta(decodeMessage(name, bytes).head);
        return undefined;
      case 'deltaEnd':
        return this.large.endDelta(this.openSet, decodeMessage(name, bytes).head);
      case 'basisWish':
        this.offers.wish(decodeMessage(name, bytes).head);
        return undefined;
      case 'assembly':
        this.large.assemble(this.openSet, decodeMessage(name, bytes).head);
        return undefined;
      case 'setKeys':
        return this.onSetKeys(decodeMessage(name, bytes).head);
      default:
        throw new TardisError('PROTOCOL_VIOLATION', `"${name}" is no backup message`);
    }
  }

  private onOpenSet(head: Head<'openSet'>): void {
    if (this.ingest !== undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', 'the session has a set already');
    }
    this.room.require();
    const nowMs = wallMs(this.system.clock);
    this.storedBytesBefore = this.store.packs.appendedBytes;
    const chosen = named(
      this.store.catalog,
      head,
      nowMs,
      formatsFor(this.store.catalog, this.options.names),
    );
    const request = { ...head, ...chosen, nowMs };
    const { ingest, opened } = Ingest.open(this.store, request, this.offers);
    this.ingest = ingest;
    const { set, name, isEmpty: empty, held } = opened;
    const before = setsBefore(this.store.catalog, set);
    this.answer('setOpened', { set, name, empty, held: [...held], ...before });
  }

  private async onSetKeys({ keys }: Head<'setKeys'>): Promise<void> {
    this.answer('keysSet', { number: await changeKeys(this.system, this.directory, keys) });
  }

  private async onCloseSet({ stats, seal }: Head<'closeSet'>): Promise<void> {
    if (this.large.openCount > 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set ends while streams are open');
    }
    const { openSet } = this;
    const counts = countsIn(stats);
    const upTo = this.receipts.handled + 1;
    // The set keeps what was stored up to its end, the client hears of the last records too.
    const { storedBytes } = this;
    const stamp = stampFigures(this.store.catalog, openSet.set);
    const figures = { ...counts, ...stamp, storedBytes };
    await openSet.complete(wallMs(this.system.clock), figures, seal);
    this.durableUpTo = upTo;
    this.answer('durable', { upTo });
    this.room.settle();
    const usedBytes = this.store.space?.usedBytes ?? 0;
    this.answer('setClosed', { set: openSet.set, storedBytes: this.storedBytes, usedBytes });
  }

  private get storedBytes(): number {
    return this.store.packs.appendedBytes - this.storedBytesBefore;
  }
}

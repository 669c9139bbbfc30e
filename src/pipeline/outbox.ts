/**
 * Sends parcels to the server. Messages are received in order. When a parcel is received, all parcels before it are
 * received too, and the budget of the directories that they complete returns.
 */
import { asTardisError, type TardisError } from '../errors/index.js';
import type { SlotNumber } from '../model/index.js';
import { Credit } from '../system/index.js';
import type { Budget } from './budget.js';
import type { FinishedDirectory } from './directories.js';
import type { BackupPeer, OutgoingParcel } from './peer.js';

/** Number of finished directories reported in one message. */
const DONE_BATCH = 64;

export class Outbox {
  private lastSent: Promise<void> = Promise.resolve();
  /** First failure of a parcel that no caller awaits. */
  private failure: TardisError | undefined;
  private doneSlots: SlotNumber[] = [];
  private doneSettled: boolean[] = [];
  private readonly turns: Credit;

  /** Creates an outbox. `most` is the maximum number of parcels that are sent but not received. */
  constructor(
    private readonly peer: BackupPeer,
    private readonly budget: Budget,
    most: number,
  ) {
    this.turns = new Credit(most);
  }

  /**
   * Waits until one more parcel may be sent; returns undefined if it may be sent at once. The call of `send` must
   * follow at once.
   */
  turn(): Promise<void> | undefined {
    return this.turns.take(1);
  }

  /** Records that a parcel which had waited for its turn was received. */
  received(): void {
    this.turns.give(1);
  }

  /** Sends a parcel. Resolves when the server has received it. */
  send(parcel: OutgoingParcel): Promise<void> {
    this.lastSent = this.peer.parcel(parcel);
    return this.lastSent;
  }

  /**
   * Records the failure of a parcel that is not awaited. `flush` throws it. All callers that wait for the budget fail.
   */
  fail(error: unknown): void {
    this.failure ??= asTardisError(error);
    this.budget.fail(this.failure);
    this.turns.fail(this.failure);
  }

  /**
   * Reports that the last rows of a directory were sent. Its items return to the budget when the rows are received.
   */
  finish({ slot, isSettled }: FinishedDirectory, items: number): void {
    this.doneSlots.push(slot);
    this.doneSettled.push(isSettled);
    if (this.doneSlots.length >= DONE_BATCH) this.sendDone();
    this.lastSent.then(
      () => this.budget.items.give(items),
      () => undefined, // the failure is thrown where it is awaited
    );
  }

  /**
   * Reports the remaining directories, at the end. Throws the first failure. After a later failure the next request
   * fails too.
   */
  flush(): void {
    if (this.failure !== undefined) throw this.failure;
    this.sendDone();
  }

  private sendDone(): void {
    if (this.doneSlots.length === 0) return;
    this.peer.done(this.doneSlots, this.doneSettled);
    this.doneSlots = [];
    this.doneSettled = [];
  }
}

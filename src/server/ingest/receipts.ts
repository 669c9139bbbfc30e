/** Reports to the client how many of its messages have been handled; one report covers many messages. */

/** A report is sent after this many bytes, or after this time. */
const TELL_RECEIVED_BYTES = 1 << 20;
const TELL_RECEIVED_MS = 2;

export class Receipts {
  /** Number of messages handled so far. */
  handled = 0;
  private told = 0;
  private untoldBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly acknowledge: (upTo: number, bytes: number) => void;

  /** Calls `tell` with the number of handled messages, and the bytes of those handled since the last call. */
  constructor(tell: (upTo: number, bytes: number) => void) {
    this.acknowledge = tell;
  }

  add(bytes: number): void {
    this.handled += 1;
    this.untoldBytes += bytes;
    if (this.untoldBytes >= TELL_RECEIVED_BYTES) this.acknowledgeNow();
  }

  /** Schedules a report; small messages that arrive in a short time share one. */
  acknowledgeSoon(): void {
    if (this.told === this.handled || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.acknowledgeNow(), TELL_RECEIVED_MS);
  }

  private acknowledgeNow(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.told === this.handled) return;
    this.told = this.handled;
    const bytes = this.untoldBytes;
    this.untoldBytes = 0;
    this.acknowledge(this.handled, bytes);
  }
}

/** Reports to the client how many of its messages have been handled; one report covers many messages. */

/** A report is sent after this many bytes, or after this time. */
const RECEIPT_BYTES = 1 << 20;
const RECEIPT_DELAY_MS = 2;

export class Receipts {
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

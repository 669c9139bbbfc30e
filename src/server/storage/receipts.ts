/** Tells the client how far its messages have been handled, not for each of them. */

/** What was received is told after so many bytes, or after this time. */
const TELL_RECEIVED_BYTES = 1 << 20;
const TELL_RECEIVED_MS = 2;

export class Receipts {
  /** Messages handled so far. */
  handled = 0;
  private told = 0;
  private untoldBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly tell: (upTo: number, bytes: number) => void;

  /** `tell`: messages up to `upTo` are handled, `bytes` of them since the last call. */
  constructor(tell: (upTo: number, bytes: number) => void) {
    this.tell = tell;
  }

  add(bytes: number): void {
    this.handled += 1;
    this.untoldBytes += bytes;
    if (this.untoldBytes >= TELL_RECEIVED_BYTES) this.tellNow();
  }

  /** Small messages come one by one: one answer for those of a moment is enough. */
  tellSoon(): void {
    if (this.told === this.handled || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.tellNow(), TELL_RECEIVED_MS);
  }

  private tellNow(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.told === this.handled) return;
    this.told = this.handled;
    const bytes = this.untoldBytes;
    this.untoldBytes = 0;
    this.tell(this.handled, bytes);
  }
}

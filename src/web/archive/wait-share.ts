/** Measures if an archive waits for its reader most of the time. Old measurements lose weight. */

/** Time after which all earlier measurements are halved, so that they lose weight. */
const WINDOW_MS = 1000;

export class WaitShare {
  private waitedMs = 0;
  private workedMs = 0;
  private sinceMs: number;

  constructor(private readonly nowMs: () => number) {
    this.sinceMs = nowMs();
  }

  /** Marks the beginning of a wait. */
  begin(): void {
    this.workedMs += this.passed();
  }

  /** Marks the end of a wait. */
  end(): void {
    this.waitedMs += this.passed();
    if (this.waitedMs + this.workedMs <= WINDOW_MS) return;
    this.waitedMs /= 2;
    this.workedMs /= 2;
  }

  get isMostlyWaiting(): boolean {
    return this.waitedMs > this.workedMs;
  }

  /** Time since the last call of `begin` or `end`. */
  get sinceMarkMs(): number {
    return this.nowMs() - this.sinceMs;
  }

  private passed(): number {
    const passedMs = this.sinceMarkMs;
    this.sinceMs += passedMs;
    return passedMs;
  }
}

/** How long work will still take, told only where how much there is to do is known, and as what it is: a guess. */

/** Nothing is told before so much of it has been seen. */
const LEAST_MS = 2000;
const LEAST_SHARE = 0.02;
/** Longer is not told: the guess would be worth nothing. */
const LONGEST_MS = 100 * 3_600_000;

export class TimeLeft {
  private startMs: number | undefined;
  private readonly nowMs: () => number;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** Other work begins. */
  restart(): void {
    this.startMs = undefined;
  }

  /** `, about 3 min left`; empty where nobody can know. `of` undefined: how much there is to do is not known. */
  text(done: number, of: number | undefined): string {
    this.startMs ??= this.nowMs();
    if (of === undefined || of <= 0 || done >= of) return '';
    const elapsedMs = this.nowMs() - this.startMs;
    if (elapsedMs < LEAST_MS || done / of < LEAST_SHARE) return '';
    const leftMs = (elapsedMs * (of - done)) / done;
    return leftMs > LONGEST_MS ? '' : `, about ${roughTime(leftMs)} left`;
  }
}

/** With no more figures than a guess deserves. */
function roughTime(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${Math.max(1, minutes)} min`;
  return `${Math.round(minutes / 60)} h`;
}

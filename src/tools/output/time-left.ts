/** Estimates the remaining time of work with a known total. */

/** Time that must pass before an estimate is shown. LEAST_SHARE is the share of the work that must be done. */
const LEAST_MS = 2000;
const LEAST_SHARE = 0.02;
/** Longest estimate that is shown; longer ones would be too inaccurate. */
const LONGEST_MS = 100 * 3_600_000;

export class TimeLeft {
  private startMs: number | undefined;

  constructor(private readonly nowMs: () => number) {}

  /** Restarts the measurement for other work. */
  restart(): void {
    this.startMs = undefined;
  }

  /** Returns `, about 3 min left`; empty without an estimate. `of` is undefined if the total is unknown. */
  text(done: number, of: number | undefined): string {
    this.startMs ??= this.nowMs();
    if (of === undefined || of <= 0 || done >= of) return '';
    const elapsedMs = this.nowMs() - this.startMs;
    if (elapsedMs < LEAST_MS || done / of < LEAST_SHARE) return '';
    const leftMs = (elapsedMs * (of - done)) / done;
    return leftMs > LONGEST_MS ? '' : `, about ${roughTime(leftMs)} left`;
  }
}

/** Rounds the time to the precision of an estimate. */
function roughTime(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${Math.max(1, minutes)} min`;
  return `${Math.round(minutes / 60)} h`;
}

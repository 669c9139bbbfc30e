/** One line on a terminal that keeps itself up to date; nothing in a pipe, unless it is asked for. */
import { isDumb } from './terminal.js';

const INTERVAL_MS = 200;
/** Between the lines of an output that cannot take one back. */
const LINES_INTERVAL_MS = 1000;
const CLEAR_LINE = '\r\u001b[K';

/** Takes the line that is shown away: a command does one thing at a time. */
let clearShown: (() => void) | undefined;

/** Writes a line to standard error, above the progress if there is some. */
export function sayAbove(line: string): void {
  clearShown?.();
  process.stderr.write(`${line}\n`);
}

export class ProgressLine {
  private timer: NodeJS.Timeout | undefined;
  private isSilent = false;
  private readonly isShown: boolean;
  /** Standard error is a terminal that can take a line back. */
  private readonly redraws = process.stderr.isTTY && !isDumb(process.env);
  private readonly text: () => string;

  /** `wanted` undefined: shown if standard error is such a terminal. */
  constructor(wanted: boolean | undefined, text: () => string) {
    this.isShown = wanted ?? this.redraws;
    this.text = text;
  }

  start(): void {
    if (!this.isShown || this.timer !== undefined) return;
    this.timer = setInterval(() => this.draw(), this.redraws ? INTERVAL_MS : LINES_INTERVAL_MS);
    this.timer.unref();
    clearShown = () => this.clear();
    this.draw();
  }

  /** Takes it away for what is printed where it stands; it comes back by itself. */
  clear(): void {
    if (this.timer !== undefined && this.redraws) process.stderr.write(CLEAR_LINE);
  }

  /** Writes a line above the progress. */
  interject(line: string): void {
    this.clear();
    process.stderr.write(`${line}\n`);
  }

  stop(): void {
    if (this.timer === undefined) return;
    this.clear();
    clearInterval(this.timer);
    this.timer = undefined;
    clearShown = undefined;
  }

  /** Keeps the line away while somebody is asked for something on it. */
  async silentDuring<T>(asking: () => Promise<T>): Promise<T> {
    this.isSilent = true;
    this.clear();
    try {
      return await asking();
    } finally {
      this.isSilent = false;
    }
  }

  /** Shows what is new at once: another step has begun. */
  refresh(): void {
    if (this.timer !== undefined) this.draw();
  }

  private draw(): void {
    const text = this.text();
    if (this.isSilent || text === '') return;
    if (this.redraws) {
      const width = Math.max(20, (process.stderr.columns ?? 80) - 1);
      process.stderr.write(CLEAR_LINE + text.slice(0, width));
    } else process.stderr.write(`${text}\n`);
  }
}

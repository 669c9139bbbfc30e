/**
 * A progress line on a terminal that is redrawn in place. If standard error is not a terminal, nothing is shown unless
 * requested.
 */
import { isDumb } from './terminal.js';

const INTERVAL_MS = 200;
/** Interval between lines if the output cannot redraw a line. */
const LINES_INTERVAL_MS = 1000;
const CLEAR_LINE = '\r\u001b[K';

/** Function that clears the line that is shown. There is at most one line, since a command does one thing at a time. */
let clearShown: (() => void) | undefined;

/** Prints a line to standard error, above the progress line if one is shown. */
export function printAbove(line: string): void {
  clearShown?.();
  process.stderr.write(`${line}\n`);
}

/** Prints a warning to standard error, above the progress line if one is shown. */
export function printWarning(text: string): void {
  printAbove(`warning: ${text}`);
}

export class ProgressLine implements Disposable {
  private timer: NodeJS.Timeout | undefined;
  private isSilent = false;
  readonly isShown: boolean;
  /** True if standard error is a terminal that can redraw a line. */
  private readonly redraws = process.stderr.isTTY && !isDumb(process.env);

  /**
   * Creates the line. If `wanted` is undefined, it is shown only if standard error is a terminal that can redraw it.
   */
  constructor(
    wanted: boolean | undefined,
    private readonly text: () => string,
  ) {
    this.isShown = wanted ?? this.redraws;
  }

  start(): void {
    if (!this.isShown || this.timer !== undefined) return;
    this.timer = setInterval(() => this.draw(), this.redraws ? INTERVAL_MS : LINES_INTERVAL_MS);
    this.timer.unref();
    clearShown = () => this.clear();
    this.draw();
  }

  /** Clears the line, so that other output can be printed in its place. The next redraw shows it again. */
  clear(): void {
    if (this.timer !== undefined && this.redraws) process.stderr.write(CLEAR_LINE);
  }

  /** Prints a line above the progress line. */
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

  /** Stops the line at the end of a block. */
  [Symbol.dispose](): void {
    this.stop();
  }

  /** Hides the line while a user is prompted on the terminal. */
  async silentDuring<T>(prompt: () => Promise<T>): Promise<T> {
    this.isSilent = true;
    this.clear();
    try {
      return await prompt();
    } finally {
      this.isSilent = false;
    }
  }

  /** Redraws the line at once, for a new step. */
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

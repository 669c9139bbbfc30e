/** One line on a terminal that keeps itself up to date; nothing in a pipe. */
const INTERVAL_MS = 200;
const CLEAR_LINE = '\r\u001b[K';

export class ProgressLine {
  private timer: NodeJS.Timeout | undefined;
  private isSilent = false;
  private readonly isShown: boolean;
  private readonly text: () => string;

  /** `wanted` undefined: shown if standard error is a terminal. */
  constructor(wanted: boolean | undefined, text: () => string) {
    this.isShown = wanted ?? process.stderr.isTTY;
    this.text = text;
  }

  start(): void {
    if (!this.isShown) return;
    this.timer = setInterval(() => this.draw(), INTERVAL_MS);
    this.timer.unref();
    this.draw();
  }

  /** Writes a line above the progress. */
  interject(line: string): void {
    if (this.timer !== undefined && process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
    process.stderr.write(`${line}\n`);
  }

  stop(): void {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.timer = undefined;
    if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
  }

  /** Keeps the line away while somebody is asked for something on it. */
  async silentDuring<T>(asking: () => Promise<T>): Promise<T> {
    this.isSilent = true;
    if (this.timer !== undefined && process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
    try {
      return await asking();
    } finally {
      this.isSilent = false;
    }
  }

  private draw(): void {
    if (this.isSilent) return;
    if (process.stderr.isTTY) {
      const width = Math.max(20, (process.stderr.columns ?? 80) - 1);
      process.stderr.write(CLEAR_LINE + this.text().slice(0, width));
    } else process.stderr.write(`${this.text()}\n`);
  }
}

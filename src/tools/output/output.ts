/**
 * Output of tools, as text or JSON, and errors of that output. If standard error is closed or its disk is full, work
 * continues. If the reader of standard output ends (`| head`), a listing ends too, but not a backup or a restore.
 */
import { asTardisError, errnoText, systemCode } from '../../errors/index.js';
import { cutStatus, failedStatus } from './exit-status.js';

let isStdoutData = false;
let isWork = false;
let hasLostOutput = false;

/** Declares that standard output carries the requested data. It must be complete, and contain nothing else. */
export function stdoutIsData(): void {
  isStdoutData = true;
}

/** Declares that the tool does work that continues to its end, even if its output fails. */
export function outputIsReport(): void {
  isWork = true;
}

/** Prints bytes unchanged, and ends the line. */
export function printBytes(bytes: Uint8Array): void {
  process.stdout.write(Buffer.concat([bytes, NEWLINE]));
}

const NEWLINE = Buffer.from('\n');

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/**
 * Resolves when the reader of standard output has taken what was printed, or takes no more. A listing waits for this
 * after each page, so that only a page is in memory, however slow the reader is.
 */
export async function outputTaken(): Promise<void> {
  const { stdout } = process;
  if (!stdout.writableNeedDrain) return;
  const ends = ['drain', 'error', 'close'];
  await new Promise<void>((resolve) => {
    const end = (): void => {
      for (const name of ends) stdout.off(name, end);
      resolve();
    };
    for (const name of ends) stdout.on(name, end);
  });
}

/** Prints a line of a report. If standard output carries data, prints it on standard error. */
export function printReport(line: string): void {
  if (isStdoutData) process.stderr.write(`${line}\n`);
  else print(line);
}

// Errors of standard error are ignored, since the exit status still reports the result.
process.stderr.on('error', () => undefined);

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const code = systemCode(error) ?? 'unknown';
  if (isStdoutData) {
    process.stderr.write(
      code === 'EPIPE' ? `the output was not read to its end [EPIPE]\n` : lost(error),
    );
    process.exit(failedStatus());
  }
  // A report goes nowhere if standard output is closed from the start (bin/launch.sh).
  if (code === 'EBADF') return;
  if (code !== 'EPIPE') reportLost(error);
  else if (!isWork) process.exit(cutStatus());
});

/** Describes an output that could not be written. */
function lost(error: Error): string {
  const cause = systemCode(error) ?? 'unknown';
  const { code } = asTardisError(error, '', 'writeTarget');
  const what = cause === 'EBADF' ? 'it is closed' : errnoText(cause);
  return `the output could not be written: ${what} [${code}]\n`;
}

/**
 * Reports once that output could not be written, for example on a full disk. A listing then ends at once. Work
 * continues, and an exit status of 0 is replaced at its end.
 */
function reportLost(error: Error): void {
  if (hasLostOutput) return;
  hasLostOutput = true;
  process.stderr.write(lost(error));
  if (!isWork) process.exit(failedStatus());
  process.on('exit', (status) => {
    if (status === 0) process.exitCode = failedStatus();
  });
}

/** Version of all JSON that --json prints. */
const JSON_VERSION = 1;
/** Characters that JSON leaves unescaped but a terminal interprets: C1 controls, line separators, direction marks. */
const OBEYED = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Returns facts as JSON in which these characters are written as `\uNNNN`, which means the same. */
export function jsonText(facts: object): string {
  return JSON.stringify({ version: JSON_VERSION, ...facts }).replaceAll(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Prints facts as a line of JSON. */
export function printJson(facts: object): void {
  print(jsonText(facts));
}

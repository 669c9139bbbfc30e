/**
 * What tools say, and what becomes of them when nobody can hear it: a log reader that goes away or a
 * full disk under `2>FILE` ends no work, and a reader of standard output that goes away (`| head`) ends
 * a list, but neither a backup nor a restore.
 */
let isStdoutData = false;
let isWork = false;
let lostOutput: string | undefined;
/** Of a failure that has no other; 0 and 1 may be answers. */
let failureStatus = 1;
let cutStatus = 0;

/** From now on standard output is what was asked for: it must come whole, and hold nothing else. */
export function stdoutIsData(): void {
  isStdoutData = true;
}

/** From now on there is work that goes on to its end, whatever becomes of its output. */
export function outputIsReport(): void {
  isWork = true;
}

/** From now on the exit statuses below `status` are answers, which what fails must not give. */
export function statusIsAnswer(status: number): void {
  failureStatus = status;
  cutStatus = status;
}

/** The exit status for a failure that elsewhere would give `usual`. */
export function failedStatus(usual: number): number {
  return usual === 1 ? failureStatus : usual;
}

/** Prints bytes as they are, and ends the line. */
export function printBytes(bytes: Uint8Array): void {
  process.stdout.write(Buffer.concat([bytes, NEWLINE]));
}

const NEWLINE = Buffer.from('\n');

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a line of a report, not where the data goes. */
export function say(line: string): void {
  if (isStdoutData) process.stderr.write(`${line}\n`);
  else print(line);
}

// Whoever does not hear what is said is told by the exit status.
process.stderr.on('error', () => undefined);

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const code = error.code ?? 'unknown';
  if (isStdoutData) {
    process.stderr.write(`the output was not taken to its end [${code}]\n`);
    process.exit(failureStatus);
  }
  if (code !== 'EPIPE') tellLost(code);
  else if (!isWork) process.exit(cutStatus);
});

/** A full disk under the output: told once, and by the exit status if nothing worse has happened. */
function tellLost(code: string): void {
  if (lostOutput !== undefined) return;
  lostOutput = code;
  process.stderr.write(`the output could not be written: ${code} [IO_FAILED]\n`);
  if (!isWork) process.exit(failureStatus);
  process.on('exit', (status) => {
    if (status === 0) process.exitCode = failureStatus;
  });
}

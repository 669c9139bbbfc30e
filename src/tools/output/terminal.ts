/** Prompts on the terminal without echo, regardless of standard input and output. */
import fs from 'node:fs';
import tty from 'node:tty';
import { TardisError } from '../../errors/index.js';
import { byteText } from '../../system/index.js';
import { interruptedBy } from './exit-status.js';

const TERMINAL = '/dev/tty';
/** Signals that end a prompt. The end of the terminal itself, SIGHUP, ends it as its end. */
const ENDING = ['SIGINT', 'SIGTERM'] as const;
const [INTERRUPT, END, BACKSPACE, LINE_FEED, RETURN, ERASE_LINE, DELETE] = [
  3, 4, 8, 10, 13, 21, 127,
];

/** Opens the terminal; undefined if this process has none. */
function openTerminal(): number | undefined {
  try {
    const fd = fs.openSync(TERMINAL, 'r+');
    if (tty.isatty(fd)) return fd;
    fs.closeSync(fd);
  } catch {
    return undefined; // this process has no terminal
  }
  return undefined;
}

/** True if this process has a terminal. */
export function hasTerminal(): boolean {
  const fd = openTerminal();
  if (fd !== undefined) fs.closeSync(fd);
  return fd !== undefined;
}

/**
 * Shows a prompt and reads a line without echo. Throws PASSWORD_NEEDED (also if `signal` aborts), and INTERRUPTED at Ctrl-C and
 * at a signal.
 */
export async function askSecret(
  prompt: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const fd = openTerminal();
  if (fd === undefined) {
    throw new TardisError(
      'PASSWORD_NEEDED',
      'a password is needed, and there is no terminal for a prompt',
    );
  }
  const input = new tty.ReadStream(fd);
  let interrupt = (_name: NodeJS.Signals): void => undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = (name) => {
      interruptedBy(name);
      reject(new TardisError('INTERRUPTED', 'interrupted'));
    };
  });
  for (const name of ENDING) process.on(name, interrupt);
  try {
    input.setRawMode(true);
    fs.writeSync(fd, prompt);
    return await Promise.race([readLine(input, maxBytes, signal), interrupted]);
  } finally {
    for (const name of ENDING) process.off(name, interrupt);
    input.setRawMode(false);
    fs.writeSync(fd, '\n');
    // The stream has opened the terminal again, and closes only that descriptor.
    const isOwn = descriptorOf(input) === fd;
    input.destroy();
    if (!isOwn) fs.closeSync(fd);
  }
}

/** Returns the descriptor that a stream will close; undefined if Node.js does not show it. */
function descriptorOf(input: tty.ReadStream): number | undefined {
  const { _handle: handle } = input as unknown as { _handle?: { fd?: number } };
  return handle?.fd;
}

function readLine(
  input: tty.ReadStream,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const line = Buffer.alloc(maxBytes);
  let length = 0;
  return new Promise((resolve, reject) => {
    const finish = (): void => resolve(Buffer.from(line.subarray(0, length)));
    const take = (byte: number): boolean => {
      if (byte === INTERRUPT) reject(new TardisError('INTERRUPTED', 'interrupted'));
      else if (byte === LINE_FEED || byte === RETURN || byte === END) finish();
      else if (byte === ERASE_LINE) length = 0;
      else if (byte === BACKSPACE || byte === DELETE) length = lastLetter(line, length);
      else if (length < maxBytes) line[length++] = byte;
      return [INTERRUPT, LINE_FEED, RETURN, END].includes(byte);
    };
    const giveUp = (): void => {
      reject(new TardisError('PASSWORD_NEEDED', 'the password is no longer needed'));
    };
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    input.on('data', (bytes: Buffer) => void bytes.some(take));
    input.once('end', finish);
    input.once('error', () =>
      reject(new TardisError('PASSWORD_NEEDED', 'the terminal was closed')),
    );
  });
}

/** Returns the offset of the last character, which may have several bytes in UTF-8. */
function lastLetter(line: Buffer, length: number): number {
  let at = length - 1;
  while (at > 0 && (line[at]! & 0xc0) === 0x80) at -= 1;
  return Math.max(0, at);
}

/** True for a terminal that can neither redraw a line nor show colors. */
export function isDumb(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment['TERM'] === 'dumb';
}

/** Maximum length of an answer: that of a line of a terminal. */
const MAX_ANSWER_BYTES = 4096;

/** Shows a question and returns the line of the answer; undefined without a terminal. Throws INTERRUPTED at its end. */
export function askLine(question: string): string | undefined {
  const fd = openTerminal();
  if (fd === undefined) return undefined;
  try {
    fs.writeSync(fd, question);
    const answer = Buffer.alloc(MAX_ANSWER_BYTES);
    const bytes = fs.readSync(fd, answer, 0, answer.length, null); // the terminal returns one line
    if (bytes === 0) throw new TardisError('INTERRUPTED', 'the terminal was closed');
    return byteText(answer.subarray(0, bytes)).replace(/\r?\n$/, '');
  } finally {
    fs.closeSync(fd);
  }
}

/** Prompts for yes or no. Returns false for any answer other than yes, and undefined without a terminal. */
export function askYes(question: string): boolean | undefined {
  const answer = askLine(`${question} [y/N]: `);
  return answer === undefined ? undefined : /^y(es)?$/i.test(answer.trim());
}

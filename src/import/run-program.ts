/** Runs the programs of a source. */
import { spawn } from 'node:child_process';
import { type ErrorCode, TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { environmentOfOthers } from '../system/index.js';

/** Bytes of the messages of a program that are kept. */
const MOST_MESSAGE_BYTES = 4096;
/** Bytes of what a program may print as its result: the list of its states. */
const MOST_PRINTED_BYTES = 64 << 20;

export interface Program {
  readonly words: readonly string[];
  /** The purpose, for messages. */
  readonly what: string;
  /** Variables that it must not take from the user. */
  readonly env?: Readonly<Record<string, string>>;
  /** Code of the error if it fails, or what returns it; IMPORT_SOURCE_DAMAGED by default. */
  readonly failure?: ErrorCode | ((status: number | null, messages: string) => ErrorCode);
  /** Takes what it prints, piece by piece. Nothing of it is kept then. */
  readonly take?: (chunk: Buffer) => void;
  /** Exit status that is no failure. The messages are then passed on. */
  readonly partly?: { readonly status: number; readonly report: (messages: string) => void };
}

/** Runs a program, and returns what it printed. It may ask for passwords on the terminal. */
export function runProgram(
  { words, what, env = {}, failure = 'IMPORT_SOURCE_DAMAGED', take, partly }: Program,
  cwd: Buffer | undefined,
  signal: AbortSignal,
): Promise<string> {
  const [command, ...rest] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(command!, rest, {
      ...(cwd && { cwd: cwd.toString() }),
      stdio: ['inherit', 'pipe', 'pipe'],
      env: { ...environmentOfOthers(), ...env },
      signal,
    });
    let messages = '';
    const printed: Buffer[] = [];
    let bytes = 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      messages = (messages + text).slice(-MOST_MESSAGE_BYTES);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (take !== undefined) return take(chunk);
      bytes += chunk.length;
      if (bytes > MOST_PRINTED_BYTES) child.kill();
      else printed.push(chunk);
    });
    child.once('error', (error) => {
      if (signal.aborted) reject(new TardisError('INTERRUPTED', 'interrupted', {}, error));
      else reject(new TardisError('IMPORT_PROGRAM_MISSING', `cannot start ${command}`, {}, error));
    });
    child.once('close', (status, killed) => {
      const isPartly = partly !== undefined && status === partly.status;
      if (isPartly) partly.report(messages.trim());
      if (status === 0 || isPartly) resolve(Buffer.concat(printed).toString('utf8'));
      else {
        const why = wordsIn(messages.trim()) || `${command} ended with ${status ?? killed}`;
        const code = typeof failure === 'function' ? failure(status, why) : failure;
        reject(new TardisError(code, `cannot ${what}: ${displayText(why)}`));
      }
    });
  });
}

/** Returns the messages of a program; those that restic prints as JSON as their words. */
function wordsIn(messages: string): string {
  const lines = messages.split('\n').map((line) => {
    const [, words] = /^\{.*"message":("(?:[^"\\]|\\.)*")\}$/.exec(line) ?? [];
    return words === undefined ? line : String(JSON.parse(words)).trim();
  });
  return lines.join('\n');
}

/** Runs the programs of a source. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { type ErrorCode, ifPossible, TardisError, throwIfAborted } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { environmentOfOthers, temporaryDirectory } from '../system/index.js';

/** Bytes of the messages of a program that are kept. */
const MOST_MESSAGE_BYTES = 4096;
/** Time from SIGTERM to SIGKILL, so that an interrupted import ends soon. Such a program only reads. */
const KILL_AFTER_MS = 1000;
/** Lines of these that an error shows, the first ones: programs end with what follows from these. */
const MOST_LINES = 3;
/** Bytes of what a program may print as its result: the list of its states. */
const MOST_PRINTED_BYTES = 64 << 20;
/** Messages of a program that met a full file system or quota. */
const IS_FULL = /no space left on device|disk quota exceeded|\[Errno (?:28|122)\]/i;
const WRITTEN_BYTES = /^wchar: (\d+)$/m;

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

/** Programs that run one after the other. They have no input, so none waits for an answer that nobody gives. */
export class Programs {
  private pid: number | undefined;
  private passwords: Readonly<Record<string, string>> = {};

  constructor(private readonly signal: AbortSignal) {}

  /** Sets the variable from which each program takes its password. */
  usePassword(variable: string, password: string): void {
    this.passwords = { [variable]: password };
  }

  /** Returns the bytes that the running program has written; 0 if none runs, or if the system hides it. */
  writtenBytes(): number {
    const { pid } = this;
    const counts = pid && ifPossible(() => fs.readFileSync(`/proc/${pid}/io`, 'latin1'));
    return Number(WRITTEN_BYTES.exec(counts || '')?.[1] ?? 0);
  }

  /**
   * Runs a program in a directory, and returns what it printed. Throws the error of `failure`, TEMPORARY_FULL,
   * IMPORT_PROGRAM_MISSING, and INTERRUPTED once the program has ended, so that it writes nothing any more.
   */
  async run(program: Program, cwd?: Buffer): Promise<string> {
    throwIfAborted(this.signal);
    try {
      return await this.spawned(program, cwd);
    } finally {
      this.pid = undefined;
    }
  }

  private spawned(
    { words, what, env = {}, failure = 'IMPORT_SOURCE_DAMAGED', take, partly }: Program,
    cwd: Buffer | undefined,
  ): Promise<string> {
    const { signal } = this;
    const [command, ...rest] = words;
    return new Promise((resolve, reject) => {
      const child = spawn(command!, rest, {
        ...(cwd && { cwd: cwd.toString() }),
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...environmentOfOthers(), ...this.passwords, ...env },
      });
      this.pid = child.pid;
      const stop = (): void => {
        child.kill();
        setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
      };
      signal.addEventListener('abort', stop, { once: true });
      child.once('exit', () => {
        signal.removeEventListener('abort', stop);
        if (signal.aborted) reject(new TardisError('INTERRUPTED', 'interrupted'));
      });
      let messages = '';
      let isFull = false;
      const printed: Buffer[] = [];
      let bytes = 0;
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        messages = (messages + text).slice(0, MOST_MESSAGE_BYTES);
        isFull ||= IS_FULL.test(text);
      });
      child.stdout.on('data', (chunk: Buffer) => {
        if (take !== undefined) return take(chunk);
        bytes += chunk.length;
        if (bytes > MOST_PRINTED_BYTES) child.kill();
        else printed.push(chunk);
      });
      child.once('error', (error) => {
        reject(new TardisError('IMPORT_PROGRAM_MISSING', `cannot start ${command}`, {}, error));
      });
      child.once('close', (status, killed) => {
        // A list has another code; all else writes below TMPDIR.
        const ranFull = isFull && failure === 'IMPORT_SOURCE_DAMAGED';
        const isPartly = partly !== undefined && status === partly.status && !ranFull;
        if (isPartly) partly.report(messages.trim());
        if (status === 0 || isPartly) return resolve(Buffer.concat(printed).toString('utf8'));
        const why = wordsIn(messages.trim()) || `${command} ended with ${status ?? killed}`;
        const lines = why.split('\n').slice(0, MOST_LINES).join('\n');
        const text = `cannot ${what}: ${displayText(lines)}`;
        const full = `${temporaryDirectory()} (TMPDIR) is full: ${text}`;
        const code = typeof failure === 'function' ? failure(status, why) : failure;
        reject(ranFull ? new TardisError('TEMPORARY_FULL', full) : new TardisError(code, text));
      });
    });
  }
}

/** Returns the messages of a program; those that restic prints as JSON as their words. */
function wordsIn(messages: string): string {
  const lines = messages.split('\n').map((line) => {
    const [, words] = /^\{.*"message":("(?:[^"\\]|\\.)*")\}$/.exec(line) ?? [];
    return words === undefined ? line : String(JSON.parse(words)).trim();
  });
  return lines.join('\n');
}

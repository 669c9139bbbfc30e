/** Runs the programs of a source, which fill a directory of their own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type ErrorCode, TardisError } from '../errors/index.js';
import { displayText, joinPath } from '../model/index.js';
import { environmentOfOthers, textBytes } from '../system/index.js';

/** Bytes of the messages of a program that are kept. */
const MOST_MESSAGE_BYTES = 4096;
/** Bytes of what a program may print as its result: the list of its states. */
const MOST_PRINTED_BYTES = 64 << 20;
const OWNER_ALL = 0o700;

export interface Program {
  readonly words: readonly string[];
  /** The purpose, for messages. */
  readonly what: string;
  /** Variables that it must not take from the user. */
  readonly env?: Readonly<Record<string, string>>;
  /** Code of the error if it fails; IMPORT_SOURCE_DAMAGED by default. */
  readonly failure?: ErrorCode;
  /** Exit status that is no failure. The messages are then passed on. */
  readonly partly?: { readonly status: number; readonly report: (messages: string) => void };
}

/** A directory that shows a state. Only this user can enter it, and it is removed at the end. */
export class StatePlace implements Disposable {
  readonly directory: Buffer;
  private readonly path: string;

  /** Makes a directory in `above`, whose name begins with `prefix`. */
  constructor(above: string, prefix = 'tardis-import-') {
    this.path = fs.mkdtempSync(path.join(above, prefix));
    this.directory = textBytes(this.beside('state'));
  }

  /** Makes an empty directory beside it, on the same file system. */
  beside(name: string): string {
    const made = path.join(this.path, name);
    fs.mkdirSync(made, { mode: OWNER_ALL });
    return made;
  }

  /** Removes what is in the directory. */
  empty(): void {
    removeAll(this.directory);
    fs.mkdirSync(this.directory, { mode: OWNER_ALL });
  }

  /** Puts a directory that is beside it in its place. */
  replaceBy(beside: Buffer): void {
    removeAll(this.directory);
    fs.renameSync(beside, this.directory);
  }

  /** Runs a program in the directory, and returns what it printed. Throws the error of `failure` if it fails. */
  run(program: Program, signal: AbortSignal): Promise<string> {
    return runProgram(program, this.directory, signal);
  }

  [Symbol.dispose](): void {
    removeAll(textBytes(this.path));
  }
}

/** Removes a directory and all below it. Users other than root may first have to open directories that came without rights. */
function removeAll(top: Buffer): void {
  const directories = process.getuid!() === 0 ? [] : [top];
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    fs.chmodSync(next, OWNER_ALL);
    for (const entry of fs.readdirSync(next, { encoding: 'buffer', withFileTypes: true })) {
      if (entry.isDirectory()) directories.push(joinPath(next, entry.name));
    }
  }
  fs.rmSync(top, { recursive: true, force: true });
}

/** Runs a program, and returns what it printed. It may ask for passwords on the terminal. */
export function runProgram(
  { words, what, env = {}, failure = 'IMPORT_SOURCE_DAMAGED', partly }: Program,
  cwd: Buffer | undefined,
  signal: AbortSignal,
): Promise<string> {
  const [command, ...rest] = words;
  const failed = (why: string, cause?: unknown): TardisError =>
    new TardisError(failure, `cannot ${what}: ${displayText(why)}`, {}, cause);
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
      bytes += chunk.length;
      if (bytes > MOST_PRINTED_BYTES) child.kill();
      else printed.push(chunk);
    });
    child.once('error', (error) => {
      if (signal.aborted) reject(error);
      else reject(new TardisError('IMPORT_PROGRAM_MISSING', `cannot start ${command}`, {}, error));
    });
    child.once('close', (status, killed) => {
      const isPartly = partly !== undefined && status === partly.status;
      if (isPartly) partly.report(messages.trim());
      if (status === 0 || isPartly) resolve(Buffer.concat(printed).toString('utf8'));
      else reject(failed(messages.trim() || `${command} ended with ${status ?? killed}`));
    });
  });
}

/**
 * Runs a command of the user's configuration: without a shell, in a process group of its own that is ended after a
 * time, with a bounded part of its output.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { systemCode } from '../errors/index.js';
import { displayName } from '../model/index.js';

/** Of all output together; what follows is read and dropped. */
const MAX_OUTPUT_BYTES = 64 << 10;
const MAX_LINE_BYTES = 1000;
/** From the request to end to the end by force. */
const KILL_AFTER_MS = 5000;
/** What the command has started may hold its output open after it has ended. */
const OUTPUT_AFTER_END_MS = 1000;

export interface CommandOptions {
  readonly timeoutMs: number;
  /** Beside what this process has. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What it reads; nothing without. */
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** A line of its output, without control characters. */
  onLine?(line: string): void;
}

/** Runs it to its end. Returns in words why it failed, with the last it said; undefined: status 0. Never throws. */
export async function runCommand(
  [command, ...words]: readonly string[],
  options: CommandOptions,
): Promise<string | undefined> {
  if (command === undefined || command === '') return 'it has no name';
  if (options.signal?.aborted === true) return 'it was not run: interrupted';
  const child = spawn(command, words, {
    detached: true, // its own group, so that all of it can be ended
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.variables },
  });
  const output = new OutputLines(options);
  for (const stream of [child.stdout, child.stderr]) output.follow(stream as Readable);
  child.stdin?.on('error', () => undefined); // who does not read says so by its status
  child.stdin?.end(options.input);
  const why = await endOf(child, options);
  await closed(child);
  output.finish();
  return why === undefined || output.last === '' ? why : `${why} (${output.last})`;
}

/** Resolves when the command itself has ended. */
async function endOf(child: ChildProcess, options: CommandOptions): Promise<string | undefined> {
  let whyEnded: string | undefined;
  let force: NodeJS.Timeout | undefined;
  const stop = (why: string): void => {
    if (whyEnded !== undefined) return;
    whyEnded = why;
    signalGroup(child, 'SIGTERM');
    force = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS);
  };
  const seconds = options.timeoutMs / 1000;
  const timer = setTimeout(() => stop(`it took longer than ${seconds} s`), options.timeoutMs);
  const interrupt = (): void => stop('it was interrupted');
  options.signal?.addEventListener('abort', interrupt);
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (whyEnded !== undefined) return whyEnded;
    if (signal !== null) return `it was ended by ${signal}`;
    return status === 0 ? undefined : `it ended with status ${status}`;
  } catch (error) {
    return `it cannot be run: ${systemCode(error) ?? 'unknown'}`;
  } finally {
    clearTimeout(timer);
    clearTimeout(force);
    options.signal?.removeEventListener('abort', interrupt);
    if (whyEnded !== undefined) signalGroup(child, 'SIGKILL'); // what it has started, too
  }
}

function signalGroup({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error; // all of it is gone
  }
}

/** Waits a moment for the rest of the output. */
async function closed(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), OUTPUT_AFTER_END_MS);
  const over = streams.map(async (stream) => {
    if (stream.closed) return;
    await once(stream, 'close', { signal: waiting.signal }).catch(() => stream.destroy());
  });
  await Promise.all(over);
  clearTimeout(timer);
}

/** Cuts output into lines, and keeps it short. */
class OutputLines {
  last = '';
  private readonly pending = new Map<Readable, Buffer>();
  private leftBytes = MAX_OUTPUT_BYTES;
  private readonly options: CommandOptions;

  constructor(options: CommandOptions) {
    this.options = options;
  }

  follow(stream: Readable): void {
    this.pending.set(stream, Buffer.alloc(0));
    stream.on('error', () => undefined); // as at its end: the status says what came of it
    stream.on('data', (chunk: Buffer) => this.take(stream, chunk));
  }

  /** Tells lines that were not ended. */
  finish(): void {
    for (const rest of this.pending.values()) if (rest.length > 0) this.tell(rest);
    this.pending.clear();
  }

  private take(stream: Readable, chunk: Buffer): void {
    const before = this.pending.get(stream);
    if (before === undefined || this.leftBytes === 0) return;
    const taken = chunk.subarray(0, this.leftBytes);
    this.leftBytes -= taken.length;
    let rest = Buffer.concat([before, taken]);
    for (let end = lineEnd(rest); end >= 0; end = lineEnd(rest)) {
      this.tell(rest.subarray(0, end));
      rest = rest.subarray(rest[end] === LINE_FEED ? end + 1 : end);
    }
    this.pending.set(stream, rest);
    if (this.leftBytes > 0) return;
    this.finish();
    this.options.onLine?.('(the rest of its output is left out)');
  }

  private tell(line: Buffer): void {
    const text = line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
    const shown = displayName(text);
    if (shown !== '') this.last = shown;
    this.options.onLine?.(shown);
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Where the first line ends, or is cut; -1: nowhere yet. */
function lineEnd(bytes: Buffer): number {
  const end = bytes.indexOf(LINE_FEED);
  if (end >= 0 && end <= MAX_LINE_BYTES) return end;
  return bytes.length > MAX_LINE_BYTES ? MAX_LINE_BYTES : -1;
}

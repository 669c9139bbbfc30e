/**
 * Runs a command of the user's configuration: without a shell, in its own process group with a time limit,
 * and with limited output.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { systemCode } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { environmentOfOthers } from '../system/index.js';

/** Maximum number of bytes of all output together; the rest is read and dropped. */
const MAX_OUTPUT_BYTES = 64 << 10;
const MAX_LINE_BYTES = 1000;
/** Time from SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5000;
/**
 * Maximum time to wait for the rest of the output after the command has exited: its child processes may keep the
 * output open.
 */
const OUTPUT_AFTER_END_MS = 1000;

interface CommandOptions {
  readonly timeoutMs: number;
  /** Variables that are added to the environment, which is without the access key of a bucket. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Standard input of the command; empty if undefined. */
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Called for each line of the output, with control characters removed. */
  onLine?(line: string): void;
}

/**
 * Runs a command to its end. Returns undefined for exit status 0, otherwise the reason of the failure as text, with
 * the last line of its output. Never throws.
 */
export async function runCommand(
  [command, ...words]: readonly string[],
  options: CommandOptions,
): Promise<string | undefined> {
  if (command === undefined || command === '') return 'the command is empty';
  if (options.signal?.aborted === true) return 'not run: interrupted';
  const child = spawn(command, words, {
    detached: true, // in its own group, so that its child processes can be killed too
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: environmentOfOthers(options.variables),
  });
  const output = new OutputLines(options);
  for (const stream of [child.stdout, child.stderr]) output.follow(stream as Readable);
  child.stdin?.on('error', () => undefined); // a command that does not read its input reports that by its status
  child.stdin?.end(options.input);
  const why = await endOf(child, options);
  await closed(child);
  output.finish();
  return why === undefined || output.last === '' ? why : `${why} (${output.last})`;
}

/**
 * Waits until the command itself has exited, and ends it after `timeoutMs` or when `signal` is aborted. Returns
 * undefined for exit status 0, otherwise the reason of the failure.
 */
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
  const timer = setTimeout(() => stop(`timed out after ${seconds} s`), options.timeoutMs);
  const interrupt = (): void => stop('interrupted');
  options.signal?.addEventListener('abort', interrupt);
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (whyEnded !== undefined) return whyEnded;
    if (signal !== null) return `killed by ${signal}`;
    return status === 0 ? undefined : `exit status ${status}`;
  } catch (error) {
    return `cannot run it: ${systemCode(error) ?? 'unknown'}`;
  } finally {
    clearTimeout(timer);
    clearTimeout(force);
    options.signal?.removeEventListener('abort', interrupt);
    if (whyEnded !== undefined) signalGroup(child, 'SIGKILL'); // kill its child processes, too
  }
}

function signalGroup({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error; // no process of the group is left
  }
}

/** Waits for the rest of the output, but only for a moment. */
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

/** Splits output into lines, and limits its size. */
class OutputLines {
  last = '';
  private readonly pending = new Map<Readable, Buffer>();
  private leftBytes = MAX_OUTPUT_BYTES;

  constructor(private readonly options: CommandOptions) {}

  follow(stream: Readable): void {
    this.pending.set(stream, Buffer.alloc(0));
    stream.on('error', () => undefined); // ignored: the exit status shows the result
    stream.on('data', (chunk: Buffer) => this.take(stream, chunk));
  }

  /** Passes on the last line of each stream, if no line feed follows it. */
  finish(): void {
    for (const rest of this.pending.values()) if (rest.length > 0) this.report(rest);
    this.pending.clear();
  }

  private take(stream: Readable, chunk: Buffer): void {
    const before = this.pending.get(stream);
    if (before === undefined || this.leftBytes === 0) return;
    const taken = chunk.subarray(0, this.leftBytes);
    this.leftBytes -= taken.length;
    let rest = Buffer.concat([before, taken]);
    for (let end = lineEnd(rest); end >= 0; end = lineEnd(rest)) {
      this.report(rest.subarray(0, end));
      rest = rest.subarray(rest[end] === LINE_FEED ? end + 1 : end);
    }
    this.pending.set(stream, rest);
    if (this.leftBytes > 0) return;
    this.finish();
    this.options.onLine?.('(further output omitted)');
  }

  private report(line: Buffer): void {
    const text = line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
    const shown = displayName(text);
    if (shown !== '') this.last = shown;
    this.options.onLine?.(shown);
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Returns the index where the first line ends or is cut; -1 if it is incomplete. */
function lineEnd(bytes: Buffer): number {
  const end = bytes.indexOf(LINE_FEED);
  if (end >= 0 && end <= MAX_LINE_BYTES) return end;
  return bytes.length > MAX_LINE_BYTES ? MAX_LINE_BYTES : -1;
}

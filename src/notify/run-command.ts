/**
 * Runs a command of the user's configuration: without a shell, in its own process group with a time limit,
 * and with limited output.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ifPossible, systemCode, systemReason } from '../errors/index.js';
import { displayName, releaseAll } from '../model/index.js';
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
/** Time without output after which a process that a command has left counts as holding the output in vain. */
const SILENT_AFTER_END_MS = 10_000;
/** Number of pieces of output, of up to 64 KiB, whose memory is freed together once they are taken. */
const TAKEN_AT_ONCE = 16;

interface CommandOptions {
  readonly timeoutMs: number;
  /** The whole environment. Without it, that of this process, without the access key of a bucket. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Variables that are added to the environment. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Standard input of the command; empty if undefined. */
  readonly input?: string;
  readonly signal?: AbortSignal;
  /**
   * Takes the bytes of standard output, whose end is part of the command then. Without it, they are lines of output.
   */
  readonly take?: ((bytes: Uint8Array) => Promise<void>) | undefined;
  /** Called for each line of the output, with control characters removed. */
  onLine?(line: string): void;
}

/**
 * Runs a command to its end. Returns undefined for exit status 0, otherwise the reason of the failure as text, with
 * the last line of its output. Throws only what `take` throws.
 */
export async function runCommand(
  [command, ...words]: readonly string[],
  options: CommandOptions,
): Promise<string | undefined> {
  if (command === undefined || command === '') return 'the command is empty';
  if (options.signal?.aborted === true) return 'not run: interrupted';
  const nothing = fs.openSync('/dev/null', 'r');
  const child = spawn(command, words, {
    detached: true, // in its own group, so that its child processes can be killed too
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...blanked(nothing)],
    env: options.environment ?? environmentOfOthers(options.variables),
  });
  fs.closeSync(nothing);
  const guard = guardOf(child);
  const output = new OutputLines(options);
  output.follow(child.stderr as Readable);
  const taken = options.take && new TakenStream(child.stdout as Readable, options.take);
  if (taken === undefined) output.follow(child.stdout as Readable);
  child.stdin?.on('error', () => undefined); // a command that does not read its input reports that by its status
  child.stdin?.end(options.input);
  const why = await endOf(child, options, taken);
  if (why !== undefined && taken !== undefined) {
    signalGroup(child, 'SIGKILL'); // processes that it left may hold the output
    taken.stop();
  }
  guard?.end('\n');
  await closed(child);
  output.finish();
  await taken?.end;
  return why === undefined || output.last === '' ? why : `${why} (${output.last})`;
}

/**
 * Ends the group of a command if this process dies while the command runs, even by SIGKILL: a shell waits for a line, and
 * finds the end of its input instead. Returns the input of the shell, which takes the line when the command has ended.
 */
function guardOf({ pid }: ChildProcess): Writable | undefined {
  if (pid === undefined) return undefined;
  const words = ['-c', GUARD, 'guard', String(pid), String(KILL_AFTER_MS / 1000)];
  const guard = spawn('/bin/sh', words, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  guard.on('error', () => undefined); // no shell: the command ends by its closed output
  guard.stdin.on('error', () => undefined);
  guard.unref();
  return guard.stdin;
}

const GUARD = 'read -r _ || { kill -s TERM -- "-$1"; sleep "$2"; kill -s KILL -- "-$1"; }';

/** Flag of an open descriptor, in octal, by which no program that this process starts inherits it. */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * Returns what a command gets in place of the descriptors from 3 on that this process has inherited, and would pass on:
 * the descriptor `nothing`. Node.js itself keeps back only the first of them.
 */
function blanked(nothing: number): (number | 'ignore')[] {
  const blanks: (number | 'ignore')[] = [];
  for (const name of fs.readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd < FIRST_OTHER || !isInherited(fd)) continue;
    while (blanks.length < fd - FIRST_OTHER) blanks.push('ignore');
    blanks[fd - FIRST_OTHER] = nothing;
  }
  return blanks;
}

/** Number of the first descriptor after standard input, output and error. */
const FIRST_OTHER = 3;

function isInherited(fd: number): boolean {
  const text = ifPossible(() => fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
  const flags = /^flags:\s*(\d+)/m.exec(text ?? ''); // none if it was closed meanwhile
  return flags !== null && (Number.parseInt(flags[1]!, 8) & CLOSED_ON_EXEC) === 0;
}

/**
 * Waits until the command itself has exited, and its output has ended if that is `taken`. Ends the command after
 * `timeoutMs`, when `signal` is aborted, or when its output cannot be taken. Returns undefined for exit status 0, otherwise
 * the reason of the failure.
 */
async function endOf(
  child: ChildProcess,
  options: CommandOptions,
  taken: TakenStream | undefined,
): Promise<string | undefined> {
  let whyEnded: string | undefined;
  let force: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  const stop = (why: string): void => {
    if (whyEnded !== undefined) return;
    whyEnded = why;
    stopping.abort();
    taken?.stop();
    signalGroup(child, 'SIGTERM');
    force = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS);
  };
  const seconds = options.timeoutMs / 1000;
  const timer = setTimeout(() => stop(`timed out after ${seconds} s`), options.timeoutMs);
  const interrupt = (): void => stop('interrupted');
  options.signal?.addEventListener('abort', interrupt);
  taken?.end.catch(() => stop('its output could not be taken'));
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (whyEnded !== undefined) return whyEnded;
    if (signal !== null) return `killed by ${signal}`;
    if (status !== 0) return `exit status ${status}`;
    if (taken === undefined) return undefined;
    await taken.endAfterExit(stop, stopping.signal);
    return whyEnded ?? (taken.isWhole ? undefined : 'its output could not be read');
  } catch (error) {
    return `cannot run it: ${systemReason(error)}`;
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
    // No process of the group is left, or only some that are another user's (sudo) and end by their closed output.
    if (systemCode(error) !== 'ESRCH' && systemCode(error) !== 'EPERM') throw error;
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

/** A stream that is passed on as it comes. */
export class TakenStream {
  /** Resolves when the output has ended or is destroyed. Rejects with an error of the taker. */
  readonly end: Promise<void>;
  private isTaking = false;
  private lastMs = performance.now();

  constructor(
    private readonly stream: Readable,
    take: (bytes: Uint8Array) => Promise<void>,
  ) {
    this.end = this.pass(take);
    this.end.catch(() => undefined); // rejects where it is awaited
  }

  /** True once the end was read, and all before it was taken. */
  get isWhole(): boolean {
    return this.stream.readableEnded;
  }

  stop(): void {
    this.stream.destroy();
  }

  /**
   * Waits for the end of the output, or until `stopped` is aborted. Calls `stop` if a process that is left holds the output
   * open without writing.
   */
  async endAfterExit(stop: (why: string) => void, stopped: AbortSignal): Promise<void> {
    this.lastMs = performance.now();
    const timer = setInterval(() => {
      const idleMs = performance.now() - this.lastMs;
      if (!this.isTaking && idleMs > SILENT_AFTER_END_MS)
        stop('a process it left holds its output');
    }, OUTPUT_AFTER_END_MS);
    try {
      await Promise.race([this.end, once(stopped, 'abort')]);
    } finally {
      clearInterval(timer);
    }
  }

  private async pass(take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const taken: Uint8Array[] = [];
    try {
      for await (const bytes of this.stream) {
        this.isTaking = true;
        await take(bytes as Buffer).catch((error: unknown) => {
          failure = { error };
        });
        if (failure !== undefined) break;
        taken.push(bytes as Buffer);
        if (taken.length >= TAKEN_AT_ONCE) releaseAll(taken.splice(0));
        this.isTaking = false;
        this.lastMs = performance.now();
      }
    } catch (error) {
      if (systemCode(error) === undefined) throw error; // destroyed or unreadable: it is not whole
    }
    if (failure !== undefined) throw failure.error;
  }
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

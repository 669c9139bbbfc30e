/**
 * Runs the server of `--local` as a child process, for one run. As with a server that ssh starts, its standard input and
 * output are the connection. The child serves one session and exits. It does so too when its input ends, so it does not
 * outlive this process.
 */
import { allRows, longFlag } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import {
  type Address,
  hasStrayBytes,
  openProgram,
  type ProgramEnd,
  textBytes,
} from '../system/index.js';
import { givenError, type InnerListener, lastLines, strayOutput } from '../transport/index.js';

/** Time for the work after a session. The child is killed then. */
const END_TIMEOUT_MS = 60_000;
const NAME = 'the local server';

/** Values of settings of a server, by the names of the settings. */
export type ServerSettings = ReadonlyMap<string, readonly string[]>;

export interface LocalServer {
  /** The server; its listener, if it is in this process. */
  readonly address: Address | InnerListener;
  /** True for a client with few entries. Its backups take so little time that the start of a thread counts. */
  readonly isForLittle?: boolean;
  /** Resolves when the server in this process listens, or rejects with its error; undefined for a child. */
  readonly ready?: Promise<void>;
  /**
   * Returns SERVER_DIED if a signal that this process did not send has ended the child, and the error with which the session of a
   * server in this process ended. Call it after `close`.
   */
  death(): TardisError | undefined;
  /** Ends the session, if there is one, and waits until the server has ended. */
  close(): Promise<void>;
}

/** A local server that is started when it is first needed. */
export interface LocalServerOnDemand {
  /** Starts the server at the first call. Throws CONFIG_INVALID. */
  get(): LocalServer;
  /** Returns the result of `LocalServer.death`; undefined if no server was started. */
  death(): TardisError | undefined;
  /** Returns the directory of the store that the server uses; undefined if only the server knows it. */
  store(): Buffer | undefined;
  close(): Promise<void>;
}

/** Starts the child with the words of a command, for example the launcher `tardisd`, and options with these settings. */
export function startLocalServer(
  command: readonly string[],
  settings: ServerSettings,
): LocalServer {
  const words = [...command, ...optionsOf(settings), '--stdio'];
  const program = openProgram(asText(words), { endMs: END_TIMEOUT_MS });
  let died: TardisError | undefined;
  return {
    address: {
      kind: 'program',
      name: NAME,
      mayPrompt: false,
      open: () => program,
      errorOf: localError,
    },
    death: () => died,
    close: async () => {
      program.socket.destroy();
      const { signal } = await program.ended;
      died = signal === null ? undefined : diedBy(signal);
    },
  };
}

/** Returns the options of a command line that have these values. */
function optionsOf(settings: ServerSettings): string[] {
  const rows = new Map(allRows());
  return [...settings].flatMap(([name, [value = '']]) => {
    const flag = longFlag(rows.get(name)!.flags!);
    return value === 'true' ? [flag] : [flag, value];
  });
}

/**
 * Returns the words of a command. Words with bytes that no argument can have here are made by a shell; of these, it drops
 * a line feed at the end.
 */
function asText(words: readonly string[]): readonly string[] {
  if (!words.some(hasStrayBytes)) return words;
  const octal = (byte: number): string => `\\${byte.toString(8).padStart(3, '0')}`;
  const made = words.map((word) => `"$(printf '${[...textBytes(word)].map(octal).join('')}')"`);
  return ['sh', '-c', `exec ${made.join(' ')}`];
}

/** Returns the error for a child to which no connection was made. */
function localError(error: Error, end: ProgramEnd): TardisError {
  const failed = (why: string): TardisError =>
    new TardisError('SERVER_UNREACHABLE', `${NAME} ${why}`, {}, error);
  const given = givenError(NAME, (why) => failed(`cannot run: ${why}`), end);
  if (given !== undefined) return given;
  if (end.signal !== null) return diedBy(end.signal);
  const printed = strayOutput(error);
  if (printed !== undefined)
    return failed(`printed "${printed}" to its standard output, which is its connection`);
  return failed(`ended (${end.status}): ${lastLines(end.output)}`);
}

/** Signals that the processor or the kernel sends for invalid code or memory accesses. */
const FAULTS: readonly string[] = ['SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'];

/** Returns the error for a child that was ended by a signal, with its likeliest cause. */
function diedBy(signal: NodeJS.Signals): TardisError {
  const causes = FAULTS.includes(signal)
    ? ': a file of the program is damaged or not built for this processor, a disk or the memory is failing, or native code has a bug'
    : signal === 'SIGKILL'
      ? ': somebody killed it, or the kernel did because memory ran out (see the system log)'
      : '';
  const text = `${NAME} process was killed by ${signal}${causes}`;
  return new TardisError('SERVER_DIED', text, { signal });
}

/**
 * Runs the server of `--local` as a child process on a private unix socket, for one run. The child serves one
 * session and exits. It also exits, and removes the socket's directory, when the pipe on its descriptor 3
 * closes; only this process holds the other end of that pipe, so the child cannot outlive it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { formatValue } from '../config/index.js';
import { ERROR_TABLE, fromSystem, fromWire, TardisError } from '../errors/index.js';
import {
  type Address,
  byteText,
  hasStrayBytes,
  makeSocketFolder,
  removeSocketFolder,
  SOCKET_FOLDER_ARGUMENTS,
  textBytes,
} from '../system/index.js';
import type { InnerDoor } from '../transport/index.js';

const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 60_000;
/** Maximum time to wait for the rest of the child's output after its exit. */
const LAST_WORDS_MS = 1000;
const MAX_STDERR_CHARS = 8192;

/** Values of settings of a server, by the names of the settings. */
export type ServerSettings = ReadonlyMap<string, readonly string[]>;

export interface LocalServerOptions {
  /** Path of the store; undefined to use the server's own setting. */
  readonly store: Buffer | undefined;
  readonly configFile: Buffer | undefined;
  /** Name of the profile; undefined to use the server's own setting. */
  readonly profile: string | undefined;
  /** Percentage of parity; undefined to use the server's own setting. */
  readonly parityPercent?: number | undefined;
  /** Settings of the bucket that is the store; undefined for a directory. */
  readonly bucket?: ServerSettings | undefined;
  /** Command and first arguments, for example the launcher `tardisd`. */
  readonly command: readonly string[];
}

export interface LocalServer {
  /** Where the server listens; its door, if it is in this process. */
  readonly address: Address | InnerDoor;
  /** True for a client with few entries. Its backups take so little time that the start of a thread counts. */
  readonly isForLittle?: boolean;
  /** Resolves when the server listens. Rejects with its own error, or if it is a child, SERVER_DIED or SERVER_UNREACHABLE. */
  readonly ready: Promise<void>;
  /** Returns SERVER_DIED if a signal that this process did not send has ended the child. Call it after `close`. */
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

/**
 * Starts the child. Throws CONFIG_INVALID if there is no place for the socket. This module has few imports, because it
 * runs before anything else is loaded.
 */
export function startLocalServer(options: LocalServerOptions): LocalServer {
  const { folder: directory, socket: socketPath } = makeSocketFolder();
  const [command, ...first] = options.command;
  const paths = pathArguments(options, path.join(directory, SOCKET_FOLDER_ARGUMENTS));
  const profile = options.profile === undefined ? [] : ['--profile', options.profile];
  const child = spawn(
    command!,
    [
      ...first,
      ...paths,
      ...profile,
      ...optionsOf(options.bucket),
      ...(options.parityPercent === undefined ? [] : ['--parity', String(options.parityPercent)]),
      '--single',
      '--local',
      socketPath,
    ],
    // A process group of its own: Ctrl-C then reaches only this process, which ends the session in order.
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  );
  const removeDirectory = (): void => removeSocketFolder(socketPath);
  process.once('exit', removeDirectory);
  const ready = readiness(child);
  ready.catch(() => undefined); // callers of `ready` get the error; there may be none yet
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    address: { kind: 'unix', path: socketPath },
    ready,
    // `killed`: this process killed the child because it did not exit in time.
    death: () => (child.killed || child.signalCode === null ? undefined : diedBy(child.signalCode)),
    close: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
      (child.stdio[3] as Duplex | null)?.destroy();
      await exited;
      clearTimeout(timer);
      removeDirectory();
    },
  };
}

/** Returns the options of a command line that have these values. */
function optionsOf(settings: ServerSettings = new Map()): string[] {
  return [...settings].flatMap(([name, [value = '']]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === 'true' ? [flag] : [flag, value];
  });
}

/**
 * Returns the arguments that name paths. If a path has bytes that no argument can hold, writes the arguments to `file`
 * and returns `@FILE`.
 */
function pathArguments({ store, configFile }: LocalServerOptions, file: string): string[] {
  const words = [
    ...(configFile === undefined ? [] : ['--config', byteText(configFile)]),
    ...(store === undefined ? [] : ['--database', byteText(store)]),
  ];
  if (!words.some(hasStrayBytes)) return words;
  fs.writeFileSync(file, textBytes(formatValue(words, { type: 'texts' })), { mode: 0o600 });
  return [`@${file}`];
}

/** Resolves when the child listens: the child then writes one byte to descriptor 3. */
function readiness(child: ChildProcess): Promise<void> {
  let output = '';
  if (child.pid === undefined) {
    // If the child could not be started for lack of descriptors, the pipe does not exist either.
    return new Promise((_resolve, reject) => {
      child.once('error', (error) => {
        reject(fromSystem(error, 'starting the local server') ?? error);
      });
    });
  }
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-MAX_STDERR_CHARS);
    process.stderr.write(text);
  });
  const signal = child.stdio[3] as Duplex;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new TardisError('SERVER_UNREACHABLE', 'the local server did not start in time'));
    }, START_TIMEOUT_MS);
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      if (error === undefined) resolve();
      else reject(error);
    };
    signal.once('data', () => settle());
    signal.on('error', () => undefined); // the pipe closes when the child exits; `exit` reports why
    child.once('error', (error) => {
      settle(new TardisError('SERVER_UNREACHABLE', `the local server: ${error.message}`));
    });
    child.once('exit', (status, by) => {
      const settleByStatus = (): void => settle(by === null ? errorOf(output, status) : diedBy(by));
      afterEnd(child.stderr!, settleByStatus);
    });
  });
}

/**
 * Calls `next` when the stream has been read to its end, or after LAST_WORDS_MS. The end may come after the exit of
 * the child, since programs that the child left behind may hold the stream open.
 */
function afterEnd(stream: Readable, next: () => void): void {
  if (stream.closed) return next();
  const timer = setTimeout(next, LAST_WORDS_MS);
  stream.once('close', () => {
    clearTimeout(timer);
    next();
  });
}

/** Matches the line with the error that ended a tool: its message and its code. */
const REASON = /^\S+: (.*) \[([A-Z_]+)\]$/gm;

/** Returns the last error in the child's output, or SERVER_UNREACHABLE if there is none. */
function errorOf(output: string, status: number | null): TardisError {
  const [, message, code] = [...output.matchAll(REASON)].at(-1) ?? [];
  if (code !== undefined && Object.hasOwn(ERROR_TABLE, code))
    return fromWire({ code, message: `the local server: ${message}` });
  const reason = output.trim().split('\n').at(-1) ?? '';
  return new TardisError('SERVER_UNREACHABLE', `the local server ended (${status}): ${reason}`);
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
  const text = `the local server process was killed by ${signal}${causes}`;
  return new TardisError('SERVER_DIED', text, { signal });
}

/**
 * `--local`: the server as a child process on a private unix socket, for the time of one run. The
 * child lives no longer than we do: it serves one session and ends, and it ends too, and removes the
 * socket's directory, when the pipe on its descriptor 3, which only we hold open, closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { formatValue } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import {
  type Address,
  byteText,
  hasStrayBytes,
  makeSocketFolder,
  removeSocketFolder,
  SOCKET_FOLDER_ARGUMENTS,
  textBytes,
} from '../system/index.js';

const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 60_000;
const MAX_STDERR_CHARS = 8192;

export interface LocalServerOptions {
  /** Undefined: as the server's own settings say. */
  readonly store: Buffer | undefined;
  readonly configFile: Buffer | undefined;
  /** Undefined: as the server's own settings say. */
  readonly profile: string | undefined;
  /** Command and first arguments, e.g. the launcher `tardisd`. */
  readonly command: readonly string[];
}

export interface LocalServer {
  readonly address: Address;
  /** Resolves when the child listens. Rejects with SERVER_UNREACHABLE and what it said. */
  readonly ready: Promise<void>;
  /** Ends the child's session, if it has one, and waits until the child has ended. */
  close(): Promise<void>;
}

/** A server that need not have been started yet. */
export interface LocalServerOnDemand {
  /** Starts it, at the first call. Throws CONFIG_INVALID. */
  get(): LocalServer;
  /** The same as that of the server; nothing if there is none. */
  close(): Promise<void>;
}

/** Starts the child. Throws CONFIG_INVALID without a place for the socket. Light on imports: it runs before anything else is loaded. */
export function startLocalServer(options: LocalServerOptions): LocalServer {
  const { folder: directory, socket: socketPath } = makeSocketFolder();
  const [command, ...first] = options.command;
  const paths = pathArguments(options, path.join(directory, SOCKET_FOLDER_ARGUMENTS));
  const profile = options.profile === undefined ? [] : ['--profile', options.profile];
  const child = spawn(
    command!,
    [...first, ...paths, ...profile, '--single', '--local', socketPath],
    // A group of its own: Ctrl-C reaches us alone, and we end the session in order.
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  );
  const removeDirectory = (): void => removeSocketFolder(socketPath);
  process.once('exit', removeDirectory);
  const ready = readiness(child);
  ready.catch(() => undefined); // whoever waits is told; nobody may be there yet
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    address: { kind: 'unix', path: socketPath },
    ready,
    close: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
      (child.stdio[3] as Duplex | null)?.destroy();
      await exited;
      clearTimeout(timer);
      removeDirectory();
    },
  };
}

/** Arguments that name paths; through a file where they hold bytes that no argument can have. */
function pathArguments({ store, configFile }: LocalServerOptions, file: string): string[] {
  const words = [
    ...(configFile === undefined ? [] : ['--config', byteText(configFile)]),
    ...(store === undefined ? [] : ['--database', byteText(store)]),
  ];
  if (!words.some(hasStrayBytes)) return words;
  fs.writeFileSync(file, textBytes(formatValue(words, { type: 'texts' })), { mode: 0o600 });
  return [`@${file}`];
}

/** The child writes one byte to descriptor 3 when it listens. */
function readiness(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MAX_STDERR_CHARS);
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
    signal.on('error', () => undefined); // the child's end closes the pipe; `exit` tells why
    child.once('error', (error) => {
      settle(new TardisError('SERVER_UNREACHABLE', `the local server: ${error.message}`));
    });
    child.once('exit', (status) => {
      const reason = said.trim().split('\n').at(-1) ?? '';
      settle(
        new TardisError('SERVER_UNREACHABLE', `the local server ended (${status}): ${reason}`),
      );
    });
  });
}

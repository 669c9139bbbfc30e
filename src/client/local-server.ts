/**
 * `--local`: the server as a child process on a private unix socket, for the time of one run. The
 * child lives no longer than we do: it serves one session and ends, and it ends too when the pipe on
 * its descriptor 3, which only we hold open, closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { TardisError } from '../errors/index.js';
import type { Address, System } from '../system/index.js';

const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 60_000;
const MAX_STDERR_CHARS = 8192;

export interface LocalServerOptions {
  readonly store: string;
  readonly configFile: string | undefined;
  /** Command and first arguments, e.g. the launcher `tardisd`. */
  readonly command: readonly string[];
}

export interface LocalServer {
  readonly address: Address;
  /** Waits until the child has ended. */
  close(): Promise<void>;
}

/** Starts the child and waits until it listens. Throws SERVER_UNREACHABLE with what it said. */
export async function startLocalServer(
  system: System,
  options: LocalServerOptions,
): Promise<LocalServer> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-'));
  const socketPath = path.join(directory, `${system.random.bytes(4).toString('hex')}.sock`);
  const [command, ...first] = options.command;
  const config = options.configFile === undefined ? [] : ['--config', options.configFile];
  const child = spawn(
    command!,
    [...first, ...config, '--database', options.store, '--single', '--local', socketPath],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const removeDirectory = (): void => fs.rmSync(directory, { recursive: true, force: true });
  try {
    await ready(child);
  } catch (error) {
    child.kill('SIGTERM');
    removeDirectory();
    throw error;
  }
  return {
    address: { kind: 'unix', path: socketPath },
    close: async () => {
      await ended(child);
      removeDirectory();
    },
  };
}

/** The child writes one byte to descriptor 3 when it listens. */
function ready(child: ChildProcess): Promise<void> {
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

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    (child.stdio[3] as Duplex).destroy();
  });
}

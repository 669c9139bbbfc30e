/**
 * Starts a command again in the background, in a new session. The starting process ends when the new process is ready,
 * or with the error that prevents that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { configInvalid, type SettingsNamed } from '../../config/index.js';
import { type ErrorCode, fromWire, TardisError, toWire } from '../../errors/index.js';
import { hasStrayBytes, processArguments } from '../../system/index.js';

/**
 * Environment variable with the descriptor to which the background process reports. It is set only for that process.
 */
const READY_VARIABLE = 'TARDIS_READY_FD';
const READY_FD = 3;
const SECRET_FD = 4;
const READY = 'ready';
const MAX_OUTPUT_CHARS = 64 << 10;
const MAX_SECRET_BYTES = 8 << 10;
/** Maximum time between the end of the pipe and the end of the process. */
const MAX_END_MS = 5000;

interface BackgroundOptions {
  /** Error code and name of the process, for the error if it ends without a message. */
  readonly failure: ErrorCode;
  readonly what: string;
  /**
   * Secret that the process can read. If it is given, the standard error of the process is shown until the process is
   * ready.
   */
  readonly secret?: Buffer;
  /** True if the process stays in this process group until it makes a session of its own. */
  readonly keepsGroup?: boolean;
}

/** True if this process is the one that runs in the background. */
export function isInBackground(): boolean {
  return process.env[READY_VARIABLE] !== undefined;
}

/** Starts this command in the background, and waits until it is ready. Throws the error that prevents that. */
export async function startInBackground(options: BackgroundOptions): Promise<void> {
  const { secret, keepsGroup = false } = options;
  const more = secret === undefined ? [] : ['pipe' as const];
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: !keepsGroup,
    stdio: ['ignore', 'ignore', secret === undefined ? 'ignore' : 'pipe', 'pipe', ...more],
    env: { ...process.env, [READY_VARIABLE]: String(READY_FD) },
  });
  child.stderr?.on('data', (text: Buffer) => process.stderr.write(text));
  if (secret !== undefined) giveSecret(child.stdio[SECRET_FD] as unknown as Writable, secret);
  const pipe = child.stdio[READY_FD] as Readable;
  let output = '';
  pipe.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, MAX_OUTPUT_CHARS);
  });
  await new Promise<void>((resolve, reject) => {
    pipe.once('end', resolve);
    child.once('error', reject);
  });
  if (output === '') throw await silentEnd(child, options);
  child.unref();
  child.stderr?.destroy();
  if (output !== READY) throw errorOf(output, options);
}

function giveSecret(pipe: Writable, secret: Buffer): void {
  pipe.on('error', () => undefined); // the end of the process is reported
  pipe.end(secret);
}

/** Returns the error for a process that closed its pipe and ended without a message. */
async function silentEnd(
  child: ChildProcess,
  { failure, what }: BackgroundOptions,
): Promise<Error> {
  if (child.exitCode === null && child.signalCode === null)
    await Promise.race([once(child, 'exit'), sleep(MAX_END_MS, undefined, { ref: false })]);
  const how = child.signalCode === null ? 'at once' : `by ${child.signalCode}`;
  return new TardisError(failure, `${what} ended ${how}`);
}

function errorOf(output: string, { failure, what }: BackgroundOptions): Error {
  try {
    return fromWire(JSON.parse(output));
  } catch {
    // The process ended while it sent its error, or the error was too long and is cut off.
    return new TardisError(failure, `${what} ended at once: ${output.slice(0, 200)}`);
  }
}

/**
 * Returns the secret that the starting process has passed; empty if it passed none. Only for the process in the
 * background.
 */
export function secretOfStarter(): Buffer {
  const secret = Buffer.alloc(MAX_SECRET_BYTES);
  let bytes = 0;
  for (;;) {
    const got = fs.readSync(SECRET_FD, secret, bytes, secret.length - bytes, null);
    bytes += got;
    if (got === 0 || bytes === secret.length) break;
  }
  fs.closeSync(SECRET_FD);
  return secret.subarray(0, bytes);
}

/**
 * Reports to the starting process that this process is ready, or the error that prevents that. Does nothing in the
 * foreground.
 */
export function reportToStarter(error?: unknown): void {
  if (!isInBackground()) return;
  delete process.env[READY_VARIABLE];
  fs.writeSync(READY_FD, error === undefined ? READY : JSON.stringify(toWire(error)));
  fs.closeSync(READY_FD);
}

/**
 * Runs a server: in this process, or, if the settings request that, by this command in the background. Throws the error that
 * prevents it from serving, which the starting process gets too.
 */
export async function serveOrGo(
  settings: SettingsNamed<'daemon' | 'pidFile' | 'logFile'>,
  serve: () => Promise<void>,
): Promise<void> {
  if (settings.daemon && !isInBackground()) return goToBackground(settings);
  try {
    await serve();
  } catch (error) {
    reportToStarter(error);
    throw error;
  }
}

/** Starts this command in the background. Throws the error that prevents it from serving. */
async function goToBackground(settings: SettingsNamed<'pidFile' | 'logFile'>): Promise<void> {
  if (settings.pidFile === undefined) throw configInvalid('Daemon needs a PidFile');
  if (settings.logFile === undefined)
    throw configInvalid('Daemon needs a LogFile, since its other output is discarded');
  if (processArguments().some(hasStrayBytes)) {
    throw configInvalid('with Daemon, paths that are not UTF-8 must be in the configuration file');
  }
  await startInBackground({ failure: 'LISTEN_FAILED', what: 'the server' });
}

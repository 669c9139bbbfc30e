/**
 * Implements `tardisd --daemon`: the command starts itself again in a new session. It ends when the new process
 * serves, or with the error that prevents it from serving.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { configInvalid, type Settings } from '../../config/index.js';
import { fromWire, TardisError, toWire } from '../../errors/index.js';
import { hasStrayBytes, processArguments } from '../../system/index.js';

/**
 * Environment variable with the descriptor on which the starter listens; set only for the process in the background.
 */
const READY_VARIABLE = 'TARDIS_READY_FD';
const READY_FD = 3;
const READY = 'ready';
const MAX_TOLD_CHARS = 64 << 10;
/** Longest wait from the end of the pipe to the end of the process. */
const MAX_END_MS = 5000;

/** True if this process is the one in the background. */
export function isInBackground(): boolean {
  return process.env[READY_VARIABLE] !== undefined;
}

/** Starts this command in the background. Throws the error that prevents it from serving. */
export async function goToBackground(settings: Settings<'tardisd'>): Promise<void> {
  if (settings.pidFile === undefined) throw configInvalid('Daemon needs a PidFile');
  if (settings.logFile === undefined)
    throw configInvalid('Daemon needs a LogFile, since its other output is discarded');
  if (processArguments().some(hasStrayBytes)) {
    throw configInvalid('with Daemon, paths that are not UTF-8 must be in the configuration file');
  }
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: { ...process.env, [READY_VARIABLE]: String(READY_FD) },
  });
  const pipe = child.stdio[READY_FD] as Readable;
  let told = '';
  pipe.setEncoding('utf8').on('data', (text: string) => {
    told = (told + text).slice(0, MAX_TOLD_CHARS);
  });
  await new Promise<void>((resolve, reject) => {
    pipe.once('end', resolve);
    child.once('error', reject);
  });
  if (told === '') throw await silentEnd(child);
  child.unref();
  if (told !== READY) throw errorOf(told);
}

/** Returns the error for a process that closed its pipe and ended without a message. */
async function silentEnd(child: ChildProcess): Promise<Error> {
  if (child.exitCode === null && child.signalCode === null)
    await Promise.race([once(child, 'exit'), sleep(MAX_END_MS, undefined, { ref: false })]);
  const how = child.signalCode === null ? 'at once' : `by ${child.signalCode}`;
  return new TardisError('LISTEN_FAILED', `the server ended ${how}`);
}

function errorOf(told: string): Error {
  try {
    return fromWire(JSON.parse(told));
  } catch {
    return new TardisError('LISTEN_FAILED', `the server ended at once: ${told.slice(0, 200)}`);
  }
}

/** Reports to the starter that this process serves, or the error that prevents it. Does nothing in the foreground. */
export function reportToStarter(error?: unknown): void {
  if (!isInBackground()) return;
  delete process.env[READY_VARIABLE];
  fs.writeSync(READY_FD, error === undefined ? READY : JSON.stringify(toWire(error)));
  fs.closeSync(READY_FD);
}

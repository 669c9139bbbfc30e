/**
 * `tardisd --daemon`: the command starts itself once more in a session of its own, and ends when that
 * one serves, or with the error that keeps it from serving.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { configInvalid, type Settings } from '../config/index.js';
import { fromWire, TardisError, toWire } from '../errors/index.js';
import { hasStrayBytes, processArguments } from '../system/index.js';

/** Tells the process in the background on which descriptor its starter listens. */
const READY_VARIABLE = 'TARDIS_READY_FD';
const READY_FD = 3;
const READY = 'ready';
const MAX_TOLD_CHARS = 64 << 10;

/** Whether this process is the one in the background. */
export function isInBackground(): boolean {
  return process.env[READY_VARIABLE] !== undefined;
}

/** Starts this command in the background. Throws what keeps it from serving. */
export async function goToBackground(settings: Settings<'tardisd'>): Promise<void> {
  if (settings.pidFile === undefined) throw configInvalid('Daemon needs a PidFile');
  if (settings.logFile === undefined)
    throw configInvalid('Daemon needs a LogFile: nobody reads the rest');
  if (processArguments().some(hasStrayBytes)) {
    throw configInvalid('with Daemon, paths that are no UTF-8 belong into the configuration file');
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
  child.unref();
  if (told === READY) return;
  throw told === '' ? new TardisError('LISTEN_FAILED', 'it ended at once') : errorOf(told);
}

function errorOf(told: string): Error {
  try {
    return fromWire(JSON.parse(told));
  } catch {
    return new TardisError('LISTEN_FAILED', `it ended at once: ${told.slice(0, 200)}`);
  }
}

/** Tells the starter, if there is one, that this process serves, or why it does not. */
export function tellStarter(error?: unknown): void {
  if (!isInBackground()) return;
  delete process.env[READY_VARIABLE];
  fs.writeSync(READY_FD, error === undefined ? READY : JSON.stringify(toWire(error)));
  fs.closeSync(READY_FD);
}

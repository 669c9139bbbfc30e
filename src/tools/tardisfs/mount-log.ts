/** The log of a mount. */
import fs from 'node:fs';
import type { Settings } from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import { displayName, displayText } from '../../model/index.js';
import { BoundedCache, openToAppend } from '../../system/index.js';
import { shownProgram } from '../output/command-names.js';

/** Time for which an entry is not repeated, and maximum number of entries that are remembered for that. */
const REPEAT_MS = 60_000;
const MAX_REMEMBERED = 256;

type LogSettings = Pick<Settings<'tardisfs'>, 'logFile' | 'foreground'>;

/**
 * Opens the log: a file, or standard error. (In the background, standard error is lost once the mount is ready.)
 * Further lines of an entry are indented, so that a text of a server cannot look like another entry. A
 * program that reads a damaged file again and again would fill the log, so an entry is not repeated within a minute.
 * Throws CONFIG_INVALID.
 */
export function logTo({ logFile, foreground }: LogSettings): (line: string) => void {
  const write = writerTo(logFile, foreground);
  const written = new BoundedCache<string, number>(MAX_REMEMBERED);
  return (text) => {
    const nowMs = performance.now();
    const lastMs = written.peek(text);
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_MS) return;
    written.set(text, nowMs);
    const lines = displayText(text).replaceAll('\n', '\n  ');
    write(`${new Date().toISOString()} ${shownProgram('tardisfs')}: ${lines}\n`);
  };
}

function writerTo(logFile: Buffer | undefined, foreground: boolean): (text: string) => void {
  if (logFile === undefined) {
    return (text) => {
      if (foreground || process.stderr.writable) process.stderr.write(text);
    };
  }
  let fd: number;
  try {
    fd = openToAppend(logFile);
  } catch (error) {
    throw failedTo(`open the log ${displayName(logFile)}`, error, 'useNamedFile');
  }
  return (text) => {
    try {
      fs.writeSync(fd, text);
    } catch {
      // If the log cannot be written, for example on a full disk, the mount continues.
    }
  };
}

/** Temporary directories for one run, and the limit on the length of socket paths. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { failedTo, systemCode, TardisError } from '../errors/index.js';
import { foreignHand } from './changeable-files.js';
import { textBytes } from './process-input.js';

/** Maximum length of a socket path, without the terminating NUL. The system silently truncates a longer path. */
const MAX_SOCKET_PATH_BYTES = 107;
const USUAL = '/tmp';
const SOCKET_FOLDER = 'tardis-';
/** Sample with the length of the ending that mkdtemp(3) appends. */
const SAMPLE_END = '123456';
const SOCKET = 'socket';
const FOLDER_NAME = /^tardis-[A-Za-z0-9]{6}$/;
/** Name of the only other file that the folder of a socket may contain. */
export const SOCKET_FOLDER_ARGUMENTS = 'tardisd-arguments';

/** Throws CONFIG_INVALID if the system would truncate this path of a unix socket. */
export function checkSocketPath(socket: string): void {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new TardisError(
    'CONFIG_INVALID',
    `the path of the socket has ${bytes} bytes, and may have ${MAX_SOCKET_PATH_BYTES}: ${socket}`,
  );
}

/**
 * Returns TMPDIR, or /tmp if it is not set. Root gets /tmp too if another user could exchange what root creates in
 * TMPDIR, as with a `su` that keeps it.
 */
export function temporaryDirectory(): string {
  const given = os.tmpdir();
  return foreignHand(textBytes(path.join(given, SOCKET_FOLDER)), true) === undefined
    ? given
    : USUAL;
}

/** Creates a new temporary directory. On failure throws CONFIG_INVALID, which names TMPDIR. */
export function makeTemporary(prefix: string, parent: string = temporaryDirectory()): string {
  try {
    return fs.mkdtempSync(path.join(parent, prefix));
  } catch (error) {
    const what = `make a directory for temporary files in ${parent} (TMPDIR)`;
    throw failedTo(what, error, 'useTemporary');
  }
}

/**
 * Creates a new directory, and returns a path in it that is short enough for a socket. Throws CONFIG_INVALID if the
 * directory cannot be made.
 */
export function makeSocketFolder(): { folder: string; socket: string } {
  const parent = temporaryDirectory();
  const sample = path.join(parent, `${SOCKET_FOLDER}${SAMPLE_END}`, SOCKET);
  const isShort = Buffer.byteLength(sample) <= MAX_SOCKET_PATH_BYTES;
  const folder = makeTemporary(SOCKET_FOLDER, isShort ? parent : USUAL);
  return { folder, socket: path.join(folder, SOCKET) };
}

/**
 * Removes the directory of a socket from `makeSocketFolder`, if it contains only our files. Ignores other paths. Server
 * and client both call it when they end, since the other process may have been killed.
 */
export function removeSocketFolder(socket: string): void {
  const folder = path.dirname(socket);
  const isOurs = path.basename(socket) === SOCKET && FOLDER_NAME.test(path.basename(folder));
  if (!isOurs) return;
  try {
    for (const name of [SOCKET, SOCKET_FOLDER_ARGUMENTS]) {
      fs.rmSync(path.join(folder, name), { force: true });
    }
    fs.rmdirSync(folder);
  } catch (error) {
    if (systemCode(error) === undefined) throw error; // it is gone, or another process uses it
  }
}

/** Temporary directories for one run, and the limit on the length of socket paths. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { failedTo, TardisError } from '../errors/index.js';
import { foreignHand } from './ways.js';
import { textBytes } from './process-input.js';

/** Maximum length of a socket path, without the terminating NUL. The system silently truncates a longer path. */
const MAX_SOCKET_PATH_BYTES = 107;
const USUAL = '/tmp';
/** An entry that could be made in a temporary directory. */
const SAMPLE = 'tardis-';

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
  return foreignHand(textBytes(path.join(given, SAMPLE)), true) === undefined ? given : USUAL;
}

/** Creates a new temporary directory. On failure throws CONFIG_INVALID, which names TMPDIR. */
export function makeTemporary(prefix: string): string {
  const parent = temporaryDirectory();
  try {
    return fs.mkdtempSync(path.join(parent, prefix));
  } catch (error) {
    const what = `make a directory for temporary files in ${parent} (TMPDIR)`;
    throw failedTo(what, error, 'useTemporary');
  }
}

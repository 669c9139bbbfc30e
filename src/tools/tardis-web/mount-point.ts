/** The directory at which the page mounts a client. */
import fs from 'node:fs';
import { requireSystemCode, systemReason, TardisError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import { foreignHand, runtimePath, textBytes } from '../../system/index.js';

const OWNER_ONLY = 0o700;
/** Error codes of a directory whose mount has lost its program. tardisfs takes its place. */
const LOST_MOUNT: readonly string[] = ['ENOTCONN', 'ECONNABORTED'];

/** Returns the directory at which a client is mounted unless another one is named. */
export function usualMountPoint(client: string): string {
  return runtimePath('mounts', client);
}

/**
 * Makes the directory to mount at, if it is missing. Returns a function that removes it again, if it was made. Throws
 * MOUNT_FAILED unless it is an empty directory of this user that nobody else can exchange for another one.
 */
export function madeMountPoint(directory: string): () => void {
  try {
    requireOwnWay(directory, true);
    const made = fs.mkdirSync(directory, { recursive: true, mode: OWNER_ONLY });
    requireOwnWay(directory, false);
    const status = fs.lstatSync(directory);
    if (!status.isDirectory()) throw mountFailed(directory, 'it is no directory');
    if (status.uid !== process.geteuid?.()) throw mountFailed(directory, 'another user owns it');
    if (fs.readdirSync(directory).length > 0) throw mountFailed(directory, 'it is not empty');
    return () => {
      if (made !== undefined) fs.rmdir(directory, () => undefined); // a mount that has stayed keeps it
    };
  } catch (error) {
    const code = requireSystemCode(error);
    if (LOST_MOUNT.includes(code)) return () => undefined;
    throw mountFailed(directory, systemReason(error), error);
  }
}

function requireOwnWay(directory: string, isNew: boolean): void {
  const hand = foreignHand(textBytes(directory), isNew);
  if (hand !== undefined) throw mountFailed(directory, `others could exchange it: ${hand}`);
}

function mountFailed(directory: string, why: string, cause?: unknown): TardisError {
  const message = `cannot mount at ${displayText(directory)}: ${why}`;
  return new TardisError('MOUNT_FAILED', message, {}, cause);
}

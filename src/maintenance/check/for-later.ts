import { asTardisError } from '../../errors/index.js';

/** True if a later check can store the results despite this error: a session has the client, or the disk is full. */
export function isForLater(error: unknown): boolean {
  return ['CLIENT_BUSY', 'DISK_FULL'].includes(asTardisError(error).code);
}

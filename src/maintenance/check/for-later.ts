import { asTardisError } from '../../errors/index.js';

/** True if the results can be stored by a later check: a session has the client, or the disk is full. */
export function isForLater(error: unknown): boolean {
  return ['CLIENT_BUSY', 'DISK_FULL'].includes(asTardisError(error).code);
}

import { asTardisError } from '../../errors/index.js';

/**
 * True for an error after which a later check can store the results: a session has the client's lock, or the disk is
 * full.
 */
export function isForLater(error: unknown): boolean {
  return ['CLIENT_BUSY', 'DISK_FULL'].includes(asTardisError(error).code);
}

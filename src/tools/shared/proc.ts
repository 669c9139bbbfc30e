/** The file system /proc, which most commands need. */
import { TardisError } from '../../errors/index.js';
import { isThere } from '../../system/index.js';

/**
 * Throws PROC_MISSING if /proc is not mounted. Stores and restores open files through their directories' descriptors
 * there; without it every file of a store would look missing.
 */
export function requireProc(): void {
  if (isThere('/proc/self/fd')) return;
  throw new TardisError('PROC_MISSING', '/proc is not mounted');
}

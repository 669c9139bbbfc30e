import type { TardisError } from '../errors/index.js';
import { Errno } from './protocol.js';

/** Returns the error number that a program gets. */
export function errnoOf({ code }: TardisError): number {
  if (code === 'NO_ACCESS') return Errno.EACCES;
  return code === 'NO_SUCH_SET' ? Errno.ESTALE : Errno.EIO;
}

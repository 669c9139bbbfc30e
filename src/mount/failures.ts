/** Errors of requests, and the numbers that programs get for them. */
import { TardisError } from '../errors/index.js';
import { Errno } from './protocol.js';

/** Returns the error of a directory that would make a walk endless. */
export function circle(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'a directory in it leads back to one above it');
}

/** Returns the error number that a program gets. */
export function errnoOf({ code }: TardisError): number {
  if (code === 'NO_ACCESS') return Errno.EACCES;
  return code === 'NO_SUCH_SET' ? Errno.ESTALE : Errno.EIO;
}

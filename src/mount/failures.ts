/** Errors of requests, and the error numbers that programs get for them. */
import { TardisError } from '../errors/index.js';
import { Errno } from './protocol.js';

/** Returns the error for a directory that contains itself, so that a walk would never end. */
export function circle(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'a directory in it leads back to one above it');
}

/** Returns the error number that a program gets for an error. */
export function errnoOf({ code }: TardisError): number {
  if (code === 'NO_ACCESS') return Errno.EACCES;
  return code === 'NO_SUCH_SET' ? Errno.ESTALE : Errno.EIO;
}

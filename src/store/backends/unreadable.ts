/**
 * Adds the name of the file to errors that occur while a store is read. The system's own error names only the call, or
 * nothing.
 */
import { asTardisError, classOf, systemCode, TardisError } from '../../errors/index.js';

/**
 * Returns the error to throw if reading an object failed. STORE_NOT_READABLE means that this user may not read the
 * file, IO_FAILED that the disk fails to read it; both have the object's name in their context. Other errors of the
 * system get their usual code. The ENOENT of a missing object and errors of other kinds stay unchanged.
 */
export function unreadable(error: unknown, name: string): unknown {
  const code = systemCode(error);
  if (code === undefined || code === 'ENOENT' || !(error instanceof Error)) return error;
  const kind = classOf(code);
  // All other errors are temporary: their cause is this process, or a disk or network that is not there.
  if (kind !== 'refused' && kind !== 'medium')
    return asTardisError(error, `reading ${name}`, 'readStore');
  const message = `${name} cannot be read: ${error.message}`;
  const known = kind === 'refused' ? 'STORE_NOT_READABLE' : 'IO_FAILED';
  return new TardisError(known, message, { cause: code, unreadable: name }, error);
}

/** Returns the name of the object that could not be read; undefined for any other error. */
export function unreadableObject(error: unknown): string | undefined {
  if (!(error instanceof TardisError)) return undefined;
  const name = error.context['unreadable'];
  return typeof name === 'string' ? name : undefined;
}

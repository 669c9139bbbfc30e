import { errnoText, nameError } from './errno.js';
import { classOf, meaningOf, type Operation } from './operations.js';
import { ERROR_TABLE, type ErrorCode, type ErrorRow, isErrorCode } from './table.js';

/** Values that are sent with an error: plain data only, never secrets. */
type ErrorContext = Readonly<Record<string, string | number | boolean>>;

/** Plain form of an error, for threads and the wire. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly context: ErrorContext;
}

const MAX_WIRE_MESSAGE_CHARS = 2048;

/**
 * The only error class of the system. Compare `code`, never the class: an error from another thread or from
 * the wire was rebuilt from its plain form.
 */
export class TardisError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly context: ErrorContext = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'TardisError';
  }

  get row(): ErrorRow {
    return ERROR_TABLE[this.code];
  }
}

/**
 * Returns the plain form of an error. System errors get a code of the table; any other error becomes INTERNAL, with its
 * stack as context.
 */
export function toWire(thrown: unknown): WireError {
  const { code, message, context } = asTardisError(thrown);
  return { code, message, context };
}

/**
 * Rebuilds an error from a plain form that may be hostile. Returns PROTOCOL_VIOLATION if it has no known code or no
 * message. Long texts are cut, and invalid values of the context are dropped.
 */
export function fromWire(value: unknown): TardisError {
  if (typeof value !== 'object' || value === null) {
    return new TardisError('PROTOCOL_VIOLATION', 'the peer sent an invalid error');
  }
  const { code, message, context } = value as Record<string, unknown>;
  if (!isErrorCode(code) || typeof message !== 'string') {
    return new TardisError('PROTOCOL_VIOLATION', 'the peer sent an error without a known code');
  }
  const safe: Record<string, string | number | boolean> = {};
  if (typeof context === 'object' && context !== null) {
    for (const [key, item] of Object.entries(context).slice(0, 16)) {
      const name = key.slice(0, 64);
      if (typeof item === 'string') safe[name] = item.slice(0, MAX_WIRE_MESSAGE_CHARS);
      else if (typeof item === 'number' || typeof item === 'boolean') safe[name] = item;
    }
  }
  return new TardisError(code, message.slice(0, MAX_WIRE_MESSAGE_CHARS), safe);
}

/**
 * Returns the `code` of a system error (`ENOENT`, `SQLITE_FULL`, …), or undefined. An error that has a number in place
 * of a code gets its name.
 */
export function systemCode(thrown: unknown): string | undefined {
  const error = firstError(thrown);
  if (error instanceof TardisError || !(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return undefined;
  nameError(error);
  return (error as NodeJS.ErrnoException).code;
}

/** Returns the result of `work`; undefined if it throws a system error. Throws any other error again. */
export function ifPossible<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined; // the caller does without
  }
}

/** Returns the code of a system error as `systemCode` does. Throws any other error again. */
export function requireSystemCode(thrown: unknown): string {
  const code = systemCode(thrown);
  if (code === undefined) throw thrown;
  return code;
}

/** Returns a system error in words, with its code; `otherwise` for any other error. */
export function systemReason(thrown: unknown, otherwise = 'unknown'): string {
  return errnoText(systemCode(thrown) ?? otherwise);
}

/** Codes with which SQLite reports a bug in this program. */
const SQLITE_BUGS = new Set(['SQLITE_ERROR', 'SQLITE_MISUSE', 'SQLITE_RANGE', 'SQLITE_CONSTRAINT']);

/** Returns the code of a system error, also if it was wrapped in a TardisError; undefined for any other error. */
export function causeCode(thrown: unknown): string | undefined {
  const error = firstError(thrown);
  const { cause } = error instanceof TardisError ? error.context : {};
  return typeof cause === 'string' ? cause : systemCode(error);
}

/** True if the disk failed to read or write a file, as at a bad sector. It may be able to read others. */
export function isBadSector(thrown: unknown): boolean {
  return classOf(causeCode(thrown)) === 'medium';
}

/** True if an error means that a disk or a quota of the file system is full. */
export function isDiskFull(thrown: unknown): boolean {
  const error = firstError(thrown);
  if (error instanceof TardisError) return error.code === 'DISK_FULL';
  const code = systemCode(error);
  return classOf(code) === 'full' || SQLITE_FULL_CODES.has(code ?? '');
}

/** Codes of SQLite for a full disk. SQLITE_IOERR_SHMSIZE: it cannot enlarge the index of its write-ahead log. */
const SQLITE_FULL_CODES = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);

/**
 * Converts a system or SQLite error to a TardisError, whose message begins with `what`. Its code follows from the
 * operation that the error has, or else from `operation`. Returns undefined for any other error, which is a bug in this
 * program and should show its stack.
 */
export function fromSystem(
  error: unknown,
  what = '',
  operation?: Operation,
): TardisError | undefined {
  const code = systemCode(error);
  if (code === undefined || !(error instanceof Error)) return undefined;
  const base = code.startsWith('SQLITE_') ? code.split('_').slice(0, 2).join('_') : code;
  if (SQLITE_BUGS.has(base)) return undefined;
  const isFullCatalog = code.startsWith('SQLITE_') && isDiskFull(error);
  const known = isFullCatalog ? 'DISK_FULL' : meaningOf(error, base, operation);
  if (known === undefined) return undefined;
  const prefix = what === '' ? '' : `${what}: `;
  return new TardisError(known, `${prefix}${error.message}`, { cause: code }, error);
}

/**
 * Converts any thrown value to a TardisError, as `fromSystem` does; unknown values become INTERNAL, with the original
 * as cause.
 */
export function asTardisError(thrown: unknown, what = '', operation?: Operation): TardisError {
  const error = firstError(thrown);
  if (error instanceof TardisError) return error;
  const known = fromSystem(error, what, operation);
  if (known !== undefined) return known;
  const { message, stack = '' } = error instanceof Error ? error : { message: String(error) };
  return new TardisError('INTERNAL', message, { stack }, error);
}

/** Returns the result of `work`; undefined if it fails. Throws the errors that are bugs of this program. */
export function unlessBug<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (asTardisError(error).code === 'INTERNAL') throw error;
    return undefined;
  }
}

/** Returns true when `work` is done, false if it fails. Throws the errors that are bugs of this program. */
export async function isDoneUnlessBug(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (asTardisError(error).code === 'INTERNAL') throw error;
    return false;
  }
}

/**
 * Returns the error of a failed operation, `cannot read the filters in /x: permission denied (EACCES)`; `what` is the part after `cannot`.
 * Returns any other error than one of the system unchanged.
 */
export function failedTo(what: string, thrown: unknown, operation: Operation): unknown {
  const error = firstError(thrown);
  const known = fromSystem(error, '', operation);
  if (known === undefined || error instanceof TardisError) return error;
  const { cause = 'unknown' } = known.context;
  const why = errnoText(String(cause));
  return new TardisError(known.code, `cannot ${what}: ${why}`, known.context, error);
}

/**
 * Returns the error that came first. If a block fails and its `using` then fails to close something, the failure to
 * close must not hide the first error. Returns any other error unchanged.
 */
function firstError(error: unknown): unknown {
  let first = error;
  // The class is missing in Node.js 22, where the name is all that the compiled code has.
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first) {
    first = first.suppressed;
  }
  return first;
}

/** Returns USAGE, the error of a command line that is not possible. */
export function usageError(message: string): TardisError {
  return new TardisError('USAGE', message);
}

/** Returns PROTOCOL_VIOLATION, the error of a message that a peer must not send. */
export function protocolViolation(
  message: string,
  context: ErrorContext = {},
  cause?: unknown,
): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', message, context, cause);
}

/** Returns RECORD_DAMAGED, the error of a stored record that is not as it was written. */
export function recordDamaged(
  message: string,
  context: ErrorContext = {},
  cause?: unknown,
): TardisError {
  return new TardisError('RECORD_DAMAGED', message, context, cause);
}

/** Throws USAGE. */
export function refuse(message: string): never {
  throw usageError(message);
}

/** True if a stored content or its record is damaged. */
export function isDamage(error: unknown): boolean {
  const code = error instanceof TardisError ? error.code : undefined;
  return code === 'CONTENT_DAMAGED' || code === 'RECORD_DAMAGED';
}

/** Throws INTERRUPTED if the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new TardisError('INTERRUPTED', 'interrupted');
}

/** Returns the error of reading an object of a store that does not exist, with the code ENOENT. */
export function noSuchObject(name: string): Error {
  return Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
}

/**
 * The meaning of system errors. EACCES or ENOSPC alone does not show what could not be used: only the code that made
 * the call knows. That code names its operation (`during`, `meant`). The error keeps its own code, on which callers
 * match, and gets its meaning when it is converted (`fromSystem`).
 */
import type { ErrorCode } from './table.js';

/** The errors that an operation has for the kinds of system errors. */
interface Meanings {
  /** A permission is missing, the file is immutable, or the file system is read-only. */
  readonly refused: ErrorCode;
  /** Something else than the expected kind of file is at the path, or in the place of a directory above it. */
  readonly misplaced: ErrorCode;
  /** The disk or a quota is full. */
  readonly full: ErrorCode;
  /** The file is larger than a limit; FILE_TOO_LARGE unless given, which advises to raise the limit. */
  readonly large?: ErrorCode;
  /** Any other error, except of a failing disk (IO_FAILED) and of the limits of this process. */
  readonly other: ErrorCode;
}

/** Meanings of an operation on a file for which one error suffices, unless the disk is full. */
const always = (code: ErrorCode): Meanings => ({
  refused: code,
  misplaced: code,
  full: 'DISK_FULL',
  other: code,
});

const OPERATIONS = {
  /** Work whose place is not known. These errors name the path and the system call. */
  unknown: {
    refused: 'ACCESS_REFUSED',
    misplaced: 'ACCESS_REFUSED',
    full: 'DISK_FULL',
    other: 'IO_FAILED',
  },
  readStore: {
    refused: 'STORE_NOT_READABLE',
    misplaced: 'STORE_UNSAFE',
    full: 'DISK_FULL',
    other: 'IO_FAILED',
  },
  writeStore: {
    refused: 'STORE_NOT_WRITABLE',
    misplaced: 'STORE_UNSAFE',
    full: 'DISK_FULL',
    other: 'IO_FAILED',
  },
  /** Work in the local directory of a bucket. */
  useCache: {
    refused: 'CACHE_NOT_WRITABLE',
    misplaced: 'STORE_UNSAFE',
    full: 'DISK_FULL',
    other: 'IO_FAILED',
  },
  /** Opening what is named to be backed up. */
  openSource: always('SOURCE_MISSING'),
  readSource: always('SOURCE_UNREADABLE'),
  writeTarget: { ...always('TARGET_NOT_WRITABLE'), full: 'TARGET_FULL' },
  /** Reading or writing a file that a setting names: filters, logs, a file with the process id. */
  useNamedFile: { ...always('CONFIG_INVALID'), large: 'CONFIG_INVALID' },
  readKeyFile: {
    ...always('KEY_FILE_INVALID'),
    refused: 'ACCESS_REFUSED',
    large: 'KEY_FILE_INVALID',
  },
  writeKeyFile: { ...always('KEY_FILE_NOT_WRITTEN'), full: 'KEY_FILE_NOT_WRITTEN' },
  useTemporary: { ...always('CONFIG_INVALID'), full: 'TEMPORARY_FULL' },
} as const satisfies Readonly<Record<string, Meanings>>;

export type Operation = keyof typeof OPERATIONS;

/**
 * Classes of system errors. The first four have a meaning of their own in each operation; any error in no class is
 * `other`. The rest mean the same in every operation.
 */
const CLASSES = {
  /** A permission, or the key of an encrypted directory, is missing. */
  refused: 'EACCES EPERM EROFS ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED',
  misplaced: 'EISDIR ENOTDIR ELOOP',
  full: 'ENOSPC EDQUOT',
  large: 'EFBIG',
  /** The disk or the file system failed to read or write this file. */
  medium: 'EIO EREMOTEIO EUCLEAN EBADMSG EILSEQ ENODATA ELIBBAD EHWPOISON',
  /** The disk, the server of the file system or the program behind it is not there now. */
  away: 'ESTALE ENOTCONN ECONNABORTED ESHUTDOWN EHOSTDOWN EREMOTE ENOLINK ECOMM ETIME ENODEV ENOMEDIUM EMEDIUMTYPE ENOTRECOVERABLE',
  files: 'EMFILE ENFILE',
  memory: 'ENOMEM ENOBUFS',
} as const;

type ErrorClass = keyof typeof CLASSES | 'other';

const CLASS_OF: ReadonlyMap<string, ErrorClass> = new Map(
  Object.entries(CLASSES).flatMap(([name, codes]) =>
    codes.split(' ').map((code) => [code, name as ErrorClass] as const),
  ),
);

/** Returns the class of a system error, by its code. */
export function classOf(code: string | undefined): ErrorClass {
  return CLASS_OF.get(code ?? '') ?? 'other';
}

/** Classes with the same meaning in every operation. */
const OF_ANY_CLASS: Readonly<Partial<Record<ErrorClass, ErrorCode>>> = {
  medium: 'IO_FAILED',
  away: 'IO_FAILED',
  files: 'TOO_MANY_OPEN_FILES',
  memory: 'OUT_OF_MEMORY',
};

/** Codes of others than the system. SQLite works on catalogs only. */
const OF_OTHERS: Readonly<Record<string, ErrorCode>> = {
  SQLITE_FULL: 'DISK_FULL',
  SQLITE_READONLY: 'STORE_NOT_WRITABLE',
  SQLITE_CANTOPEN: 'STORE_NOT_READABLE',
  SQLITE_CORRUPT: 'CATALOG_DAMAGED',
  SQLITE_NOTADB: 'CATALOG_DAMAGED',
  SQLITE_BUSY: 'CLIENT_BUSY',
  SQLITE_NOMEM: 'OUT_OF_MEMORY',
  ERR_NATIVE_MISSING: 'NATIVE_MISSING',
};

/** The operations of the errors that have one. */
const operations = new WeakMap<Error, Operation>();

/** Notes what was being done when an error occurred, unless a function nearer to the call has done so. Returns it. */
export function meant<T>(operation: Operation, error: T): T {
  if (error instanceof Error && !operations.has(error)) operations.set(error, operation);
  return error;
}

/** Runs `work`, and notes the operation in an error that it throws, or with which its promise is rejected. */
export function during<T>(operation: Operation, work: () => T): T {
  try {
    const result = work();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw meant(operation, error);
    }) as T;
  } catch (error) {
    throw meant(operation, error);
  }
}

/**
 * Returns the error for a code of the system or of SQLite; undefined if the code is of neither. `otherwise` is the
 * operation of an error without one.
 */
export function meaningOf(
  error: Error,
  code: string,
  otherwise: Operation = 'unknown',
): ErrorCode | undefined {
  const ofOthers = OF_OTHERS[code];
  if (ofOthers !== undefined) return ofOthers;
  if (code.startsWith('SQLITE_')) return 'IO_FAILED';
  if (!/^E[A-Z0-9]+$/.test(code)) return undefined;
  const kind = classOf(code);
  const meanings: Readonly<Partial<Record<ErrorClass, ErrorCode>>> =
    OPERATIONS[operations.get(error) ?? otherwise];
  return OF_ANY_CLASS[kind] ?? meanings[kind] ?? 'FILE_TOO_LARGE';
}

/**
 * The native addon: system calls Node lacks, directories and files read in one call each, SHA-256.
 *
 * All calls but `modPow` and `syncfs` are synchronous; all may be made from any thread. Paths and names are bytes without a
 * terminator; one that holds a NUL is refused (EINVAL), and a name also when it is empty, `.`, `..`
 * or holds a `/`. Errors are those of Node's own file calls: `code`, `errno` (negative), `syscall`;
 * `ENOTREG` (errno 0) tells that something is no regular file. An argument of a wrong type, or a
 * range outside of its buffer, is EINVAL. Rows are described in src/model/row.ts; a row given by
 * `rows` and `rowOffset` is EINVAL when its lengths do not fit.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RsyncCalls } from './native-rsync.js';
import type { SealingCalls } from './native-sealing.js';

/** What `openBeneath` is to open. */
export const OpenKind = Object.freeze({ directory: 0, file: 1 });
export type OpenKindNumber = (typeof OpenKind)[keyof typeof OpenKind];

/** Bits of the `options` of calls that put metadata on a file. */
export const MetadataOption = Object.freeze({
  /** Give it to the row's user and group. */
  setOwner: 1,
  /** Go on when that is not permitted; a file then loses its set-id bits. */
  forgiveOwner: 2,
  /** Take away the ACLs it got from the directory it was made in. */
  dropAcl: 4,
});

/** The calls that only look. */
export interface ListingCalls {
  /**
   * Rows of all entries of a directory, sorted by the bytes of their names, without `.` and `..`.
   * Entries that vanish meanwhile are left out; one whose metadata cannot be read has the flag
   * `unreadable`, its type if the directory tells it (else file) and zeros, no link target. The flag
   * `otherDevice` means something for directories only; a file with fewer blocks than its size says
   * has the flag `sparse`. Attributes are not read. Throws if `path` is a symbolic link (ENOTDIR) or
   * cannot be read.
   */
  listDirectory(path: Buffer): Buffer;
  /**
   * One row for what `path` names, not following a link, under the given name: any bytes but NUL,
   * at most 65535.
   */
  statRow(path: Buffer, name: Buffer): Buffer;
  /**
   * SHA-256 over what tells that a listing is unchanged: for each row in order the length of its
   * name (u16), name, type, permissions, uid, gid, size, mtime, ctime, inode and device number.
   */
  hashRows(rows: Uint8Array): Buffer;
}

export interface NativeCalls extends ListingCalls, RsyncCalls, SealingCalls {
  /**
   * What `listDirectory` does for up to `mostNames`. Of a larger directory the sorted names are held in
   * this process, some 10 bytes each, with the directory open, until `dropNames`; what comes back is
   * their number, good in every thread.
   */
  listOrHold(path: Buffer, mostNames: number): Buffer | number;
  /** How many names are held under a number. */
  heldNames(held: number): number;
  /**
   * Rows, made now as `listDirectory` makes them, of `names` of them from the `from`-th on. Quick where
   * the last ones ended; elsewhere the names before are gone through once more.
   */
  heldRows(held: number, from: number, names: number): Buffer;
  dropNames(held: number): void;

  /** One row for a name in a directory, not following a link. */
  statAt(dirFd: number, name: Buffer): Buffer;

  /** Opens a directory for reading; ENOTDIR when its last component is a symbolic link. */
  openDirectory(path: Buffer): number;
  /**
   * Opens what a path from elsewhere names, never outside of `rootFd`: no symbolic link on the way
   * (ELOOP), no `..` and not absolute (EXDEV); of any length. A file is opened for reading and must
   * be a regular one. An empty path gives a duplicate of `rootFd`, whatever the kind.
   */
  openBeneath(rootFd: number, path: Buffer, kind: OpenKindNumber): number;
  /** The same name by name: what `openBeneath` does where the system has no openat2. */
  walkBeneath(rootFd: number, path: Buffer, kind: OpenKindNumber): number;
  /**
   * Closes what a call of the addon opened. (In a worker thread Node warns when `fs.closeSync` closes
   * a descriptor that Node did not open itself.)
   */
  close(fd: number): void;

  /**
   * Reads a whole regular file of at most `limitBytes` to `target` (which must have room for that
   * many) and puts the SHA-256 of what was read to `digest`. Returns the number of bytes read.
   *
   * If the file is not what its row says, the row is brought up to date in place (not its birth
   * time) and gets the flag `changedWhileRead`. It also gets it, and the number of bytes read as its
   * size, when the file changes while it is read. The flag is never taken away. EFBIG when the file
   * is larger than the limit (the row is up to date then); ENOTREG; ELOOP for a symbolic link.
   *
   * A file with holes comes in its sparse form (docs/formats.md), if that is smaller, and its row gets
   * the flag `sparse`; else the row loses it. The flag `mayHaveAttributes` tells that some are there.
   */
  readFileAt(
    dirFd: number,
    name: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    target: Uint8Array,
    targetOffset: number,
    limitBytes: number,
    digest: Uint8Array,
    digestOffset: number,
  ): number;

  /**
   * Makes a new file of these bytes with the metadata of a row: owner if `options` says so,
   * attributes, permissions, modification time (taken for the access time too). EEXIST when the name
   * is taken. After any later error nothing is left behind.
   *
   * Like all calls that put metadata, it returns the attributes that could not be put (see
   * `failedAttributes`), or undefined.
   */
  writeFileAt(
    dirFd: number,
    name: Buffer,
    data: Uint8Array,
    dataOffset: number,
    dataBytes: number,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;
  /** Makes a new empty file, readable by its owner only, and returns it open for writing. */
  createFileAt(dirFd: number, name: Buffer): number;
  /** Puts the metadata of a row on an open file, as `writeFileAt` does; does not close it. */
  finishFile(fd: number, rows: Uint8Array, rowOffset: number, options: number): Buffer | undefined;
  /** Makes an open file shorter, or longer by a hole. */
  resizeFile(fd: number, sizeBytes: number): void;
  /** The same for an open directory. */
  setDirectoryMetadata(
    fd: number,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;

  /** Makes a directory open to its owner only. */
  makeDirectoryAt(dirFd: number, name: Buffer): void;
  /** Makes a symbolic link with owner and times of a row; nothing is left behind after an error. */
  symlinkAt(
    dirFd: number,
    name: Buffer,
    target: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;
  /** The same for a fifo, a socket or a device node (EPERM for who may not make one). */
  makeNodeAt(
    dirFd: number,
    name: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;
  /** Makes a hard link; a symbolic link is linked itself. */
  linkAt(oldDirFd: number, oldName: Buffer, newDirFd: number, newName: Buffer): void;
  /** Removes a name that is no directory. */
  unlinkAt(dirFd: number, name: Buffer): void;
  /** Renames, replacing what has the new name. */
  renameAt(oldDirFd: number, oldName: Buffer, newDirFd: number, newName: Buffer): void;
  /** Swaps two names in one step. EINVAL or ENOSYS where the file system cannot. */
  exchangeAt(dirFd: number, name: Buffer, otherDirFd: number, otherName: Buffer): void;

  /**
   * Extended attributes of a name (empty: of the directory itself), ACLs among them, packed as in rows (src/model/attributes.ts); empty
   * when it has none or its file system knows none. `withTime`: the modification time too, if
   * nanoseconds in 64 bits cannot tell it. E2BIG when they take more than `limitBytes`.
   */
  attributesAt(dirFd: number, name: Buffer, withTime: boolean, limitBytes: number): Buffer;
  /** The same through /proc: what `attributesAt` does before Linux 6.13. */
  attributesByPath(dirFd: number, name: Buffer, withTime: boolean, limitBytes: number): Buffer;
  /** Whether what is made in a directory gets ACLs from it. */
  inheritsAcl(dirFd: number): boolean;

  /**
   * The head of the sparse form of an open file of this size: everything before its data. Empty when
   * the file has no holes, or too few to matter. Holes beyond `mostExtents` pieces of data, the
   * smallest ones first, are left to be read as zeros.
   */
  sparseHead(fd: number, sizeBytes: number, mostExtents: number): Buffer;

  /** Name of a user or group, or undefined. May ask a directory service, and take its time. */
  userName(id: number): Buffer | undefined;
  groupName(id: number): Buffer | undefined;
  /** Number of a user or group of this name, or undefined. */
  userId(name: Buffer): number | undefined;
  groupId(name: Buffer): number | undefined;

  /** SHA-256 of `bytes` bytes of `data` to the 32 bytes at `digestOffset` of `digest`. */
  sha256(
    data: Uint8Array,
    offset: number,
    bytes: number,
    digest: Uint8Array,
    digestOffset: number,
  ): void;

  /** For each row of a listing of `path` one byte: 1 where the entry has the attribute "no dump". */
  noDumpRows(path: Buffer, rows: Uint8Array): Buffer;
  /** The same for files and directories that this process may not read (or enter). */
  forbiddenRows(path: Buffer, rows: Uint8Array): Buffer;

  /**
   * `base` to the power of `exponent`, modulo `modulus`: big-endian numbers of at most 1024 bytes, the
   * modulus odd, the result as long as it. Constant-time in the exponent (OpenSSL), and computed on a
   * thread of libuv's pool. Throws EINVAL.
   */
  readonly modPow: (base: Uint8Array, exponent: Uint8Array, modulus: Uint8Array) => Promise<Buffer>;

  /** Locks an open file without waiting; false when someone else holds a lock in the way. */
  flock(fd: number, exclusive: boolean): boolean;
  /** Gives the lock back. */
  unlock(fd: number): void;
  /**
   * Resolves when the file system that holds `fd` has on its disk all that was written before; it waits on a
   * thread of libuv's pool.
   */
  syncfs(fd: number): Promise<void>;
}

/** One attribute that could not be put. */
export interface FailedAttribute {
  readonly name: string;
  /** The system's reason, such as ENOTSUP. */
  readonly code: string;
}

/** What the calls that put metadata return, in words. */
export function failedAttributes(told: Buffer | undefined): FailedAttribute[] {
  if (told === undefined) return [];
  const words = told.toString('utf8').split('\0');
  const failed: FailedAttribute[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    failed.push({ code: words[index]!, name: words[index + 1]! });
  }
  return failed;
}

/** The first folder above this file that has a package.json: the same from sources and from dist. */
function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) return start;
  }
}

/**
 * Loads the addon; each thread has its own, later calls return the same. Throws an error with the
 * code ERR_NATIVE_MISSING when it was not built, or not for this version of Node.
 */
export function loadNative(): NativeCalls {
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`the native addon needs Linux, this is ${process.platform}`), {
      code: 'ERR_NATIVE_MISSING',
    });
  }
  const path = join(packageRoot(), 'native', 'build', 'Release', 'tardis_native.node');
  try {
    return createRequire(import.meta.url)(path) as NativeCalls;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw Object.assign(
      new Error(`the native addon cannot be loaded; run \`npm run build:native\` (${reason})`, {
        cause,
      }),
      { code: 'ERR_NATIVE_MISSING' },
    );
  }
}

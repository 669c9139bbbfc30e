/**
 * The native addon. It has system calls that Node lacks, calls that read a whole directory or file at once, and
 * SHA-256.
 *
 * All calls but `modPow`, `scrypt`, `syncfs`, those of `DecodingCalls` and those with `isAsync` are synchronous. Any thread may
 * make any call. Paths and names are bytes without a terminator. A path or name that contains a NUL fails with EINVAL. So
 * does a name that is empty, `.` or `..`, or that contains a `/`. Errors have the properties of Node's own file calls:
 * `code`, `errno` (negative), `syscall`. `ENOTREG` (errno 0) means that the path is not a regular file. An argument of a
 * wrong type, or a range outside its buffer, fails with EINVAL. Rows are described in src/model/row.ts; a row given by
 * `rows` and `rowOffset` fails with EINVAL if its lengths are inconsistent.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { useSystemZone } from './local-time.js';
import type { CompressingCalls } from './native-compressing.js';
import type { DecodingCalls } from './native-decoding.js';
import type { FuseCalls } from './native-fuse.js';
import type { GatheringCalls } from './native-gathering.js';
import type { PlacingCalls } from './native-placing.js';
import type { RestoringCalls } from './native-restoring.js';
import type { RsyncCalls } from './native-rsync.js';
import type { SealingCalls } from './native-sealing.js';
import type { SnapshotCalls } from './native-snapshots.js';
import { packageRoot } from './package-root.js';
import './whole-addons.js';

const require = createRequire(import.meta.url);

/**
 * The kind of file that `openBeneath` opens. `passing` is a directory in which names are looked up, but which is not listed
 * or synced, and need not be readable.
 */
export const OpenKind = Object.freeze({ directory: 0, file: 1, passing: 2 });
export type OpenKindNumber = (typeof OpenKind)[keyof typeof OpenKind];

/** Bits of the `options` of calls that set metadata on a file. */
export const MetadataOption = Object.freeze({
  /** Set the owner to the row's user and group. */
  setOwner: 1,
  /** Do not report an owner that the system refuses. A file then loses its set-id bits in any case. */
  forgiveOwner: 2,
  /** Remove the ACLs and flags that the file inherited from its parent directory; of a directory, only the ACLs. */
  dropInherited: 4,
  /** Do not report permissions that the system refuses. */
  forgivePermissions: 8,
  /** Do not report times that the system refuses. */
  forgiveTimes: 16,
});

/** The calls that only read metadata. */
export interface ListingCalls {
  /**
   * Returns the rows of all entries of a directory, sorted by the bytes of their names, without `.` and `..`.
   *
   * Entries that vanish meanwhile are left out. An entry whose metadata cannot be read has the flag `unreadable`,
   * the type that the directory reports (else file), zeros, and no link target. The flag `otherDevice` has a
   * meaning for directories only. A file with fewer blocks than its size has the flag `sparse`. Attributes are
   * not read. Throws if `path` is a symbolic link (ENOTDIR) or cannot be read.
   */
  listDirectory(path: Buffer): Buffer;
  /**
   * Returns one row for `path`, without following a link, under the given name. A name may contain any bytes but
   * NUL, at most 65535. With `isRead`, the path is one that a backup reads, and may be redirected (see `redirect`).
   */
  statRow(path: Buffer, name: Buffer, isRead?: true): Buffer;
  /**
   * Returns the SHA-256 of the fields that show whether a listing is unchanged. They are, for each row in order:
   * the length of its name (u16), name, type, permissions, uid, gid, size, mtime, ctime, inode and device number.
   */
  hashRows(rows: Uint8Array): Buffer;
}

export interface NativeCalls
  extends ListingCalls,
    CompressingCalls,
    DecodingCalls,
    FeatureCalls,
    FuseCalls,
    GatheringCalls,
    ParityCalls,
    PlacingCalls,
    RestoringCalls,
    RsyncCalls,
    SealingCalls,
    SnapshotCalls {
  /**
   * Returns what `listDirectory` returns if the directory has at most `mostNames` names. For a larger directory
   * the process holds the sorted names, some 10 bytes each, and the open directory until `dropNames`. The call
   * then returns a number that identifies them in every thread. Fails as `openListed` does, and with EACCES if this user may
   * not list the directory.
   */
  listOrHold(path: Buffer, mostNames: number, identity: Uint8Array): Buffer | number;
  /**
   * Marks rows that changed at or after `fromNs` as unsettled, and returns what `inspectRows` of src/workers/inspect.ts reads from
   * it: counts, places of directories, their identities, and so on. `directory` is the identity of the listed directory.
   */
  inspectRows(rows: Buffer, fromNs: bigint, directory: Uint8Array): Buffer;
  /** Returns the number of names that are held under a number. */
  heldNames(held: number): number;
  /**
   * Returns rows for `names` held names from the `from`-th on, read now as `listDirectory` reads them. Fast if
   * the call continues where the last one ended; otherwise it decodes all names before `from` again.
   */
  heldRows(held: number, from: number, names: number): Buffer;
  dropNames(held: number): void;

  /**
   * Returns 1 if an open directory has an entry besides `.` and `..`, else 0. The call reads only the first names
   * and the metadata of no entry. It is therefore fast in a large directory, and does not depend on entry types.
   */
  hasEntries(dirFd: number): number;

  /** Returns one row for a name in a directory, without following a link. */
  statAt(dirFd: number, name: Buffer): Buffer;

  /**
   * Returns what `statAt` returns. If the name leads to a block device, also through a link, returns the row of a file with
   * the device's contents: with their size, and owner, mode, times, inode and number of the node. Fails with ENOMEDIUM for a
   * device without contents.
   */
  contentsAt(dirFd: number, name: Buffer): Buffer;
  /** Returns the size of the contents of an open block device. */
  deviceBytes(fd: number): number;
  /**
   * Makes a range of an open file or block device zeros. A device that can gives the space back. Fails with EINVAL if the
   * range has no whole sectors, and with EOPNOTSUPP if the zeros must be written.
   */
  zeroRange(fd: number, from: number, bytes: number): void;

  /**
   * Opens a directory for reading, and returns its descriptor. Fails with ENOTDIR if the last component is a symbolic
   * link.
   */
  openDirectory(path: Buffer): number;
  /**
   * Opens an untrusted path, of any length, that must stay below `rootFd`. Fails if a component is a symbolic
   * link (ELOOP), if the path contains `..`, or if it is absolute (EXDEV). A file is opened for reading and must
   * be a regular one. An empty path returns a duplicate of `rootFd`, whatever the kind.
   */
  openBeneath(rootFd: number, path: Buffer, kind: OpenKindNumber): number;
  /**
   * Gives the identity of a directory that was named, such as the root of a backup, a line from the root of the system down, if
   * its file system makes inode numbers up. Directories below it are then recognised by their lines alone. An identity that is
   * redirected gets the device of the snapshot.
   */
  beginLine(path: Buffer, identity: Uint8Array): void;
  /**
   * Opens the directory that was listed with this identity (src/model/identity.ts), and returns its descriptor. Fails with
   * EREPLACED if the path leads to another one, and with ELOOP if any part of it is a symbolic link. One that took its place is
   * opened if the same users may reach it. The identity becomes that of the opened directory. In a directory that this user may
   * not list, the descriptor is good for using names in it.
   */
  openListed(path: Buffer, identity: Uint8Array): number;
  /**
   * Notes in the identity of a directory, which `openListed` opened, if that `wasClosed`: it has another owner, group or ACL now, or
   * gives others less; or one above it, up to the named one, has another owner, mode or ACL.
   */
  noteClosing(dirFd: number, identity: Uint8Array): void;
  /**
   * Opens the regular file, or the block device (see `contentsAt`), that was listed with this identity in a directory, for
   * reading. Fails as `openListed` does.
   */
  openListedAt(dirFd: number, name: Buffer, identity: Uint8Array): number;
  /**
   * Opens the regular file that has a name now, for reading: that of the row, or another one of the same owner. Fails with
   * EREPLACED for a file of another owner, and with ENOTREG for anything but a file.
   */
  openOwnersAt(dirFd: number, name: Buffer, row: Uint8Array): number;
  /**
   * Closes a descriptor that a call of the addon opened. (In a worker thread Node warns if `fs.closeSync` closes
   * a descriptor that Node did not open itself.)
   */
  close(fd: number): void;

  /**
   * Reads a whole regular file of at most `limitBytes` to `target`, which must have room for as many, and writes
   * the SHA-256 of the bytes to `digest`. Returns the number of bytes read.
   *
   * If the file differs from its row, the row is updated in place (except its birth time) and gets the flag
   * `changedWhileRead`. If the file changes during the read, the row also gets that flag, and the number of bytes
   * read as its size. If the number of bytes differed from the size although the size stayed, the row keeps that
   * size, or one byte more if the file gave more. The call never clears the flag. Throws EFBIG if the file is
   * larger than the limit (the row is up to date then), ENOTREG, ELOOP for a symbolic link, and EREPLACED as
   * `openOwnersAt` does.
   *
   * A file with holes is read in its sparse form (docs/inside/formats.md), if that is smaller, and its row gets the flag
   * `sparse`; otherwise the row loses that flag. An empty name stands for the open file `dirFd` itself.
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
   * Creates a new file with these bytes and the metadata of a row: owner if `options` requests it, attributes,
   * permissions, and the modification time, which also becomes the access time. Throws EEXIST if the name is
   * taken. After any later error the file is removed.
   *
   * Like all calls that set metadata, it returns what the system refused to set (see `failedAttributes`), or undefined.
   * Only other errors, such as those of a disk, are thrown.
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
  /** Creates a new empty file, readable by its owner only, and returns it open for writing. */
  createFileAt(dirFd: number, name: Buffer): number;
  /**
   * Sets the metadata of a row on an open file without closing it. Returns the attributes that could not be set, as
   * `writeFileAt` does.
   */
  finishFile(fd: number, rows: Uint8Array, rowOffset: number, options: number): Buffer | undefined;
  /** Truncates an open file, or extends it by a hole. */
  resizeFile(fd: number, sizeBytes: number): void;
  /** Sets the metadata of a row on an open directory, as `finishFile` does on a file. */
  setDirectoryMetadata(
    fd: number,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;

  /** Makes a directory open to its owner only. */
  makeDirectoryAt(dirFd: number, name: Buffer): void;
  /**
   * Makes a symbolic link with the owner and the times of a row. After an error the link is removed. Returns the
   * attributes that could not be set, as `writeFileAt` does.
   */
  symlinkAt(
    dirFd: number,
    name: Buffer,
    target: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;
  /**
   * Makes a fifo, a socket or a device node, as `symlinkAt` makes a link. Throws EPERM without the privilege to make
   * one.
   */
  makeNodeAt(
    dirFd: number,
    name: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    options: number,
  ): Buffer | undefined;
  /** Makes a hard link; a symbolic link is not followed. */
  linkAt(oldDirFd: number, oldName: Buffer, newDirFd: number, newName: Buffer): void;
  /** Removes a name that is no directory. */
  unlinkAt(dirFd: number, name: Buffer): void;
  /** Renames a file and replaces an existing file of the new name. */
  renameAt(oldDirFd: number, oldName: Buffer, newDirFd: number, newName: Buffer): void;
  /** Swaps two names atomically. Throws EINVAL or ENOSYS if the file system cannot do this. */
  exchangeAt(dirFd: number, name: Buffer, otherDirFd: number, otherName: Buffer): void;

  /**
   * Returns the extended attributes of an entry of a directory, including ACLs, packed as in rows
   * (src/model/attributes.ts). An empty name is the directory itself. The result is empty if there are none, or if the
   * file system does not support them. `withTime` adds the modification time if nanoseconds in 64 bits cannot represent
   * it. Throws E2BIG above `limitBytes`, and EREPLACED if an entry of a directory does not have the given identity, unless it is
   * no file and has the same type, owner and mode.
   */
  attributesAt(
    dirFd: number,
    name: Buffer,
    withTime: boolean,
    limitBytes: number,
    identity?: Uint8Array,
  ): Buffer;
  /** Returns the access ACL of an open file or directory, which may be one of O_PATH; undefined if it has none. */
  accessAclOf(fd: number): Buffer | undefined;
  /**
   * Returns which of the flags `immutable`, `append` and `noDump` (InodeFlag) an entry of a directory has. An empty
   * name is the directory itself. Returns 0 if there are none, or if the name does not exist.
   */
  flagsAt(dirFd: number, name: Buffer): number;
  /**
   * Sets the inode flags of an entry that are in `flags`, and clears the other flags of InodeFlag. An empty name is the
   * directory itself.
   */
  setFlagsAt(dirFd: number, name: Buffer, flags: number): void;
  /** Removes the ACLs and flags that an open new directory inherited, unless the system refuses that. */
  dropInherited(dirFd: number): void;
  /**
   * True if files of size 0 on this file system are empty. FUSE servers, /proc and /sys also return bytes of
   * files whose size they do not know.
   */
  reportsSizes(dirFd: number): boolean;

  /**
   * Returns the header of the sparse form of an open file of this size: everything before its data. Empty if the
   * file has no holes, or too few to matter. If there are more than `mostExtents` pieces of data, the smallest
   * holes are not recorded, and are read as zeros.
   */
  sparseHead(fd: number, sizeBytes: number, mostExtents: number): Buffer;

  /** Returns the name of a user or group, or undefined. May query a directory service, which can take a while. */
  userName(id: number): Buffer | undefined;
  groupName(id: number): Buffer | undefined;
  /** Returns the number of the user or group of this name, or undefined. */
  userId(name: Buffer): number | undefined;
  groupId(name: Buffer): number | undefined;

  /**
   * Writes the SHA-256 of each content of `bytes` to its row in `rows`: 32 bytes for the digest, then the content's offset
   * and size (u32). Several contents are hashed at once. Throws EINVAL if a content is outside of `bytes`.
   */
  digestContents(bytes: Uint8Array, rows: Uint8Array): void;
  /** Writes the SHA-256 of `bytes` bytes of `data` to the 32 bytes at `digestOffset` of `digest`. */
  sha256(
    data: Uint8Array,
    offset: number,
    bytes: number,
    digest: Uint8Array,
    digestOffset: number,
  ): void;
  /** Returns the state of a SHA-256 of no bytes, for `sha256Part`. */
  sha256Begin(): Buffer;
  /**
   * Adds bytes to the state of a SHA-256. With `isAsync`, the call works on a thread of libuv's pool and returns a promise.
   * Until it is settled, the state must not be used, and the bytes must not be changed, transferred or freed.
   */
  sha256Part(state: Uint8Array, bytes: Uint8Array, isAsync: boolean): Promise<void> | undefined;
  /** Returns the digest of all bytes that were added to a state. */
  sha256End(state: Uint8Array): Buffer;

  /** Returns one byte for each row of a directory's listing: 1 if the entry has the attribute "no dump". */
  noDumpRows(dirFd: number, rows: Uint8Array): Buffer;
  /** Returns one byte for each row: 1 for files and directories that this process may not read (or enter). */
  forbiddenRows(dirFd: number, rows: Uint8Array): Buffer;

  /**
   * Computes `base` to the power of `exponent`, modulo `modulus`. All are big-endian numbers of at most 1024 bytes; the
   * modulus is odd, and the result has its length. Constant-time in the exponent (OpenSSL), on a thread of libuv's
   * pool. Throws EINVAL for a longer number or an even modulus.
   */
  readonly modPow: (base: Uint8Array, exponent: Uint8Array, modulus: Uint8Array) => Promise<Buffer>;

  /**
   * Computes scrypt (RFC 7914) on a thread of libuv's pool. It takes `128 * count * r` bytes of memory, which is unmapped
   * when it has ended. Throws EINVAL if `count` is no power of two above 1, if the memory would exceed 1 GiB, for a key
   * of over 1024 bytes, and for a longer password or salt than 1 MiB.
   */
  scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    count: number,
    r: number,
    p: number,
    keyBytes: number,
  ): Promise<Buffer>;

  /** Returns how many seconds the local time of the C library is ahead of UTC at a moment, in seconds since 1970. */
  localOffset(seconds: number): number;

  /** Locks an open file without waiting; false if another holder's lock conflicts. */
  flock(fd: number, exclusive: boolean): boolean;
  /** Releases the lock. */
  unlock(fd: number): void;
  /**
   * Resolves once all earlier writes to the file system of `fd` are durable. It waits on a thread of libuv's
   * pool.
   */
  syncfs(fd: number): Promise<void>;
}

/** Returns the path of the addon's file. */
export function addonPath(): string {
  return join(packageRoot(), 'native', 'build', 'Release', 'tardis_native.node');
}

/**
 * Loads the addon; later calls in the same thread return the same object. Throws an error with the code
 * ERR_NATIVE_MISSING if the addon was not built, or was built for another system.
 */
export function loadNative(): NativeCalls {
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`the native addon needs Linux, this is ${process.platform}`), {
      code: 'ERR_NATIVE_MISSING',
    });
  }
  try {
    const native = require(addonPath()) as NativeCalls;
    useSystemZone(native);
    return native;
  } catch (cause) {
    throw notLoaded('the native addon cannot be loaded', cause);
  }
}

/** The call of the native addon for parity. */
interface ParityCalls {
  /**
   * Adds `bytes` bytes of `source`, each multiplied by `factor` in GF(256), to `target`. Addition is exclusive or. With
   * `isPlain`, no special instructions of the processor are used; the result is equal. Throws EINVAL for a range
   * outside its buffer, or a factor above 255.
   */
  multiplyAdd(
    target: Uint8Array,
    targetAt: number,
    source: Uint8Array,
    sourceAt: number,
    bytes: number,
    factor: number,
    isPlain: boolean,
  ): void;
}

/** Number of bytes of the table of a gear hash, and of one feature. */
export const GEAR_BYTES = 2048;
export const FEATURE_BYTES = 5;

/**
 * The calls of the native addon for features of contents: hashes of 64 bytes, chosen by their own value, about one in
 * 2,048 bytes. `table` is that of the gear hash, GEAR_BYTES long. Both calls write features to `into`, as many as fit,
 * and return the number of bytes written. They fail with EINVAL for a table that is too short.
 */
export interface FeatureCalls {
  /** Finds all features of the first `bytes` bytes, without one that equals the one before. */
  allFeatures(table: Uint8Array, data: Uint8Array, bytes: number, into: Uint8Array): number;
  /** Finds the least feature in the first eighth of each span of `spanBytes` bytes. */
  leastFeatures(
    table: Uint8Array,
    data: Uint8Array,
    bytes: number,
    spanBytes: number,
    into: Uint8Array,
  ): number;
}

let snappy: typeof import('snappy') | undefined;

/** Returns the library snappy, which few sessions need. A thread loads it at its first use. Throws ERR_NATIVE_MISSING if it is missing, damaged, or built for another system. */
export function loadSnappy(): typeof import('snappy') {
  snappy ??= requireSnappy();
  return snappy;
}

/**
 * Decompresses snappy. Its length, a varint at its start, is checked before memory is allocated. Throws an error if it
 * is not from `leastBytes` to `mostBytes`, or the bytes are damaged.
 */
export function unpackSnappy(
  packed: Buffer,
  { leastBytes = 0, mostBytes }: { readonly leastBytes?: number; readonly mostBytes: number },
): Buffer {
  let claimed = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = packed[at] ?? 0;
    claimed += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) break;
  }
  if (claimed < leastBytes || claimed > mostBytes) throw new Error('wrong decoded length');
  return loadSnappy().uncompressSync(packed, { asBuffer: true, copyOutputData: true }) as Buffer;
}

function requireSnappy(): typeof import('snappy') {
  try {
    return createRequire(import.meta.url)('snappy') as typeof import('snappy');
  } catch (error) {
    throw notLoaded('snappy cannot be loaded', error);
  }
}

/** Returns an error with the code ERR_NATIVE_MISSING. It ends with the loader's own message. */
export function notLoaded(what: string, cause: unknown): Error {
  const error = new Error(`${what} (${reasonOf(cause)})`, { cause });
  return Object.assign(error, { code: 'ERR_NATIVE_MISSING' });
}

/** Returns the loader's message, which is the last cause of the package's own error. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message.split('\n')[0]!;
}

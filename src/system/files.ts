/**
 * The file calls that the store makes. They are injected, so that a test can fail or kill the n-th of them. All are
 * synchronous, except `sync` and `syncDirectory`, of which several can be in flight.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '../errors/index.js';
import { joinPath } from '../model/index.js';
import {
  type Access,
  meantAt,
  notPlain,
  onGuardedWay,
  openOnWay,
  ownerFor,
  requirePlain,
  type Way,
} from './guarded-paths.js';
import { exactPath as exact } from './process-input.js';

export interface FileStatus {
  readonly sizeBytes: number;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  /** Time of the last change of the content, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** Device and inode: equal for two paths, or a path and an open file, that are the same file. */
  readonly identity: string;
  /** Number of names of the file. */
  readonly linkCount: number;
}

/** The size of a file system, in blocks. */
export interface DiskSpace {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  /** Free blocks that users other than root may use. */
  readonly availableBlocks: number;
}

/** The file calls. Paths are byte text (see process-input.ts), so that they may contain any byte. */
export interface Files {
  /**
   * Opens a file and returns its descriptor.
   *
   * - `read` and `write` open a plain file, and throw STORE_UNSAFE for anything else.
   * - `directory` opens a directory, to lock or sync it.
   * - `create` creates a new file for reading and writing, and fails if it exists.
   * - `createSecret` does so for its owner alone, whatever the umask of the store is.
   */
  open(path: string, how: 'read' | 'directory' | 'create' | 'createSecret' | 'write'): number;
  close(fd: number): void;
  /** Reads up to `bytes` at `position`; returns how many (fewer only at the end of the file). */
  read(fd: number, target: Uint8Array, targetAt: number, bytes: number, position: number): number;
  /** Writes all of `data` at `position`. */
  write(fd: number, data: Uint8Array, position: number): void;
  /** Truncates an open file to `sizeBytes`. */
  truncate(fd: number, sizeBytes: number): void;
  /** Makes data and size durable before the promise resolves. */
  sync(fd: number): Promise<void>;
  /** Makes data and size durable before it returns. For code that also waits for SQLite's own syncs. */
  syncNow(fd: number): void;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Returns the status of an open file. */
  statusOf(fd: number): FileStatus;
  /** Returns the status of a path; undefined if nothing is there. Follows a link, except in a guarded directory. */
  status(path: string): FileStatus | undefined;
  /** True if this path itself is a symbolic link. */
  isLink(path: string): boolean;
  list(path: string): string[];
  /** Returns the names in a directory, and which of them are directories, without a look at each. */
  listTypes(path: string): { readonly name: string; readonly isDirectory: boolean }[];
  /** Creates a directory; with `isSecret` for its owner alone, whatever the umask of the store is. */
  makeDirectory(path: string, isSecret?: boolean): void;
  /** Makes an empty directory, open to its owner only, and returns its path. The path begins with `prefix`. */
  makeTemporaryDirectory(prefix: string): string;
  /** Removes an empty directory. */
  removeDirectory(path: string): void;
  rename(from: string, to: string): void;
  /** Returns the bytes that this process may still use on the file system of a path. */
  freeBytes(path: string): number;
  /**
   * Returns the number of files that can still be created on the file system of a path; Infinity if it allocates inodes
   * on demand.
   */
  freeInodes(path: string): number;
  /** Returns the size of the file system of a path. */
  space(path: string): DiskSpace;
  unlink(path: string): void;
  /** True if this process may write in the directory. */
  isWritable(path: string): boolean;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

/**
 * The type of ext2, ext3 and ext4. These file systems reserve blocks that only root may use. ext4 reserves
 * further blocks that no process may use: a 50th of all, at most 4,096 (fs/ext4/super.c,
 * ext4_calculate_resv_clusters). On other file systems `bfree` includes blocks that no file may use.
 */
const EXT_TYPE = 0xef53;
const EXT_KEPT_PART = 50;
const EXT_KEPT_BLOCKS = 4096;

/** Errors of opening a directory for writing, and of opening a socket. */
const NO_PLAIN_FILE: ReadonlySet<string> = new Set(['EISDIR', 'ENXIO']);
const CREATE = O_RDWR | O_CREAT | O_EXCL;
const FLAGS = {
  read: O_RDONLY,
  directory: O_RDONLY | O_DIRECTORY,
  write: O_RDWR | O_NOFOLLOW,
  create: CREATE,
  createSecret: CREATE,
} as const;

const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);

/** The umask of a store: all access for the owner, read access for the group. */
export const STORE_UMASK = 0o027;

/** The umask of keys and of password verifiers: access for the owner only. */
const SECRET_UMASK = 0o077;

/**
 * Returns the file calls. Permissions in `umask` and in the process's own umask are never granted. In a guarded
 * directory no link is followed (guarded-paths.ts).
 */
export function filesWith(umask: number): Files {
  return Object.freeze({
    ...systemCalls,
    open: (path: string, how: keyof typeof FLAGS) => {
      const fd = onGuardedWay(path, accessOf(how), (way) =>
        openFile(path, way, how, modeFor(how, umask)),
      );
      openPaths.set(fd, path);
      return fd;
    },
    makeDirectory: (path: string, isSecret = false) =>
      onGuardedWay(path, 'write', (way) =>
        makeDirectory(path, way, 0o777 & ~umask & ~(isSecret ? SECRET_UMASK : 0)),
      ),
  });
}

/** Paths of open files. System errors of reads, writes and syncs name the operation, but no file. */
const openPaths = new Map<number, string>();

function accessOf(how: keyof typeof FLAGS): Access {
  return how === 'read' || how === 'directory' ? 'read' : 'write';
}

/** Calls `work` on an open file. Adds the path of the file and the meaning of `access` to a system error. */
function onFile<T>(fd: number, access: Access, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPath(error, access, fd);
  }
}

function withPath(error: unknown, access: Access, fd: number): unknown {
  const path = openPaths.get(fd);
  return path === undefined ? error : meantAt(path, access, error);
}

function modeFor(how: keyof typeof FLAGS, umask: number): number {
  return 0o666 & ~umask & ~(how === 'createSecret' ? SECRET_UMASK : 0);
}

function openFile(path: string, way: Way, how: keyof typeof FLAGS, mode: number): number {
  const fd = openPlain(path, way, how, mode);
  try {
    if (FLAGS[how] === CREATE) giveTo(fd, ownerFor(path));
    else if (how !== 'directory') requirePlain(fd, path);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  return fd;
}

/**
 * Opens a file, and returns its descriptor. Throws STORE_UNSAFE if a plain file is expected and a directory or a socket
 * is found.
 */
function openPlain(path: string, way: Way, how: keyof typeof FLAGS, mode: number): number {
  try {
    return openOnWay(way, FLAGS[how], mode);
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (how !== 'directory' && NO_PLAIN_FILE.has(code)) throw notPlain(path, error);
    throw error;
  }
}

function makeDirectory(path: string, way: Way, mode: number): void {
  fs.mkdirSync(way.at, { mode });
  const owner = ownerFor(path);
  if (owner === undefined) return;
  const fd = fs.openSync(way.at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    giveTo(fd, owner);
  } finally {
    fs.closeSync(fd);
  }
}

/** Gives an open file its owner. A file that has that owner is left alone: some network drives refuse any chown. */
function giveTo(fd: number, owner: ReturnType<typeof ownerFor>): void {
  if (owner === undefined) return;
  const { uid, gid } = fs.fstatSync(fd);
  if (uid !== owner.uid || gid !== owner.gid) fs.fchownSync(fd, owner.uid, owner.gid);
}

function openDirectory(path: string, access: Access): number {
  return onGuardedWay(path, access, (way) => openOnWay(way, O_RDONLY | O_DIRECTORY));
}

function list(path: string): string[] {
  return inDirectory(path, (opened) => fs.readdirSync(opened));
}

function listTypes(path: string): ReturnType<Files['listTypes']> {
  const entries = inDirectory(path, (opened) => fs.readdirSync(opened, { withFileTypes: true }));
  return entries.map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }));
}

/** Calls `work` with a path to a directory that is held open. */
function inDirectory<T>(path: string, work: (opened: string) => T): T {
  const fd = openDirectory(path, 'read');
  try {
    return work(`/proc/self/fd/${fd}`);
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace(/'\/proc[^']*'/, `'${path}'`);
    throw meantAt(path, 'read', error);
  } finally {
    fs.closeSync(fd);
  }
}

function statusIn(stat: fs.Stats): FileStatus {
  return {
    sizeBytes: stat.size,
    isDirectory: stat.isDirectory(),
    isFile: stat.isFile(),
    mtimeMs: stat.mtimeMs,
    identity: `${stat.dev}/${stat.ino}`,
    linkCount: stat.nlink,
  };
}

const systemCalls: Omit<Files, 'open' | 'makeDirectory'> = Object.freeze({
  close(fd: number): void {
    openPaths.delete(fd);
    fs.closeSync(fd);
  },
  read(fd: number, target: Uint8Array, targetAt: number, bytes: number, position: number): number {
    return onFile(fd, 'read', () => {
      let done = 0;
      while (done < bytes) {
        const got = fs.readSync(fd, target, targetAt + done, bytes - done, position + done);
        if (got === 0) break;
        done += got;
      }
      return done;
    });
  },
  write(fd: number, data: Uint8Array, position: number): void {
    onFile(fd, 'write', () => {
      let done = 0;
      while (done < data.length) {
        done += fs.writeSync(fd, data, done, data.length - done, position + done);
      }
    });
  },
  truncate: (fd: number, sizeBytes: number) =>
    onFile(fd, 'write', () => fs.ftruncateSync(fd, sizeBytes)),
  async sync(fd: number): Promise<void> {
    try {
      await fdatasync(fd);
    } catch (error) {
      throw withPath(error, 'write', fd);
    }
  },
  syncNow: (fd: number) => onFile(fd, 'write', () => fs.fdatasyncSync(fd)),
  async syncDirectory(path: string): Promise<void> {
    const fd = openDirectory(path, 'write');
    try {
      await fsync(fd);
    } catch (error) {
      throw meantAt(path, 'write', error);
    } finally {
      fs.closeSync(fd);
    }
  },
  statusOf: (fd: number) => onFile(fd, 'read', () => statusIn(fs.fstatSync(fd))),
  status(path: string): FileStatus | undefined {
    try {
      const stat = onGuardedWay(path, 'read', ({ at, isGuarded }) =>
        (isGuarded ? fs.lstatSync : fs.statSync)(at, { throwIfNoEntry: false }),
      );
      return stat && statusIn(stat);
    } catch (error) {
      // A component of the path is missing or is not a directory.
      if (['ENOTDIR', 'ENOENT'].includes(systemCode(error) ?? '')) return undefined;
      throw error;
    }
  },
  isLink: (path: string) =>
    fs.lstatSync(exact(path), { throwIfNoEntry: false })?.isSymbolicLink() === true,
  list,
  listTypes,
  makeTemporaryDirectory: (prefix: string) => fs.mkdtempSync(prefix),
  removeDirectory: (directory: string) =>
    onGuardedWay(directory, 'write', ({ at }) => fs.rmdirSync(at)),
  rename: (from: string, to: string) =>
    onGuardedWay(from, 'write', (old) =>
      onGuardedWay(to, 'write', (fresh) => fs.renameSync(old.at, fresh.at)),
    ),
  freeInodes(path: string): number {
    const { files, ffree } = fs.statfsSync(exact(path));
    return files === 0 ? Infinity : ffree;
  },
  freeBytes(path: string): number {
    const { type, blocks, bavail, bfree, bsize } = fs.statfsSync(exact(path));
    if (type !== EXT_TYPE || process.geteuid?.() !== 0) return bavail * bsize;
    return (
      Math.max(bavail, bfree - Math.min(Math.ceil(blocks / EXT_KEPT_PART), EXT_KEPT_BLOCKS)) * bsize
    );
  },
  space(path: string): DiskSpace {
    const { bsize, blocks, bfree, bavail } = fs.statfsSync(exact(path));
    return { blockBytes: bsize, blocks, freeBlocks: bfree, availableBlocks: bavail };
  },
  unlink: (path: string) => onGuardedWay(path, 'write', ({ at }) => fs.unlinkSync(at)),
  isWritable(path: string): boolean {
    try {
      fs.accessSync(exact(path), fs.constants.W_OK | fs.constants.X_OK);
      return true;
    } catch {
      return false; // any failure means no
    }
  },
});

/** An open file or directory, which `using` closes at the end of a block. */
export class OpenFd implements Disposable {
  constructor(
    private readonly by: { close(fd: number): void },
    readonly fd: number,
  ) {}

  [Symbol.dispose](): void {
    this.by.close(this.fd);
  }
}

/** Closes descriptors that Node itself has opened. */
export const closing = { close: fs.closeSync };

/**
 * Gives an open file the owner of the file at `from`. Does nothing unless the process runs as root: only root can do
 * this, and only root needs to.
 */
export function inheritOwner(fd: number, from: string): void {
  if (process.geteuid?.() !== 0) return;
  giveTo(fd, fs.statSync(exact(from)));
}

/** Returns the names in a directory; none if it is missing, or no directory. */
export function namesIn(files: Files, directory: string): string[] {
  if (files.status(directory)?.isDirectory !== true) return [];
  return ifThere(() => files.list(directory)) ?? [];
}

/**
 * Deletes a directory with all that is in it, and follows no link. `onRemoved` is called for each entry.
 * The longest path that the system takes bounds the depth.
 */
export function removeTree(
  files: Files,
  directory: string,
  onRemoved: () => void = () => undefined,
): void {
  for (const name of files.list(directory)) {
    const entry = join(directory, name);
    if (!files.isLink(entry) && files.status(entry)?.isDirectory === true) {
      removeTree(files, entry, onRemoved);
    } else files.unlink(entry);
    onRemoved();
  }
  files.removeDirectory(directory);
}

const OWNER_ALL = 0o700;

/** Deletes a directory with all below it. Users other than root may first have to open directories that came without rights. */
export function removeClosedTree(top: Buffer): void {
  const directories = process.getuid!() === 0 ? [] : [top];
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    fs.chmodSync(next, OWNER_ALL);
    for (const entry of fs.readdirSync(next, { encoding: 'buffer', withFileTypes: true })) {
      if (entry.isDirectory()) directories.push(joinPath(next, entry.name));
    }
  }
  fs.rmSync(top, { recursive: true, force: true });
}

/**
 * Deletes a file or a link. Returns false if none is there, also if another process has just deleted it. It looks
 * first, since a read-only file system refuses to delete even what is not there.
 */
export function unlinkIfThere(
  files: Pick<Files, 'status' | 'isLink' | 'unlink'>,
  path: string,
): boolean {
  if (files.status(path) === undefined && !files.isLink(path)) return false;
  const unlink = (): true => {
    files.unlink(path);
    return true;
  };
  return ifThere(unlink) ?? false;
}

/** Returns the result of `work`, or undefined if the file that it needs is missing: the code of its error is ENOENT. */
export function ifThere<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

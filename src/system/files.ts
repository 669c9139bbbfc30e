/**
 * The file calls the store makes, injected so that a test can fail or kill at the n-th. All but the
 * syncs are synchronous: they run in the storage thread or in a worker on a whole batch, never on a
 * main thread's event loop. Syncs are asynchronous, so that several run side by side.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { exactPath as exact } from './process-input.js';

export interface FileStatus {
  readonly sizeBytes: number;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  /** When its content was last changed. */
  readonly mtimeMs: number;
  /** Device and inode: what tells whether two paths, or a path and an open file, are one. */
  readonly identity: string;
}

/** Paths are byte text (see process-input.ts), so that they may hold any byte. */
export interface Files {
  /** Opens for reading, or makes a new file (`create`: fails if it exists) for reading and writing. */
  open(path: string, how: 'read' | 'create' | 'write'): number;
  close(fd: number): void;
  /** Reads up to `bytes` at `position`; returns how many (fewer only at the end of the file). */
  read(fd: number, target: Uint8Array, targetAt: number, bytes: number, position: number): number;
  /** Writes all of `data` at `position`. */
  write(fd: number, data: Uint8Array, position: number): void;
  /** Takes away what an open file has behind `sizeBytes`. */
  truncate(fd: number, sizeBytes: number): void;
  /** Returns when data and size are on the disk. */
  sync(fd: number): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Of an open file. */
  statusOf(fd: number): FileStatus;
  /** Undefined when nothing has this path. */
  status(path: string): FileStatus | undefined;
  /** Whether this path itself is a symbolic link. */
  isLink(path: string): boolean;
  list(path: string): string[];
  makeDirectory(path: string): void;
  /** Makes an empty directory open to its owner only, where temporary files belong, or in `parent`. */
  makeTemporaryDirectory(parent?: string): string;
  /** Removes an empty directory. */
  removeDirectory(path: string): void;
  rename(from: string, to: string): void;
  /** How much of the file system that holds a path is free for this process, in bytes. */
  freeBytes(path: string): number;
  unlink(path: string): void;
  /** True when this process may write in the directory. */
  isWritable(path: string): boolean;
}

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const;

const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);

/** Files and directories of a store are for their owner and, to read, for the group. */
export const STORE_UMASK = 0o027;

/** The file calls; what they make has no permission of `umask`, nor of the process's own. */
export function filesWith(umask: number): Files {
  return Object.freeze({
    ...systemCalls,
    open: (path: string, how: keyof typeof FLAGS) =>
      fs.openSync(exact(path), FLAGS[how], 0o666 & ~umask),
    makeDirectory: (path: string) => fs.mkdirSync(exact(path), { mode: 0o777 & ~umask }),
  });
}

function statusIn(stat: fs.Stats): FileStatus {
  return {
    sizeBytes: stat.size,
    isDirectory: stat.isDirectory(),
    isFile: stat.isFile(),
    mtimeMs: stat.mtimeMs,
    identity: `${stat.dev}/${stat.ino}`,
  };
}

const systemCalls: Omit<Files, 'open' | 'makeDirectory'> = Object.freeze({
  close: (fd: number) => fs.closeSync(fd),
  read(fd: number, target: Uint8Array, targetAt: number, bytes: number, position: number): number {
    let done = 0;
    while (done < bytes) {
      const got = fs.readSync(fd, target, targetAt + done, bytes - done, position + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  },
  write(fd: number, data: Uint8Array, position: number): void {
    let done = 0;
    while (done < data.length) {
      done += fs.writeSync(fd, data, done, data.length - done, position + done);
    }
  },
  truncate: (fd: number, sizeBytes: number) => fs.ftruncateSync(fd, sizeBytes),
  sync: (fd: number) => fdatasync(fd),
  async syncDirectory(path: string): Promise<void> {
    const fd = fs.openSync(exact(path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      await fsync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
  statusOf: (fd: number) => statusIn(fs.fstatSync(fd)),
  status(path: string): FileStatus | undefined {
    try {
      const stat = fs.statSync(exact(path), { throwIfNoEntry: false });
      if (stat === undefined) return undefined;
      return statusIn(stat);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined; // below a file
      throw error;
    }
  },
  isLink: (path: string) =>
    fs.lstatSync(exact(path), { throwIfNoEntry: false })?.isSymbolicLink() === true,
  list: (path: string) => fs.readdirSync(exact(path)),
  makeTemporaryDirectory: (parent = os.tmpdir()) => fs.mkdtempSync(path.join(parent, 'tardis-')),
  removeDirectory: (directory: string) => fs.rmdirSync(exact(directory)),
  rename: (from: string, to: string) => fs.renameSync(exact(from), exact(to)),
  freeBytes(path: string): number {
    const { bavail, bsize } = fs.statfsSync(exact(path));
    return bavail * bsize;
  },
  unlink: (path: string) => fs.unlinkSync(exact(path)),
  isWritable(path: string): boolean {
    try {
      fs.accessSync(exact(path), fs.constants.W_OK | fs.constants.X_OK);
      return true;
    } catch {
      return false; // the only question asked is yes or no
    }
  },
});

/** Gives an open file the owner that a file by this path has. Only root may, and only root needs to. */
export function inheritOwner(fd: number, from: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = fs.statSync(exact(from));
  fs.fchownSync(fd, uid, gid);
}

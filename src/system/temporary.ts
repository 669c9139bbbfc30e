/**
 * Temporary folders, and the limit on the length of socket paths. A folder is removed with its task. Its process holds a lock,
 * so that a later task can detect and remove a folder that a killed process left.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { causeCode, failedTo, isDiskFull, systemCode, TardisError } from '../errors/index.js';
import { removeClosedTree } from './files.js';
import { freeSpaceText } from './free-space.js';
import { tryFlock } from './locks.js';
import { textBytes } from './process-input.js';
import { nodeSystem, type System } from './system.js';
import { foreignHand } from './ways.js';

/** Purposes of temporary folders, which their names have. */
type Purpose = 'copy' | 'import' | 'export' | 'report' | 'web';
const NAME = /^tardis-(?:copy|import|export|report|web)-[A-Za-z0-9]{6}$/;
/** Name of the lock, which no folder of another program has: its owner is about to see it removed. */
const LOCK = '.tardis-lock';
/** Age at which a folder without a lock counts as abandoned. A younger folder may be about to get its lock. */
const UNLOCKED_MS = 3_600_000;
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
/** Maximum number of attempts to make a folder that no other process removes as abandoned. */
const MAX_TRIES = 3;
/** A disk with fewer free bytes than this is full. */
const FULL_BYTES = 1 << 20;

type Calls = Pick<System, 'files' | 'native'>;

/**
 * Creates a temporary folder of any content, which is kept from the later tasks until this process ends. Throws as
 * PrivateFolder does.
 */
export function makeTemporary(purpose: Purpose): string {
  return made(nodeSystem(), temporaryDirectory(), purpose).folder;
}

export class PrivateFolder implements Disposable {
  private readonly path: string;
  private readonly lock: number;

  /**
   * Makes the folder in the system's temporary directory, or in `parent`. Throws TEMPORARY_FULL if the disk is full,
   * and CONFIG_INVALID if `parent` cannot be used.
   */
  constructor(
    private readonly system: Calls,
    parent: string = temporaryDirectory(),
  ) {
    ({ folder: this.path, lock: this.lock } = made(system, parent, 'copy'));
  }

  /** Returns the path of a file in the folder, which need not exist. */
  file(name: string): string {
    return path.join(this.path, name);
  }

  /**
   * Returns the error to throw for a failed write in the folder: TEMPORARY_FULL if its disk is full, otherwise `error`
   * itself. SQLite may report a full disk as a general error, so the free space is measured then.
   */
  explain(error: unknown): unknown {
    const isVague = causeCode(error)?.startsWith('SQLITE_IOERR') === true;
    const isFull = isDiskFull(error) || (isVague && freeAt(this.path) < FULL_BYTES);
    return isFull ? fullAt(this.system, path.dirname(this.path), error, true) : error;
  }

  /** Removes the folder with all its files. */
  remove(): void {
    const { files } = this.system;
    fs.unlinkSync(path.join(this.path, LOCK));
    for (const name of files.list(this.path)) files.unlink(this.file(name));
    files.removeDirectory(this.path);
    fs.closeSync(this.lock);
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

interface Made {
  readonly folder: string;
  readonly lock: number;
}

/** Makes a folder, after those that killed processes have left there are removed. */
function made(calls: Calls, parent: string, purpose: Purpose): Made {
  const { files, native } = calls;
  removeAbandoned(calls, parent);
  for (let tries = 1; ; tries += 1) {
    let lock: number | undefined;
    try {
      const folder = files.makeTemporaryDirectory(path.join(parent, `tardis-${purpose}-`));
      const file = path.join(folder, LOCK);
      lock = openLock(folder, file);
      // Another process that removes abandoned folders may have removed this one.
      if (tryFlock(native, lock) !== 'busy' && files.status(file) !== undefined)
        return { folder, lock };
      fs.closeSync(lock);
    } catch (error) {
      if (lock !== undefined) fs.closeSync(lock);
      throw fullAt({ files }, parent, error);
    }
    if (tries === MAX_TRIES) throw new Error(`folders in ${parent} vanish`);
  }
}

function openLock(folder: string, file: string): number {
  try {
    return fs.openSync(file, 'wx', 0o600);
  } catch (error) {
    fs.rmdirSync(folder);
    throw error;
  }
}

/** Returns the error to throw if `parent` cannot be used. `isFull`: true if its disk is known to be full. */
function fullAt(
  { files }: Pick<System, 'files'>,
  parent: string,
  error: unknown,
  isFull: boolean = isDiskFull(error),
): unknown {
  if (isFull) {
    const text = `the directory for temporary files ${parent} (TMPDIR) is full: ${freeSpaceText(files, parent, error) ?? 'its free space is unknown'}`;
    return new TardisError('TEMPORARY_FULL', text, { path: parent }, error);
  }
  return failedTo(
    `make a directory for temporary files in ${parent} (TMPDIR)`,
    error,
    'useTemporary',
  );
}

function freeAt(place: string): number {
  try {
    const { bavail, bsize } = fs.statfsSync(place);
    return bavail * bsize;
  } catch {
    return 0; // the error that shows this number has the cause
  }
}

/**
 * Removes folders of killed processes: those whose locks are free, and old empty folders without a lock (`UNLOCKED_MS`).
 * Folders of other users are left alone.
 */
function removeAbandoned(calls: Calls, parent: string): void {
  for (const name of namesIn(parent)) {
    const folder = path.join(parent, name);
    try {
      const fd = fs.openSync(folder, O_DIRECTORY | O_NOFOLLOW);
      try {
        // Below the descriptor, since others may give the name to another directory.
        if (isOurs(fd) && isEmptied(calls, fd)) fs.rmdirSync(folder);
      } finally {
        fs.closeSync(fd);
      }
    } catch (error) {
      if (systemCode(error) === undefined) throw error; // another process removes it, or it stays
    }
  }
}

/** Removes all in an open folder, if its lock is free. Returns true if the folder, which may be empty, is to be removed too. */
function isEmptied({ files, native }: Calls, fd: number): boolean {
  const at = `/proc/self/fd/${fd}`;
  const file = path.join(at, LOCK);
  // Checked only once: an owner that removes its folder removes the lock file first.
  if (files.status(file) === undefined) return Date.now() - fs.fstatSync(fd).mtimeMs >= UNLOCKED_MS;
  const lock = fs.openSync(file, fs.constants.O_RDWR | O_NOFOLLOW);
  try {
    if (tryFlock(native, lock) !== 'held') return false;
    const rest = fs.readdirSync(at).filter((name) => name !== LOCK);
    for (const left of rest) {
      const one = path.join(at, left);
      if (fs.lstatSync(one).isDirectory()) removeClosedTree(textBytes(one));
      else fs.unlinkSync(one);
    }
    fs.unlinkSync(file); // last, so that an interrupted removal can go on
    return true;
  } finally {
    fs.closeSync(lock);
  }
}

function namesIn(parent: string): string[] {
  try {
    return fs.readdirSync(parent).filter((name) => NAME.test(name));
  } catch {
    return []; // making a folder there reports the error
  }
}

/** True for an open directory that no other user could have made or filled. */
function isOurs(fd: number): boolean {
  const stat = fs.fstatSync(fd);
  return stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0;
}

/** Maximum length of a socket path, without the terminating NUL. The system silently truncates a longer path. */
const MAX_SOCKET_PATH_BYTES = 107;
const USUAL = '/tmp';
/** An entry that could be made in a temporary directory. */
const SAMPLE = 'tardis-';

/** Throws CONFIG_INVALID if the system would truncate this path of a unix socket. */
export function checkSocketPath(socket: string): void {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new TardisError(
    'CONFIG_INVALID',
    `the path of the socket has ${bytes} bytes, and may have ${MAX_SOCKET_PATH_BYTES}: ${socket}`,
  );
}

/**
 * Returns TMPDIR, or /tmp if it is not set. Root gets /tmp too if another user could exchange what root creates in
 * TMPDIR, as with a `su` that keeps it.
 */
export function temporaryDirectory(): string {
  const given = os.tmpdir();
  return foreignHand(textBytes(path.join(given, SAMPLE)), true) === undefined ? given : USUAL;
}

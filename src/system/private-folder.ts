/**
 * A temporary folder for the files of one task, removed with the task. Its owner holds a lock, so that a later
 * task can detect and remove a folder that a killed process left.
 */
import fs from 'node:fs';
import path from 'node:path';
import { causeCode, failedTo, isDiskFull, systemCode, TardisError } from '../errors/index.js';
import { freeSpaceText } from './free-space.js';
import { tryFlock } from './locks.js';
import type { System } from './system.js';
import { temporaryDirectory } from './temporary.js';

const PREFIX = 'tardis-copy-';
const NAME = /^tardis-copy-[A-Za-z0-9]{6}$/;
const LOCK = 'lock';
/** Age at which a folder without a lock counts as abandoned. A younger folder may be about to get its lock. */
const UNLOCKED_MS = 3_600_000;
/** Maximum number of attempts to make a folder that no other process removes as abandoned. */
const MAX_TRIES = 3;
/** A disk with fewer free bytes than this is full. */
const FULL_BYTES = 1 << 20;

type Calls = Pick<System, 'files' | 'native'>;

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
    removeAbandoned(system, parent);
    ({ folder: this.path, lock: this.lock } = made(system, parent));
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

function made({ files, native }: Calls, parent: string): Made {
  for (let tries = 1; ; tries += 1) {
    let lock: number | undefined;
    try {
      const folder = files.makeTemporaryDirectory(path.join(parent, PREFIX));
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
 * Removes folders of killed processes: those whose locks are free, and old folders without a lock (`UNLOCKED_MS`).
 * Folders of other users are left alone.
 */
function removeAbandoned({ files, native }: Calls, parent: string): void {
  for (const name of namesIn(parent)) {
    const folder = path.join(parent, name);
    let lock: number | undefined;
    try {
      if (!isOurs(folder)) continue;
      const file = path.join(folder, LOCK);
      // Checked only once: an owner that removes its folder removes the lock file first.
      const hasLock = files.status(file) !== undefined;
      if (!hasLock && Date.now() - fs.statSync(folder).mtimeMs < UNLOCKED_MS) continue;
      const flags = fs.constants.O_RDWR | fs.constants.O_NOFOLLOW;
      if (hasLock) lock = fs.openSync(file, flags);
      if (lock !== undefined && tryFlock(native, lock) !== 'held') continue;
      for (const left of fs.readdirSync(folder)) fs.unlinkSync(path.join(folder, left));
      fs.rmdirSync(folder);
    } catch (error) {
      if (systemCode(error) === undefined) throw error; // another process removes it, or it stays
    } finally {
      if (lock !== undefined) fs.closeSync(lock);
    }
  }
}

function namesIn(parent: string): string[] {
  try {
    return fs.readdirSync(parent).filter((name) => NAME.test(name));
  } catch {
    return []; // making a folder there reports the error
  }
}

/** True for a directory, not a link, that no other user could have made or filled. */
function isOurs(folder: string): boolean {
  const stat = fs.lstatSync(folder);
  return stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0;
}

/** The lock of a client. At any time at most one process, and one session in it, writes to a client's store. */
import fs from 'node:fs';
import path from 'node:path';
import {
  asTardisError,
  causeCode,
  ifPossible,
  systemCode,
  TardisError,
} from '../../errors/index.js';
import {
  failedStoreWrite,
  type Files,
  ifThere,
  inheritOwner,
  lockPatiently,
  makeUnlessThere,
  OpenFd,
  type System,
  tryFlock,
  unlinkIfThere,
} from '../../system/index.js';
import { type ClientDirectory, guardClient } from './client-directory.js';
import { ACCOUNTS_LOCK_FILE, FORMAT_FILE, LOCK_FILE, LOCK_REQUEST_FILE } from '../layout/layout.js';

/** Excludes every other process and session from writing to a client, until `release`. */
export interface ClientLock extends Disposable {
  /** Ends the lock, as `using` does at the end of a block. May be called twice. */
  release(): void;
}

/**
 * Takes the client's lock, or throws CLIENT_BUSY without waiting. The kernel releases the lock if this process dies.
 */
export function lockClient(system: System, directory: ClientDirectory): ClientLock {
  guardClient(directory);
  return tryLock(system, lockPathOf(directory)) ?? refuseBusy(directory);
}

function refuseBusy({ client }: ClientDirectory): never {
  throw new TardisError('CLIENT_BUSY', `the client "${client}" is in use`);
}

const LOCKS = '/proc/locks';

/**
 * True if a process holds the client's lock. The kernel's list is read, since taking the lock to try it could stop a
 * backup that begins now.
 */
export function isClientInUse(
  directory: Pick<ClientDirectory, 'path'>,
  locks: string = heldLocks(),
): boolean {
  const status = ifPossible(() => fs.statSync(lockPathOf(directory), { bigint: true }));
  return status !== undefined && isInLocks(locks, status);
}

/**
 * True if the kernel's list of locks has one on a file. Subvolumes of btrfs show other devices than the list has, all
 * without a major number; for those the inode decides.
 */
export function isInLocks(
  list: string,
  { dev, ino }: { readonly dev: bigint; readonly ino: bigint },
): boolean {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  const hex = (number: bigint): string => number.toString(16).padStart(2, '0');
  const device = major === 0n ? '00:[0-9a-f]+' : `${hex(major)}:${hex(minor)}`;
  return new RegExp(`^\\d+: FLOCK .* ${device}:${ino} `, 'm').test(list);
}

/** Returns the list of the locks of this machine; '' if the system hides it. It takes milliseconds. */
export function heldLocks(): string {
  return ifPossible(() => fs.readFileSync(LOCKS, 'utf8')) ?? '';
}

function lockPathOf(directory: Pick<ClientDirectory, 'path'>): string {
  return path.join(directory.path, LOCK_FILE);
}

/** Takes a lock file, creating it if needed. Returns undefined if another process or session holds it. */
export function tryLock(system: System, lockPath: string): ClientLock | undefined {
  const { files, native } = system;
  let fd: number;
  try {
    makeUnlessThere(files, lockPath, () => makeLockFile(files, lockPath));
    fd = files.open(lockPath, 'write');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && files.status(path.dirname(lockPath)) !== undefined) {
      return undefined; // its holder has deleted it
    }
    throw failedStoreWrite(files, lockPath, error, `opening ${lockPath}`);
  }
  let isHeld = false;
  try {
    // The directory may have been exchanged, or the file removed, since the file was opened.
    const result = tryFlock(native, fd);
    if (result === 'none') throw withoutLocks(lockPath);
    isHeld = result === 'held' && isStill(files, fd, lockPath);
  } catch (error) {
    throw asTardisError(error, `locking ${lockPath}`, 'writeStore');
  } finally {
    if (!isHeld) files.close(fd);
  }
  if (!isHeld) return undefined;
  const release = (): void => {
    if (!isHeld) return; // the descriptor's number may belong to another file by now
    isHeld = false;
    try {
      // Closing alone does not release the lock while a child of this process exists that has not yet begun its
      // program.
      native.unlock(fd);
    } finally {
      files.close(fd);
    }
  };
  return { release, [Symbol.dispose]: release };
}

function withoutLocks(file: string, cause?: unknown): TardisError {
  const what = `the file system of ${file} has no locks (flock)`;
  return new TardisError('STORE_WITHOUT_LOCKS', what, { path: file }, cause);
}

/** Codes of SQLite for a lock that is held, or that the file system refuses. */
const LOCK_CODES = /^SQLITE_(?:BUSY|IOERR_(?:RD|SHM)?LOCK)/;

/**
 * Returns the error for a catalog that cannot be opened: STORE_WITHOUT_LOCKS if its file system has no locks, which SQLite
 * reports as a lock that is held. That is tried with another file, since closing a descriptor of the catalog would drop
 * SQLite's locks.
 */
export function catalogNotOpened(
  { files, native }: System,
  catalogPath: string,
  error: unknown,
): unknown {
  if (!LOCK_CODES.test(causeCode(error) ?? '')) return error;
  const format = path.join(path.dirname(catalogPath), FORMAT_FILE);
  if (files.status(format) === undefined) return error; // a copy elsewhere
  using opened = new OpenFd(files, files.open(format, 'read'));
  return tryFlock(native, opened.fd, false) === 'none' ? withoutLocks(catalogPath, error) : error;
}

function makeLockFile(files: Files, lockPath: string): void {
  using opened = new OpenFd(files, files.open(lockPath, 'create'));
  inheritOwner(opened.fd, path.dirname(lockPath));
}

function isStill(files: Files, fd: number, path: string): boolean {
  return files.status(path)?.identity === files.statusOf(fd).identity;
}

/**
 * Takes the client's lock, and waits a moment for a holder that is about to finish. Creates `lock.wanted`; a holder
 * that does deferrable work then releases the lock. Throws CLIENT_BUSY if the lock is still held after that.
 */
export async function acquireClient(
  system: System,
  directory: ClientDirectory,
): Promise<ClientLock> {
  guardClient(directory);
  const lock = await lockPatiently(() => {
    const held = tryLock(system, lockPathOf(directory));
    if (held === undefined) requestLock(system, directory);
    return held;
  });
  try {
    clearLockRequest(system, directory);
  } catch (error) {
    lock?.release();
    throw error;
  }
  return lock ?? refuseBusy(directory);
}

/**
 * Takes a lock whose file exists only while it is held: its release deletes the file. Waits a moment for a holder. Throws
 * CLIENT_BUSY with the text `busy` if the lock is still held after that.
 */
export async function lockByFile(system: System, file: string, busy: string): Promise<ClientLock> {
  const lock = await takeLock(system, file, busy);
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return; // the file may be that of another holder by now
    isHeld = false;
    try {
      unlinkIfThere(system.files, file); // a waiting process checks the file again
    } finally {
      lock.release();
    }
  };
  return { release, [Symbol.dispose]: release };
}

/**
 * Takes the lock of a client's sub-accounts, and waits a moment for a holder. Nobody holds it for longer than a moment,
 * unlike the client's lock: an account must be removable while a backup or a rewrite runs for hours. A process that
 * takes both locks takes the client's lock first. Throws CLIENT_BUSY if the lock is still held after that.
 */
export async function lockAccounts(system: System, directory: string): Promise<ClientLock> {
  const busy = `the accounts of the client "${path.basename(directory)}" are being changed`;
  return takeLock(system, path.join(directory, ACCOUNTS_LOCK_FILE), busy);
}

/** Takes the lock of a file, and waits a moment for a holder. Throws CLIENT_BUSY with the text `busy` after that. */
async function takeLock(system: System, file: string, busy: string): Promise<ClientLock> {
  const lock = await lockPatiently(() => tryLock(system, file));
  if (lock === undefined) throw new TardisError('CLIENT_BUSY', busy);
  return lock;
}

/**
 * Returns the result of `look`, during which no process changes a client's sub-accounts, unless one takes longer than a
 * moment. Writes nothing.
 */
export async function withAccountsAtRest<T>(
  { files, native }: System,
  directory: string,
  look: () => T,
): Promise<T> {
  const fd = ifThere(() => files.open(path.join(directory, ACCOUNTS_LOCK_FILE), 'read'));
  if (fd === undefined) return look(); // no process has ever changed them
  using opened = new OpenFd(files, fd);
  await lockPatiently(() => tryFlock(native, opened.fd, false) !== 'busy' || undefined);
  return look();
}

function wantedPathOf(directory: ClientDirectory): string {
  return path.join(directory.path, LOCK_REQUEST_FILE);
}

function requestLock({ files }: System, directory: ClientDirectory): void {
  const wanted = wantedPathOf(directory);
  try {
    makeUnlessThere(files, wanted, () => files.close(files.open(wanted, 'create')));
  } catch (error) {
    throw failedStoreWrite(files, wanted, error, `making ${wanted}`);
  }
}

/**
 * Removes `lock.wanted`, which may be stale after its process was killed; a live waiter recreates it. Call with the
 * lock held.
 */
export function clearLockRequest({ files }: System, directory: ClientDirectory): void {
  const wanted = wantedPathOf(directory);
  try {
    unlinkIfThere(files, wanted);
  } catch (error) {
    throw asTardisError(error, `removing ${wanted}`, 'writeStore');
  }
}

/** True if another process or session waits for the lock, which the caller holds. */
export function isLockRequested({ files }: System, directory: ClientDirectory): boolean {
  return files.status(wantedPathOf(directory)) !== undefined;
}

/**
 * Space that a client's store reserves for a full disk. It is a file of bytes that no file system can compress, and
 * some empty files for a file system without free inodes. It is released when a write must not fail: the records and
 * the transaction of a checkpoint, or folding the log. It is made again when there is space. Its size grows with the
 * data to be written (reserve-size.ts). The caller holds the client's lock.
 */
import path from 'node:path';
import { asTardisError, causeCode, isDiskFull, TardisError } from '../../errors/index.js';
import { formatBytes, releaseMemory } from '../../model/index.js';
import { goneStore, HeldDirectory, RESERVE_FILE } from '../index.js';
import { freeSpaceText, OpenFd, type System, unlinkIfThere } from '../../system/index.js';

export interface ReserveLimits {
  /** Maximum size of the file in bytes. 0 means no reserve; undefined leaves the present one as it is. */
  readonly reserveBytes?: number;
  /** Free bytes below which a session ends or does not begin. */
  readonly leastFreeBytes?: number;
}

const PIECE_BYTES = 1 << 20;
/**
 * Number of empty files: as many as garbage collection creates at once, for a pack, the catalog's journals, and
 * new versions of small files.
 */
const SPARE_FILES = 8;
const PROBE_BYTES = 64 << 10;
/**
 * Number of bytes that an incomplete reserve leaves free, for names and logs of the process that completes the reserve.
 */
const LEFT_BYTES = 256 << 10;
/** Codes of an error that a gone directory causes: a file is not found, or SQLite sees that its catalog has no name. */
const GONE_CODES: ReadonlySet<string> = new Set(['ENOENT', 'SQLITE_READONLY_DBMOVED']);
/** Step in bytes. The size of the file is a multiple of it, up to the maximum size. */
const STEP_BYTES = 256 << 10;
/** An enlarged file gains at least 1/GROWTH_PART of its size, up to the maximum size. */
const GROWTH_PART = 2;
/** If the file is this many times larger than needed, it is made smaller when a session begins. */
const EXCESS = 4;

export class Reserve {
  private readonly file: string;
  private readonly held: HeldDirectory;
  /** Maximum size of the file in bytes; undefined leaves the present one as it is. */
  private readonly mostBytes: number | undefined;
  /** Free bytes below which a session ends or does not begin. */
  readonly leastFreeBytes: number;
  private isGiven = false;
  /** Size of the file in bytes when it was released. */
  private givenBytes = 0;
  /** Size of the file in bytes since `require` was called; undefined before. */
  private heldBytes: number | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: string,
    limits: ReserveLimits,
  ) {
    this.file = path.join(directory, RESERVE_FILE);
    this.held = new HeldDirectory(system.files, directory);
    this.mostBytes = limits.reserveBytes;
    this.leastFreeBytes = limits.leastFreeBytes ?? 0;
  }

  /** True if the reserve was released, because the disk is or was nearly full. */
  get wasReleased(): boolean {
    return this.isGiven;
  }

  /** Size of the file in bytes; 0 if there is none. */
  get sizeBytes(): number {
    return this.system.files.status(this.file)?.sizeBytes ?? 0;
  }

  /** Free bytes of the file system with the store. */
  get freeBytes(): number {
    return this.system.files.freeBytes(this.directory);
  }

  /**
   * Waits until `freeBytes` includes everything written and removed so far, since btrfs counts a change only once it is
   * on the disk. This takes as long as a sync of the whole file system. So call it only if space is, or seems, short.
   */
  async settleFree(): Promise<void> {
    const { files, native } = this.system;
    using opened = new OpenFd(files, files.open(this.directory, 'directory'));
    await native.syncfs(opened.fd);
  }

  /** Throws DISK_FULL if less space is free than required. */
  requireFree(): void {
    const { freeBytes, leastFreeBytes } = this;
    if (freeBytes < leastFreeBytes) throw this.full();
  }

  /** Checks the free space at the start of a session, and makes the reserve as large as needed. Throws DISK_FULL. */
  require(neededBytes: number): void {
    this.requireFree();
    const { mostBytes } = this;
    if (mostBytes !== undefined) {
      const bytes = inSteps(neededBytes, mostBytes);
      const { sizeBytes } = this;
      const isTooLarge = sizeBytes > mostBytes || sizeBytes > EXCESS * bytes;
      this.enlarge(isTooLarge ? bytes : Math.max(bytes, sizeBytes));
    }
    this.requireFree();
  }

  /**
   * Makes the reserve larger if more is needed than at the beginning of the session. Does nothing before `require`, or
   * after the reserve was released. Throws DISK_FULL.
   */
  cover(neededBytes: number): void {
    const { heldBytes, mostBytes } = this;
    if (heldBytes === undefined || mostBytes === undefined || this.isGiven) return;
    if (heldBytes >= Math.min(neededBytes, mostBytes)) return;
    this.enlarge(inSteps(Math.max(neededBytes, heldBytes + heldBytes / GROWTH_PART), mostBytes));
  }

  private enlarge(bytes: number): void {
    try {
      this.make(bytes);
      this.heldBytes = bytes;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.restore(bytes);
      throw this.full(error);
    }
  }

  /**
   * Makes the reserve again, as large as needed and as the free space allows. The missing part is added when the next
   * session begins. A lack of space is not an error. Makes nothing in the place of a directory that is gone.
   */
  restore(neededBytes = 0): void {
    if (this.held.isGone()) return;
    try {
      const { mostBytes, givenBytes, heldBytes = 0, sizeBytes } = this;
      const wantedBytes = Math.max(neededBytes, givenBytes, heldBytes);
      const bytes = mostBytes === undefined ? givenBytes : inSteps(wantedBytes, mostBytes);
      if (bytes > 0) this.makeSpares();
      if (sizeBytes >= bytes) return;
      const room = this.freeBytes + sizeBytes - LEFT_BYTES;
      const pieces = Math.floor(room / STEP_BYTES) * STEP_BYTES;
      const possible = room >= bytes ? bytes : Math.max(0, pieces);
      if (possible > sizeBytes) this.make(possible);
    } catch (error) {
      if (!isDiskFull(error)) throw error; // a quota may be tighter than the disk
    }
  }

  /** Releases the reserve. Returns true if it existed. */
  release(): boolean {
    const { files } = this.system;
    const sizeBytes = files.status(this.file)?.sizeBytes;
    const spares = this.removeSpares();
    if (sizeBytes !== undefined) files.unlink(this.file);
    if (sizeBytes === undefined && spares === 0) return false;
    this.isGiven = true;
    this.givenBytes = Math.max(this.givenBytes, sizeBytes ?? 0);
    return true;
  }

  /**
   * Returns the real cause of a write error of this store: NO_SUCH_STORE if its directory is gone. SQLite reports a full
   * disk as an I/O error, or as a file that cannot be opened, so a test write determines the disk's own error.
   */
  explain(error: unknown): unknown {
    const code = causeCode(error) ?? '';
    const isVague = code.startsWith('SQLITE_IOERR') || code.startsWith('SQLITE_CANTOPEN');
    if ((isVague || GONE_CODES.has(code)) && this.held.isGone())
      return goneStore(this.directory, error);
    const reason = isVague ? (this.probe() ?? error) : error;
    const isExplained = reason instanceof TardisError && 'freeBytes' in reason.context;
    if (isDiskFull(reason) && !isExplained) return this.full(reason);
    return asTardisError(reason, this.directory, 'writeStore');
  }

  /** Writes a few bytes as a test, and returns the error; undefined if it succeeds. */
  private probe(): unknown {
    const { files } = this.system;
    const file = `${this.file}.probe`;
    try {
      unlinkIfThere(files, file);
      const fd = files.open(file, 'create');
      try {
        files.write(fd, Buffer.alloc(PROBE_BYTES, 1), 0);
      } finally {
        files.close(fd);
        files.unlink(file);
      }
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Returns the error that reports a full disk. */
  full(cause?: unknown): TardisError {
    const { directory, freeBytes, leastFreeBytes } = this;
    const free = freeSpaceText(this.system.files, directory, cause) ?? 'its free space is unknown';
    const kept =
      leastFreeBytes > 0
        ? `, and a backup leaves ${formatBytes(leastFreeBytes)} free (LeastFree)`
        : '';
    const reason = isDiskFull(cause) && cause instanceof Error ? ` (${cause.message})` : '';
    return new TardisError(
      'DISK_FULL',
      `the disk with the store ${directory} is full: ${free}${kept}${reason}`,
      { path: directory, freeBytes, leastFreeBytes },
      cause,
    );
  }

  private get spares(): string[] {
    return Array.from({ length: SPARE_FILES }, (_, index) => `${this.file}.${index + 1}`);
  }

  private makeSpares(): void {
    const { files } = this.system;
    for (const spare of this.spares) {
      if (files.status(spare) === undefined) files.close(files.open(spare, 'create'));
    }
  }

  /** Deletes the empty files, and returns their number. */
  private removeSpares(): number {
    const { files } = this.system;
    return this.spares.filter((spare) => unlinkIfThere(files, spare)).length;
  }

  /** Sets the size of the file. If that fails, restores its previous size. */
  private make(bytes: number): void {
    if (this.held.isGone()) throw goneStore(this.directory);
    const { file } = this;
    const { files } = this.system;
    const before = files.status(file)?.sizeBytes;
    if (bytes > 0) this.makeSpares();
    else this.removeSpares();
    if ((before ?? 0) === bytes) return;
    if (bytes === 0) return files.unlink(file);
    const fd = files.open(file, before === undefined ? 'create' : 'write');
    try {
      if (bytes < (before ?? 0)) files.truncate(fd, bytes);
      else this.fill(fd, before ?? 0, bytes);
    } catch (error) {
      if (before === undefined) files.unlink(file);
      else files.truncate(fd, before);
      throw error;
    } finally {
      files.close(fd);
    }
  }

  private fill(fd: number, from: number, to: number): void {
    const { files, random } = this.system;
    for (let at = from; at < to; at += PIECE_BYTES) {
      // Random bytes are written, since zeros or repeated bytes might take no space on the disk.
      const piece = random.bytes(Math.min(PIECE_BYTES, to - at));
      files.write(fd, piece, at);
      releaseMemory(piece);
    }
  }
}

function inSteps(bytes: number, mostBytes: number): number {
  return Math.min(mostBytes, Math.ceil(bytes / STEP_BYTES) * STEP_BYTES);
}

/**
 * Room that a client's store keeps for the moment when its disk is full: a file of bytes that no file
 * system can make smaller. It is given back when something has to be written that may not be lost (the
 * records and the transaction of a checkpoint, the log that is folded), and made again when there is
 * room. Whoever calls holds the client's lock.
 */
import path from 'node:path';
import { asTardisError, causeCode, isDiskFull, TardisError } from '../errors/index.js';
import { RESERVE_FILE } from '../store/index.js';
import type { System } from '../system/index.js';

export interface ReserveLimits {
  /** Size of the file; 0: none; undefined: what is there stays as it is. */
  readonly reserveBytes?: number;
  /** A session ends, or does not begin, with less free space than this. */
  readonly leastFreeBytes?: number;
}

const PIECE_BYTES = 1 << 20;
const PROBE_BYTES = 64 << 10;

export class Reserve {
  private readonly file: string;
  private readonly wantedBytes: number | undefined;
  private readonly leastFreeBytes: number;
  private isGiven = false;
  private readonly system: System;
  private readonly directory: string;

  constructor(system: System, directory: string, limits: ReserveLimits) {
    this.system = system;
    this.directory = directory;
    this.file = path.join(directory, RESERVE_FILE);
    this.wantedBytes = limits.reserveBytes;
    this.leastFreeBytes = limits.leastFreeBytes ?? 0;
  }

  /** The disk is, or nearly was, full: the room has been given back. */
  get wasReleased(): boolean {
    return this.isGiven;
  }

  /** What is free where the store is. */
  get freeBytes(): number {
    return this.system.files.freeBytes(this.directory);
  }

  /** Throws DISK_FULL when less is free than has to be. */
  requireFree(): void {
    const { freeBytes, leastFreeBytes } = this;
    if (freeBytes < leastFreeBytes) throw this.full();
  }

  /** What a session begins with: free space, and the reserve. Throws DISK_FULL. */
  require(): void {
    this.requireFree();
    try {
      this.make();
    } catch (error) {
      throw isDiskFull(error) ? this.full(error) : error;
    }
    this.requireFree();
  }

  /** Makes the reserve again if there is room now; that there is none is no failure. */
  restore(): void {
    try {
      if (this.freeBytes >= (this.wantedBytes ?? 0)) this.make();
    } catch (error) {
      if (!isDiskFull(error)) throw error; // a quota may be tighter than the disk
    }
  }

  /** Gives the room back. Returns whether there was any. */
  release(): boolean {
    const { files } = this.system;
    if (files.status(this.file) === undefined) return false;
    files.unlink(this.file);
    this.isGiven = true;
    return true;
  }

  /**
   * A failure of writing in this store, with the reason why. SQLite calls anything but ENOSPC an
   * input/output error; so it is tried what the disk says itself.
   */
  explain(error: unknown): unknown {
    const isVague = causeCode(error)?.startsWith('SQLITE_IOERR') === true;
    const reason = isVague ? (this.probe() ?? error) : error;
    const isTold = reason instanceof TardisError && 'freeBytes' in reason.context;
    if (isDiskFull(reason) && !isTold) return this.full(reason);
    return asTardisError(reason, this.directory);
  }

  /** What goes wrong with writing a little; undefined: nothing. */
  private probe(): unknown {
    const { files } = this.system;
    const file = `${this.file}.probe`;
    try {
      if (files.status(file) !== undefined) files.unlink(file);
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

  /** The error that tells of a full disk. */
  full(cause?: unknown): TardisError {
    const { directory, freeBytes, leastFreeBytes } = this;
    const kept = leastFreeBytes > 0 ? `, of which ${leastFreeBytes} stay free (LeastFree)` : '';
    const reason = isDiskFull(cause) && cause instanceof Error ? ` (${cause.message})` : '';
    return new TardisError(
      'DISK_FULL',
      `the disk with the store ${directory} is full: ${freeBytes} bytes are free${kept}${reason}`,
      { path: directory, freeBytes, leastFreeBytes },
      cause,
    );
  }

  private make(): void {
    const { file, wantedBytes } = this;
    const { files, random } = this.system;
    if (wantedBytes === undefined) return;
    const sizeBytes = files.status(file)?.sizeBytes;
    if ((sizeBytes ?? 0) === wantedBytes) return;
    if (sizeBytes !== undefined) files.unlink(file); // of another size, or of a process that was killed
    if (wantedBytes === 0) return;
    const fd = files.open(file, 'create');
    try {
      for (let at = 0; at < wantedBytes; at += PIECE_BYTES) {
        // Not zeros, nor twice the same: those could take no room.
        files.write(fd, random.bytes(Math.min(PIECE_BYTES, wantedBytes - at)), at);
      }
    } catch (error) {
      files.unlink(file);
      throw error;
    } finally {
      files.close(fd);
    }
  }
}

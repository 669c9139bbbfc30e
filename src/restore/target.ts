/**
 * The place a restore writes to: directories, links and metadata beneath it, never following a
 * symbolic link and never outside. Files are written by jobs in the pool the same way.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError, isDiskFull, systemCode, TardisError } from '../errors/index.js';
import { displayName, EntryType, forEachRow, RowReader } from '../model/index.js';
import {
  absolutePath,
  byteText,
  type FailedAttribute,
  failedAttributes,
  MetadataOption,
  OpenKind,
  type System,
} from '../system/index.js';
import { moveOver, targetFull, temporaryName } from '../workers/index.js';

export interface TargetName {
  /** Beneath the target; empty for the target itself. */
  readonly directory: Buffer;
  readonly name: Buffer;
}

export interface TargetOptions {
  readonly setsOwner: boolean;
  /** How names begin that are given to what will be renamed. */
  readonly prefix: string;
  /** Look only. */
  readonly isDry: boolean;
}

/** True if it was not there. Not mkdir's own recursion: in places such as /proc it never ends. */
function makeDirectories(directory: Buffer): boolean {
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return false;
  const parent = Buffer.from(path.posix.dirname(directory.toString('latin1')), 'latin1');
  if (stat === undefined && !parent.equals(directory)) makeDirectories(parent);
  fs.mkdirSync(directory);
  return true;
}

/** A full disk, or quota, where a restore writes to, with its place and what is free; else `error` itself. */
export function toldWhenFull({ files }: System, output: Buffer, error: unknown): unknown {
  if (targetFull(error) === undefined && (error as { code?: unknown }).code !== 'TARGET_FULL') {
    return error;
  }
  const place = displayName(output);
  let freeBytes = 0;
  try {
    freeBytes = files.freeBytes(byteText(absolutePath(output)));
  } catch {
    freeBytes = 0; // the directory could not even be made
  }
  const message = `the target is full: ${place}, ${freeBytes} bytes are free`;
  return new TardisError('TARGET_FULL', message, { path: place, freeBytes }, error);
}

export class RestoreTarget {
  /** The target's real path. */
  readonly path: Buffer;
  /** How metadata is put. See MetadataOption. */
  readonly ownerOptions: number;
  /** It was made just now (or would be). */
  readonly isNew: boolean;
  readonly isDry: boolean;
  readonly prefix: string;
  /** Undefined where it is not there and is only looked at. */
  readonly existingFd: number | undefined;
  /** The directory opened last: most entries of a page share it. */
  private open: { readonly directory: Buffer; readonly fd: number } | undefined;
  private readonly system: System;

  /** Makes the directory if it is not there. Throws TARGET_NOT_WRITABLE. */
  constructor(system: System, output: Buffer, { setsOwner, prefix, isDry }: TargetOptions) {
    this.system = system;
    this.prefix = prefix;
    this.isDry = isDry;
    // An ordinary user keeps what is his; of what was another's, the set-id bits go.
    const isRoot = process.geteuid?.() === 0;
    const owner = MetadataOption.setOwner | (isRoot ? 0 : MetadataOption.forgiveOwner);
    const full = absolutePath(output);
    let rootFd: number | undefined;
    try {
      if (isDry && fs.statSync(full, { throwIfNoEntry: false }) === undefined) {
        this.isNew = true;
        this.path = full;
        this.ownerOptions = 0;
        return;
      }
      this.isNew = makeDirectories(full);
      this.path = fs.realpathSync.native(full, { encoding: 'buffer' });
      rootFd = system.native.openDirectory(this.path);
      this.existingFd = rootFd;
      this.ownerOptions =
        (setsOwner ? owner : 0) | (system.native.inheritsAcl(rootFd) ? MetadataOption.dropAcl : 0);
    } catch (error) {
      if (rootFd !== undefined) system.native.close(rootFd);
      if (isDiskFull(error)) throw error;
      throw new TardisError(
        'TARGET_NOT_WRITABLE',
        `cannot use ${displayName(output)}: ${systemCode(error) ?? 'unknown'}`,
        {},
        error,
      );
    }
  }

  close(): void {
    if (this.open !== undefined) this.system.native.close(this.open.fd);
    if (this.existingFd !== undefined) this.system.native.close(this.existingFd);
  }

  /** All that was restored is on the disk when this returns. Throws what the disk says, DISK_FULL among it. */
  async sync(): Promise<void> {
    try {
      await this.system.native.syncfs(this.rootFd);
    } catch (error) {
      throw asTardisError(error, `making ${displayName(this.path)} durable`);
    }
  }

  get rootFd(): number {
    if (this.existingFd === undefined) throw new Error('a dry run has no target');
    return this.existingFd;
  }

  /** The row of what is there, or undefined. */
  look({ directory, name }: TargetName): Buffer | undefined {
    if (this.existingFd === undefined) return undefined;
    try {
      return this.system.native.statAt(this.fdOf(directory), name);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** False if something has that name. */
  makeDirectory({ directory, name }: TargetName): boolean {
    try {
      this.system.native.makeDirectoryAt(this.fdOf(directory), name);
      return true;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      return false;
    }
  }

  /** Puts a directory where something is that is none. */
  replaceByDirectory({ directory, name }: TargetName): void {
    const fd = this.fdOf(directory);
    this.system.native.unlinkAt(fd, name);
    this.system.native.makeDirectoryAt(fd, name);
  }

  /** Removes what a run that was broken off would have renamed. */
  removeTemporaries(directory: Buffer): void {
    const { native } = this.system;
    const fd = this.fdOf(directory);
    // Through the descriptor: no link can lead it elsewhere.
    const rows = new RowReader(native.listDirectory(Buffer.from(`/proc/self/fd/${fd}/.`)));
    forEachRow(rows, (at) => {
      const isOurs = rows.name(at).toString('latin1').startsWith(this.prefix);
      if (isOurs && rows.type(at) !== EntryType.directory) native.unlinkAt(fd, rows.name(at));
    });
  }

  /**
   * What has that name is replaced at once if it may be. Returns which attributes could not be put, as
   * all of these do.
   */
  makeSymlink(
    { directory, name }: TargetName,
    linkTarget: Buffer,
    row: Buffer,
    mayReplace: boolean,
  ): FailedAttribute[] {
    const fd = this.fdOf(directory);
    return this.putAt(fd, name, mayReplace, (at) =>
      this.system.native.symlinkAt(fd, at, linkTarget, row, 0, this.ownerOptions),
    );
  }

  /** Makes a fifo, a socket or a device node. Throws SPECIAL_FILE for who may not make one. */
  makeNode({ directory, name }: TargetName, row: Buffer, mayReplace: boolean): FailedAttribute[] {
    const fd = this.fdOf(directory);
    try {
      return this.putAt(fd, name, mayReplace, (at) =>
        this.system.native.makeNodeAt(fd, at, row, 0, this.ownerOptions),
      );
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      throw new TardisError('SPECIAL_FILE', 'only root may make this', { cause: 'EPERM' }, error);
    }
  }

  /** Makes a hard link to what was restored before. */
  makeLink({ directory, name }: TargetName, existing: TargetName, mayReplace: boolean): void {
    const { native } = this.system;
    const from = native.openBeneath(this.rootFd, existing.directory, OpenKind.directory);
    try {
      const to = this.fdOf(directory);
      this.putAt(to, name, mayReplace, (at) => {
        native.linkAt(from, existing.name, to, at);
        return undefined;
      });
    } finally {
      native.close(from);
    }
  }

  /** Gives a directory its metadata: after everything in it has been made. */
  finishDirectory(directory: Buffer, row: Buffer): FailedAttribute[] {
    const { native } = this.system;
    const fd = native.openBeneath(this.rootFd, directory, OpenKind.directory);
    try {
      return failedAttributes(native.setDirectoryMetadata(fd, row, 0, this.ownerOptions));
    } finally {
      native.close(fd);
    }
  }

  private fdOf(directory: Buffer): number {
    if (this.open?.directory.equals(directory) === true) return this.open.fd;
    const { native } = this.system;
    const fd = native.openBeneath(this.rootFd, directory, OpenKind.directory);
    if (this.open !== undefined) native.close(this.open.fd);
    this.open = { directory, fd };
    return fd;
  }

  /** Makes something; where a name is taken and may be replaced, beside it, to be renamed. */
  private putAt(
    fd: number,
    name: Buffer,
    mayReplace: boolean,
    make: (at: Buffer) => Buffer | undefined,
  ): FailedAttribute[] {
    try {
      return failedAttributes(make(name));
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !mayReplace) throw error;
      const temporary = Buffer.from(temporaryName(this.system, this.prefix));
      const missing = make(temporary);
      moveOver(this.system, fd, temporary, name);
      return failedAttributes(missing);
    }
  }
}

/**
 * The place a restore writes to: directories, links and metadata beneath it, never following a
 * symbolic link and never outside. Files are written by jobs in the pool the same way.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName, EntryType, RowReader } from '../model/index.js';
import {
  absolutePath,
  type FailedAttribute,
  failedAttributes,
  MetadataOption,
  OpenKind,
  type System,
} from '../system/index.js';

export interface TargetName {
  /** Beneath the target; empty for the target itself. */
  readonly directory: Buffer;
  readonly name: Buffer;
}

/** Not mkdir's own recursion: in places such as /proc it never ends. */
function makeDirectories(directory: Buffer): void {
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return;
  const parent = Buffer.from(path.posix.dirname(directory.toString('latin1')), 'latin1');
  if (stat === undefined && !parent.equals(directory)) makeDirectories(parent);
  fs.mkdirSync(directory);
}

export class RestoreTarget {
  /** The target's real path. */
  readonly path: Buffer;
  /** How metadata is put. See MetadataOption. */
  readonly ownerOptions: number;
  private readonly rootFd: number;
  /** The directory opened last: most entries of a page share it. */
  private open: { readonly directory: Buffer; readonly fd: number } | undefined;
  private readonly system: System;
  private readonly overwrite: boolean;

  /** Makes the directory if it is not there. Throws TARGET_NOT_WRITABLE. */
  constructor(system: System, output: Buffer, overwrite: boolean) {
    this.system = system;
    this.overwrite = overwrite;
    // An ordinary user keeps what is his; of what was another's, the set-id bits go.
    const isRoot = process.geteuid?.() === 0;
    let rootFd: number | undefined;
    try {
      makeDirectories(absolutePath(output));
      this.path = fs.realpathSync.native(absolutePath(output), { encoding: 'buffer' });
      rootFd = system.native.openDirectory(this.path);
      this.rootFd = rootFd;
      this.ownerOptions =
        MetadataOption.setOwner |
        (isRoot ? 0 : MetadataOption.forgiveOwner) |
        (system.native.inheritsAcl(rootFd) ? MetadataOption.dropAcl : 0);
    } catch (error) {
      if (rootFd !== undefined) system.native.close(rootFd);
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
    this.system.native.close(this.rootFd);
  }

  makeDirectory({ directory, name }: TargetName): void {
    try {
      this.system.native.makeDirectoryAt(this.fdOf(directory), name);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !this.overwrite) throw error;
      this.requireDirectory(this.fdOf(directory), name, error);
    }
  }

  /** What is there may be a directory; anything else makes way for one. */
  private requireDirectory(fd: number, name: Buffer, taken: unknown): void {
    const type = new RowReader(this.system.native.statAt(fd, name)).type(0);
    if (type === EntryType.directory) return;
    if (type !== EntryType.file && type !== EntryType.symlink) throw taken;
    this.system.native.unlinkAt(fd, name);
    this.system.native.makeDirectoryAt(fd, name);
  }

  /** Returns which attributes could not be put, as all of these do. */
  makeSymlink({ directory, name }: TargetName, linkTarget: Buffer, row: Buffer): FailedAttribute[] {
    const fd = this.fdOf(directory);
    return this.replacing(fd, name, () =>
      this.system.native.symlinkAt(fd, name, linkTarget, row, 0, this.ownerOptions),
    );
  }

  /** Makes a fifo, a socket or a device node. Throws SPECIAL_FILE for who may not make one. */
  makeNode({ directory, name }: TargetName, row: Buffer): FailedAttribute[] {
    const fd = this.fdOf(directory);
    try {
      return this.replacing(fd, name, () =>
        this.system.native.makeNodeAt(fd, name, row, 0, this.ownerOptions),
      );
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      throw new TardisError('SPECIAL_FILE', 'only root may make this', { cause: 'EPERM' }, error);
    }
  }

  /** Makes a hard link to what was restored before. */
  makeLink({ directory, name }: TargetName, existing: TargetName): void {
    const { native } = this.system;
    const from = native.openBeneath(this.rootFd, existing.directory, OpenKind.directory);
    try {
      const to = this.fdOf(directory);
      this.replacing(to, name, () => {
        native.linkAt(from, existing.name, to, name);
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

  /** Makes something; where a name is taken and may be replaced, again without it. */
  private replacing(fd: number, name: Buffer, make: () => Buffer | undefined): FailedAttribute[] {
    try {
      return failedAttributes(make());
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !this.overwrite) throw error;
      this.system.native.unlinkAt(fd, name);
      return failedAttributes(make());
    }
  }
}

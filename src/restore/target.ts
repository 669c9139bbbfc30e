/**
 * The target that a restore writes to. It creates directories and links, and sets metadata, beneath its path. It never
 * follows a symbolic link and never writes outside. Jobs in the pool write files under the same rules.
 */
import fs from 'node:fs';
import {
  asTardisError,
  failedTo,
  systemCode,
  TardisError,
  type WireError,
  usageError,
} from '../errors/index.js';
import {
  directoryOf,
  displayName,
  EntryType,
  forEachRow,
  identityOf,
  joinPath,
  lastComponent,
  RowReader,
} from '../model/index.js';
import {
  absolutePath,
  byteText,
  directoryAt,
  type DirectoryPlace,
  type FailedAttribute,
  failedAttributes,
  freeSpaceText,
  MetadataOption,
  onSafeWay,
  OpenFd,
  OpenKind,
  pathWithoutLinks,
  type System,
  ifThere,
} from '../system/index.js';
import {
  immutableTarget,
  isBeginning,
  moveOver,
  targetError,
  targetFull,
  temporaryName,
} from '../workers/index.js';
import { areOneName } from './folded-names.js';
import { lossesOf, type RequestedLimits } from './target-limits.js';

const { dropInherited } = MetadataOption;

/** The fields of a directory's status that are used. */
export type DirectoryStatus = Pick<fs.Stats, 'uid' | 'mode' | 'dev' | 'ino'>;

export interface TargetName {
  /** Path relative to the target; empty for the target itself. */
  readonly directory: Buffer;
  readonly name: Buffer;
}

interface TargetOptions {
  /** Bits of MetadataOption for setting metadata. */
  readonly metadataOptions: number;
  /** Prefix of the temporary names under which entries are created before they are renamed. */
  readonly prefix: string;
  /** True to create nothing. */
  readonly isDry: boolean;
}

/**
 * Creates a directory and the directories above it. Returns false if it existed. mkdir's own recursion is not used,
 * since it never ends at places such as /proc.
 */
function makeDirectories(directory: Buffer): boolean {
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return false;
  if (stat !== undefined) {
    const what = `${displayName(directory)} is no directory, so nothing can be restored into it: name a directory`;
    throw usageError(what);
  }
  const parent = directoryOf(directory);
  if (!parent.equals(directory)) makeDirectories(parent);
  try {
    onSafeWay(directory, 'output', (at) => fs.mkdirSync(at));
  } catch (error) {
    throw failedTo(`create ${displayName(directory)}`, error, 'writeTarget');
  }
  return true;
}

/**
 * Returns TARGET_FULL with the path and the free space if the disk or quota of the target is full; otherwise
 * `error`.
 */
export function explainedWhenFull({ files }: System, output: Buffer, error: unknown): unknown {
  if (targetFull(error) === undefined && (error as { code?: unknown }).code !== 'TARGET_FULL') {
    return error;
  }
  const place = displayName(output);
  const full = `the target is full: ${place}`;
  const directory = byteText(absolutePath(output));
  const free = freeSpaceText(files, directory, error);
  // No free space is known if the directory could not be created.
  if (free === undefined) return new TardisError('TARGET_FULL', full, { path: place }, error);
  const context = { path: place, freeBytes: files.freeBytes(directory) };
  return new TardisError('TARGET_FULL', `${full}, ${free}`, context, error);
}

function placeOf(full: Buffer): TargetName {
  const name = lastComponent(full);
  return { directory: full.subarray(0, Math.max(full.length - name.length - 1, 0)), name };
}

const NO_DIRECTORY: readonly string[] = ['ENOENT', 'EACCES', 'ELOOP', 'ENOTDIR'];

export class RestoreTarget {
  /** The path of the target, without links. */
  readonly path: Buffer;
  /** Bits of MetadataOption for setting metadata. */
  readonly metadataOptions: number;
  /** True if the directory was just created, or would be in a dry run. */
  readonly isNew: boolean;
  readonly isDry: boolean;
  readonly prefix: string;
  /** Descriptor of the target; undefined if the target does not exist in a dry run. */
  readonly existingFd: number | undefined;
  private readonly existing: DirectoryPlace | undefined;
  /** Directories that stay open until the end: those of the journal, and one on each file system that was met. */
  private readonly held: number[] = [];
  private readonly onDevices = new Map<number, number>();
  /** The identities of directories that another user may exchange, by their paths. */
  private readonly known = new Map<string, Buffer>();
  /** The directory that was opened last; most entries of a page share it. */
  private open: { readonly directory: Buffer; readonly fd: number } | undefined;

  /** Creates the directory if it does not exist. Throws TARGET_NOT_WRITABLE, TARGET_UNSAFE. */
  constructor(
    private readonly system: System,
    output: Buffer,
    { metadataOptions, prefix, isDry }: TargetOptions,
  ) {
    this.prefix = prefix;
    this.isDry = isDry;
    this.metadataOptions = metadataOptions;
    try {
      this.path = pathWithoutLinks(output, 'TARGET_UNSAFE');
      if (isDry && fs.statSync(this.path, { throwIfNoEntry: false }) === undefined) {
        this.isNew = true;
        return;
      }
      this.isNew = makeDirectories(this.path);
      fs.accessSync(this.path, fs.constants.R_OK); // to sync it, and to list it after an interruption
      this.existing = directoryAt(system.native, this.path);
      this.existingFd = system.native.openListed(this.path, this.existing.identity);
      this.held.push(this.existingFd);
      this.onDevices.set(fs.fstatSync(this.existingFd).dev, this.existingFd);
    } catch (error) {
      const failure = failedTo(`use ${displayName(output)}`, error, 'writeTarget');
      if (failure instanceof TardisError) throw failure;
      throw new TardisError('TARGET_NOT_WRITABLE', `cannot use ${displayName(output)}`, {}, error);
    }
  }

  close(): void {
    for (const fd of this.held) this.system.native.close(fd);
    if (this.open !== undefined) this.system.native.close(this.open.fd);
  }

  /** The place at which jobs open the target. They refuse another directory, should one be there meanwhile. */
  get place(): DirectoryPlace {
    if (this.existing === undefined) throw new Error('a dry run has no target');
    return this.existing;
  }

  /**
   * Opens a directory until the end of the restore. Returns undefined if it does not exist, may not be read, or something else is in
   * the place of it or of one above.
   */
  hold(directory: Buffer): number | undefined {
    if (this.existingFd === undefined) return undefined;
    try {
      const fd = this.system.native.openBeneath(this.existingFd, directory, OpenKind.directory);
      this.held.push(fd);
      return fd;
    } catch (error) {
      if (NO_DIRECTORY.includes(systemCode(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** Notes the file system of an existing directory, so that `sync` syncs it too, if the directory may be read. */
  noteDevice(directory: Buffer): void {
    const { dev } = fs.fstatSync(this.fdOf(directory));
    if (this.onDevices.has(dev)) return;
    const fd = this.hold(directory);
    if (fd !== undefined) this.onDevices.set(dev, fd);
  }

  /**
   * Syncs the file systems, so that everything restored is on the disk on return. Throws DISK_FULL and other disk
   * errors.
   */
  async sync(): Promise<void> {
    try {
      for (const fd of this.onDevices.values()) await this.system.native.syncfs(fd);
    } catch (error) {
      throw asTardisError(error, `making ${displayName(this.path)} durable`, 'writeTarget');
    }
  }

  /** True if the file system treats two names in a directory as equal. */
  areOneName(directory: Buffer, one: Buffer, other: Buffer): boolean {
    return areOneName(this.system, this.fdOf(directory), { prefix: this.prefix, one, other });
  }

  /** Returns those of the given attributes that the file system accepts but does not keep. */
  losses(requested: RequestedLimits): string[] {
    return lossesOf(this.system, this.rootFd, this.prefix, requested);
  }

  get rootFd(): number {
    if (this.existingFd === undefined) throw new Error('a dry run has no target');
    return this.existingFd;
  }

  /** Returns the row of an existing entry; undefined if there is none. */
  look({ directory, name }: TargetName): Buffer | undefined {
    if (this.existingFd === undefined) return undefined;
    return ifThere(() => this.system.native.statAt(this.fdOf(directory), name));
  }

  /**
   * Notes the identity of the directory that has a name, by its row. Another one that takes its place is not used from then on
   * (EREPLACED).
   */
  recognise({ directory, name }: TargetName, row: Buffer): void {
    const { dev } = fs.fstatSync(this.fdOf(directory), { bigint: true });
    const key = joinPath(directory, name).toString('latin1');
    this.known.set(key, identityOf(new RowReader(row), 0, dev));
  }

  /** True if a directory has entries. */
  hasEntries(directory: Buffer): boolean {
    return this.system.native.hasEntries(this.fdOf(directory)) > 0;
  }

  /** Creates a directory. Returns false if the name exists. */
  makeDirectory({ directory, name }: TargetName): boolean {
    try {
      this.system.native.makeDirectoryAt(this.fdOf(directory), name);
      return true;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      return false;
    }
  }

  /** Replaces an entry that is not a directory by a directory. */
  replaceByDirectory({ directory, name }: TargetName): void {
    const fd = this.fdOf(directory);
    this.system.native.unlinkAt(fd, name);
    this.system.native.makeDirectoryAt(fd, name);
  }

  /** Removes the ACLs and flags that a directory just created has inherited. */
  dropInherited(directory: Buffer): void {
    this.system.native.dropInherited(this.fdOf(directory));
  }

  /** Returns the status of a directory. */
  status(directory: Buffer): DirectoryStatus {
    return fs.fstatSync(this.fdOf(directory));
  }

  /**
   * Sets the permissions of a directory to those that `decide` returns for its status; undefined leaves them. Both are of one
   * directory, whatever another user exchanges meanwhile.
   */
  changePermissions(
    directory: Buffer,
    decide: (status: DirectoryStatus) => number | undefined,
  ): void {
    const { native } = this.system;
    using opened = new OpenFd(
      native,
      native.openBeneath(this.rootFd, directory, OpenKind.directory),
    );
    const permissions = decide(fs.fstatSync(opened.fd));
    if (permissions !== undefined) fs.fchmodSync(opened.fd, permissions);
  }

  /** Removes the temporary files of an interrupted run from a directory. */
  removeTemporaries(directory: Buffer): void {
    const { native } = this.system;
    const fd = this.fdOf(directory);
    // The path goes through the descriptor, so that no link can redirect it.
    const rows = new RowReader(native.listDirectory(Buffer.from(`/proc/self/fd/${fd}/.`)));
    forEachRow(rows, (at) => {
      const isOurs = rows.name(at).toString('latin1').startsWith(this.prefix);
      if (isOurs && rows.type(at) !== EntryType.directory) native.unlinkAt(fd, rows.name(at));
    });
  }

  /**
   * Creates a symbolic link. With `mayReplace`, an existing entry of that name is replaced in one step. Returns
   * the attributes that could not be set.
   */
  makeSymlink(
    { directory, name }: TargetName,
    linkTarget: Buffer,
    row: Buffer,
    mayReplace: boolean,
  ): FailedAttribute[] {
    const fd = this.fdOf(directory);
    return this.putAt(fd, name, mayReplace, (at) =>
      this.system.native.symlinkAt(fd, at, linkTarget, row, 0, this.metadataOptions),
    );
  }

  /**
   * Creates a fifo, a socket or a device node. Throws SPECIAL_FILE if the user may not create one. Returns the
   * attributes that could not be set.
   */
  makeNode({ directory, name }: TargetName, row: Buffer, mayReplace: boolean): FailedAttribute[] {
    const fd = this.fdOf(directory);
    try {
      return this.putAt(fd, name, mayReplace, (at) =>
        this.system.native.makeNodeAt(fd, at, row, 0, this.metadataOptions | dropInherited),
      );
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      const isRoot = process.geteuid?.() === 0;
      const what = isRoot
        ? 'this system or its file system refuses it, even to root'
        : 'only root may make this';
      throw new TardisError('SPECIAL_FILE', what, { cause: 'EPERM' }, error);
    }
  }

  /**
   * True if a file is a beginning of the file `whole`, which this run has restored. With `isTorn`, each of its bytes may be
   * zero instead.
   */
  isBeginning({ directory, name }: TargetName, whole: TargetName, isTorn: boolean): boolean {
    const { native } = this.system;
    using other = new OpenFd(
      native,
      native.openBeneath(this.rootFd, whole.directory, OpenKind.directory),
    );
    const one = { directoryFd: this.fdOf(directory), name };
    return isBeginning(this.system, one, { directoryFd: other.fd, name: whole.name }, isTorn);
  }

  /** Creates a hard link to a file that was restored before. */
  makeLink({ directory, name }: TargetName, existing: TargetName, mayReplace: boolean): void {
    const { native } = this.system;
    using from = new OpenFd(
      native,
      native.openBeneath(this.rootFd, existing.directory, OpenKind.directory),
    );
    const to = this.fdOf(directory);
    this.putAt(to, name, mayReplace, (at) => {
      native.linkAt(from.fd, existing.name, to, at);
      return undefined;
    });
  }

  /**
   * Links a name to the entry that another target has at the same place. Returns false, and leaves nothing, if that cannot be
   * linked, or if `isRight` does not accept the row of what was linked.
   */
  linkFrom(other: RestoreTarget, at: TargetName, isRight: (row: Buffer) => boolean): boolean {
    const { native } = this.system;
    const { directory, name } = at;
    const fd = this.fdOf(directory);
    try {
      native.linkAt(other.fdOf(directory), name, fd, name);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return false; // too many links, an immutable file, a directory that may not be entered: the entry is written anew
    }
    if (isRight(native.statAt(fd, name))) return true;
    native.unlinkAt(fd, name);
    return false;
  }

  /**
   * Sets the metadata of a directory, once everything in it exists. `dropsAcls` removes those that it has and the row
   * has not. Returns the attributes that could not be set.
   */
  finishDirectory(directory: Buffer, row: Buffer, dropsAcls: boolean): FailedAttribute[] {
    const { native } = this.system;
    const options = this.metadataOptions | (dropsAcls ? dropInherited : 0);
    using opened = new OpenFd(native, this.openDirectory(directory));
    return failedAttributes(native.setDirectoryMetadata(opened.fd, row, 0, options));
  }

  /** Returns those flags of a path that prevent changes (see `flagsAt`). */
  flagsOf(path: Buffer): number {
    const { directory, name } = placeOf(path);
    return this.system.native.flagsAt(this.fdOf(directory), name);
  }

  /** Sets the flags of a file or directory. Some flags prevent any further change. */
  setFlags(path: Buffer, flags: number): void {
    const { directory, name } = placeOf(path);
    this.system.native.setFlagsAt(this.fdOf(directory), name, flags);
  }

  /**
   * Returns the error to report for a path that could not be created. If a condition of the target explains it, that is
   * its cause.
   */
  explain(path: Buffer, error: unknown): WireError {
    const { existingFd, system } = this;
    const immutable =
      existingFd === undefined
        ? undefined
        : immutableTarget(system, existingFd, placeOf(path), error);
    return immutable ?? targetError(error, this.path);
  }

  private fdOf(directory: Buffer): number {
    if (this.open?.directory.equals(directory) === true) return this.open.fd;
    const { native } = this.system;
    let fd: number;
    try {
      fd = this.openDirectory(directory);
    } catch (error) {
      // Such as /home, which many may pass and few may list.
      if (systemCode(error) !== 'EACCES') throw error;
      fd = native.openBeneath(this.rootFd, directory, OpenKind.passing);
    }
    if (this.open !== undefined) native.close(this.open.fd);
    this.open = { directory, fd };
    return fd;
  }

  private openDirectory(directory: Buffer): number {
    const { native } = this.system;
    const identity = this.known.get(directory.toString('latin1'));
    return identity === undefined
      ? native.openBeneath(this.rootFd, directory, OpenKind.directory)
      : native.openListed(joinPath(this.path, directory), identity);
  }

  /** Creates an entry. If its name exists and may be replaced, creates it under a temporary name and renames it. */
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

/**
 * Makes sets of Tardis (Python) appear in a directory, one after the other. Whatever is equal in two sets stays as it is,
 * so that a backup of the directory finds it unchanged.
 */
import fs from 'node:fs';
import { asTardisError, systemCode, TardisError } from '../../errors/index.js';
import {
  displayName,
  EntryType,
  isEntryName,
  joinPath,
  lastComponent,
  SECOND_NS,
  unseenRow,
} from '../../model/index.js';
import {
  failedAttributes,
  MetadataOption,
  OpenFd,
  OpenKind,
  removeClosedTree,
  type System,
  textBytes,
} from '../../system/index.js';
import { packedAttributes } from './attributes.js';
import type { NodeId, OriginalEntry, OriginalOwner, OriginalSet } from './catalog.js';
import { TOP } from './catalog.js';
import { OriginalContents } from './contents.js';
import type { OriginalStore } from './store.js';

/** Name under which a file is written before it takes its place. It is in the scratch directory. */
const NEW_NAME = Buffer.from('new');
/** Levels of directories; deeper ones are reported. Linux itself has no path so long. */
const MAX_LEVELS = 2048;
/** Problems that are kept; the others are counted. */
const MAX_PROBLEMS = 1000;
const MAX_TARGET_BYTES = 4095;
/** Stands for a user or group that this machine does not know. */
const NOBODY = 65_534;
const OWNER_ALL = 0o700;
const { setOwner, forgiveOwner, dropInherited } = MetadataOption;

/** An entry that a set has, and that could not be made. */
export interface StagingProblem {
  readonly path: Buffer;
  readonly reason: string;
}

/** The result of `show`. */
export interface ShownSet {
  /** Entries that were made, replaced or given other attributes. */
  readonly changedEntries: number;
  readonly problemCount: number;
  /** The first problems. */
  readonly problems: readonly StagingProblem[];
}

interface Level {
  readonly fd: number;
  readonly path: Buffer;
  readonly depth: number;
  /** True once anything in it was changed, so that its own times must be set again. */
  isTouched: boolean;
}

/** An entry that is about to be written. */
interface MadeEntry {
  readonly name: Buffer;
  readonly path: Buffer;
  readonly entry: OriginalEntry;
  readonly row: Buffer;
  /** The entry that has the name now. */
  readonly old: OriginalEntry | undefined;
}

/** A name as it is decrypted, with the entry it stands for. */
interface NamedEntry {
  readonly name: Buffer;
  readonly entry: OriginalEntry;
}

export class Staging implements Disposable {
  private readonly rootFd: number;
  private readonly scratchFd: number;
  private readonly contents: OriginalContents;
  private shown: OriginalSet | undefined;
  private readonly owners = new Map<string, number>();
  /** The first name of each hard-linked file of the set that is being shown. */
  private links = new Map<string, Buffer>();
  private directories = new Set<string>();
  private problems: StagingProblem[] = [];
  private problemCount = 0;
  private changedEntries = 0;

  /**
   * Both directories must be empty, on one file system, and closed to other users. `scratch` is for files that are being
   * written.
   */
  constructor(
    private readonly system: System,
    private readonly store: OriginalStore,
    place: { readonly directory: string; readonly scratch: string },
  ) {
    const { native } = system;
    this.contents = new OriginalContents(system, store, textBytes(place.scratch));
    this.rootFd = native.openDirectory(textBytes(place.directory));
    this.scratchFd = native.openDirectory(textBytes(place.scratch));
  }

  [Symbol.dispose](): void {
    this.system.native.close(this.rootFd);
    this.system.native.close(this.scratchFd);
  }

  /**
   * Makes the directory show a set. An entry that cannot be read is left out and reported. Throws the errors of the disk of
   * the directory.
   */
  async show(set: OriginalSet): Promise<ShownSet> {
    this.links = new Map();
    this.directories = new Set();
    this.problems = [];
    this.problemCount = 0;
    this.changedEntries = 0;
    const root: Level = { fd: this.rootFd, path: Buffer.alloc(0), depth: 0, isTouched: false };
    await this.showDirectory(root, this.shown === undefined ? undefined : TOP, TOP, set);
    this.shown = set;
    const { changedEntries, problemCount, problems } = this;
    return { changedEntries, problemCount, problems };
  }

  /** Makes a directory, which showed `from` until now, show `to`. */
  private async showDirectory(
    level: Level,
    from: NodeId | undefined,
    to: NodeId,
    set: OriginalSet,
  ): Promise<void> {
    const wanted = this.named(this.store.catalog.entries(to, set.number), level.path, true);
    const before =
      from === undefined
        ? new Map<string, OriginalEntry>()
        : this.named(this.store.catalog.entries(from, this.shown!.number), level.path, false);
    this.follow(level, before, wanted);
    for (const [key, old] of before) {
      const entry = wanted.get(key);
      if (entry === undefined || (entry.type === 'directory') !== (old.type === 'directory')) {
        this.remove(level, bytesOf(key));
        before.delete(key);
      }
    }
    for (const [key, entry] of wanted) {
      await this.place(level, { name: bytesOf(key), entry }, before.get(key), set);
    }
  }

  /** Returns entries by their names, without those that cannot have a place. */
  private named(
    entries: OriginalEntry[],
    directory: Buffer,
    reports: boolean,
  ): Map<string, OriginalEntry> {
    const named = new Map<string, OriginalEntry>();
    for (const entry of entries) {
      const name = this.store.keys.name(entry.name);
      if (name !== undefined && isEntryName(name)) named.set(keyOf(withStrayBytes(name)), entry);
      else if (reports) this.report(joinPath(directory, entry.name), 'its name is damaged');
    }
    return named;
  }

  /** Renames directories that have another name in the same directory now, so that their contents stay. */
  private follow(
    level: Level,
    before: Map<string, OriginalEntry>,
    wanted: ReadonlyMap<string, OriginalEntry>,
  ): void {
    const gone = new Map<string, string>();
    for (const [key, entry] of before) {
      if (entry.type === 'directory' && !wanted.has(key)) gone.set(nodeKey(entry.identity), key);
    }
    if (gone.size === 0) return;
    for (const [key, entry] of wanted) {
      const old =
        entry.type === 'directory' && !before.has(key)
          ? gone.get(nodeKey(entry.identity))
          : undefined;
      if (old === undefined || !this.isThere(level, bytesOf(old))) continue;
      gone.delete(nodeKey(entry.identity));
      this.changing(level);
      this.system.native.renameAt(level.fd, bytesOf(old), level.fd, bytesOf(key));
      before.set(key, before.get(old)!);
      before.delete(old);
    }
  }

  private async place(
    level: Level,
    named: NamedEntry,
    old: OriginalEntry | undefined,
    set: OriginalSet,
  ): Promise<void> {
    const path = joinPath(level.path, named.name);
    try {
      if (named.entry.type === 'directory') await this.placeDirectory(level, named, old, set);
      else await this.placeFile(level, named, old);
    } catch (error) {
      if (!isOfEntry(error)) {
        throw asTardisError(error, `writing ${displayName(path)} below TMPDIR`, 'useTemporary');
      }
      this.report(path, (error as Error).message);
      if (named.entry.type !== 'directory') this.remove(level, named.name);
    }
  }

  private async placeDirectory(
    level: Level,
    { name, entry }: NamedEntry,
    old: OriginalEntry | undefined,
    set: OriginalSet,
  ): Promise<void> {
    const path = joinPath(level.path, name);
    const node = nodeKey(entry.identity);
    if (this.directories.has(node) || level.depth === MAX_LEVELS) {
      this.remove(level, name);
      const isKnown = this.directories.has(node);
      this.report(path, isKnown ? 'it is another name of a directory' : 'its path is too long');
      return;
    }
    this.directories.add(node);
    const { native } = this.system;
    const isNew = old === undefined || !this.isThere(level, name);
    if (isNew) {
      this.changing(level);
      native.makeDirectoryAt(level.fd, name);
    } else if (losesAttributes(old, entry)) this.renewDirectory(level, name);
    using opened = new OpenFd(native, this.openDirectory(level, name));
    const inner: Level = { fd: opened.fd, path, depth: level.depth + 1, isTouched: isNew };
    await this.showDirectory(inner, isNew ? undefined : old.identity, entry.identity, set);
    if (!inner.isTouched && old !== undefined && isSame(old, entry)) return;
    this.changedEntries += 1;
    const row = await this.rowOf(path, name, entry);
    this.note(
      path,
      native.setDirectoryMetadata(opened.fd, row, 0, setOwner | forgiveOwner | dropInherited),
    );
  }

  private async placeFile(
    level: Level,
    { name, entry }: NamedEntry,
    old: OriginalEntry | undefined,
  ): Promise<void> {
    const path = joinPath(level.path, name);
    const key = `${nodeKey(entry.identity)} ${entry.checksum}`;
    const isLinked = entry.linkCount > 1 && entry.type === 'file';
    const first = isLinked ? this.links.get(key) : undefined;
    const isHere = old !== undefined && this.isThere(level, name);
    if (first !== undefined) {
      if (!isHere || !this.isOneFile(level, name, first)) this.link(level, name, first);
      return;
    }
    await this.placeOwn(level, { name, entry }, isHere ? old : undefined);
    if (isLinked) this.links.set(key, path);
  }

  /** Places a file that is no further name of another one. `old` is the entry that has the name now. */
  private async placeOwn(
    level: Level,
    { name, entry }: NamedEntry,
    old: OriginalEntry | undefined,
  ): Promise<void> {
    const path = joinPath(level.path, name);
    const mayStay = old !== undefined && mayKeepInode(old, entry);
    if (mayStay && isSame(old, entry)) return;
    this.changing(level);
    this.changedEntries += 1;
    const row = await this.rowOf(path, name, entry);
    if (mayStay && mayKeepFile(old, entry) && this.setMetadata(level, name, path, row)) return;
    await this.write(level, { name, path, entry, row, old });
  }

  /** Writes a file or a link in the scratch directory, and renames it over what is there. */
  private async write(level: Level, made: MadeEntry): Promise<void> {
    const { native } = this.system;
    const { name, path, entry, row } = made;
    const options = setOwner | forgiveOwner | dropInherited;
    if (entry.checksum === undefined)
      throw new TardisError('IMPORT_SOURCE_DAMAGED', 'it has no content');
    if (entry.type === 'symlink') {
      const target = await this.contents.read(entry.checksum);
      if (target.length === 0 || target.length > MAX_TARGET_BYTES || target.includes(0)) {
        throw new TardisError('IMPORT_SOURCE_DAMAGED', 'it is a link to nowhere');
      }
      this.note(path, native.symlinkAt(this.scratchFd, NEW_NAME, target, row, 0, options));
    } else {
      const fd = native.createFileAt(this.scratchFd, NEW_NAME);
      try {
        await this.writeContent(fd, entry.checksum, level, made);
        this.note(path, native.finishFile(fd, row, 0, options));
      } catch (error) {
        native.unlinkAt(this.scratchFd, NEW_NAME);
        throw error;
      } finally {
        native.close(fd);
      }
    }
    native.renameAt(this.scratchFd, NEW_NAME, level.fd, name);
  }

  /** Writes the content of a file; what is in its place now may be the basis of a delta. */
  private async writeContent(
    fd: number,
    checksum: string,
    level: Level,
    { name, old }: MadeEntry,
  ): Promise<void> {
    const isBasis = old?.type === 'file' && old.checksum !== undefined;
    const known = isBasis ? this.openFile(level, name) : undefined;
    if (known === undefined) return await this.contents.write(checksum, fd);
    try {
      await this.contents.write(checksum, fd, { checksum: old!.checksum!, fd: known });
    } finally {
      this.system.native.close(known);
    }
  }

  /** Gives a file that stays its new owner, mode and times. Returns false if it cannot be opened. */
  private setMetadata(level: Level, name: Buffer, path: Buffer, row: Buffer): boolean {
    const { native } = this.system;
    const fd = this.openFile(level, name);
    if (fd === undefined) return false;
    try {
      this.note(path, native.finishFile(fd, row, 0, setOwner | forgiveOwner));
    } finally {
      native.close(fd);
    }
    return true;
  }

  /** Opens a file for reading. Returns undefined if its mode forbids that to this user. */
  private openFile(level: Level, name: Buffer): number | undefined {
    try {
      return this.system.native.openBeneath(level.fd, name, OpenKind.file);
    } catch (error) {
      if (systemCode(error) === 'EACCES') return undefined;
      throw error;
    }
  }

  private link(level: Level, name: Buffer, first: Buffer): void {
    const { native } = this.system;
    this.changing(level);
    this.changedEntries += 1;
    const fd = native.openBeneath(this.rootFd, parentOf(first), OpenKind.passing);
    try {
      native.linkAt(fd, lastComponent(first), this.scratchFd, NEW_NAME);
    } finally {
      native.close(fd);
    }
    native.renameAt(this.scratchFd, NEW_NAME, level.fd, name);
  }

  private async rowOf(path: Buffer, name: Buffer, entry: OriginalEntry): Promise<Buffer> {
    return unseenRow({
      name,
      type: TYPES[entry.type],
      permissions: entry.permissions,
      uid: this.ownerOf(entry.user, false),
      gid: this.ownerOf(entry.group, true),
      linkCount: 1,
      mtimeNs: BigInt(entry.mtimeS) * SECOND_NS,
      attributes: await this.attributesOf(path, entry),
    });
  }

  private async attributesOf(
    path: Buffer,
    { xattrs, acl }: OriginalEntry,
  ): Promise<Buffer | undefined> {
    if (xattrs === undefined && acl === undefined) return undefined;
    try {
      const [values, text] = [
        xattrs === undefined ? undefined : await this.contents.read(xattrs),
        acl === undefined ? undefined : await this.contents.read(acl),
      ];
      const packed = packedAttributes(this.system.native, values, text);
      if (packed === undefined) this.report(path, 'its attributes are damaged');
      return packed;
    } catch (error) {
      if (!isOfEntry(error)) throw error;
      this.report(path, `its attributes cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Returns the number of an owner. One that this machine does not know is `nobody`, and is reported once. */
  private ownerOf(owner: OriginalOwner, isGroup: boolean): number {
    if (typeof owner === 'number') return owner >= 0 && owner < 2 ** 32 - 1 ? owner : NOBODY;
    const name = owner === undefined ? undefined : this.store.keys.name(owner);
    const key = `${isGroup ? 'group' : 'user'} ${name === undefined ? '?' : displayName(name)}`;
    let id = this.owners.get(key);
    if (id === undefined) {
      id = name === undefined ? undefined : this.lookUp(name, isGroup);
      if (id === undefined)
        this.report(Buffer.alloc(0), `this machine has no ${key}; its files get ${NOBODY}`);
      id ??= NOBODY;
      this.owners.set(key, id);
    }
    return id;
  }

  private lookUp(name: Buffer, isGroup: boolean): number | undefined {
    const text = name.toString('latin1');
    if (/^\d{1,9}$/.test(text)) return Number(text); // the original stores the number of an owner without a name
    if (name.length === 0 || name.includes(0)) return undefined;
    return isGroup ? this.system.native.groupId(name) : this.system.native.userId(name);
  }

  /** Makes a directory writable for changes, as a user other than root needs. */
  private changing(level: Level): void {
    if (level.isTouched) return;
    level.isTouched = true;
    if (level.depth > 0) fs.fchmodSync(level.fd, OWNER_ALL);
  }

  private openDirectory(level: Level, name: Buffer): number {
    const { native } = this.system;
    try {
      return native.openBeneath(level.fd, name, OpenKind.directory);
    } catch (error) {
      if (systemCode(error) !== 'EACCES') throw error;
      fs.chmodSync(Buffer.concat([Buffer.from(`/proc/self/fd/${level.fd}/`), name]), OWNER_ALL);
      return native.openBeneath(level.fd, name, OpenKind.directory);
    }
  }

  /** Puts a new directory in the place of one that has attributes too many, and moves all into it. */
  private renewDirectory(level: Level, name: Buffer): void {
    const { native } = this.system;
    this.changing(level);
    native.makeDirectoryAt(this.scratchFd, NEW_NAME);
    const from = this.openDirectory(level, name);
    const to = native.openBeneath(this.scratchFd, NEW_NAME, OpenKind.directory);
    try {
      fs.fchmodSync(from, OWNER_ALL);
      for (const inner of fs.readdirSync(`/proc/self/fd/${from}`, { encoding: 'buffer' })) {
        native.renameAt(from, inner, to, inner);
      }
    } finally {
      native.close(from);
      native.close(to);
    }
    fs.rmdirSync(Buffer.concat([Buffer.from(`/proc/self/fd/${level.fd}/`), name]));
    native.renameAt(this.scratchFd, NEW_NAME, level.fd, name);
  }

  private isThere(level: Level, name: Buffer): boolean {
    return this.statusOf(level.fd, name) !== undefined;
  }

  private isOneFile(level: Level, name: Buffer, first: Buffer): boolean {
    const [one, other] = [this.statusOf(level.fd, name), this.statusOf(this.rootFd, first)];
    return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
  }

  private statusOf(fd: number, path: Buffer): fs.Stats | undefined {
    const at = Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), path]);
    return fs.lstatSync(at, { throwIfNoEntry: false });
  }

  /** Removes an entry with all below it, if it is there. */
  private remove(level: Level, name: Buffer): void {
    const status = this.statusOf(level.fd, name);
    if (status === undefined) return;
    this.changing(level);
    this.changedEntries += 1;
    if (!status.isDirectory()) return this.system.native.unlinkAt(level.fd, name);
    const at = Buffer.concat([Buffer.from(`/proc/self/fd/${level.fd}/`), name]);
    removeClosedTree(at);
  }

  private note(path: Buffer, refused: Buffer | undefined): void {
    for (const { name, code } of failedAttributes(refused))
      this.report(path, `${name} cannot be set (${code})`);
  }

  private report(path: Buffer, reason: string): void {
    this.problemCount += 1;
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ path, reason });
  }
}

const TYPES = {
  file: EntryType.file,
  directory: EntryType.directory,
  symlink: EntryType.symlink,
} as const;

/** True if two entries are equal in all that is restored. */
function isSame(one: OriginalEntry, other: OriginalEntry): boolean {
  return (
    one.type === other.type &&
    one.checksum === other.checksum &&
    one.mtimeS === other.mtimeS &&
    one.permissions === other.permissions &&
    one.xattrs === other.xattrs &&
    one.acl === other.acl &&
    isSameOwner(one.user, other.user) &&
    isSameOwner(one.group, other.group)
  );
}

/** True unless one of two entries has several names and is not the same file as the other. */
function mayKeepInode(old: OriginalEntry, entry: OriginalEntry): boolean {
  const isLinked = old.linkCount > 1 || entry.linkCount > 1;
  return !isLinked || nodeKey(old.identity) === nodeKey(entry.identity);
}

/** True if a file can get the other metadata and keep all else. */
function mayKeepFile(old: OriginalEntry, entry: OriginalEntry): boolean {
  const areFiles = old.type === 'file' && entry.type === 'file';
  const areAlone = old.linkCount <= 1 && entry.linkCount <= 1;
  return areFiles && areAlone && old.checksum === entry.checksum && !losesAttributes(old, entry);
}

/** True if an entry had attributes that it may not have now. */
function losesAttributes(old: OriginalEntry, entry: OriginalEntry): boolean {
  const hadAny = old.xattrs !== undefined || old.acl !== undefined;
  return hadAny && (old.xattrs !== entry.xattrs || old.acl !== entry.acl);
}

function isSameOwner(one: OriginalOwner, other: OriginalOwner): boolean {
  return Buffer.isBuffer(one) && Buffer.isBuffer(other) ? one.equals(other) : one === other;
}

/** True for an error of one entry of the store, not of the directory that is written. */
function isOfEntry(error: unknown): boolean {
  if (error instanceof TardisError) return error.code === 'IMPORT_SOURCE_DAMAGED';
  return ['ENAMETOOLONG', 'EINVAL', 'EILSEQ'].includes(systemCode(error) ?? '');
}

/** Returns a name with its bytes that are no UTF-8, which the original wrote as `\udc80` to `\udcff`. */
function withStrayBytes(name: Buffer): Buffer {
  if (!name.includes('\\udc')) return name;
  const text = name.toString('latin1');
  const whole = text.replace(/\\udc([89a-f][0-9a-f])/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(whole, 'latin1');
}

function keyOf(name: Buffer): string {
  return name.toString('latin1');
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

function nodeKey({ inode, device }: NodeId): string {
  return `${inode}:${device}`;
}

function parentOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(path.lastIndexOf(0x2f), 0));
}

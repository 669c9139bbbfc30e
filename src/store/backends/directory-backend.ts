/**
 * The backend over a directory. Staged objects are files in `incoming/` and are renamed when published. An object's
 * sync also syncs the directories that hold its name (directory fsync).
 */
import path from 'node:path';
import {
  asTardisError,
  ifPossible,
  isBadSector,
  systemCode,
  TardisError,
} from '../../errors/index.js';
import { BoundedCache, type Files, OpenFd } from '../../system/index.js';
import type { MendableBackend, ObjectWriter } from './backend.js';
import { readFormat } from '../layout/format-file.js';
import { INCOMING_DIRECTORY, parityName } from '../layout/layout.js';
import { unreadable } from './unreadable.js';

/** Maximum number of descriptors for reading that are kept open. */
const MAX_OPEN_READERS = 64;

export class DirectoryBackend implements MendableBackend {
  private readonly readers = new BoundedCache<string, number>(MAX_OPEN_READERS, (fd) =>
    this.files.close(fd),
  );
  /** Directories whose names are durable, together with those of their parents. */
  private readonly lasting = new Set<string>();
  private readonly places: Places = {
    place: (name) => this.place(name),
    lasts: (file) => this.lasts(file),
  };
  private stagedCount = 0;
  private readonly root: string;
  private readonly held: HeldDirectory;

  constructor(
    root: string,
    private readonly files: Files,
  ) {
    this.root = path.resolve(root);
    this.held = new HeldDirectory(files, this.root);
  }

  create(name: string): ObjectWriter {
    const full = this.resolve(name);
    const newDirectories = this.ensureDirectory(path.dirname(full));
    const fd = this.files.open(full, 'create');
    return new FileWriter(this.files, fd, { final: full, newDirectories, places: this.places });
  }

  stage(): ObjectWriter {
    this.stagedCount += 1;
    const staged = this.resolve(`${INCOMING_DIRECTORY}/${process.pid}-${this.stagedCount}`);
    this.ensureDirectory(path.dirname(staged));
    const fd = this.files.open(staged, 'create');
    return new FileWriter(this.files, fd, {
      final: undefined,
      newDirectories: new Set(),
      places: this.places,
      staged,
    });
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    try {
      return this.files.read(this.reader(name), target, 0, bytes, position);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') this.requireRoot();
      throw unreadable(error, name);
    }
  }

  async sync(name: string): Promise<void> {
    await this.files.sync(this.reader(name));
    await this.files.syncDirectory(path.dirname(this.resolve(name)));
  }

  async size(name: string): Promise<number | undefined> {
    const status = this.files.status(this.resolve(name));
    if (status === undefined) this.requireRoot();
    return status?.sizeBytes;
  }

  owner(): string | undefined {
    try {
      return readFormat(this.files, this.root)?.clientId || undefined;
    } catch (error) {
      // Opening the client reports a damaged format file.
      if (asTardisError(error).code === 'FORMAT_DAMAGED' || isBadSector(error)) return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<string[]> {
    if (this.files.status(this.resolve(prefix)) === undefined) {
      this.requireRoot();
      return [];
    }
    return this.below(prefix).sort();
  }

  async shorten(name: string, sizeBytes: number): Promise<void> {
    using opened = new OpenFd(this.files, this.files.open(this.resolve(name), 'write'));
    // Otherwise a power cut could leave parity that restores the bytes truncated here.
    if (this.dropParity(name)) {
      await this.files.syncDirectory(path.dirname(this.resolve(parityName(name))));
    }
    if (this.files.statusOf(opened.fd).sizeBytes <= sizeBytes) return;
    this.files.truncate(opened.fd, sizeBytes);
    await this.files.sync(opened.fd);
  }

  async remove(name: string): Promise<void> {
    this.dropParity(name); // not synced: parity without its file is recognized and removed
    if (!this.unlink(name)) return;
    await this.files.syncDirectory(path.dirname(this.resolve(name)));
  }

  async replace(staged: ObjectWriter, name: string): Promise<void> {
    if (!(staged instanceof FileWriter)) throw new Error('an object of another backend');
    await staged.sync(); // before the rename: a power cut leaves the old object, or all of the new one
    this.forgetReader(name);
    staged.replace(this.resolve(name));
    await staged.sync();
  }

  close(): void {
    const open = this.readers.clear(); // the map is emptied first, so that no descriptor is closed twice
    for (const fd of open) this.files.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Removes the parity of an object. Returns false if it has none. */
  private dropParity(name: string): boolean {
    return this.unlink(parityName(name));
  }

  /** Removes a file. Returns false if there is none. */
  private unlink(name: string): boolean {
    this.forgetReader(name);
    try {
      this.files.unlink(this.resolve(name));
      return true;
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error;
      return false;
    }
  }

  /**
   * Closes the descriptor of a file that is removed or replaced, since the descriptor would still return the old
   * bytes.
   */
  private forgetReader(name: string): void {
    const open = this.readers.get(name);
    if (open !== undefined) this.files.close(open);
    this.readers.delete(name);
  }

  private below(prefix: string): string[] {
    return this.files
      .listTypes(this.resolve(prefix))
      .flatMap(({ name, isDirectory }) =>
        isDirectory ? this.below(`${prefix}${name}/`) : [prefix + name],
      );
  }

  private resolve(name: string): string {
    return path.join(this.root, name);
  }

  /** Returns a descriptor for reading. Closes the least recently used one if too many are open. */
  private reader(name: string): number {
    const open = this.readers.get(name);
    if (open !== undefined) return open;
    const fd = this.files.open(this.resolve(name), 'read');
    this.readers.set(name, fd);
    return fd;
  }

  /**
   * Creates a directory and its parents, but not the client's own directory: if that is gone, the disk of the store is
   * no longer there, and nothing must be written in its place. Throws NO_SUCH_STORE then. Returns the directories that must be synced to make it durable. An existing
   * directory may have been left by a session that ended before its sync, so only this backend's own syncs count.
   */
  private ensureDirectory(directory: string): Set<string> {
    if (this.lasting.has(directory)) return new Set();
    if (!this.isOurs(directory)) {
      this.requireRoot();
      return new Set();
    }
    const isThere = this.files.status(directory) !== undefined;
    const parent = path.dirname(directory);
    const unsynced = this.ensureDirectory(parent);
    if (!isThere) this.files.makeDirectory(directory);
    return unsynced.add(parent);
  }

  /** Records that the directories on the path of a file have been synced. */
  private lasts(file: string): void {
    let directory = path.dirname(file);
    while (this.isOurs(directory)) {
      this.lasting.add(directory);
      directory = path.dirname(directory);
    }
  }

  /**
   * Throws NO_SUCH_STORE if the client's directory is gone: what was in it is then away with its disk, and neither
   * missing nor damaged. Throws CLIENT_BUSY if another directory of a client has replaced it, as a rewrite does.
   */
  private requireRoot(): void {
    if (!this.held.isGone()) return;
    if (this.owner() === undefined) throw goneStore(this.root);
    throw new TardisError(
      'CLIENT_BUSY',
      `the client in ${this.root} was rewritten meanwhile: run the command again`,
    );
  }

  private isOurs(directory: string): boolean {
    return directory.startsWith(this.root + path.sep);
  }

  private place(name: string): { full: string; newDirectories: Set<string> } {
    const full = this.resolve(name);
    if (this.files.status(full) !== undefined) {
      throw Object.assign(new Error(`EEXIST: object exists, ${name}`), { code: 'EEXIST' });
    }
    return { full, newDirectories: this.ensureDirectory(path.dirname(full)) };
  }
}

/** The methods of the backend that a writer uses. */
interface Places {
  place(name: string): { full: string; newDirectories: Set<string> };
  lasts(file: string): void;
}

/** A file that is being written. */
interface NewFile {
  /** Final path of the object; undefined while it is staged. */
  readonly final: string | undefined;
  /** Directories that were created for the file. */
  readonly newDirectories: Set<string>;
  readonly places: Places;
  /** Path of the file while it is staged. */
  readonly staged?: string;
}

class FileWriter implements ObjectWriter {
  sizeBytes = 0;
  private isOpen = true;
  /** Directories whose entries changed since the last sync. */
  private unsynced: Set<string>;
  private final: string | undefined;
  private readonly places: Places;
  private readonly staged: string | undefined;

  constructor(
    private readonly files: Files,
    private readonly fd: number,
    { final, newDirectories, places, staged }: NewFile,
  ) {
    this.final = final;
    this.places = places;
    this.staged = staged;
    this.unsynced = newDirectories;
    if (final !== undefined) this.unsynced.add(path.dirname(final));
  }

  append(bytes: Uint8Array): void {
    this.files.write(this.fd, bytes, this.sizeBytes);
    this.sizeBytes += bytes.length;
  }

  cut(sizeBytes: number): void {
    this.files.truncate(this.fd, sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  readBack(position: number, target: Uint8Array, bytes: number): number {
    return this.files.read(this.fd, target, 0, bytes, position);
  }

  replaceStart(bytes: Uint8Array): void {
    this.files.write(this.fd, bytes, 0);
  }

  async sync(): Promise<void> {
    const { final } = this;
    await this.files.sync(this.fd);
    const directories = [...this.unsynced];
    await Promise.all(directories.map((directory) => this.files.syncDirectory(directory)));
    for (const directory of directories) this.unsynced.delete(directory);
    if (final !== undefined) this.places.lasts(final);
  }

  publish(name: string): void {
    const { full, newDirectories } = this.places.place(name);
    this.files.rename(this.staged!, full);
    this.final = full;
    this.unsynced = newDirectories.add(path.dirname(full));
  }

  /** Renames the staged file over an existing one. */
  replace(full: string): void {
    this.files.rename(this.staged!, full);
    this.final = full;
    this.unsynced = new Set([path.dirname(full)]);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.files.close(this.fd);
    if (this.final === undefined) this.files.unlink(this.staged!);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A client's directory, as it was when it was opened. If its disk is unmounted, a mount point may be left in its place:
 * an empty directory of the same name, into which nothing must be written.
 */
export class HeldDirectory {
  private readonly identity: string | undefined;

  constructor(
    private readonly files: Files,
    private readonly path: string,
  ) {
    // If that fails, the use that follows fails by itself, with the reason.
    this.identity = ifPossible(() => files.status(path)?.identity);
  }

  /** True if the directory is not there, or another one is there. A directory that was not there yet may be any. */
  isGone(): boolean {
    const now = this.files.status(this.path)?.identity;
    return now === undefined || (this.identity !== undefined && now !== this.identity);
  }
}

/** Returns the error for a client's directory that vanishes while it is in use. */
export function goneStore(directory: string, cause?: unknown): TardisError {
  const what = `the directory ${directory} is gone: was its disk unmounted, or the directory moved?`;
  return new TardisError('NO_SUCH_STORE', what, {}, cause);
}

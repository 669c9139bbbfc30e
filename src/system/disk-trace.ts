/**
 * Everything that is done to the files below one directory, in one order: what a simulated disk
 * (simulated-disk.ts) needs to tell what a power cut would leave, and a checker to tell whether a sync
 * came before its answer. Files are known by a number, as by an inode, so names may come and go.
 */
import fs from 'node:fs';
import path from 'node:path';
import { byteText, exactPath } from './process-input.js';

export type DiskFileKind = 'file' | 'directory' | 'symlink' | 'other';

/** A name in a directory and what it leads to from now on; undefined: nothing. */
export interface NameChange {
  readonly directory: number;
  readonly name: string;
  readonly file: number | undefined;
}

/** What is done at once. */
export type DiskAct =
  /** A file comes to be, without a name. `target`: of a symbolic link. */
  | {
      readonly act: 'create';
      readonly file: number;
      readonly kind: DiskFileKind;
      readonly target?: Buffer;
    }
  | {
      readonly act: 'write';
      readonly file: number;
      readonly position: number;
      readonly bytes: Buffer;
    }
  | { readonly act: 'resize'; readonly file: number; readonly sizeBytes: number }
  /** Owner, permissions and times, as a row (src/model/row.ts). */
  | { readonly act: 'metadata'; readonly file: number; readonly row: Buffer }
  /** Changes that come together or not at all. */
  | { readonly act: 'names'; readonly changes: readonly NameChange[] }
  /** Covers what was done to the data of a file before `since`. */
  | { readonly act: 'sync'; readonly file: number; readonly since: number }
  /** The same for the names in a directory. */
  | { readonly act: 'syncDirectory'; readonly file: number; readonly since: number }
  /** The same for everything. */
  | { readonly act: 'syncAll'; readonly since: number }
  /** Nothing is done: something was told, or begins. */
  | { readonly act: 'mark'; readonly what: string };

/** `at` orders acts, also after some were taken out. */
export type TracedAct = DiskAct & { readonly at: number };

/** What lay there when the trace began; all of it is durable. */
export interface DiskStart {
  readonly files: ReadonlyMap<number, { readonly kind: DiskFileKind; readonly bytes: Buffer }>;
  readonly names: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

/** What an engine below (SQLite) did by itself. */
export interface ForeignAct {
  readonly path: string;
  readonly act: 'create' | 'write' | 'resize' | 'sync' | 'remove' | 'syncDirectory';
  /** Of a write; of a resize the size. */
  readonly position: number;
  readonly bytes: Buffer;
}

/** The directory itself. */
export const TRACE_ROOT = 0;

export class DiskTrace {
  readonly acts: TracedAct[] = [];
  readonly start: DiskStart;
  /** Byte text, without links on the way. */
  readonly root: string;
  private readonly names = new Map<number, Map<string, number>>();
  private lastFile = TRACE_ROOT;
  private readonly foreign: () => readonly ForeignAct[];

  /**
   * `foreign` returns what was done since its last call. `earlier`: what led to what lies there, which is
   * then not durable but as far as it was synced; it must lie there exactly.
   */
  constructor(
    root: string,
    foreign: () => readonly ForeignAct[] = () => [],
    earlier?: { readonly start: DiskStart; readonly acts: readonly TracedAct[] },
  ) {
    this.root = byteText(fs.realpathSync.native(exactPath(root), { encoding: 'buffer' }));
    this.foreign = foreign;
    this.start = earlier === undefined ? this.readStart() : this.goOn(earlier);
  }

  private goOn({
    start,
    acts,
  }: {
    readonly start: DiskStart;
    readonly acts: readonly TracedAct[];
  }): DiskStart {
    for (const [number, inside] of start.names) this.names.set(number, new Map(inside));
    this.lastFile = Math.max(...start.files.keys());
    for (const act of acts) {
      if (act.act === 'create') {
        this.lastFile = act.file;
        if (act.kind === 'directory') this.names.set(act.file, new Map());
      }
      this.push(act);
    }
    return start;
  }

  /** The number of what a path leads to; undefined: nothing, or not below the root. */
  find(file: string): number | undefined {
    const inside = this.inside(file);
    if (inside === undefined) return undefined;
    let at: number | undefined = TRACE_ROOT;
    for (const name of inside === '' ? [] : inside.split('/')) {
      at = at === undefined ? undefined : this.names.get(at)?.get(name);
    }
    return at;
  }

  /** What a name in a directory leads to. */
  below(directory: number, name: string): number | undefined {
    return this.names.get(directory)?.get(name);
  }

  /** Adds what was done just now. What SQLite did before comes before it. */
  add(act: DiskAct): void {
    this.takeForeign();
    this.push(act);
  }

  /** Where a sync that begins now begins to count. */
  get now(): number {
    this.takeForeign();
    return this.acts.length;
  }

  /** Something that is told to somebody, or begins. */
  mark(what: string): void {
    this.add({ act: 'mark', what });
  }

  /** A new file with a name. Returns its number; undefined: not below the root. */
  create(
    file: string,
    kind: DiskFileKind,
    more: { readonly isBeforeForeign?: boolean } = {},
  ): number | undefined {
    const directory = this.find(path.dirname(file));
    if (directory === undefined) return undefined;
    if (more.isBeforeForeign !== true) this.takeForeign();
    return this.createIn(directory, path.basename(file), kind);
  }

  createIn(directory: number, name: string, kind: DiskFileKind, target?: Buffer): number {
    const file = this.newFile(kind);
    this.push({ act: 'create', file, kind, ...(target === undefined ? {} : { target }) });
    this.push({ act: 'names', changes: [{ directory, name, file }] });
    return file;
  }

  /** Names change; whatever is done in one directory at once comes together. */
  rename(from: NameChange, to: NameChange): void {
    const gone = { ...from, file: undefined };
    if (from.directory === to.directory) {
      this.add({ act: 'names', changes: [gone, to] });
      return;
    }
    // The two directories need not reach the disk together.
    this.add({ act: 'names', changes: [to] });
    this.add({ act: 'names', changes: [gone] });
  }

  /** Takes over what SQLite did since the last time. */
  takeForeign(): void {
    for (const { path: file, act, position, bytes } of this.foreign()) {
      const number = this.find(file);
      if (act === 'create') {
        if (number !== undefined) continue; // it was there, and empty
        const directory = this.find(path.dirname(file));
        if (directory !== undefined) this.createIn(directory, path.basename(file), 'file');
        continue;
      }
      if (act === 'syncDirectory') {
        const directory = this.find(path.dirname(file));
        const since = this.acts.length;
        if (directory !== undefined) this.push({ act, file: directory, since });
        continue;
      }
      if (number === undefined) continue;
      this.pushForeign(file, number, act, position, bytes);
    }
  }

  private pushForeign(
    path_: string,
    file: number,
    act: 'write' | 'resize' | 'sync' | 'remove',
    position: number,
    bytes: Buffer,
  ): void {
    switch (act) {
      case 'write':
        this.push({ act, file, position, bytes });
        return;
      case 'resize':
        this.push({ act, file, sizeBytes: position });
        return;
      case 'sync':
        this.push({ act, file, since: this.acts.length });
        return;
      case 'remove': {
        const directory = this.find(path.dirname(path_))!;
        const name = path.basename(path_);
        this.push({ act: 'names', changes: [{ directory, name, file: undefined }] });
      }
    }
  }

  private push(act: DiskAct): void {
    this.acts.push({ ...act, at: this.acts.length });
    if (act.act !== 'names') return;
    for (const { directory, name, file } of act.changes) {
      const names = this.names.get(directory)!;
      if (file === undefined) names.delete(name);
      else names.set(name, file);
    }
  }

  private newFile(kind: DiskFileKind): number {
    this.lastFile += 1;
    if (kind === 'directory') this.names.set(this.lastFile, new Map());
    return this.lastFile;
  }

  private inside(file: string): string | undefined {
    const full = path.resolve(file);
    if (full === this.root) return '';
    return full.startsWith(`${this.root}/`) ? full.slice(this.root.length + 1) : undefined;
  }

  private readStart(): DiskStart {
    const files = new Map<number, { kind: DiskFileKind; bytes: Buffer }>();
    const byInode = new Map<bigint, number>();
    const read = (directory: string, number: number): void => {
      const names = new Map<string, number>();
      this.names.set(number, names);
      for (const entry of fs.readdirSync(exactPath(directory), { encoding: 'buffer' })) {
        const name = byteText(entry);
        const full = path.join(directory, name);
        const { ino, kind } = lookAt(full);
        const known = byInode.get(ino);
        const file = known ?? this.newFile(kind);
        byInode.set(ino, file);
        names.set(name, file);
        if (known !== undefined) continue;
        files.set(file, { kind, bytes: bytesOf(full, kind) });
        if (kind === 'directory') read(full, file);
      }
    };
    files.set(TRACE_ROOT, { kind: 'directory', bytes: Buffer.alloc(0) });
    read(this.root, TRACE_ROOT);
    const names = new Map([...this.names].map(([number, inside]) => [number, new Map(inside)]));
    return { files, names };
  }
}

function lookAt(file: string): { ino: bigint; kind: DiskFileKind } {
  const stat = fs.lstatSync(exactPath(file), { bigint: true });
  if (stat.isDirectory()) return { ino: stat.ino, kind: 'directory' };
  if (stat.isSymbolicLink()) return { ino: stat.ino, kind: 'symlink' };
  return { ino: stat.ino, kind: stat.isFile() ? 'file' : 'other' };
}

/** The bytes of a file, the target of a link. */
function bytesOf(file: string, kind: DiskFileKind): Buffer {
  if (kind === 'file') return fs.readFileSync(exactPath(file));
  if (kind === 'symlink') return fs.readlinkSync(exactPath(file), { encoding: 'buffer' });
  return Buffer.alloc(0);
}

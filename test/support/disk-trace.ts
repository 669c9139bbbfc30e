/**
 * Records all changes to the files below one directory, in the order in which they were made. A simulated disk
 * (simulated-disk.ts) replays the trace, and computes what a power cut would leave. A checker uses the trace to prove
 * that a sync preceded an answer. Each file has a number, like an inode number, so that names can be added and removed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { byteText, exactPath } from '../../src/system/index.js';

export type DiskFileKind = 'file' | 'directory' | 'symlink' | 'other';

/** A name in a directory, and the file that the name leads to after the change; undefined if the name is removed. */
export interface NameChange {
  readonly directory: number;
  readonly name: string;
  readonly file: number | undefined;
}

/** One atomic change of the disk. */
export type DiskAct =
  /** Creates a file without a name. `target` is the target of a symbolic link. */
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
  /** Sets owner, permissions and times, given as a row (src/model/row.ts). */
  | { readonly act: 'metadata'; readonly file: number; readonly row: Buffer }
  /** Changes that become durable together or not at all. */
  | { readonly act: 'names'; readonly changes: readonly NameChange[] }
  /** Makes changes of a file's data durable: those with positions before `since`. */
  | { readonly act: 'sync'; readonly file: number; readonly since: number }
  /** Makes changes of the names in a directory durable: those with positions before `since`. */
  | { readonly act: 'syncDirectory'; readonly file: number; readonly since: number }
  /** Makes all changes with positions before `since` durable. */
  | { readonly act: 'syncAll'; readonly since: number }
  /** Marks that something is reported or begins. Changes nothing. */
  | { readonly act: 'mark'; readonly what: string };

/** An act with its position `at`. The positions show the order of acts even if some were removed. */
export type TracedAct = DiskAct & { readonly at: number };

/** The files and names at the start of the trace, all of which are durable. */
export interface DiskStart {
  readonly files: ReadonlyMap<number, { readonly kind: DiskFileKind; readonly bytes: Buffer }>;
  readonly names: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

/** A change that was not made by this program itself, but by SQLite. */
export interface ForeignAct {
  readonly path: string;
  readonly act: 'create' | 'write' | 'resize' | 'sync' | 'remove' | 'syncDirectory';
  /** Position of a write, or new size of a resize. */
  readonly position: number;
  readonly bytes: Buffer;
}

/** The number of the traced directory itself. */
export const TRACE_ROOT = 0;

export class DiskTrace {
  readonly acts: TracedAct[] = [];
  readonly start: DiskStart;
  /** The traced directory as byte text, with links resolved. */
  readonly root: string;
  private readonly names = new Map<number, Map<string, number>>();
  private lastFile = TRACE_ROOT;
  private readonly foreign: () => readonly ForeignAct[];

  /**
   * Creates a trace. `foreign` returns SQLite's changes since its last call. `earlier` is a previous trace that
   * produced exactly the files that are in the directory. Those are durable only as far as that trace synced them.
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

  /** Returns the number of the file at a path; undefined if nothing is there, or it is not below the root. */
  find(file: string): number | undefined {
    const inside = this.inside(file);
    if (inside === undefined) return undefined;
    let at: number | undefined = TRACE_ROOT;
    for (const name of inside === '' ? [] : inside.split('/')) {
      at = at === undefined ? undefined : this.names.get(at)?.get(name);
    }
    return at;
  }

  /** Returns the number of the file that a name in a directory leads to. */
  below(directory: number, name: string): number | undefined {
    return this.names.get(directory)?.get(name);
  }

  /** Appends an act that was just done. Pending changes by SQLite are appended first. */
  add(act: DiskAct): void {
    this.takeForeign();
    this.push(act);
  }

  /** Value of `since` for a sync that begins now. */
  get now(): number {
    this.takeForeign();
    return this.acts.length;
  }

  /** Marks that something is reported or begins. */
  mark(what: string): void {
    this.add({ act: 'mark', what });
  }

  /** Records a new file with a name. Returns its number; undefined if it is not below the root. */
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

  /** Records a rename. Within one directory it is one atomic act. */
  rename(from: NameChange, to: NameChange): void {
    const gone = { ...from, file: undefined };
    if (from.directory === to.directory) {
      this.add({ act: 'names', changes: [gone, to] });
      return;
    }
    // The changes of two directories may reach the disk separately.
    this.add({ act: 'names', changes: [to] });
    this.add({ act: 'names', changes: [gone] });
  }

  /** Appends the changes that SQLite made since the last call. */
  takeForeign(): void {
    for (const { path: file, act, position, bytes } of this.foreign()) {
      const number = this.find(file);
      if (act === 'create') {
        if (number !== undefined) continue; // the file existed before, and was empty
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

/** Returns the bytes of a file, or the target of a link. */
function bytesOf(file: string, kind: DiskFileKind): Buffer {
  if (kind === 'file') return fs.readFileSync(exactPath(file));
  if (kind === 'symlink') return fs.readlinkSync(exactPath(file), { encoding: 'buffer' });
  return Buffer.alloc(0);
}

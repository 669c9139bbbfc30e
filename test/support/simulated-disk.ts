/**
 * A simulated disk with a volatile cache. It replays the acts of a trace (disk-trace.ts) one by one, and computes at
 * any moment what a power cut may leave. Changes that a finished sync covered are durable. Any part of the other
 * changes may have reached the disk, in any order:
 *
 * - any writes to the data of a file, and any of their sectors of 512 bytes. The other sectors keep their old bytes, or
 *   zeros if there were none;
 * - a file's size before its data, so that zeros are read in place of data. Sizes keep their order;
 * - names, one act at a time, in any order. A rename within a directory is one act. If the name of a directory is lost,
 *   so is everything in the directory;
 * - owner, permissions and times of a file, in their order. No sync of data covers them.
 */
import { createHash } from 'node:crypto';
import {
  type DiskFileKind,
  type DiskStart,
  type NameChange,
  TRACE_ROOT,
  type TracedAct,
} from './disk-trace.js';
import type { Random } from '../../src/system/index.js';

/** Number of bytes that a disk writes atomically. */
export const SECTOR_BYTES = 512;

/** Decides which unsynced changes reach the disk. */
export interface CrashChoice {
  readonly name: string;
  /** True if a change of names reaches the disk. */
  names(): boolean;
  /** Returns how many of `changes` changes of a file's size (or of its metadata) reach the disk. */
  sizes(changes: number): number;
  /** Returns a function that is true for the sectors of a write that reach the disk. It is called for each write. */
  write(): (sector: number) => boolean;
}

const all = (): boolean => true;
const none = (): boolean => false;

/** A crash that loses every unsynced change. */
export const LOST: CrashChoice = { name: 'lost', names: none, sizes: () => 0, write: () => none };
/** A crash that loses nothing, like a kill of the process. */
export const ARRIVED: CrashChoice = {
  name: 'arrived',
  names: all,
  sizes: (changes) => changes,
  write: () => all,
};
/** A crash that keeps names and sizes, but no data. */
export const HOLLOW: CrashChoice = { ...ARRIVED, name: 'hollow', write: () => none };
/** A crash that keeps data, but no names. */
export const NAMELESS: CrashChoice = { ...ARRIVED, name: 'nameless', names: none };

const TORN_SHARE = 0.2;

/** Returns a choice that keeps a random part of the unsynced changes. */
export function byChance(random: Random & { next(): number }): CrashChoice {
  const share = random.next();
  const names = random.next();
  return {
    name: 'chance',
    names: () => random.next() < names,
    sizes: (changes) => Math.floor(random.next() * (changes + 1)),
    write: () => {
      if (random.next() < TORN_SHARE) return () => random.next() < 0.5;
      return random.next() < share ? all : none;
    },
  };
}

type DataAct = Extract<TracedAct, { act: 'write' | 'resize' | 'metadata' }>;
type NamesAct = Extract<TracedAct, { act: 'names' }>;

interface DiskFile {
  readonly kind: DiskFileKind;
  /** The durable bytes of a file, or the target of a symbolic link. */
  bytes: Buffer;
  row: Buffer | undefined;
  pending: DataAct[];
}

/** One file as a power cut left it. */
export interface LeftFile {
  /** Relative path with slashes. */
  readonly path: string;
  readonly file: number;
  readonly kind: DiskFileKind;
  readonly bytes: Buffer;
  readonly row: Buffer | undefined;
}

/** A change that is not durable yet. */
export interface Unsynced {
  readonly path: string;
  readonly what: 'data' | 'name';
  /** True for a name that was removed. */
  readonly isGone: boolean;
}

type Names = Map<number, Map<string, number>>;

export class SimulatedDisk {
  private readonly files = new Map<number, DiskFile>();
  /** The durable names, and the names that processes see now. */
  private readonly durable: Names;
  private readonly live: Names;
  private pendingNames: NamesAct[] = [];
  private readonly dirty = new Set<number>();
  private readonly isHonest: (sync: TracedAct) => boolean;

  /** Creates the disk. `isHonest` returns false for a sync that reports success but makes nothing durable. */
  constructor(start: DiskStart, isHonest: (sync: TracedAct) => boolean = all) {
    this.isHonest = isHonest;
    for (const [number, { kind, bytes }] of start.files) {
      this.files.set(number, { kind, bytes, row: undefined, pending: [] });
    }
    this.durable = copyOf(start.names);
    this.live = copyOf(start.names);
  }

  /** Applies an act. Returns true if it is a sync that made something durable. */
  apply(act: TracedAct): boolean {
    switch (act.act) {
      case 'create':
        this.files.set(act.file, {
          kind: act.kind,
          bytes: act.target ?? Buffer.alloc(0),
          row: undefined,
          pending: [],
        });
        return false;
      case 'write':
      case 'resize':
      case 'metadata':
        this.files.get(act.file)!.pending.push(act);
        if (act.act !== 'metadata') this.dirty.add(act.file);
        return false;
      case 'names':
        this.pendingNames.push(act);
        for (const change of act.changes) put(this.live, change);
        return false;
      case 'mark':
        return false;
      default:
        return this.isHonest(act) && this.sync(act);
    }
  }

  private sync(act: Extract<TracedAct, { since: number }>): boolean {
    if (act.act === 'sync') return this.syncData(act.file, act.since);
    if (act.act === 'syncDirectory') {
      return this.syncNames(
        ({ at, changes }) =>
          at < act.since && changes.some(({ directory }) => directory === act.file),
      );
    }
    let covered = false;
    for (const number of this.files.keys()) {
      if (this.syncData(number, act.since, true)) covered = true;
    }
    return this.syncNames(({ at }) => at < act.since) || covered;
  }

  private syncData(number: number, since: number, withMetadata = false): boolean {
    const file = this.files.get(number)!;
    const isCovered = (act: DataAct): boolean =>
      act.at < since && (withMetadata || act.act !== 'metadata');
    const covered = file.pending.filter(isCovered);
    if (covered.length === 0) return false;
    const done = arrived(file, covered, ARRIVED);
    file.bytes = done.bytes;
    file.row = done.row;
    file.pending = file.pending.filter((act) => !isCovered(act));
    if (!file.pending.some(({ act }) => act !== 'metadata')) this.dirty.delete(number);
    return true;
  }

  private syncNames(isCovered: (act: NamesAct) => boolean): boolean {
    const covered = this.pendingNames.filter(isCovered);
    if (covered.length === 0) return false;
    for (const { changes } of covered) for (const change of changes) put(this.durable, change);
    this.pendingNames = this.pendingNames.filter((act) => !isCovered(act));
    return true;
  }

  /** Returns the changes that are not durable, of files that have a path now. */
  unsynced(): Unsynced[] {
    const paths = this.livePaths();
    const found: Unsynced[] = [];
    for (const number of this.dirty) {
      for (const path of paths.get(number) ?? []) found.push({ path, what: 'data', isGone: false });
    }
    for (const { changes } of this.pendingNames) {
      for (const { directory, name, file } of changes) {
        for (const above of paths.get(directory) ?? []) {
          const path = above === '' ? name : `${above}/${name}`;
          found.push({ path, what: 'name', isGone: file === undefined });
        }
      }
    }
    return found;
  }

  /** Returns a present path of a file; undefined if the file has no name. */
  pathOf(file: number): string | undefined {
    return this.livePaths().get(file)?.[0];
  }

  /** True if a path exists now. */
  isThere(path: string): boolean {
    return [...this.livePaths().values()].some((paths) => paths.includes(path));
  }

  private livePaths(): Map<number, string[]> {
    const paths = new Map<number, string[]>();
    walk(this.live, (path, file) => {
      const others = paths.get(file);
      if (others === undefined) paths.set(file, [path]);
      else others.push(path);
    });
    return paths;
  }

  /** Returns the state that a power cut would leave now. The simulated disk itself does not change. */
  crash(choice: CrashChoice): DiskState {
    const names = copyOf(this.durable);
    for (const { changes } of this.pendingNames) {
      if (choice.names()) for (const change of changes) put(names, change);
    }
    const contents = new Map<number, Pick<LeftFile, 'bytes' | 'row'>>();
    const left: LeftFile[] = [];
    walk(names, (path, number) => {
      const file = this.files.get(number);
      if (file === undefined || path === '') return;
      let content = contents.get(number);
      content ??= file.pending.length === 0 ? file : arrived(file, file.pending, choice);
      contents.set(number, content);
      const { bytes, row } = content;
      left.push({ path, file: number, kind: file.kind, bytes, row });
    });
    return new DiskState(left);
  }
}

/** A whole directory as a power cut left it. */
export class DiskState {
  /** Files in the order in which they were created; a file with two names is listed twice. */
  readonly files: readonly LeftFile[];

  constructor(files: LeftFile[]) {
    this.files = files.sort((a, b) => a.file - b.file);
  }

  /** Returns a hash that is equal for equal states. */
  hash(): string {
    const hash = createHash('sha256');
    const inOrder = this.files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    for (const { path, kind, bytes, row } of inOrder) {
      hash.update(`${path}\0${kind}\0${digestOf(bytes)}\0`);
      if (row !== undefined) hash.update(row);
    }
    return hash.digest('hex');
  }
}

/** Digests of buffers that are never modified: most files of a state also occur in the state before. */
const digests = new WeakMap<Buffer, string>();

function digestOf(bytes: Buffer): string {
  let digest = digests.get(bytes);
  digest ??= createHash('sha256').update(bytes).digest('hex');
  digests.set(bytes, digest);
  return digest;
}

function copyOf(names: ReadonlyMap<number, ReadonlyMap<string, number>>): Names {
  return new Map([...names].map(([directory, inside]) => [directory, new Map(inside)]));
}

function put(names: Names, { directory, name, file }: NameChange): void {
  let inside = names.get(directory);
  if (inside === undefined) {
    inside = new Map();
    names.set(directory, inside);
  }
  if (file === undefined) inside.delete(name);
  else inside.set(name, file);
}

function walk(names: Names, visit: (path: string, file: number) => void): void {
  const into = (path: string, file: number): void => {
    visit(path, file);
    for (const [name, child] of names.get(file) ?? []) {
      into(path === '' ? name : `${path}/${name}`, child);
    }
  };
  into('', TRACE_ROOT);
}

/** Returns the bytes and metadata of a file after some of its pending acts reached the disk. */
function arrived(
  file: DiskFile,
  acts: readonly DataAct[],
  choice: CrashChoice,
): { bytes: Buffer; row: Buffer | undefined } {
  const ends = acts.map((act) => (act.act === 'write' ? act.position + act.bytes.length : 0));
  const room = Math.max(file.bytes.length, ...ends);
  const bytes = Buffer.alloc(room);
  file.bytes.copy(bytes);
  let sizeBytes = file.bytes.length;
  let sizesLeft = choice.sizes(acts.length);
  const rows = acts.flatMap((act) => (act.act === 'metadata' ? [act.row] : []));
  for (const act of acts) {
    if (act.act === 'metadata') continue;
    const isSized = sizesLeft > 0;
    sizesLeft -= 1;
    if (act.act === 'resize') {
      if (!isSized) continue;
      sizeBytes = act.sizeBytes;
      if (sizeBytes < room) bytes.fill(0, sizeBytes);
      continue;
    }
    if (isSized) sizeBytes = Math.max(sizeBytes, act.position + act.bytes.length);
    writeSectors(bytes, act.position, act.bytes, choice.write());
  }
  const row = rows[choice.sizes(rows.length) - 1] ?? file.row;
  if (sizeBytes <= room) return { bytes: bytes.subarray(0, sizeBytes), row };
  return { bytes: Buffer.concat([bytes, Buffer.alloc(sizeBytes - room)]), row };
}

function writeSectors(
  to: Buffer,
  position: number,
  bytes: Buffer,
  arrives: (sector: number) => boolean,
): void {
  for (let at = 0; at < bytes.length; ) {
    const sector = Math.floor((position + at) / SECTOR_BYTES);
    const next = Math.min(bytes.length, (sector + 1) * SECTOR_BYTES - position);
    if (arrives(sector)) bytes.copy(to, position + at, at, next);
    at = next;
  }
}

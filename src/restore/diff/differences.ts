/**
 * Walks two trees in parallel, in the order of names, and yields the differences. One directory of each tree is open
 * at a time, so memory is limited by the depth and width of the tree, not by its size.
 */
import { asTardisError, TardisError, throwIfAborted } from '../../errors/index.js';
import { virtualDirectory } from '../../history/index.js';
import {
  displayName,
  type Entry,
  EntryType,
  isDevice,
  lastComponent,
  pathBelow,
  SLASH_BYTES,
  splitPath,
} from '../../model/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import type { Contents } from './contents.js';
import { attributesOnDisk, isHidden, unreadable } from './disk-side.js';
import type { Seen, Side, Visit } from './side.js';

/** A property in which the two entries of a path differ. */
export type Aspect =
  | 'type'
  | 'content'
  | 'target'
  | 'device'
  | 'permissions'
  | 'owner'
  | 'time'
  | 'attributes'
  | 'links';

export interface Difference {
  readonly path: Buffer;
  readonly before: Seen | undefined;
  readonly after: Seen | undefined;
  /** Properties that differ; empty if only one side has the path. */
  readonly aspects: readonly Aspect[];
}

/** A path that could not be compared. */
export interface NotCompared {
  readonly path: Buffer;
  readonly error: TardisError;
}

export type Compared = Difference | NotCompared;

interface CompareRequest {
  readonly system: System;
  readonly before: Side;
  readonly after: Side;
  readonly contents: Pick<Contents, 'areSame'>;
  /** Absolute paths to compare, each with one path for each side. */
  readonly paths: readonly { readonly before: Buffer; readonly after: Buffer }[];
  /** True to compare the directories within the named ones as well. */
  readonly recurse: boolean;
  /** True to compare all entries in a directory that only one side has. */
  readonly entersOnly: boolean;
  /** True to compare permissions, owners, times and attributes as well. */
  readonly metadata: boolean;
  /** True to compare, with the metadata, which names belong to one file. */
  readonly hardLinks?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Pair {
  readonly before: Seen | undefined;
  readonly after: Seen | undefined;
  readonly depth: number;
}

/** Maximum number of directories at the top of the stack that are requested ahead. */
const TOP_AHEAD = 256;

export function isDifference(compared: Compared): compared is Difference {
  return 'aspects' in compared;
}

/** Yields the differences of two trees. Throws only errors that end the whole comparison, such as a lost connection. */
export async function* compareTrees(request: CompareRequest): AsyncGenerator<Compared, void> {
  const { before, after } = request;
  const roots = {
    before: new RootPaths(await before.roots()),
    after: new RootPaths(await after.roots()),
  };
  for (const paths of request.paths) yield* new Walk(request, roots, paths).run();
}

/** Paths of the roots of a side, and of all directories above them. */
class RootPaths {
  private readonly roots: ReadonlySet<string>;
  private readonly above = new Set<string>();

  constructor(paths: readonly Buffer[]) {
    this.roots = new Set(paths.map((path) => path.toString('latin1')));
    for (const names of paths.map(splitPath)) {
      for (let depth = 0; depth < names.length; depth += 1)
        this.above.add(pathBelow(SLASH_BYTES, names.slice(0, depth)).toString('latin1'));
    }
  }

  isRoot(path: Buffer): boolean {
    return this.roots.has(path.toString('latin1'));
  }

  isAbove(path: Buffer): boolean {
    return this.above.has(path.toString('latin1'));
  }
}

class Walk {
  private readonly breathe = yieldRegularly();

  constructor(
    private readonly request: CompareRequest,
    /** A path within a root of one side may be a root of its own on the other, or above one. */
    private readonly roots: Readonly<Record<'before' | 'after', RootPaths>>,
    private readonly paths: CompareRequest['paths'][number],
  ) {}

  /** Compares what is at the path of each side. Throws NO_SUCH_PATH if neither has an entry there, or a root below. */
  async *run(): AsyncGenerator<Compared, void> {
    const { paths } = this;
    const { before, after } = this.request;
    const found = [await before.find(paths.before), await after.find(paths.after)] as const;
    const isNowhere = found.every((one) => one === undefined);
    const start = {
      before: isNowhere ? this.wayTo('before', paths.before) : found[0],
      after: isNowhere ? this.wayTo('after', paths.after) : found[1],
      depth: 0,
    };
    if ((start.before ?? start.after) === undefined) throw nowhere(paths.before);
    yield* this.from(start);
  }

  private async *from(start: Pair): AsyncGenerator<Compared, void> {
    const { signal } = this.request;
    const stack: Pair[] = [];
    yield* this.compare(start, stack);
    while (stack.length > 0) {
      throwIfAborted(signal);
      await this.breathe();
      this.comeNext(stack);
      const pair = stack.pop()!;
      const below: Pair[] = [];
      yield* this.enter(pair, below);
      for (const next of below.toReversed()) stack.push(next);
    }
  }

  private comeNext(stack: readonly Pair[]): void {
    const { before, after } = this.request;
    const top = stack.slice(-TOP_AHEAD);
    before.comeNext(top.flatMap((pair) => this.visitOf(pair, 'before') ?? []));
    after.comeNext(top.flatMap((pair) => this.visitOf(pair, 'after') ?? []));
  }

  /** Returns the directory of a side to list: also one that the side has only above its roots. */
  private visitOf(pair: Pair, side: 'before' | 'after'): Visit | undefined {
    const [own, twin] = side === 'before' ? [pair.before, pair.after] : [pair.after, pair.before];
    const directory = isDirectory(own) ? own : this.wayTo(side, pathOf(pair));
    if (directory === undefined) return undefined;
    const isAboveRoot = Object.values(this.roots).some((roots) => roots.isAbove(directory.path));
    return { directory, twin, isAboveRoot };
  }

  /** True if both sides are compared at one path, so that each path has the same place on both. */
  private get isOnePath(): boolean {
    return this.paths.before.equals(this.paths.after);
  }

  /** Returns a directory in place of one that a side does not have, if it has a root below. */
  private wayTo(side: 'before' | 'after', path: Buffer): Seen | undefined {
    if (!this.isOnePath || !this.roots[side].isAbove(path)) return undefined;
    const entry = virtualDirectory(lastComponent(path), 0);
    return { path, entry, stored: entry };
  }

  /** Compares the names of both directories in parallel. */
  private async *enter(pair: Pair, below: Pair[]): AsyncGenerator<Compared, void> {
    const before = new Names(this.request.before, this.visitOf(pair, 'before'));
    const after = new Names(this.request.after, this.visitOf(pair, 'after'));
    const depth = isOnlyWay(pair.before ?? pair.after) ? pair.depth : pair.depth + 1;
    try {
      await before.advance();
      await after.advance();
      while (before.current !== undefined || after.current !== undefined) {
        const order = orderOf(before.current, after.current);
        const next = {
          before: order <= 0 ? before.current : await this.rootAt('before', after.current!),
          after: order >= 0 ? after.current : await this.rootAt('after', before.current!),
          depth,
        };
        yield* this.compare(next, below);
        if (order <= 0) await before.advance();
        if (order >= 0) await after.advance();
        await this.breathe();
      }
    } catch (error) {
      yield { path: pathOf(pair), error: tolerable(error) };
    } finally {
      await before.close();
      await after.close();
    }
  }

  /** Returns the entry of a path that is a root on this side, although the path lies in a directory of the other side. */
  private async rootAt(side: 'before' | 'after', { path }: Seen): Promise<Seen | undefined> {
    return this.isOnePath && this.roots[side].isRoot(path)
      ? this.request[side].find(path)
      : undefined;
  }

  private async *compare(pair: Pair, below: Pair[]): AsyncGenerator<Compared, void> {
    const { depth } = pair;
    const path = pathOf(pair);
    const [before, after] = [pair.before, pair.after].map((seen) =>
      isOnlyWay(seen) ? undefined : seen,
    );
    try {
      const difference = await this.differenceOf(before, after);
      const { aspects } = difference;
      const isNone = before === undefined && after === undefined;
      const isOne = before === undefined || after === undefined;
      if (!isNone && (isOne || aspects.length > 0)) yield { path, ...difference };
      if (depth > 0 && !this.request.recurse) return;
      const isEither = isDirectory(pair.before) || isDirectory(pair.after);
      const isWay = isEither && (this.roots.before.isAbove(path) || this.roots.after.isAbove(path));
      if (isOne ? isWay || this.request.entersOnly : !aspects.includes('type')) {
        if (isEither) below.push(pair);
      } else if (!isOne && (isWay || this.request.entersOnly)) {
        if (isDirectory(before)) below.push({ before, after: undefined, depth });
        if (isDirectory(after)) below.push({ before: undefined, after, depth });
      }
    } catch (error) {
      yield { path, error: tolerable(error) };
    }
  }

  /** Returns the difference of two entries. If metadata are compared, an entry on the disk then has its attributes. */
  private async differenceOf(
    before: Seen | undefined,
    after: Seen | undefined,
  ): Promise<Omit<Difference, 'path'>> {
    const aspects = await this.aspectsOf(before, after);
    const hasMetadata = before !== undefined && after !== undefined && !aspects.includes('type');
    if (!this.request.metadata || !hasMetadata) return { before, after, aspects };
    const [had, has] = [this.withAttributes(before), this.withAttributes(after)];
    aspects.push(...metadataOf(had.entry, has.entry));
    const comparesLinks = this.request.hardLinks === true;
    if (comparesLinks && !haveSameNames(had.entry, has.entry)) aspects.push('links');
    return { before: had, after: has, aspects };
  }

  private async aspectsOf(before: Seen | undefined, after: Seen | undefined): Promise<Aspect[]> {
    for (const seen of [before, after]) {
      if (seen?.stored?.damage !== undefined) throw seen.stored.damage;
      if (seen !== undefined && isHidden(seen)) {
        throw unreadable(seen.path, Object.assign(new Error('no metadata'), { code: 'EACCES' }));
      }
    }
    if (before === undefined || after === undefined) return [];
    const [one, other] = [before.entry, after.entry];
    if (one.type !== other.type) return ['type'];
    const aspects: Aspect[] = [];
    if (one.type === EntryType.file) {
      if (!(await this.request.contents.areSame(before, after))) aspects.push('content');
    } else if (one.type === EntryType.symlink) {
      if (one.linkTarget?.equals(other.linkTarget ?? Buffer.alloc(0)) !== true) {
        aspects.push('target');
      }
    } else if (isDevice(one.type) && one.device !== other.device) aspects.push('device');
    return aspects;
  }

  private withAttributes(seen: Seen): Seen {
    if (seen.stored !== undefined) return seen;
    const attributes = attributesOnDisk(this.request.system, seen);
    return { ...seen, entry: { ...seen.entry, attributes } };
  }
}

function metadataOf(one: Entry, other: Entry): Aspect[] {
  const aspects: Aspect[] = [];
  if (one.permissions !== other.permissions) aspects.push('permissions');
  if (one.uid !== other.uid || one.gid !== other.gid) aspects.push('owner');
  // Times of directories are not compared, since they change with the entries.
  if (one.type !== EntryType.directory && one.mtimeNs !== other.mtimeNs) aspects.push('time');
  const [had, has] = [one.attributes, other.attributes];
  const isSame = had === undefined || has === undefined ? had === has : had.equals(has);
  if (!isSame) aspects.push('attributes');
  return aspects;
}

/** True if both entries certainly have the same further names, or both none. */
function haveSameNames(one: Entry, other: Entry): boolean {
  if (one.type === EntryType.directory || Math.max(one.linkCount, other.linkCount) <= 1)
    return true;
  return one.linkCount === other.linkCount && one.inode === other.inode;
}

/** Reads the names of a directory on one side, one after another. */
class Names {
  current: Seen | undefined;
  private readonly entries: AsyncGenerator<Seen, void> | undefined;

  constructor(side: Side, visit: Visit | undefined) {
    this.entries = visit === undefined ? undefined : side.entries(visit);
  }

  async advance(): Promise<void> {
    const next = await this.entries?.next();
    this.current = next === undefined || next.done === true ? undefined : next.value;
  }

  async close(): Promise<void> {
    await this.entries?.return();
  }
}

function orderOf(one: Seen | undefined, other: Seen | undefined): number {
  if (one === undefined) return 1;
  if (other === undefined) return -1;
  return Buffer.compare(one.entry.name, other.entry.name);
}

/** True if a set has a directory only above a root, without its metadata. */
function isOnlyWay(seen: Seen | undefined): boolean {
  const stored = isDirectory(seen) ? seen?.stored : undefined;
  return stored !== undefined && stored.childId === undefined && stored.damage === undefined;
}

function pathOf({ before, after }: Pair): Buffer {
  return (before ?? after)!.path;
}

function isDirectory(seen: Seen | undefined): boolean {
  return seen?.entry.type === EntryType.directory;
}

const OF_ONE_PATH: ReadonlySet<string> = new Set([
  'NO_ACCESS',
  'SOURCE_UNREADABLE',
  'CONTENT_DAMAGED',
  'RECORD_DAMAGED',
  'NOT_AUTHENTIC',
  'CATALOG_DAMAGED',
]);

/**
 * Returns the error if it concerns only one path, so that it can be reported. Throws any other error, which ends the
 * comparison.
 */
function tolerable(error: unknown): TardisError {
  const failure = asTardisError(error);
  if (OF_ONE_PATH.has(failure.code)) return failure;
  throw error;
}

function nowhere(path: Buffer): TardisError {
  return new TardisError('NO_SUCH_PATH', `neither side has "${displayName(path)}"`);
}

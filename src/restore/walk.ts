/**
 * Walking what is to be restored: the wanted paths and all below them, in the order of the catalog, as
 * far as it may be read and is not filtered out. What becomes of an entry is the visitor's affair.
 */
import {
  type Archive,
  type ArchiveEntry,
  noAccess,
  noSuchPath,
  type RootRecord,
  rootAbove,
} from '../archive/index.js';
import { TardisError, type WireError, throwIfAborted } from '../errors/index.js';
import {
  displayName,
  EntryType,
  isEntryName,
  joinPath,
  lastComponent,
  splitPath,
} from '../model/index.js';
import { ListingsAhead, PAGE_ENTRIES } from './listings-ahead.js';
import type { PathFilter } from './filter.js';

/** What of a set is wanted, and under which names. */
export interface Selection {
  readonly set: number;
  /** Absolute paths as they were backed up. */
  readonly paths: readonly Buffer[];
  /** Each keeps its whole path beneath the output; else only its last component. */
  readonly hierarchy?: boolean;
  /** False: directories come without what is in them. */
  readonly recurse?: boolean;
  readonly filter?: PathFilter | undefined;
}

/** A directory of the output. */
export interface OutputDirectory {
  /** Beneath the output; empty for the output itself. */
  readonly path: Buffer;
  readonly above: OutputDirectory | undefined;
  /** Undefined for one above the roots of the set, and for the output. */
  readonly entry: ArchiveEntry | undefined;
  /** The path as it was backed up. */
  readonly source: Buffer;
  /** Everything in it is included. */
  readonly isInside: boolean;
  /** Number of the root it belongs to. */
  readonly root: number;
}

/** What is to be made of one entry: `name` in `directory`; the name is empty for the output itself. */
export interface Visited<D extends OutputDirectory> {
  readonly entry: ArchiveEntry;
  readonly directory: D;
  readonly name: Buffer;
}

/** Where a walk leads to. */
export interface WalkVisitor<D extends OutputDirectory> {
  /** A directory of the output. It need not be made before something in it is. */
  directory(plain: OutputDirectory, above: D | undefined): D;
  /** Anything but a directory, or (`made`) a directory that is wanted itself. False: leave it. */
  visit(visited: Visited<D>, made: D | undefined): boolean;
  /** Before what is in a directory is visited, and right after that of the directory before it. */
  enter?(directory: D): void;
  leftOut(): void;
  failed(path: Buffer, error: WireError | Error): void;
  /** After each page of entries. */
  breathe(): Promise<void>;
}

const NO_NAME = Buffer.alloc(0);
const SLASH = 0x2f;

interface Wanted {
  readonly entry: ArchiveEntry;
  readonly path: Buffer;
  readonly root: number;
}

export class TreeWalk<D extends OutputDirectory> {
  private readonly archive: Archive;
  private readonly selection: Selection;
  private readonly visitor: WalkVisitor<D>;
  private readonly wanted: readonly Wanted[];
  private readonly roots: readonly RootRecord[];

  private constructor(
    archive: Archive,
    selection: Selection,
    visitor: WalkVisitor<D>,
    roots: readonly RootRecord[],
    wanted: readonly Wanted[],
  ) {
    this.archive = archive;
    this.selection = selection;
    this.visitor = visitor;
    this.roots = roots;
    this.wanted = wanted;
  }

  /** Finds what is wanted. Throws NO_SUCH_PATH, NO_ACCESS, USAGE before anything is visited. */
  static async over<D extends OutputDirectory>(
    archive: Archive,
    selection: Selection,
    visitor: WalkVisitor<D>,
  ): Promise<TreeWalk<D>> {
    const { set, hierarchy } = selection;
    const wanted: Wanted[] = [];
    const roots = await archive.roots(set);
    for (const path of outermost(selection.paths, hierarchy === true)) {
      const entry = splitPath(path).every(isEntryName) ? await archive.find(path, set) : undefined;
      if (entry === undefined) {
        throw await noSuchPath(archive, set, path);
      }
      if (!archive.access.mayRead(entry)) throw noAccess(path);
      wanted.push({ entry, path, root: rootAbove(roots, path)?.root.root ?? 0 });
    }
    return new TreeWalk(archive, selection, visitor, roots, wanted);
  }

  /** Yields after each page of entries that was visited. */
  async *run(signal?: AbortSignal): AsyncGenerator<void> {
    const { visitor } = this;
    const top = visitor.directory(
      {
        path: NO_NAME,
        above: undefined,
        entry: undefined,
        source: NO_NAME,
        isInside: false,
        root: 0,
      },
      undefined,
    );
    const shared = new Map<string, D>();
    const stack: D[] = [];
    const { set, filter, recurse } = this.selection;
    const isWholeTree = filter === undefined && recurse !== false;
    const listings = new ListingsAhead(this.archive, set, isWholeTree);
    for (const wanted of this.wanted.toReversed()) {
      const above = this.selection.hierarchy === true ? await this.way(top, wanted, shared) : top;
      const name = lastComponent(wanted.path);
      this.offer(wanted.entry, above, name, wanted.path, wanted.root, stack);
    }
    while (stack.length > 0) {
      const directory = stack.pop()!;
      visitor.enter?.(directory);
      const below: D[] = [];
      let after: Buffer = NO_NAME;
      for (;;) {
        throwIfAborted(signal);
        const page = await listings.page(directory.entry!.childId!, after);
        await visitor.breathe();
        for (const entry of page)
          this.offer(entry, directory, entry.name, undefined, directory.root, below);
        yield;
        if (page.length < PAGE_ENTRIES) break;
        after = page.at(-1)!.name;
      }
      for (const next of below.toReversed()) stack.push(next);
      listings.comeNext(stack);
    }
  }

  /** The directories above a path that keeps its hierarchy. */
  private async way(top: D, { path, root }: Wanted, shared: Map<string, D>): Promise<D> {
    let above = top;
    let source: Buffer = Buffer.from('/');
    for (const component of splitPath(path).slice(0, -1)) {
      source = joinPath(source, component);
      const key = source.toString('latin1');
      let directory = shared.get(key);
      if (directory === undefined) {
        const isKnown = rootAbove(this.roots, source) !== undefined;
        const entry = isKnown ? await this.archive.find(source, this.selection.set) : undefined;
        const plain = {
          path: joinPath(above.path, component),
          entry,
          source,
          isInside: false,
          root,
        };
        directory = this.visitor.directory({ ...plain, above }, above);
        shared.set(key, directory);
      }
      above = directory;
    }
    return above;
  }

  private offer(
    entry: ArchiveEntry,
    directory: D,
    name: Buffer,
    given: Buffer | undefined,
    root: number,
    stack: D[],
  ): void {
    const { filter, recurse } = this.selection;
    if (given === undefined && !isEntryName(name)) {
      // Nothing of it reaches a path, nor an archive that is unpacked elsewhere.
      const why = new TardisError('RECORD_DAMAGED', 'the store has an entry whose name is none');
      this.visitor.failed(joinPath(directory.path, name), why);
      return;
    }
    const isDirectory = entry.type === EntryType.directory;
    const source = given ?? (filter === undefined ? NO_NAME : joinPath(directory.source, name));
    const from = given?.subarray(0, given.lastIndexOf(SLASH)) ?? directory.source;
    const verdict = filter?.verdict(from, name, isDirectory, directory.isInside) ?? 'in';
    if (verdict === 'out') {
      this.visitor.leftOut();
      return;
    }
    if (!this.archive.access.mayRead(entry)) {
      const refused = joinPath(directory.path, name);
      this.visitor.failed(refused, noAccess(refused));
      return;
    }
    if (!isDirectory) {
      this.visitor.visit({ entry, directory, name }, undefined);
      return;
    }
    const isInside = verdict === 'in';
    const full = joinPath(directory.path, name);
    const plain = { path: full, above: directory, entry, source, isInside, root };
    const made = this.visitor.directory(plain, directory);
    if (isInside && !this.visitor.visit({ entry, directory, name }, made)) return;
    if (entry.childId !== undefined && recurse !== false) stack.push(made);
    else this.visitor.enter?.(made);
  }
}

/**
 * The paths without repetition; with their hierarchy, without those that lie below another. Throws
 * USAGE if two would get the same name.
 */
function outermost(paths: readonly Buffer[], hierarchy: boolean): Buffer[] {
  const unique = [...new Map(paths.map((path) => [path.toString('latin1'), path])).values()];
  if (hierarchy) {
    const isBelow = (path: Buffer, other: Buffer): boolean => {
      const top = splitPath(other);
      const parts = splitPath(path);
      return top.length < parts.length && top.every((part, index) => part.equals(parts[index]!));
    };
    return unique.filter((path) => !unique.some((other) => isBelow(path, other)));
  }
  const names = new Map<string, Buffer>();
  for (const path of unique) {
    const name = lastComponent(path);
    const other = names.get(name.toString('latin1'));
    if (other !== undefined) {
      throw new TardisError(
        'USAGE',
        `"${displayName(other)}" and "${displayName(path)}" would both become ` +
          `"${displayName(name)}"; --hierarchy keeps their whole paths`,
      );
    }
    names.set(name.toString('latin1'), path);
  }
  return unique;
}

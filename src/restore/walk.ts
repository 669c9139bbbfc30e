/**
 * Walks the selected paths and everything below them, in the order of the catalog. Entries that are damaged, not
 * readable, or rejected by the filter are left out. The visitor decides what happens with each other entry.
 */
import {
  circleAt,
  entriesAround,
  type History,
  type HistoryEntry,
  noAccess,
  noSuchPath,
  rootAbove,
  rootAt,
  type RootNode,
  type RootRecord,
  rootsOf,
  Unsaved,
} from '../history/index.js';
import {
  recordDamaged,
  TardisError,
  throwIfAborted,
  toWire,
  usageError,
  type WireError,
} from '../errors/index.js';
import {
  displayName,
  EntryType,
  isEntryName,
  joinPath,
  lastComponent,
  liesBelow,
  METADATA_FLAGS_AT,
  NO_BYTES,
  pathBelow,
  RowFlag,
  type SetNumber,
  SLASH,
  SLASH_BYTES,
  splitPath,
} from '../model/index.js';
import { ListingsAhead, PAGE_ENTRIES } from './listings-ahead.js';
import type { PathFilter } from './filter.js';
import type { RestoreFailure } from './progress.js';

/** The part of a set to restore, and its names in the output. */
export interface Selection {
  readonly set: SetNumber;
  /** Absolute paths in the backup. */
  readonly paths: readonly Buffer[];
  /** True to create the whole path of each selected entry beneath the output; otherwise only its last component. */
  readonly hierarchy?: boolean;
  /** False to restore directories without their entries. */
  readonly recurse?: boolean;
  readonly filter?: PathFilter | undefined;
}

/** Facts that a walk knows of a directory of the output. */
export interface DirectoryFacts {
  /** Empty for the output itself. */
  readonly name: Buffer;
  readonly above: OutputDirectory | undefined;
  /** Entry of the directory; undefined for a directory above the roots of the set, and for the output. */
  readonly entry: HistoryEntry | undefined;
  /** Path of the directory in the backup. */
  readonly source: Buffer;
  /** True if the filter includes everything in the directory. */
  readonly isInside: boolean;
  /** True for a directory above a selected path, which is created if it is missing, and not restored otherwise. */
  readonly isAbove?: boolean;
  /** Key of the device that the entries of the directory are on. */
  readonly device: string;
  /** The roots of the set in the directory and below it; undefined if there are none. */
  readonly roots?: RootNode | undefined;
}

/** Length up to which the path of a directory is held. Deep trees have paths of megabytes. */
const HELD_PATH_BYTES = 1024;
/** The longer path that was made last, since the entries of a directory follow one another. */
let lastMade: { readonly of: OutputPath; readonly path: Buffer } | undefined;

/** A path relative to the output; empty for the output itself. A long one is made again each time when it is used. */
export class OutputPath {
  private readonly lengthBytes: number;
  private readonly held: Buffer | undefined;
  /** The last name of a long path; `above` is the rest. */
  private readonly name: Buffer | undefined;
  private readonly above: OutputPath | undefined;

  constructor(name: Buffer, above: OutputPath | undefined) {
    this.lengthBytes = name.length + (above === undefined ? 0 : above.lengthBytes + 1);
    if (above === undefined) this.held = name;
    else if (this.lengthBytes <= HELD_PATH_BYTES) this.held = joinPath(above.path, name);
    else {
      this.name = Buffer.from(name); // the given one is a view of a whole listing
      this.above = above;
    }
  }

  get path(): Buffer {
    return this.known ?? OutputPath.make(this);
  }

  private static make(of: OutputPath): Buffer {
    const names: Buffer[] = [];
    let top = of;
    for (; top.known === undefined; top = top.above!) names.push(top.name!);
    const path = pathBelow(top.known, names.reverse());
    lastMade = { of, path };
    return path;
  }

  private get known(): Buffer | undefined {
    return this.held ?? (lastMade?.of === this ? lastMade.path : undefined);
  }
}

/** A directory of the output. */
export class OutputDirectory implements DirectoryFacts {
  readonly name: Buffer;
  readonly above: OutputDirectory | undefined;
  readonly entry: HistoryEntry | undefined;
  readonly source: Buffer;
  readonly isInside: boolean;
  readonly isAbove: boolean;
  readonly device: string;
  readonly roots: RootNode | undefined;
  /** The path; it may be held without what else is known of the directory. */
  readonly at: OutputPath;

  constructor(facts: DirectoryFacts) {
    const { name, above, entry, source, isInside, isAbove, device, roots } = facts;
    this.name = name;
    this.above = above;
    this.entry = entry;
    this.source = source;
    this.isInside = isInside;
    this.isAbove = isAbove === true;
    this.device = device;
    this.roots = roots;
    this.at = new OutputPath(name, above?.at);
  }

  get path(): Buffer {
    return this.at.path;
  }
}

/** An entry to restore as `name` in `directory`. The name is empty for the output itself. */
export interface Visited<D extends OutputDirectory> {
  readonly entry: HistoryEntry;
  readonly directory: D;
  readonly name: Buffer;
  /** Key for the device that the entry is on. */
  readonly device: string;
}

/** Receives the entries of a walk. */
export interface WalkVisitor<D extends OutputDirectory> {
  /**
   * Returns the visitor's object for a directory of the output. The directory need not be created before an entry in
   * it is.
   */
  directory(plain: DirectoryFacts): D;
  /**
   * Handles an entry that the filter includes. `made` is the visitor's object for it, if it is a directory. Returns
   * false to skip the entries of a directory. A directory that is only passed on the way to included entries is not
   * visited.
   */
  visit(visited: Visited<D>, made: D | undefined): boolean;
  /**
   * Called before the entries of a directory are visited, directly after the last entry of the previous directory.
   */
  enter?(directory: D): void;
  leftOut(): void;
  failed(path: Buffer, error: WireError | Error): void;
  /** Called for each page of entries; may yield to other work. */
  breathe(): Promise<void>;
}

/**
 * Codes of errors that concern a single listing, which is damaged or not the client's. They do not end the walk
 * through other listings.
 */
const OF_ONE_LISTING: ReadonlySet<string> = new Set([
  'NOT_AUTHENTIC',
  'RECORD_DAMAGED',
  'CATALOG_DAMAGED',
]);

/** True if an error concerns a single listing, so that the walk can continue. */
export function isOfOneListing(error: unknown): error is TardisError {
  return error instanceof TardisError && OF_ONE_LISTING.has(error.code);
}

interface Wanted {
  readonly entry: HistoryEntry;
  readonly path: Buffer;
  readonly device: string;
}

export class TreeWalk<D extends OutputDirectory> {
  /** The visited entries, or names in visited directories, that the backup of the set could not save as they were. */
  readonly unsaved: RestoreFailure[] = [];
  private notes: Unsaved | undefined;

  private constructor(
    private readonly history: History,
    private readonly selection: Selection,
    private readonly visitor: WalkVisitor<D>,
    private readonly found: {
      readonly roots: readonly RootRecord[];
      readonly tree: RootNode;
      readonly wanted: readonly Wanted[];
    },
  ) {}

  /** Looks up the selected paths. Throws NO_SUCH_PATH, NO_ACCESS, USAGE before anything is visited. */
  static async over<D extends OutputDirectory>(
    history: History,
    selection: Selection,
    visitor: WalkVisitor<D>,
  ): Promise<TreeWalk<D>> {
    const { set, hierarchy } = selection;
    const wanted: Wanted[] = [];
    const roots = await history.roots(set);
    const devices = new Devices(history, set, roots);
    for (const path of outermost(selection.paths, hierarchy === true)) {
      const entry = splitPath(path).every(isEntryName) ? await history.find(path, set) : undefined;
      if (entry === undefined) {
        throw await noSuchPath(history, set, path);
      }
      if (!history.access.mayRead(entry)) throw noAccess(path);
      const device = roots.length > 1 ? await devices.above(path) : 'one';
      wanted.push({ entry, path, device });
    }
    const tree = await rootsOf(history, set, roots);
    return new TreeWalk(history, selection, visitor, { roots, tree, wanted });
  }

  /** Visits the entries, and yields after each page of them. */
  async *run(signal?: AbortSignal): AsyncGenerator<void> {
    const { visitor } = this;
    const { set, filter, recurse } = this.selection;
    // The root `/` is the output itself, which does not get its metadata.
    const whole = this.found.wanted.find(({ path }) => lastComponent(path).length === 0);
    const top = visitor.directory({
      name: NO_BYTES,
      above: undefined,
      entry: whole?.entry,
      source: whole === undefined ? NO_BYTES : SLASH_BYTES,
      isInside: whole !== undefined && filter === undefined,
      device: whole?.device ?? '',
      roots: whole && this.found.tree,
    });
    const shared = new Map<string, D>();
    const stack: D[] = [];
    const isWholeTree = filter === undefined && recurse !== false;
    this.notes = await this.readNotes();
    const listings = new ListingsAhead(this.history, set, isWholeTree);
    for (const wanted of this.found.wanted.toReversed()) {
      const above = this.selection.hierarchy === true ? await this.way(top, wanted, shared) : top;
      const name = lastComponent(wanted.path);
      const onWay = await this.notes?.onWayTo(wanted.path);
      if (onWay !== undefined) this.addUnsaved(joinPath(above.path, name), onWay);
      if (wanted !== whole) this.offer({ ...wanted, directory: above, name }, wanted.path, stack);
      else if (recurse !== false) stack.push(top);
    }
    while (stack.length > 0) {
      const directory = stack.pop()!;
      visitor.enter?.(directory);
      const below: D[] = [];
      let after: Buffer = NO_BYTES;
      for (;;) {
        throwIfAborted(signal);
        const page = await this.page(listings, directory, after);
        await visitor.breathe();
        for (const entry of page) {
          const { name } = entry;
          this.offer({ entry, directory, name, device: directory.device }, undefined, below);
        }
        yield;
        if (directory.roots !== undefined || page.length < PAGE_ENTRIES) break;
        after = page.at(-1)!.name;
      }
      this.addAbsent(directory);
      for (const next of below.toReversed()) stack.push(next);
      listings.comeNext(stack);
    }
  }

  /** Returns the notes of the set. Notes that are damaged or not authentic are reported, and undefined is returned. */
  private async readNotes(): Promise<Unsaved | undefined> {
    try {
      return await Unsaved.of(this.history, this.selection.set);
    } catch (error) {
      if (!isOfOneListing(error)) throw error;
      this.addUnsaved(NO_BYTES, error);
      return undefined;
    }
  }

  private addUnsaved(path: Buffer, error: TardisError): void {
    this.unsaved.push({ path, error: toWire(error), digest: undefined });
  }

  /** Adds the names in a directory that the backup could not save, and that are not in the set. */
  private addAbsent(directory: D): void {
    const { entry, source, isInside } = directory;
    if (entry?.childId === undefined) return; // the directory is only above a root
    for (const { name, error } of this.notes?.takeAbsent(entry.childId) ?? []) {
      const verdict = this.selection.filter?.verdict(source, name, false, isInside) ?? 'in';
      if (verdict === 'in') this.addUnsaved(joinPath(directory.path, name), error);
    }
  }

  /** Returns a page of a directory. A listing that is damaged or not authentic is reported, and its page is empty. */
  private async page(
    listings: ListingsAhead,
    directory: D,
    after: Buffer,
  ): Promise<HistoryEntry[]> {
    const { roots: node } = directory;
    const { childId } = directory.entry ?? {};
    const shown = { set: this.selection.set, openedAtMs: 0 };
    try {
      if (node === undefined) return await listings.page(childId!, after);
      return await entriesAround(this.history, shown, { id: childId ?? -1, node });
    } catch (error) {
      if (!isOfOneListing(error)) throw error;
      this.visitor.failed(directory.path, error);
      return [];
    }
  }

  /**
   * Returns the output directory for a path whose hierarchy is kept. Creates the visitor's objects for all directories
   * above the entry.
   */
  private async way(top: D, { path, device }: Wanted, shared: Map<string, D>): Promise<D> {
    let above = top;
    let source: Buffer = Buffer.from('/');
    for (const component of splitPath(path).slice(0, -1)) {
      source = joinPath(source, component);
      const key = source.toString('latin1');
      let directory = shared.get(key);
      if (directory === undefined) {
        const isKnown = rootAbove(this.found.roots, source) !== undefined;
        const entry = isKnown ? await this.history.find(source, this.selection.set) : undefined;
        const plain = { name: component, above, entry, source, device };
        directory = this.visitor.directory({ ...plain, isInside: false, isAbove: true });
        shared.set(key, directory);
      }
      above = directory;
    }
    return above;
  }

  /**
   * Checks and filters an entry, then passes it to the visitor. `given` is the path of an entry that was selected
   * itself.
   */
  private offer(
    { entry: listed, directory, name, device: own }: Visited<D>,
    given: Buffer | undefined,
    stack: D[],
  ): void {
    const { filter, recurse } = this.selection;
    // A set shows a root in place of what the directory above it has there.
    const node =
      given === undefined
        ? directory.roots?.children.get(name.toString('latin1'))
        : rootAt(this.found.tree, given);
    const entry = node?.entry ?? listed;
    const device = given === undefined ? node?.device || own : own;
    if (given === undefined && !isEntryName(name)) {
      // Such a name must not become part of a path here, or where an archive is unpacked.
      const why = recordDamaged('the store has an entry with an invalid name');
      this.visitor.failed(joinPath(directory.path, name), why);
      return;
    }
    const damage = entry.damage ?? circleAt(entry, directory);
    if (damage !== undefined) {
      this.visitor.failed(joinPath(directory.path, name), damage);
      return;
    }
    const isDirectory = entry.type === EntryType.directory;
    const source = given ?? (filter === undefined ? NO_BYTES : joinPath(directory.source, name));
    const from = given?.subarray(0, given.lastIndexOf(SLASH)) ?? directory.source;
    const verdict = filter?.verdict(from, name, isDirectory, directory.isInside) ?? 'in';
    if (verdict === 'out' || verdict === 'elsewhere') {
      if (verdict === 'out') this.visitor.leftOut();
      return;
    }
    const unsaved = this.notes?.take(entry);
    if (unsaved !== undefined) this.addUnsaved(joinPath(directory.path, name), unsaved);
    if (!this.history.access.mayRead(entry)) {
      const refused = joinPath(directory.path, name);
      if (unsaved === undefined) this.visitor.failed(refused, noAccess(refused));
      return;
    }
    if (!isDirectory) {
      this.visitor.visit({ entry, directory, name, device }, undefined);
      return;
    }
    const isInside = verdict === 'in';
    const isAbove = node !== undefined && entry.childId === undefined;
    const made = this.visitor.directory({
      name,
      above: directory,
      entry: isAbove ? undefined : entry,
      source,
      isInside,
      isAbove,
      device: deviceIn(entry, device),
      roots: node?.children.size === 0 ? undefined : node,
    });
    const visited = { entry, directory, name, device };
    if (isInside && !isAbove && !this.visitor.visit(visited, made)) return;
    if ((isAbove || entry.childId !== undefined) && recurse !== false) stack.push(made);
    else this.visitor.enter?.(made);
  }
}

/** Returns the paths without duplicates. With `hierarchy`, paths below other ones are left out too. Throws USAGE. */
function outermost(paths: readonly Buffer[], hierarchy: boolean): Buffer[] {
  const unique = [...new Map(paths.map((path) => [path.toString('latin1'), path])).values()];
  if (hierarchy) {
    return unique.filter((path) => !unique.some((other) => liesBelow(path, other)));
  }
  requireDistinctNames(unique);
  return unique;
}

/** Throws USAGE if two different paths would get the same name in the output. */
export function requireDistinctNames(paths: readonly Buffer[]): void {
  const names = new Map<string, Buffer>();
  for (const path of paths) {
    const name = lastComponent(path);
    const other = names.get(name.toString('latin1'));
    if (other?.equals(path) === false) {
      throw usageError(
        `"${displayName(other)}" and "${displayName(path)}" would both become ` +
          `"${displayName(name)}"; --hierarchy keeps their whole paths`,
      );
    }
    names.set(name.toString('latin1'), path);
  }
}

/** Returns a key for the device of the entries in a directory. `above` is the key for the directory's own entry. */
export function deviceIn({ metadata, childId }: HistoryEntry, above: string): string {
  const isOther = (metadata[METADATA_FLAGS_AT]! & RowFlag.otherDevice) !== 0;
  return isOther ? `directory ${childId ?? 0}` : above;
}

/**
 * Determines the devices of a set's entries, since inodes can only be compared within one device. The set has the
 * device numbers of its roots. A directory that was the root of another file system counts as a device of its own.
 */
export class Devices {
  constructor(
    private readonly history: History,
    private readonly set: SetNumber,
    private readonly roots: readonly RootRecord[],
  ) {}

  /**
   * Returns a key for the device that a path is on. Looks up each directory between the path and its root. Returns an
   * empty key for a path below no root.
   */
  async above(path: Buffer): Promise<string> {
    const found = rootAbove(this.roots, path);
    if (found === undefined) return '';
    const { root, rest } = found;
    let device = root.device ? `device ${root.device}` : `root ${root.root}`;
    let at = root.path;
    for (const name of rest.slice(0, -1)) {
      at = joinPath(at, name);
      const entry = await this.history.find(at, this.set);
      if (entry !== undefined) device = deviceIn(entry, device);
    }
    return device;
  }
}

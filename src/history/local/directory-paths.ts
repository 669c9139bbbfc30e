/** Finds the paths of directories as of a set. */
import { type Catalog, type EntryPlace, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import {
  type DirectoryId,
  joinPath,
  type RootNumber,
  type SetNumber,
  SLASH_BYTES,
  splitRoot,
} from '../../model/index.js';
import type { Access } from './access.js';

interface PlacedDirectory {
  readonly path: Buffer;
  /** True if the reader may list the directory. */
  readonly mayList: boolean;
}

interface Reached extends PlacedDirectory {
  /** True if the reader may pass through the directory. */
  readonly maySearch: boolean;
}

/** Maximum depth of a directory, deeper than any path that a system accepts. */
const MAX_DEPTH = 2048;

export class DirectoryPaths {
  private readonly known = new Map<DirectoryId, Reached | undefined>();
  /** Places of all directories in the set; loaded only if directories were moved after it. */
  private moved: Map<DirectoryId, EntryPlace> | undefined;
  private readonly roots: ReadonlyMap<DirectoryId, { path: Buffer; root: RootNumber }>;

  constructor(
    private readonly catalog: Catalog,
    private readonly set: SetNumber,
    private readonly access: Access,
  ) {
    const roots = catalog.sets.rootsOf(set);
    this.roots = new Map(roots.map(({ directory, path, root }) => [directory, { path, root }]));
  }

  /** Returns the path of a directory; undefined if the set does not contain the directory. */
  of(directory: DirectoryId): PlacedDirectory | undefined {
    return this.reach(directory, 0);
  }

  private reach(directory: DirectoryId, depth: number): Reached | undefined {
    if (this.known.has(directory)) return this.known.get(directory);
    this.known.set(directory, undefined); // ends the recursion if a damaged catalog has a cycle
    const reached = depth > MAX_DEPTH ? undefined : this.look(directory, depth);
    this.known.set(directory, reached);
    return reached;
  }

  private look(directory: DirectoryId, depth: number): Reached | undefined {
    const { access, catalog, set } = this;
    const root = this.roots.get(directory);
    const place =
      root === undefined
        ? this.placeOf(directory)
        : { directory: ROOTS_DIRECTORY, name: Buffer.from(String(root.root)) };
    if (place === undefined) return undefined;
    const entry = catalog.entries.findAsOf(place.directory, place.name, set);
    if (entry?.childId !== directory) return undefined;
    const above = root === undefined ? this.reach(place.directory, depth + 1) : FREE;
    if (above === undefined) return undefined;
    const maySearch = above.maySearch && access.maySearch(entry);
    return {
      path: root === undefined ? joinPath(above.path, place.name) : splitRoot(root.path).directory,
      maySearch,
      mayList: above.maySearch && access.mayRead(entry),
    };
  }

  /**
   * Returns the place of a directory in the set: its last known place, unless it was moved after the set. Returns
   * undefined if the place is unknown.
   */
  private placeOf(directory: DirectoryId): EntryPlace | undefined {
    const { catalog, set } = this;
    const last = catalog.directories.location(directory);
    if (last === undefined) return undefined;
    const here = catalog.entries.findAsOf(last.parent, last.name, set);
    if (here?.childId === directory) return { directory: last.parent, name: last.name };
    this.moved ??= catalog.reports.placesIn(set);
    return this.moved.get(directory);
  }
}

const FREE: Reached = { path: SLASH_BYTES, mayList: true, maySearch: true };

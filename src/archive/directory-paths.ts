/** Where directories were as of a set. */
import { type Catalog, type EntryPlace, ROOTS_DIRECTORY } from '../catalog/index.js';
import type { Access } from './access.js';

export interface PlacedDirectory {
  readonly path: Buffer;
  /** Whether who asks may list it. */
  readonly mayList: boolean;
}

interface Reached extends PlacedDirectory {
  /** Whether he may go through it. */
  readonly maySearch: boolean;
}

/** Deeper than any path a system takes: a circle in a damaged catalog ends here. */
const MAX_DEPTH = 4096;
const SLASH = Buffer.from('/');

export class DirectoryPaths {
  private readonly known = new Map<number, Reached | undefined>();
  /** Only of a set since which directories were moved. */
  private moved: Map<number, EntryPlace> | undefined;
  private readonly roots: ReadonlyMap<number, { path: Buffer; root: number }>;
  private readonly catalog: Catalog;
  private readonly set: number;
  private readonly access: Access;

  constructor(catalog: Catalog, set: number, access: Access) {
    this.catalog = catalog;
    this.set = set;
    this.access = access;
    const roots = catalog.sets.rootsOf(set);
    this.roots = new Map(roots.map(({ directory, path, root }) => [directory, { path, root }]));
  }

  /** Undefined: the set does not have it. */
  of(directory: number): PlacedDirectory | undefined {
    return this.reach(directory, 0);
  }

  private reach(directory: number, depth: number): Reached | undefined {
    if (this.known.has(directory)) return this.known.get(directory);
    const reached = depth > MAX_DEPTH ? undefined : this.look(directory, depth);
    this.known.set(directory, reached);
    return reached;
  }

  private look(directory: number, depth: number): Reached | undefined {
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
      path: root?.path ?? below(above.path, place.name),
      maySearch,
      mayList: above.maySearch && access.mayRead(entry),
    };
  }

  /** Where it was last met, or, if it was moved since, where the set had it. */
  private placeOf(directory: number): EntryPlace | undefined {
    const { catalog, set } = this;
    const last = catalog.directories.location(directory);
    if (last === undefined) return undefined;
    const here = catalog.entries.findAsOf(last.parent, last.name, set);
    if (here?.childId === directory) return { directory: last.parent, name: last.name };
    this.moved ??= catalog.reports.placesIn(set);
    return this.moved.get(directory);
  }
}

const FREE: Reached = { path: SLASH, mayList: true, maySearch: true };

function below(path: Buffer, name: Buffer): Buffer {
  return Buffer.concat(path.equals(SLASH) ? [path, name] : [path, SLASH, name]);
}

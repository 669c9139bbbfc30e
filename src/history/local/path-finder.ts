/** Finds entries by their paths. The last directory is remembered, since the next path is often in it. */
import { type Catalog, type CatalogEntry, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import type { RootRecord } from '../../store/index.js';
import type { DirectoryId, RootNumber, SetNumber } from '../../model/index.js';
import { type Access, noAccess } from './access.js';
import { rootAbove } from './roots.js';

interface Remembered {
  readonly set: SetNumber;
  readonly root: RootNumber;
  /** Names from the root down to the directory. */
  readonly names: readonly Buffer[];
  readonly directory: DirectoryId;
}

export class PathFinder {
  private last: Remembered | undefined;
  private roots: { readonly set: SetNumber; readonly records: RootRecord[] } | undefined;

  constructor(
    private readonly catalog: Catalog,
    private readonly access: Access,
  ) {}

  /** Clears the cache. Call it when another read transaction begins, since the catalog may have changed. */
  forget(): void {
    this.last = undefined;
    this.roots = undefined;
  }

  /**
   * Returns the entry of a path as of a set; undefined if there is none. Throws NO_ACCESS if the reader may not search
   * a directory above it.
   */
  find(path: Buffer, set: SetNumber): CatalogEntry | undefined {
    const start = rootAbove(this.rootsOf(set), path);
    if (start === undefined) return undefined;
    const { entries } = this.catalog;
    const { root } = start.root;
    const name = start.rest.at(-1);
    if (name === undefined) {
      return entries.findAsOf(ROOTS_DIRECTORY, Buffer.from(String(root)), set);
    }
    const names = start.rest.slice(0, -1);
    const directory = this.remembered(set, root, names) ?? this.walk(path, set, { root, names });
    if (directory === undefined) return undefined;
    this.last = { set, root, names, directory };
    return entries.findAsOf(directory, name, set);
  }

  private rootsOf(set: SetNumber): RootRecord[] {
    if (this.roots?.set !== set) {
      this.roots = { set, records: this.catalog.sets.rootsOf(set) };
    }
    return this.roots.records;
  }

  private remembered(
    set: SetNumber,
    root: RootNumber,
    names: readonly Buffer[],
  ): DirectoryId | undefined {
    const { last } = this;
    if (last?.set !== set || last.root !== root || last.names.length !== names.length) {
      return undefined;
    }
    return names.every((name, index) => name.equals(last.names[index]!))
      ? last.directory
      : undefined;
  }

  /**
   * Returns the directory that the names lead to; undefined if one of them is no directory of the set. Throws NO_ACCESS
   * if the reader may not search a directory on the way.
   */
  private walk(
    path: Buffer,
    set: SetNumber,
    { root, names }: Pick<Remembered, 'root' | 'names'>,
  ): DirectoryId | undefined {
    let directory: DirectoryId = ROOTS_DIRECTORY;
    for (const name of [Buffer.from(String(root)), ...names]) {
      const entry = this.catalog.entries.findAsOf(directory, name, set);
      if (entry?.childId === undefined) return undefined;
      if (!this.access.maySearch(entry)) throw noAccess(path);
      directory = entry.childId;
    }
    return directory;
  }
}

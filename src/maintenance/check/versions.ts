/** Finds the versions of files that hold a content, with their paths and sets. */
import {
  type BackupSet,
  type CatalogAudit,
  type ContentVersion,
  ROOTS_DIRECTORY,
} from '../../store/catalog/index.js';
import type { NameSealer } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type ContentId,
  type DirectoryId,
  joinPath,
  type RootNumber,
  type SetNumber,
  splitRoot,
} from '../../model/index.js';
import { BoundedCache } from '../../system/index.js';
import type { VersionFinding } from './findings.js';

/** A path, and the first and the last set in which it leads to an entry. */
interface Way {
  readonly path: Buffer;
  /** The root at which the path begins. */
  readonly root: RootNumber;
  readonly from: SetNumber;
  readonly to: SetNumber;
}

/** A directory whose paths are being found. */
interface Step {
  readonly directory: DirectoryId;
  /** The entries that lead to the directory. */
  readonly entries: readonly ContentVersion[];
  next: number;
  readonly ways: Way[];
}

/** Maximum depth of a path. A deeper path is a circle in a damaged catalog. */
const MAX_DEPTH = 4096;
/** Number of directories whose paths are cached. */
const MAX_KNOWN = 4096;

export class VersionNames {
  private readonly sets: readonly BackupSet[];
  private readonly roots = new Map<RootNumber, { path: Buffer; sets: Set<SetNumber> }>();
  private readonly known = new BoundedCache<DirectoryId, readonly Way[]>(MAX_KNOWN);

  /**
   * Creates the search in a catalog. `names` opens the names of a client that encrypts. Without it, names are returned
   * as they are stored.
   */
  constructor(
    private readonly audit: CatalogAudit,
    private readonly names: NameSealer | undefined,
  ) {
    this.sets = audit.catalog.sets.listed();
    for (const { set } of this.sets) {
      for (const { root, path } of audit.catalog.sets.rootsOf(set)) {
        const known = this.roots.get(root);
        if (known === undefined) {
          this.roots.set(root, {
            path: splitRoot(this.openedPath(path)).directory,
            sets: new Set([set]),
          });
        } else known.sets.add(set);
      }
    }
  }

  /** Yields the versions with this content that a listed set shows. */
  *of(contentId: ContentId): Generator<Omit<VersionFinding, 'finding' | 'digest' | 'why'>> {
    for (const version of this.audit.versionsOf(contentId)) {
      const byPath = new Map<string, { path: Buffer; sets: Set<SetNumber> }>();
      const above = version.directory;
      const isRoot = above === ROOTS_DIRECTORY;
      const ways = isRoot ? [] : (this.known.get(above) ?? this.waysTo(above));
      for (const way of this.waysOf(version, ways)) {
        const sets = this.setsOf(way);
        if (sets.length === 0) continue;
        const key = way.path.toString('latin1');
        const known = byPath.get(key) ?? { path: way.path, sets: new Set() };
        for (const set of sets) known.sets.add(set);
        byPath.set(key, known);
      }
      const { firstSet, sizeBytes } = version;
      for (const { path, sets } of byPath.values()) {
        yield { path, sets: [...sets].sort((a, b) => a - b), firstSet, sizeBytes };
      }
    }
  }

  /** Returns the listed sets that show the entry at the end of a path. */
  private setsOf({ root, from, to }: Way): SetNumber[] {
    const shown = this.roots.get(root)?.sets ?? new Set();
    return this.sets
      .map(({ set }) => set)
      .filter((set) => set >= from && set <= to && shown.has(set));
  }

  /** Returns the paths of an entry, given those of its directory. */
  private waysOf(entry: ContentVersion, above: readonly Way[]): Way[] {
    const { directory, name, firstSet, lastSet } = entry;
    const to = lastSet ?? Infinity;
    if (directory === ROOTS_DIRECTORY) {
      const root = Number(name.toString('latin1'));
      const path = this.roots.get(root)?.path;
      return path === undefined ? [] : [{ path, root, from: firstSet, to }];
    }
    return above.flatMap((way) => {
      const [from, end] = [Math.max(way.from, firstSet), Math.min(way.to, to)];
      if (from > end) return [];
      const path = joinPath(way.path, this.openedName(name));
      return [{ path, root: way.root, from, to: end }];
    });
  }

  /**
   * Returns the paths of a directory. It does not call itself, since a path may have more names than the nested calls
   * that JavaScript allows. If directories form a circle, which only a damaged catalog has, no path leads through a
   * directory twice.
   */
  private waysTo(directory: DirectoryId): readonly Way[] {
    const open = new Set<DirectoryId>();
    const cut = new Set<DirectoryId>();
    const stack: Step[] = [];
    const enter = (below: DirectoryId): void => {
      open.add(below);
      stack.push({ directory: below, entries: this.audit.waysTo(below), next: 0, ways: [] });
    };
    enter(directory);
    /** The paths of the directory that was resolved last. */
    let found: { readonly directory: DirectoryId; readonly ways: readonly Way[] } | undefined;
    for (let step = stack.at(-1); step !== undefined; step = stack.at(-1)) {
      const entry = step.entries[step.next];
      if (entry === undefined) {
        stack.pop();
        open.delete(step.directory);
        found = step;
        this.known.set(step.directory, step.ways);
        continue;
      }
      const above = entry.directory;
      const isCut = open.has(above) || cut.has(above) || stack.length > MAX_DEPTH;
      if (isCut) cut.add(step.directory);
      const ways = found?.directory === above ? found.ways : this.known.get(above);
      if (ways === undefined && !isCut && above !== ROOTS_DIRECTORY) {
        enter(above);
        continue;
      }
      step.next += 1;
      step.ways.push(...this.waysOf(entry, ways ?? []));
    }
    for (const each of cut) this.known.delete(each); // a path from outside the circle may also lead to it
    return found!.ways;
  }

  private openedName(name: Buffer): Buffer {
    return this.opened(name, (names) => names.openName(name));
  }

  private openedPath(path: Buffer): Buffer {
    return this.opened(path, (names) => names.openPath(path));
  }

  /** Decrypts a name. Returns it unchanged if there are no keys, or if it cannot be decrypted. */
  private opened(sealed: Buffer, open: (names: NameSealer) => Buffer): Buffer {
    if (this.names === undefined) return sealed;
    try {
      return open(this.names);
    } catch (error) {
      if (error instanceof TardisError) return sealed;
      throw error;
    }
  }
}

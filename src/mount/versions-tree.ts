/**
 * `versions/PATH/`: the directory of a path that is in some set. It has a subdirectory for each name below the path.
 * It has one entry for each version of the path if the path was ever a file. Entries of versions keep their positions
 * while the kernel has a reference to this tree. They are named by the time and the name of the first set with that
 * version.
 */
import {
  type History,
  isKnownPath,
  named,
  namesIn,
  privateDirectory,
  provenVersion,
  type ShownVersion,
  versionName,
  versionsAt,
  virtualDirectory,
} from '../history/index.js';
import { joinPath, NO_BYTES, splitPath } from '../model/index.js';
import { BoundedCache, type FuseCalls } from '../system/index.js';
import { SHORT_SECONDS } from './entry-lifetimes.js';
import { inodeOf, inodeOfPath } from './inodes.js';
import { nodeHigh, nodeLow } from './node-ids.js';
import { type Dots, packPage } from './packing.js';
import type { LoadedPage } from './page-cache.js';
import { Errno, FuseError } from './protocol.js';
import type { PackedPage, ShownEntry, Tree } from './tree.js';

/**
 * Time for which a listing is kept for the requests of one reader; `MAX_LISTINGS` is the maximum number of kept
 * listings.
 */
const KEPT_MS = 2000;
const MAX_LISTINGS = 4;

interface VersionsOptions {
  readonly native: FuseCalls;
  readonly history: History;
  /** Number of the tree in node ids. */
  readonly tree: number;
  /** Returns the time shown for directories. The kernel caches their names until the time changes. */
  readonly changedMs: () => number;
  /** The user to whom versions are shown; undefined if they are shown to all who have access to the mount. */
  readonly onlyUser?: number | undefined;
}

interface PathNode {
  readonly path: Buffer;
  readonly parent: number;
  /** Positions of the versions, by their sets and places. A position is never used for another version. */
  readonly positions: Map<string, number>;
  readonly page: LoadedPage & { readonly entries: ShownEntry[] };
  /** First valid position: earlier positions are of versions in a catalog that was replaced. */
  firstValid: number;
}

interface Listing {
  readonly page: PackedPage;
  readonly madeMs: number;
}

export class VersionsTree implements Tree {
  readonly validSeconds = SHORT_SECONDS;
  lookups = 0;
  private nodes: PathNode[] = [newNode(Buffer.from('/'), 0)];
  private readonly numbers = new Map<string, number>();
  private readonly listings = new BoundedCache<number, Listing>(MAX_LISTINGS);

  constructor(private readonly options: VersionsOptions) {}

  private get history(): History {
    return this.options.history;
  }

  entryAt(directory: number, entry: number): ShownEntry {
    const node = this.node(directory);
    if (entry < 0) return this.shownDirectory(directory);
    const shown = node.page.entries[entry];
    if (shown === undefined || entry < node.firstValid) throw new FuseError(Errno.ESTALE);
    return shown;
  }

  pageOf(directory: number, entry: number): LoadedPage {
    this.entryAt(directory, entry);
    return this.node(directory).page;
  }

  async lookup(directory: number, name: Buffer): Promise<ShownEntry | undefined> {
    const { path } = this.node(directory);
    const below = joinPath(path, name);
    if (await isKnownPath(this.history, below))
      return this.shownDirectory(this.numberOf(below, directory));
    const versions = await this.versionsOf(directory);
    return versions.find(({ entry }) => entry.name.equals(name));
  }

  async page(directory: number, position: number): Promise<PackedPage | undefined> {
    const kept = this.listings.get(directory);
    const isFresh = kept !== undefined && performance.now() - kept.madeMs < KEPT_MS;
    if (position > 0 && isFresh) return kept.page;
    const names = await namesIn(this.history, this.node(directory).path);
    const directories = names.map((name) => ({
      entry: virtualDirectory(name, this.options.changedMs()),
      inode: inodeOfPath(joinPath(this.node(directory).path, name)),
      // Without a node, the kernel requests the entry when it needs more than the name.
      nodeLow: 0,
      nodeHigh: 0,
      storedBytes: undefined,
    }));
    const entries = [...directories, ...(await this.versionsOf(directory))];
    const dots = this.dots(directory);
    const page = packPage(this.options.native, { first: 0, entries }, dots, SHORT_SECONDS);
    this.listings.set(directory, { page, madeMs: performance.now() });
    return page;
  }

  private dots(directory: number): Dots {
    const { path, parent } = this.node(directory);
    return [inodeOfPath(path), inodeOfPath(this.node(parent).path)];
  }

  async pathOf(directory: number): Promise<Buffer> {
    return Buffer.concat([Buffer.from('/versions'), this.node(directory).path]);
  }

  /** Removes all paths, when the kernel has no reference left. */
  clear(): void {
    this.nodes = this.nodes.slice(0, 1);
    this.numbers.clear();
    this.listings.clear();
  }

  /**
   * Ends all versions: requests for them fail with ESTALE. Paths are kept, and their versions get other positions.
   */
  restart(): void {
    for (const node of this.nodes) {
      node.positions.clear();
      node.firstValid = node.page.entries.length;
    }
    this.listings.clear();
  }

  private node(directory: number): PathNode {
    const node = this.nodes[directory];
    if (node === undefined) throw new FuseError(Errno.ESTALE);
    return node;
  }

  private numberOf(path: Buffer, parent: number): number {
    const key = path.toString('latin1');
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.nodes.push(newNode(path, parent)) - 1;
      this.numbers.set(key, number);
    }
    return number;
  }

  private shownDirectory(directory: number): ShownEntry {
    const { path } = this.node(directory);
    const place = { tree: this.options.tree, directory, entry: -1 };
    const { changedMs, onlyUser } = this.options;
    const name = splitPath(path).at(-1) ?? NO_BYTES;
    // A version is shown without the directories that it was in, whose permissions other users would be subject to.
    const isPrivate = directory === 0 && onlyUser !== undefined;
    return {
      entry: isPrivate
        ? privateDirectory(name, changedMs(), onlyUser)
        : virtualDirectory(name, changedMs()),
      inode: inodeOfPath(path),
      nodeLow: nodeLow(place),
      nodeHigh: nodeHigh(place, true),
      storedBytes: undefined,
    };
  }

  /** Returns the versions of the file at the path of a directory, oldest first. */
  private async versionsOf(directory: number): Promise<ShownEntry[]> {
    const node = this.node(directory);
    if (node.parent === directory) return [];
    const all: ShownEntry[] = [];
    for (const one of await versionsAt(this.history, node.path)) {
      const position = node.positions.get(keyOf(one));
      const shown = position === undefined ? undefined : node.page.entries[position];
      all.push(shown ?? (await this.show(directory, node, one)));
    }
    return all;
  }

  /** Proves a version, and gives it a position. */
  private async show(directory: number, node: PathNode, one: ShownVersion): Promise<ShownEntry> {
    const { positions, page, path } = node;
    const entry = await provenVersion(this.history, path, one.version, one.set.set);
    const key = keyOf(one);
    let position = positions.get(key);
    if (position === undefined) {
      position = page.entries.length;
      positions.set(key, position);
      const place = { tree: this.options.tree, directory, entry: position };
      const isDamaged = entry.damage !== undefined;
      page.entries.push({
        entry: named(entry, versionName(one.set)),
        inode: inodeOf(entry.firstSet, entry.directory, entry, ''),
        nodeLow: isDamaged ? 0 : nodeLow(place),
        nodeHigh: isDamaged ? 0 : nodeHigh(place, entry.attributes === undefined),
        storedBytes: undefined,
      });
    }
    return page.entries[position]!;
  }
}

/**
 * Returns the key of a version in the map of positions. A set that becomes complete gets another key, so that the
 * version is proven again.
 */
function keyOf({ version: { entry, firstSet }, set: { state } }: ShownVersion): string {
  return `${state}/${firstSet}/${entry.directory}/${entry.firstSet}`;
}

function newNode(path: Buffer, parent: number): PathNode {
  const page = {
    first: 0,
    entries: [],
    isLast: true,
    isSorted: false,
    packed: undefined,
    contents: [],
  };
  return { path, parent, positions: new Map(), page, firstValid: 0 };
}

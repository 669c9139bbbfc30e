/**
 * Places orphans in the catalog. An orphan is a directory whose entries survived a rebuild from packs with holes, but
 * whose own entry is lost. Each orphan gets a place in `lost+found` below its own root, by listings like those of a
 * session. So it can be listed and restored. The next backup closes that place again.
 */
import { Catalog, hasLog, ROOTS_DIRECTORY, soundOr } from '../../store/catalog/index.js';
import {
  BytesBuilder,
  type DirectoryId,
  newDirectoryRow,
  type RootNumber,
  RowReader,
  type SetNumber,
} from '../../model/index.js';
import {
  type ClientDirectory,
  isOfLog,
  listPacks,
  packName,
  readListing,
  readRecord,
  recordBytes,
  RecordKind,
  type RootRecord,
  scanPack,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { type StoreLimits, type StoreWriter, withWriter } from '../../store/writer/index.js';
import { SetJournal } from '../../store/writer/index.js';

/**
 * Name of the directory for orphans below a root. If a backup has a directory of this name, the new one gets a number.
 */
export const LOST_AND_FOUND = 'lost+found';
const PERMISSIONS = 0o700;
const ROW_HINT_BYTES = 128;
/** Number of entries written between two checkpoints. */
const CHECKPOINT_ENTRIES = 65_536;

/** A root, and the number of the first listed set that contains it. */
interface RootPlace extends RootRecord {
  readonly set: SetNumber;
}

/**
 * Places all orphans, and returns their number. Throws CLIENT_BUSY if the client is in use, and the errors of opening
 * it.
 */
export async function placeOrphans(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
): Promise<number> {
  if (!hasOrphans(system, directory)) return 0;
  return withWriter(system, directory, limits, (store) =>
    new Placing(store, system.clock.nowMs()).run(),
  );
}

function hasOrphans(system: System, { catalogPath }: ClientDirectory): boolean {
  return Catalog.reading(system, catalogPath, ({ history }) => history.orphans(1).length > 0);
}

class Placing {
  private readonly roots: readonly RootPlace[];
  private readonly journals = new Map<SetNumber, SetJournal>();

  constructor(
    private readonly store: StoreWriter,
    private readonly nowMs: number,
  ) {
    this.roots = rootsIn(store.catalog);
  }

  async run(): Promise<number> {
    const { catalog } = this.store;
    for (const root of this.roots) {
      const name = Buffer.from(String(root.root));
      const isKnown = catalog.entries.versions(ROOTS_DIRECTORY, name).length > 0;
      if (!isKnown) this.put(root, ROOTS_DIRECTORY, name, root.directory);
    }
    const placed = await this.placeAll();
    await this.checkpoint();
    return placed;
  }

  private async placeAll(): Promise<number> {
    const { catalog } = this.store;
    const [first] = this.roots;
    if (first === undefined) return 0;
    const byNumber = new Map(this.roots.map((root) => [root.root, root]));
    const found = new Map<RootPlace, DirectoryId>();
    for (let placed = 0; ; ) {
      const orphans = catalog.history.orphans(CHECKPOINT_ENTRIES);
      if (orphans.length === 0) return placed;
      const rootOf = await rootsOf(this.store, orphans);
      for (const orphan of orphans) {
        const root = byNumber.get(rootOf.get(orphan) ?? 0) ?? first;
        const directory = found.get(root) ?? this.makeLostAndFound(root);
        found.set(root, directory);
        this.put(root, directory, Buffer.from(`directory-${orphan}`), orphan);
        placed += 1;
      }
      await this.checkpoint();
    }
  }

  private async checkpoint(): Promise<void> {
    for (const journal of this.journals.values()) await journal.checkpoint();
  }

  private makeLostAndFound(root: RootPlace): DirectoryId {
    const { catalog, counters } = this.store;
    const isTaken = (name: string): boolean =>
      catalog.entries.versions(root.directory, Buffer.from(name)).length > 0;
    let name = LOST_AND_FOUND;
    for (let n = 2; isTaken(name); n += 1) name = `${LOST_AND_FOUND}-${n}`;
    counters.directory += 1;
    const { directory } = counters;
    this.put(root, root.directory, Buffer.from(name), directory);
    return directory;
  }

  /** Writes the entry of a directory, from the first set of its root on. */
  private put(root: RootPlace, parent: DirectoryId, name: Buffer, child: DirectoryId): void {
    const { directories } = this.store.catalog;
    const rows = new BytesBuilder(ROW_HINT_BYTES);
    // 0 stands in for the unknown owner.
    const owner = { name, permissions: PERMISSIONS, uid: 0, gid: 0 };
    rows.append(newDirectoryRow(owner, this.nowMs));
    const place = { root: root.root, directory: parent, isNew: true };
    const ids = { contentId: undefined, childId: child };
    this.journalOf(root.set).put(place, new RowReader(rows.view()), 0, ids);
    const identity = { root: root.root, parent, name, inode: 0n, birthTimeNs: 0n };
    if (directories.exists(child)) directories.place(child, identity);
    else directories.add(child, identity);
  }

  private journalOf(set: SetNumber): SetJournal {
    const journal = this.journals.get(set) ?? new SetJournal(this.store, set);
    this.journals.set(set, journal);
    return journal;
  }
}

/**
 * Returns the root numbers of the directories; a directory whose root is not found is left out. A catalog has these
 * numbers only for directories that have an entry. For the others, the listings in the packs are searched.
 */
export async function rootsOf(
  { catalog, backend }: Pick<StoreWriter, 'catalog' | 'backend'>,
  directories: readonly DirectoryId[],
): Promise<ReadonlyMap<DirectoryId, RootNumber>> {
  const roots = new Map<DirectoryId, RootNumber>();
  const unknown = new Set<DirectoryId>();
  for (const directory of directories) {
    const root = catalog.history.rootOf(directory);
    if (root > 0) roots.set(directory, root);
    else unknown.add(directory);
  }
  if (unknown.size === 0) return roots;
  for (const pack of await listPacks(backend)) {
    if (hasLog(backend) && !isOfLog(pack)) continue; // a pack that is not part of the log has contents only
    for await (const { header, position } of scanPack(backend, pack, 0)) {
      if (header.kind !== RecordKind.listing) continue;
      // The rebuild has already counted the damage of a listing.
      const sections = await soundOr([], async () =>
        readListing(await readRecord(backend, packName(pack), position, recordBytes(header))),
      );
      for (const { directory, root } of sections) {
        if (unknown.delete(directory)) roots.set(directory, root);
      }
    }
    if (unknown.size === 0) break;
  }
  return roots;
}

/** Returns the roots of all listed sets, each with the number of the first set that contains it. */
function rootsIn({ sets }: Catalog): RootPlace[] {
  const roots = new Map<RootNumber, RootPlace>();
  for (const { set } of sets.listed()) {
    for (const root of sets.rootsOf(set)) {
      if (!roots.has(root.root)) roots.set(root.root, { ...root, set });
    }
  }
  return [...roots.values()];
}

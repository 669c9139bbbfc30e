/**
 * Seals the sets of the new generation. If the old generation has seals, each set is first checked with them. So a set
 * that the store has altered gets no seal of the new keys. If there are no old seals, sets are sealed as they are in
 * the store.
 */
import { type History, EntryOpener, type ProvenSet, ProvenSets } from '../../history/index.js';
import {
  type BackupSet,
  type Catalog,
  type CatalogEntry,
  ROOTS_DIRECTORY,
} from '../../store/catalog/index.js';
import { type Keyring, ownSetSeal, SealSum } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  listAt,
  NO_BYTES,
  NO_SEAL,
  type RootNumber,
  sealIn,
  type SetNumber,
} from '../../model/index.js';
import type { StoreWriter, SetJournal } from '../../store/writer/index.js';
import type { RootRecord } from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { OldGeneration } from './old-generation.js';

interface Child {
  readonly directory: DirectoryId;
  /** Name of the directory, sealed with the new keys. */
  readonly name: Buffer;
}

/** A directory on the path from a root to a directory of a set. */
interface Way {
  readonly directory: DirectoryId;
  readonly place: Buffer;
  /** Place of the directory under the old keys. */
  readonly oldPlace: Buffer;
}

interface Met extends Way {
  /** Seal of the directory's listing under the old keys, if there is one. */
  readonly expected: Buffer | undefined;
  /** True if the client read the directory in this set. */
  readonly isLookedAt: boolean;
}

/** Seals of a proven listing in both generations, valid until the listing changes. */
interface ProvenListing {
  readonly old: Buffer;
  readonly fresh: Buffer;
}

export class HistorySeals {
  private readonly listings = new Map<DirectoryId, ProvenListing>();
  private readonly opener: EntryOpener;
  private readonly proven: ProvenSets | undefined;
  private readonly store: StoreWriter;
  private readonly keyring: Keyring;

  /** Creates the sealing of sets. `history` is the history of the old generation, whose names are still sealed. */
  constructor(
    native: NativeCalls,
    private readonly old: OldGeneration,
    {
      history,
      store,
      keyring,
    }: { readonly history: History; readonly store: StoreWriter; readonly keyring: Keyring },
  ) {
    this.store = store;
    this.keyring = keyring;
    this.opener = new EntryOpener(keyring, native);
    this.proven = old.keyring && new ProvenSets(history, old.keyring);
  }

  /** Forgets the proven listings of directories that a set without a seal changed. */
  changed(directories: readonly DirectoryId[]): void {
    for (const directory of directories) this.listings.delete(directory);
  }

  /**
   * Seals a set whose entries are complete. `roots` are sealed; `changed` are the directories that the set changed.
   * Throws NOT_AUTHENTIC if the set in the old generation does not match its seals, and STORE_ROLLED_BACK if the store
   * is older than this machine has seen.
   */
  async seal(
    journal: SetJournal,
    set: BackupSet,
    roots: readonly RootRecord[],
    changed: readonly DirectoryId[],
  ): Promise<void> {
    this.changed(changed);
    const { store } = this;
    const proven = await this.proven?.of(set.set);
    const seals: Buffer[] = [];
    const looked = new Set<DirectoryId>();
    for (const { directory, place, expected, isLookedAt } of this.meet(roots, proven)) {
      if (!isLookedAt) {
        journal.seal(directory, undefined); // the client did not read the directory in this set
        continue;
      }
      looked.add(directory);
      const listing = this.listingOf(set.set, directory, expected);
      const seal = Buffer.concat([place, listing], DIRECTORY_SEAL_BYTES);
      seals.push(seal);
      journal.seal(directory, seal);
    }
    for (const { root } of roots) {
      for (const directory of store.catalog.seals.openOf(root)) {
        if (!looked.has(directory)) journal.seal(directory, undefined);
      }
    }
    this.put(journal, set, { roots, looked, seals: Buffer.concat(seals) });
  }

  /**
   * Returns the directories of a set, each once. The catalog may show a directory at two places, if it was moved out of
   * an unreadable directory. Then the place that the old generation has sealed is returned. Throws NOT_AUTHENTIC if
   * both places are sealed.
   */
  private meet(roots: readonly RootRecord[], proven: ProvenSet | undefined): Iterable<Met> {
    const children = childrenIn(this.store.catalog);
    const oldPlaces = new Map(proven?.roots.map(({ root, place }) => [root, place]));
    const met = new Map<DirectoryId, Met>();
    for (const { root, directory, path } of roots) {
      const place = this.keyring.tree.rootPlace(path);
      const ways: Way[] = [{ directory, place, oldPlace: oldPlaces.get(root) ?? NO_BYTES }];
      for (let way = ways.pop(); way !== undefined; way = ways.pop()) {
        const expected = proven?.listingAt(way.oldPlace);
        const isLookedAt = proven === undefined || expected !== undefined;
        const known = met.get(way.directory);
        if (known !== undefined && (known.isLookedAt || !isLookedAt)) {
          if (proven !== undefined && known.isLookedAt && isLookedAt) throw inTwoPlaces();
          continue;
        }
        met.set(way.directory, { ...way, expected, isLookedAt });
        ways.push(...this.below(way, children.get(way.directory) ?? []));
      }
    }
    return met.values();
  }

  private below({ place, oldPlace }: Way, children: readonly Child[]): Way[] {
    const { tree, names } = this.keyring;
    const former = this.old.keyring;
    return children.map(({ directory, name }) => ({
      directory,
      place: tree.place(place, name),
      oldPlace: former?.tree.place(oldPlace, former.names.name(names.openName(name))) ?? NO_BYTES,
    }));
  }

  private put(
    journal: SetJournal,
    { set, clientTimeMs }: BackupSet,
    {
      roots,
      looked,
      seals,
    }: {
      readonly roots: readonly RootRecord[];
      readonly looked: ReadonlySet<DirectoryId>;
      readonly seals: Buffer;
    },
  ): void {
    const { keyring, store } = this;
    const sum = new SealSum();
    keyring.tree.addDirectories(seals, sum);
    const before = store.catalog.seals.newestSet();
    const sealed = {
      set,
      name: store.catalog.sets.find(set)!.firstName,
      clientTimeMs,
      previousSet: before?.set ?? 0,
      previousSeal: before === undefined ? NO_SEAL : ownSetSeal(before.seal),
      roots: roots.map(({ root, directory, path }) => ({
        path,
        seal: this.rootSeal(root, set),
        isProtected: !looked.has(directory),
      })),
    };
    const seal = keyring.tree.set(sealed, sum);
    store.catalog.seals.putSet(set, seal);
    journal.appendEvent({ type: 'set-sealed', set, seal });
  }

  private rootSeal(root: RootNumber, set: SetNumber): Buffer {
    const name = Buffer.from(String(root));
    const entry = this.store.catalog.entries.findAsOf(ROOTS_DIRECTORY, name, set);
    return Buffer.from(sealIn(entry?.attributes));
  }

  /**
   * Returns the new seal of a listing. `expected` is the old seal; undefined if the old generation has no seals. Throws
   * NOT_AUTHENTIC if the old listing does not match it.
   */
  private listingOf(set: SetNumber, directory: DirectoryId, expected: Buffer | undefined): Buffer {
    if (expected?.equals(NO_SEAL) === true) return NO_SEAL; // the client never read the directory completely
    const known = this.listings.get(directory);
    if (known?.old.equals(expected ?? NO_SEAL) === true) return known.fresh;
    const { old, keyring, opener, store } = this;
    if (old.keyring !== undefined && expected !== undefined) {
      const sum = sumOf(old.catalog, directory, set, (entries, to) => old.open(entries, to));
      if (!old.keyring.tree.listing(sum).equals(expected)) {
        throw new TardisError('NOT_AUTHENTIC', `a directory is not as set ${set} had it`);
      }
    }
    const sum = sumOf(store.catalog, directory, set, (entries, to) => opener.open(entries, to));
    const fresh = keyring.tree.listing(sum);
    this.listings.set(directory, { old: Buffer.from(expected ?? NO_SEAL), fresh });
    return fresh;
  }
}

/** Returns the sum of the seals of a directory's entries as of a set. */
export function sumOf(
  catalog: Catalog,
  directory: DirectoryId,
  set: SetNumber,
  open: (entries: readonly CatalogEntry[], sum: SealSum) => void,
): SealSum {
  const sum = new SealSum();
  for (const entries of catalog.entries.allAsOf(directory, set)) open(entries, sum);
  return sum;
}

/** Returns the open directories of the head, by their parent directory. */
function childrenIn(catalog: Catalog): Map<DirectoryId, Child[]> {
  const children = new Map<DirectoryId, Child[]>();
  for (const [above, name, directory] of catalog.history.openDirectories()) {
    listAt(children, above).push({ directory, name });
  }
  return children;
}

function inTwoPlaces(): TardisError {
  return new TardisError('NOT_AUTHENTIC', 'one directory is in two places');
}

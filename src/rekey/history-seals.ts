/**
 * The seals of sets in the new generation. Where the old one has seals, a set is proven by them first: what a
 * store has mixed up must not get the seal of the new keys. Where it has none, what it shows is sealed.
 */
import { type Archive, EntryOpener, type ProvenSet, ProvenSets } from '../archive/index.js';
import {
  type BackupSet,
  type Catalog,
  type CatalogEntry,
  ROOTS_DIRECTORY,
} from '../catalog/index.js';
import { type Keyring, ownSetSeal, SealSum } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import { DIRECTORY_SEAL_BYTES, NO_SEAL, sealIn } from '../model/index.js';
import type { ClientStore, SetJournal } from '../keeper/index.js';
import type { RootRecord } from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import type { OldGeneration } from './old-generation.js';
import { pages } from './pages.js';

const PAGE_ENTRIES = 2048;
const NOTHING: Buffer = Buffer.alloc(0);

interface Child {
  readonly directory: number;
  /** Sealed with the new keys. */
  readonly name: Buffer;
}

/** A directory on the way through a set. */
interface Way {
  readonly directory: number;
  readonly place: Buffer;
  /** Its place by the old keys. */
  readonly oldPlace: Buffer;
}

interface Met extends Way {
  /** The seal of its listing by the old keys, if there is one. */
  readonly expected: Buffer | undefined;
  /** The client read it in this set. */
  readonly isLookedAt: boolean;
}

/** What a listing was proven to be in both generations; as long as nothing changes in it. */
interface ProvenListing {
  readonly old: Buffer;
  readonly fresh: Buffer;
}

export class HistorySeals {
  private readonly listings = new Map<number, ProvenListing>();
  private readonly opener: EntryOpener;
  private readonly proven: ProvenSets | undefined;
  private readonly old: OldGeneration;
  private readonly store: ClientStore;
  private readonly keyring: Keyring;

  /** `archive`: the old generation, as it is sealed. */
  constructor(
    native: NativeCalls,
    old: OldGeneration,
    archive: Archive,
    store: ClientStore,
    keyring: Keyring,
  ) {
    this.old = old;
    this.store = store;
    this.keyring = keyring;
    this.opener = new EntryOpener(keyring, native);
    this.proven = old.keyring && new ProvenSets(archive, old.keyring);
  }

  /** A set that has no seal changed these directories. */
  changed(directories: readonly number[]): void {
    for (const directory of directories) this.listings.delete(directory);
  }

  /**
   * Seals a set whose entries are all there. `roots` are sealed, `changed` are the directories in which it
   * has changed something. Throws NOT_AUTHENTIC, STORE_ROLLED_BACK.
   */
  async seal(
    journal: SetJournal,
    set: BackupSet,
    roots: readonly RootRecord[],
    changed: readonly number[],
  ): Promise<void> {
    this.changed(changed);
    const { store } = this;
    const proven = await this.proven?.of(set.set);
    const seals: Buffer[] = [];
    const looked = new Set<number>();
    for (const { directory, place, expected, isLookedAt } of this.meet(roots, proven)) {
      if (!isLookedAt) {
        journal.seal(directory, undefined); // nobody looked at it in this set
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
    this.put(journal, set, roots, looked, Buffer.concat(seals));
  }

  /**
   * The directories of a set, each once. One that was moved out of a directory which could not be read then is
   * met in two places: the one that the old generation has sealed counts. Throws NOT_AUTHENTIC for two of those.
   */
  private meet(roots: readonly RootRecord[], proven: ProvenSet | undefined): Iterable<Met> {
    const children = childrenIn(this.store.catalog);
    const oldPlaces = new Map(proven?.roots.map(({ root, place }) => [root, place]));
    const met = new Map<number, Met>();
    for (const { root, directory, path } of roots) {
      const place = this.keyring.tree.rootPlace(path);
      const ways: Way[] = [{ directory, place, oldPlace: oldPlaces.get(root) ?? NOTHING }];
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
      oldPlace: former?.tree.place(oldPlace, former.names.name(names.openName(name))) ?? NOTHING,
    }));
  }

  private put(
    journal: SetJournal,
    { set, clientTimeMs }: BackupSet,
    roots: readonly RootRecord[],
    looked: ReadonlySet<number>,
    seals: Buffer,
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
        isHeld: !looked.has(directory),
      })),
    };
    const seal = keyring.tree.set(sealed, sum);
    store.catalog.seals.putSet(set, seal);
    journal.appendEvent({ type: 'set-sealed', set, seal });
  }

  private rootSeal(root: number, set: number): Buffer {
    const name = Buffer.from(String(root));
    const entry = this.store.catalog.entries.findAsOf(ROOTS_DIRECTORY, name, set);
    return Buffer.from(sealIn(entry?.attributes));
  }

  /** The new seal of a listing. `expected`: the old one, where there are some. */
  private listingOf(set: number, directory: number, expected: Buffer | undefined): Buffer {
    if (expected?.equals(NO_SEAL) === true) return NO_SEAL; // it was never read whole
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

/** What the entries of a directory add up to as of a set. */
export function sumOf(
  catalog: Catalog,
  directory: number,
  set: number,
  open: (entries: readonly CatalogEntry[], sum: SealSum) => void,
): SealSum {
  const sum = new SealSum();
  const ask = (after: Buffer): CatalogEntry[] =>
    catalog.entries.listAsOf({ directory, set, after, limit: PAGE_ENTRIES, withDigests: true });
  for (const entries of pages(NOTHING, PAGE_ENTRIES, ask, ({ name }) => name)) open(entries, sum);
  return sum;
}

/** The open directories of the head, by the one above. */
function childrenIn(catalog: Catalog): Map<number, Child[]> {
  const children = new Map<number, Child[]>();
  for (const [above, name, directory] of catalog.history.openDirectories()) {
    const others = children.get(above);
    if (others === undefined) children.set(above, [{ directory, name }]);
    else others.push({ directory, name });
  }
  return children;
}

function inTwoPlaces(): TardisError {
  return new TardisError('NOT_AUTHENTIC', 'one directory is in two places');
}

/**
 * Copies sets to another store as they are. Each set is written as the difference from the previous set at the target.
 * So both stores may delete sets between two copies, each by its own rules.
 */
import {
  type BackupSet,
  type Catalog,
  type CatalogEntry,
  IdSet,
  PAGE_ROWS,
  ROOTS_DIRECTORY,
} from '../../store/catalog/index.js';
import { TardisError, throwIfAborted } from '../../errors/index.js';
import {
  checkRows,
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  firstIndex,
  isMetadata,
  joinRow,
  METADATA_FLAGS_AT,
  ROOT_NAME,
  RowFlag,
  SET_SEAL_BYTES,
  type SetNumber,
} from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';
import type { SetJournal, StoreWriter } from '../../store/writer/index.js';
import { yieldRegularly } from '../../system/index.js';
import { type CopiedDigests, CopiedHistory, type CopiedSeals } from './history.js';
import { NewKeys } from './new-keys.js';
import type { OldStore } from './old-generation.js';

/** Flags in which two versions of an entry must agree. Other flags may have changed since the version was stored. */
const LASTING_FLAGS = RowFlag.sparse | RowFlag.hasAttributes | RowFlag.otherDevice;

/** Matches the name of a root's entry, which is the number of the root. */
const ROOT_NUMBER = /^[1-9]\d{0,14}$/;

/** Sets to copy, with the contents that they need and the directories that each of them changed. */
interface NeededSets {
  /** Sets to copy, in ascending order of their numbers. */
  readonly sets: readonly BackupSet[];
  /** Ids of the needed contents in the catalog of the source. */
  readonly needed: IdSet;
  /** Number of contents in `needed`. */
  readonly neededCount: number;
  /** For each set but the first, the directories that may differ from the previous set. */
  readonly changed: readonly (readonly DirectoryId[])[];
}

/**
 * Finds the data that these sets need from the source. The sets must be in ascending order of their numbers. Throws
 * INTERRUPTED if it is aborted.
 */
export async function findNeeded(
  { catalog }: OldStore,
  sets: readonly BackupSet[],
  signal: AbortSignal,
): Promise<NeededSets> {
  const needed = new IdSet();
  const changed = sets.map((): DirectoryId[] => []);
  let neededCount = 0;
  const numbers = sets.map(({ set }) => set);
  const breathe = yieldRegularly(signal);
  for (const directory of each(catalog.history.directories())) {
    await breathe();
    const where = new Set<number>();
    for (const { firstSet, lastSet, contentId } of each(catalog.history.versionsIn(directory))) {
      const first = indexFrom(numbers, firstSet);
      const end = lastSet === undefined ? numbers.length : indexFrom(numbers, lastSet + 1);
      where.add(first).add(end);
      if (first === end || contentId === undefined || needed.has(contentId)) continue;
      needed.add(contentId);
      neededCount += 1;
    }
    for (const index of where) if (index > 0) changed[index]?.push(directory);
  }
  return { sets, needed, neededCount, changed };
}

/** Returns the index of the first set number that is at least `least`; the length of the list if there is none. */
function indexFrom(numbers: readonly SetNumber[], least: SetNumber): number {
  return firstIndex(numbers.length, (index) => numbers[index]! >= least);
}

/** Yields the items of pages one by one. */
function* each<T>(pages: Iterable<readonly T[]>): Generator<T> {
  for (const page of pages) yield* page;
}

export class CopiedSets extends CopiedHistory {
  constructor(old: OldStore, store: StoreWriter, contents: CopiedDigests) {
    const keys = new NewKeys(old.source.native, undefined);
    super(old, store, { keys, contents, seals: new SealsAsTheyAre(old, store) });
  }

  /**
   * Copies sets whose contents are already at the target. Each set is durable before the next one begins. Throws
   * CATALOG_DAMAGED for an entry that no writer stores, DISK_FULL if the target's disk is full, and INTERRUPTED if it
   * is aborted.
   */
  async copy(
    { sets, changed }: NeededSets,
    signal: AbortSignal,
    onSet: (done: number) => void,
  ): Promise<void> {
    if (sets.length > 0) this.bringAccounts();
    for (const [index, set] of sets.entries()) {
      throwIfAborted(signal);
      // For the first set, all directories are compared: source and target may have deleted different sets before it.
      const directories = index === 0 ? this.directoriesOfBoth() : changed[index]!;
      await this.replay(set.set, set, directories);
      onSet(index + 1);
    }
  }

  private directoriesOfBoth(): DirectoryId[] {
    const both = [this.old, this.store].flatMap(({ catalog }) => [
      ...catalog.history.directories(),
    ]);
    return [...new Set(both.flat())];
  }

  /**
   * Changes the open entries of a directory at the target to those that the source has in the set of the journal.
   * Throws CATALOG_DAMAGED if an entry to copy is damaged.
   */
  protected override replayChanges(journal: SetJournal, directory: DirectoryId): void {
    const { set } = journal;
    const root = this.old.catalog.history.rootOf(directory);
    const place = {
      root: root === 0 ? this.store.catalog.history.rootOf(directory) : root,
      directory,
      isNew: false,
    };
    const present = each(this.store.catalog.entries.allAsOf(directory, set));
    let mine = present.next();
    const gone: Buffer[] = [];
    let fresh: CatalogEntry[] = [];
    const put = (): void => {
      this.putAll(journal, directory, fresh);
      fresh = [];
    };
    for (const theirs of each(this.old.catalog.entries.allAsOf(directory, set))) {
      for (; mine.done !== true; mine = present.next()) {
        if (Buffer.compare(mine.value.name, theirs.name) >= 0) break;
        gone.push(mine.value.name);
      }
      const isThere = mine.done !== true && mine.value.name.equals(theirs.name);
      if (!isThere || !areSame(mine.value, theirs)) {
        requireSound(theirs);
        fresh.push(theirs);
      }
      if (isThere) mine = present.next();
      if (fresh.length >= PAGE_ROWS) put();
    }
    for (; mine.done !== true; mine = present.next()) gone.push(mine.value.name);
    put();
    for (const name of gone) journal.remove(place, name);
  }
}

/** Checks an entry of the source. Throws CATALOG_DAMAGED for an entry that no writer stores. */
function requireSound({ directory, name, metadata, digest }: CatalogEntry): void {
  const isRoot = directory === ROOTS_DIRECTORY;
  try {
    const isWhole = isMetadata(metadata) && (!isRoot || ROOT_NUMBER.test(name.toString('latin1')));
    if (!isWhole) throw new TardisError('CATALOG_DAMAGED', 'it is not whole');
    checkRows(joinRow(metadata, isRoot ? ROOT_NAME : name, digest), false);
  } catch (error) {
    const what = `an entry in directory ${directory} of the source is damaged`;
    throw new TardisError('CATALOG_DAMAGED', what, {}, error);
  }
}

function areSame(mine: CatalogEntry, theirs: CatalogEntry): boolean {
  const { digest } = theirs;
  const isSameContent =
    digest === undefined ? mine.digest === undefined : mine.digest?.equals(digest) === true;
  return (
    isSameContent &&
    mine.childId === theirs.childId &&
    lasting(mine.metadata).equals(lasting(theirs.metadata))
  );
}

/** Returns the metadata of a version without the flags that may have changed since the version was stored. */
export function lasting(metadata: Buffer): Buffer {
  const copy = Buffer.from(metadata);
  if (copy.length > METADATA_FLAGS_AT) copy[METADATA_FLAGS_AT]! &= LASTING_FLAGS;
  return copy;
}

/** Copies the seals of a client that encrypts, without any change. */
class SealsAsTheyAre implements CopiedSeals {
  private readonly old: Catalog;

  constructor(
    { catalog }: OldStore,
    private readonly store: StoreWriter,
  ) {
    this.old = catalog;
  }

  changed(): void {
    // Nothing is kept here, since no copied seal depends on an earlier one.
  }

  async seal(journal: SetJournal, { set }: BackupSet, roots: readonly RootRecord[]): Promise<void> {
    const { old, store } = this;
    const sealed = new Set<DirectoryId>();
    const breathe = yieldRegularly();
    for (const page of old.seals.allAsOf(set)) {
      for (const { directory, seal } of page) {
        requireLength(seal, DIRECTORY_SEAL_BYTES);
        sealed.add(directory);
        journal.seal(directory, seal);
      }
      await breathe();
    }
    for (const { root } of roots) {
      for (const directory of store.catalog.seals.openOf(root)) {
        if (!sealed.has(directory)) journal.seal(directory, undefined);
      }
    }
    const seal = old.seals.ofSet(set);
    if (seal === undefined) return;
    requireLength(seal, SET_SEAL_BYTES);
    store.catalog.seals.putSet(set, seal);
    journal.appendEvent({ type: 'set-sealed', set, seal });
  }
}

function requireLength(seal: Buffer, bytes: number): void {
  if (seal.length === bytes) return;
  throw new TardisError('CATALOG_DAMAGED', 'a seal in the catalog has a wrong length');
}

/**
 * Makes stand-ins for lost entries that led to existing directories of an encrypting client. Entries are lost if
 * packs were lost together with every catalog that had them. Only readers make stand-ins, in memory: a store
 * cannot make an entry that the client has not sealed.
 */
import { entryOfParts, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import {
  type DirectoryId,
  metadataOf,
  newDirectoryRow,
  NO_BYTES,
  RowReader,
  type SetNumber,
} from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';
import { type History, type HistoryEntry, listedPages } from '../history.js';
import { FIRST_PLACE } from '../reports.js';
import { BoundedCache } from '../../system/index.js';

/**
 * Name of the directory for lost directories, in the first root of a set. Another name is chosen if this one is taken.
 */
const LOST_AND_FOUND = 'lost+found';
/** Id of the directory for lost directories; no catalog assigns it. */
export const FOUND_DIRECTORY = -1;
const PERMISSIONS = 0o700;
/** Maximum number of lost directories that are shown. */
const MAX_FOUND = 1 << 18;
/** Maximum number of sets whose lost directories are cached. */
const MAX_KEPT = 4;
const PAGE_ENTRIES = 2048;

export class LostPlaces {
  /** Messages about stand-ins for lost entries. */
  readonly doubts = new Set<string>();
  private readonly kept = new BoundedCache<SetNumber, Promise<readonly DirectoryId[]>>(MAX_KEPT);

  constructor(private readonly sealed: History) {}

  /**
   * Returns a stand-in for the lost entry of a root. Returns undefined if the root has no entries and `orEmpty` is
   * false.
   */
  async rootEntry(
    set: SetNumber,
    { root, directory }: RootRecord,
    orEmpty: boolean,
  ): Promise<HistoryEntry | undefined> {
    const page = { directory, set, after: NO_BYTES, limit: 1, withDigests: false };
    if (!orEmpty && (await this.sealed.list(page)).length === 0) return undefined;
    this.doubts.add(
      `the entry of a root of set ${set} is lost: nobody knows its owner, permissions and time`,
    );
    return standIn(set, ROOTS_DIRECTORY, Buffer.from(String(root)), directory);
  }

  /**
   * Returns a list with the entry of the directory for lost directories; an empty list if no directory is lost.
   * `beside` are the other entries of the first root, whose names are taken.
   */
  async foundEntry(
    set: SetNumber,
    roots: readonly RootRecord[],
    beside: readonly HistoryEntry[],
  ): Promise<HistoryEntry[]> {
    const [first] = roots;
    if (first === undefined || (await this.of(set, roots)).length === 0) return [];
    const isTaken = (name: Buffer): boolean => beside.some((entry) => entry.name.equals(name));
    let name = Buffer.from(LOST_AND_FOUND);
    for (let n = 2; isTaken(name); n += 1) name = Buffer.from(`${LOST_AND_FOUND}-${n}`);
    return [standIn(set, first.directory, name, FOUND_DIRECTORY)];
  }

  /** Returns entries for the lost directories, sorted by name. */
  async entries(set: SetNumber, roots: readonly RootRecord[]): Promise<HistoryEntry[]> {
    const found = await this.of(set, roots);
    return found
      .map((directory) =>
        standIn(set, FOUND_DIRECTORY, Buffer.from(`directory-${directory}`), directory),
      )
      .sort((one, other) => Buffer.compare(one.name, other.name));
  }

  /**
   * Returns the directories that have entries in a set but no entry that leads to them. Reads the names of all
   * sets.
   */
  private of(set: SetNumber, roots: readonly RootRecord[]): Promise<readonly DirectoryId[]> {
    let found = this.kept.get(set);
    if (found === undefined) {
      found = this.find(set, roots);
      this.kept.set(set, found);
    }
    return found;
  }

  private async find(
    set: SetNumber,
    roots: readonly RootRecord[],
  ): Promise<readonly DirectoryId[]> {
    const directories = await this.directoriesIn(set);
    const paths = await this.sealed.reports.directoryPaths(set, directories);
    const unplaced = directories.filter((_, index) => paths[index] === undefined);
    const known = new Set(roots.map(({ directory }) => directory));
    for (const directory of unplaced) await this.addChildren(set, directory, known);
    const found = unplaced.filter((directory) => !known.has(directory));
    if (found.length > 0) this.doubts.add(lostText(set, found.length));
    return found.slice(0, MAX_FOUND);
  }

  private async directoriesIn(set: SetNumber): Promise<DirectoryId[]> {
    const directories = new Set<DirectoryId>();
    for (let after = FIRST_PLACE; ; ) {
      const page = { after, literal: NO_BYTES, isMatch: () => true };
      const { versions, next } = await this.sealed.reports.named(page);
      for (const { directory, firstSet, lastSet } of versions) {
        if (firstSet <= set && (lastSet === undefined || lastSet >= set))
          directories.add(directory);
      }
      if (next === undefined) break;
      after = next;
    }
    directories.delete(ROOTS_DIRECTORY);
    return [...directories];
  }

  /** Adds the directories that the entries of a directory lead to. */
  private async addChildren(
    set: SetNumber,
    directory: DirectoryId,
    known: Set<DirectoryId>,
  ): Promise<void> {
    const listing = { directory, set, limit: PAGE_ENTRIES, withDigests: false };
    for await (const page of listedPages(this.sealed, listing)) {
      for (const { childId } of page) if (childId !== undefined) known.add(childId);
    }
  }
}

function lostText(set: SetNumber, count: number): string {
  const what = count === 1 ? 'a directory has' : `${count} directories have`;
  const most = count > MAX_FOUND ? `, the first ${MAX_FOUND} of them` : '';
  return `${what} lost the place in set ${set}: see ${LOST_AND_FOUND} in its first root${most}`;
}

/** Returns an entry for a directory of which only the id is known. */
function standIn(
  set: SetNumber,
  directory: DirectoryId,
  name: Buffer,
  childId: DirectoryId,
): HistoryEntry {
  const row = newDirectoryRow({ name, permissions: PERMISSIONS, uid: 0, gid: 0 }, 0);
  return entryOfParts({
    directory,
    name,
    firstSet: set,
    lastSet: set,
    childId,
    metadata: Buffer.from(metadataOf(new RowReader(row), 0)),
  });
}

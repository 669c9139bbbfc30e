/** One side of a comparison: a backup set. */
import {
  circleAt,
  entriesAround,
  type HistoryEntry,
  noAccess,
  rootAt,
  type RootNode,
  rootsOf,
} from '../../history/index.js';
import { type DirectoryId, isEntryName, joinPath, NO_BYTES, shownRoot } from '../../model/index.js';
import { ListingsAhead, PAGE_ENTRIES } from '../index.js';
import { badName, type ComparedSet, type Seen, type Side, type Visit } from './side.js';

export class SetSide implements Side {
  private readonly whole: ListingsAhead;
  /** Listings that have only the directories, and the entries that differ from those of the other set. */
  private readonly differing: ListingsAhead | undefined;
  private tree: Promise<RootNode> | undefined;

  constructor(private readonly compared: ComparedSet) {
    const { history, set, other } = compared;
    this.whole = new ListingsAhead(history, set, false);
    this.differing =
      other === undefined ? undefined : new ListingsAhead(history, set, true, { unlike: other });
  }

  async find(path: Buffer): Promise<Seen | undefined> {
    const { history, set } = this.compared;
    const entry = await history.find(path, set);
    return entry === undefined ? undefined : { path, entry, stored: entry };
  }

  async roots(): Promise<readonly Buffer[]> {
    const { history, set } = this.compared;
    return (await history.roots(set)).map(({ path }) => shownRoot(path));
  }

  async *entries(visit: Visit): AsyncGenerator<Seen, void> {
    const { stored, path } = visit.directory;
    if (stored === undefined) return;
    if (!this.compared.history.access.mayRead(stored)) throw noAccess(path);
    const above = { entry: stored, above: visit.directory.above };
    for await (const entry of this.listed(visit, stored)) {
      if (!isEntryName(entry.name)) throw badName();
      const circle = circleAt(entry, above);
      if (circle !== undefined) throw circle;
      yield { path: joinPath(path, entry.name), entry, stored: entry, above };
    }
  }

  /** Yields the entries of a directory as the set shows them, sorted by name. */
  private async *listed(visit: Visit, { childId }: HistoryEntry): AsyncGenerator<HistoryEntry> {
    const { history, set } = this.compared;
    const node = visit.isAboveRoot
      ? rootAt(await (this.tree ??= rootsOf(history, set)), visit.directory.path)
      : undefined;
    const around = { set, openedAtMs: 0 }; // times of directories are not compared
    if (node !== undefined)
      yield* await entriesAround(history, around, { id: childId ?? -1, node });
    else if (childId !== undefined) yield* inOrder(this.listingsFor(visit), childId);
  }

  /**
   * Returns the listings for a directory. Entries that are equal in both sets may be omitted only if both sides show
   * the same directory, in which neither has a root.
   */
  private listingsFor({ directory, twin, isAboveRoot }: Visit): ListingsAhead {
    const isSame = !isAboveRoot && twin?.stored?.childId === directory.stored?.childId;
    return (isSame ? this.differing : undefined) ?? this.whole;
  }

  comeNext(visits: readonly Visit[]): void {
    if (!this.compared.history.isRemote) return;
    for (const listings of [this.whole, this.differing]) {
      const own = visits.filter(
        (visit) => !visit.isAboveRoot && this.listingsFor(visit) === listings,
      );
      listings?.comeNext(own.map(({ directory }) => ({ entry: directory.stored })));
    }
  }
}

/**
 * Yields the entries of a directory sorted by name. Very large directories of a client that encrypts are returned in
 * another order, so they are read completely first.
 */
async function* inOrder(
  listings: ListingsAhead,
  directory: DirectoryId,
): AsyncGenerator<HistoryEntry, void> {
  let page = await listings.page(directory, NO_BYTES);
  const isInOrder = isAscending(page);
  const all: HistoryEntry[] = [];
  for (;;) {
    if (isInOrder) yield* page;
    else all.push(...page);
    if (page.length < PAGE_ENTRIES) break;
    page = await listings.page(directory, page.at(-1)!.name);
  }
  yield* all.sort((one, other) => Buffer.compare(one.name, other.name));
}

function isAscending(page: readonly HistoryEntry[]): boolean {
  return page.every(
    ({ name }, index) => index === 0 || Buffer.compare(page[index - 1]!.name, name) < 0,
  );
}

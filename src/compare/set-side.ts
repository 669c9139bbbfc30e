/** A backup set as one of the sides that are compared. */
import { type ArchiveEntry, noAccess } from '../archive/index.js';
import { isEntryName, joinPath } from '../model/index.js';
import { ListingsAhead, PAGE_ENTRIES } from '../restore/index.js';
import { badName, type ComparedSet, type Seen, type Side, type Visit } from './side.js';

const NO_NAME = Buffer.alloc(0);

export class SetSide implements Side {
  private readonly whole: ListingsAhead;
  /** What is not the same as of the other set, and directories. */
  private readonly differing: ListingsAhead | undefined;
  private readonly compared: ComparedSet;

  constructor(compared: ComparedSet) {
    const { archive, set, other } = compared;
    this.compared = compared;
    this.whole = new ListingsAhead(archive, set, false);
    this.differing =
      other === undefined ? undefined : new ListingsAhead(archive, set, true, { unlike: other });
  }

  async find(path: Buffer): Promise<Seen | undefined> {
    const { archive, set } = this.compared;
    const entry = await archive.find(path, set);
    return entry === undefined ? undefined : { path, entry, stored: entry };
  }

  async roots(): Promise<readonly Buffer[]> {
    const { archive, set } = this.compared;
    return (await archive.roots(set)).map(({ path }) => path);
  }

  async *entries(visit: Visit): AsyncGenerator<Seen, void> {
    const { stored, path } = visit.directory;
    if (stored?.childId === undefined) return;
    if (!this.compared.archive.access.mayRead(stored)) throw noAccess(path);
    for await (const entry of inOrder(this.listingsFor(visit), stored.childId)) {
      if (!isEntryName(entry.name)) throw badName();
      yield { path: joinPath(path, entry.name), entry, stored: entry };
    }
  }

  /** Only where both sides show the very same directory, what is the same in both sets is no difference. */
  private listingsFor({ directory, twin }: Visit): ListingsAhead {
    const isSame = twin?.stored?.childId === directory.stored?.childId;
    return (isSame ? this.differing : undefined) ?? this.whole;
  }

  comeNext(visits: readonly Visit[]): void {
    if (!this.compared.archive.isFar) return;
    for (const listings of [this.whole, this.differing]) {
      const own = visits.filter((visit) => this.listingsFor(visit) === listings);
      listings?.comeNext(own.map(({ directory }) => ({ entry: directory.stored })));
    }
  }
}

/** Very large directories of an encrypting client come in another order: those are read whole first. */
async function* inOrder(
  listings: ListingsAhead,
  directory: number,
): AsyncGenerator<ArchiveEntry, void> {
  let page = await listings.page(directory, NO_NAME);
  const isInOrder = isAscending(page);
  const all: ArchiveEntry[] = [];
  for (;;) {
    if (isInOrder) yield* page;
    else all.push(...page);
    if (page.length < PAGE_ENTRIES) break;
    page = await listings.page(directory, page.at(-1)!.name);
  }
  yield* all.sort((one, other) => Buffer.compare(one.name, other.name));
}

function isAscending(page: readonly ArchiveEntry[]): boolean {
  return page.every(
    ({ name }, index) => index === 0 || Buffer.compare(page[index - 1]!.name, name) < 0,
  );
}

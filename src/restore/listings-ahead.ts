/** Listings of the directories that a walk comes to next, asked for in time where the archive is far away. */
import type { Archive, ArchiveEntry } from '../archive/index.js';

/** Entries of a directory read at once. */
export const PAGE_ENTRIES = 2048;
/** Directories at the top of the walk's stack that are asked about ahead. */
const TOP_AHEAD = 256;
/** Questions that are open at once. */
const MOST_OPEN = 512;
/** Nothing more is asked ahead while so many entries, or answers still to come, wait for the walk. */
const MOST_WAITING = 1 << 16;
const NO_NAME = Buffer.alloc(0);

/** What of the entries is wanted. */
export interface ListingHow {
  readonly withDigests?: boolean;
  /** Only what is not the same as of this set, and directories. */
  readonly unlike?: number;
}

export class ListingsAhead {
  /** First pages, by directory. */
  private readonly asked = new Map<number, Promise<ArchiveEntry[]>>();
  private waiting = 0;
  private open = 0;
  private readonly archive: Archive;
  private readonly set: number;
  private readonly isWholeTree: boolean;

  private readonly how: ListingHow;

  /** `isWholeTree`: what is in a directory will be asked for too. */
  constructor(archive: Archive, set: number, isWholeTree: boolean, how: ListingHow = {}) {
    this.how = how;
    this.archive = archive;
    this.set = set;
    this.isWholeTree = isWholeTree;
  }

  /** The page behind a name; shorter than PAGE_ENTRIES at the end. */
  async page(directory: number, after: Buffer): Promise<ArchiveEntry[]> {
    const ahead = after.length === 0 ? this.asked.get(directory) : undefined;
    if (ahead === undefined) return this.ask(directory, after);
    this.asked.delete(directory);
    const page = await ahead;
    this.waiting -= page.length + 1;
    return page;
  }

  /** Tells which directories come next, the first one last. */
  comeNext(stack: readonly { readonly entry: Pick<ArchiveEntry, 'childId'> | undefined }[]): void {
    if (!this.archive.isFar) return;
    const from = Math.max(0, stack.length - TOP_AHEAD);
    for (let index = stack.length - 1; index >= from; index -= 1) {
      const directory = stack[index]!.entry?.childId;
      if (directory !== undefined) this.askAhead(directory);
    }
  }

  private askAhead(directory: number): void {
    const isTooMuch = this.waiting >= MOST_WAITING || this.open >= MOST_OPEN;
    if (isTooMuch || this.asked.has(directory)) return;
    this.waiting += 1;
    this.open += 1;
    const page = this.ask(directory, NO_NAME);
    this.asked.set(directory, page);
    page.then(
      (entries) => {
        this.open -= 1;
        this.waiting += entries.length;
        if (!this.isWholeTree) return;
        // Else each level of the tree would be a way there and back.
        for (const { childId } of entries) if (childId !== undefined) this.askAhead(childId);
      },
      () => undefined, // told when its turn comes
    );
  }

  private ask(directory: number, after: Buffer): Promise<ArchiveEntry[]> {
    const { set } = this;
    const { withDigests = false, unlike } = this.how;
    const limit = PAGE_ENTRIES;
    return this.archive.list({ directory, set, after, limit, withDigests, unlike });
  }
}

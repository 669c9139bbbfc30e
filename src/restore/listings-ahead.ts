/** Requests the listings of the next directories of a walk ahead of time, if the history is remote. */
import { type DirectoryId, NO_BYTES, type SetNumber } from '../model/index.js';
import type { History, HistoryEntry } from '../history/index.js';

/** Number of entries of a directory that are read at once. */
export const PAGE_ENTRIES = 2048;
/** Maximum number of directories at the top of the walk's stack that are requested ahead. */
const TOP_AHEAD = 256;
/** Maximum number of requests in flight. */
const MOST_OPEN = 512;
/** Maximum number of entries and pending answers held for the walk. If there are more, nothing is requested ahead. */
const MOST_WAITING = 1 << 16;

/** Options of the listings. */
interface ListingHow {
  readonly withDigests?: boolean;
  /** Number of another set. If given, only directories and entries that differ from those of that set are listed. */
  readonly unlike?: SetNumber;
}

export class ListingsAhead {
  /** First pages that were requested ahead, by directory. */
  private readonly requested = new Map<DirectoryId, Promise<HistoryEntry[]>>();
  private waiting = 0;
  private open = 0;

  /** Creates the listings of a set. `isWholeTree` is true if the directories within a directory will be listed too. */
  constructor(
    private readonly history: History,
    private readonly set: SetNumber,
    private readonly isWholeTree: boolean,
    private readonly how: ListingHow = {},
  ) {}

  /** Returns the page of entries after a name. It is shorter than PAGE_ENTRIES only at the end. */
  async page(directory: DirectoryId, after: Buffer): Promise<HistoryEntry[]> {
    const ahead = after.length === 0 ? this.requested.get(directory) : undefined;
    if (ahead === undefined) return this.request(directory, after);
    this.requested.delete(directory);
    const page = await ahead;
    this.waiting -= page.length + 1;
    return page;
  }

  /** Announces the directories that are visited next; the last one of `stack` is visited first. */
  comeNext(stack: readonly { readonly entry: Pick<HistoryEntry, 'childId'> | undefined }[]): void {
    if (!this.history.isRemote) return;
    const from = Math.max(0, stack.length - TOP_AHEAD);
    for (let index = stack.length - 1; index >= from; index -= 1) {
      const directory = stack[index]!.entry?.childId;
      if (directory !== undefined) this.requestAhead(directory);
    }
  }

  private requestAhead(directory: DirectoryId): void {
    const isTooMuch = this.waiting >= MOST_WAITING || this.open >= MOST_OPEN;
    if (isTooMuch || this.requested.has(directory)) return;
    this.waiting += 1;
    this.open += 1;
    const page = this.request(directory, NO_BYTES);
    this.requested.set(directory, page);
    page.then(
      (entries) => {
        this.open -= 1;
        this.waiting += entries.length;
        if (!this.isWholeTree) return;
        // Without this, each level of the tree would take a round trip.
        for (const { childId } of entries) if (childId !== undefined) this.requestAhead(childId);
      },
      () => {
        this.open -= 1; // the error is thrown when the walk requests this page
      },
    );
  }

  private request(directory: DirectoryId, after: Buffer): Promise<HistoryEntry[]> {
    const { set } = this;
    const { withDigests = false, unlike } = this.how;
    const limit = PAGE_ENTRIES;
    return this.history.list({ directory, set, after, limit, withDigests, unlike });
  }
}

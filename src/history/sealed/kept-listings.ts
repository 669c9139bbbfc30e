/** Keeps the proven listings that were requested last: the next page is usually from one of them. */
import type { ListingPage } from '../../store/catalog/index.js';
import type { HistoryEntry } from '../history.js';
import type { ProvenSet } from './proven-sets.js';

/** Maximum number of cached listings. */
const MAX_LISTED = 4;

export interface Listed {
  /** Entries of a proven listing, sorted by name; undefined if there are too many. */
  readonly entries: readonly HistoryEntry[] | undefined;
  /** Checksum of the entries of each page, in their order; the key is the last sealed name before the page. */
  readonly pages: ReadonlyMap<string, Buffer>;
}

export class KeptListings {
  private readonly listings = new Map<string, Listed>();

  find(key: string): Listed | undefined {
    return this.listings.get(key);
  }

  keep(key: string, listed: Listed): void {
    const [oldest] = this.listings.keys();
    if (this.listings.size >= MAX_LISTED) this.listings.delete(oldest!);
    this.listings.set(key, listed);
  }
}

/**
 * Returns the key of a listing. A listing that was proven without a seal, or for fewer places of its directory, gets
 * another key, so that it is proven again.
 */
export function listingKey(
  { directory, set, limit, withDigests }: Omit<ListingPage, 'after'>,
  { isSealed }: ProvenSet,
  places: readonly Buffer[],
): string {
  return `${set}/${directory}/${limit}/${withDigests}/${places.length}/${isSealed}`;
}

/** Returns the sealed name after which the page begins that can contain `sealedName`; empty for the first page. */
export function startOfPage(pages: Listed['pages'], sealedName: Buffer): Buffer {
  let start = '';
  for (const after of pages.keys()) {
    if (Buffer.compare(Buffer.from(after, 'latin1'), sealedName) < 0) start = after;
  }
  return Buffer.from(start, 'latin1');
}

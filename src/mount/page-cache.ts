/** Pages of directories that were read last. The number of their entries is limited. */
import type { Soon, OpenContent } from '../contents/index.js';
import { BoundedCache, keepLoading } from '../system/index.js';
import type { PackedPage, ShownEntry } from './tree.js';

export const PAGE_ENTRIES = 512;
/** Maximum number of entries in all pages that are kept: about 8 MB. */
const MAX_ENTRIES = 8 * 1024;
/** Maximum number of listings of large directories that are kept without their entries, of at most 200 kB each. */
const MAX_LISTINGS = 8;
/** Size of a page in the cache besides its entries, so that pages of empty directories are counted, too. */
const PAGE_WEIGHT = 8;

export interface LoadedPage {
  /** Position of the first entry in its directory. */
  readonly first: number;
  readonly entries: readonly ShownEntry[];
  readonly isLast: boolean;
  readonly isSorted: boolean;
  packed: PackedPage | undefined;
  /** Contents that were looked up, by the index of the entry. */
  readonly contents: (Soon<OpenContent> | undefined)[];
}

export class PageCache {
  private readonly pages = new BoundedCache<number, Soon<LoadedPage>>(MAX_ENTRIES);
  private readonly listings = new BoundedCache<number, PackedPage & { readonly isPlus: boolean }>(
    MAX_LISTINGS,
  );

  get(key: number): Soon<LoadedPage> | undefined {
    return this.pages.get(key);
  }

  /** Returns the kept listing of a page; undefined if none is kept. */
  listing(key: number, isPlus: boolean): PackedPage | undefined {
    const listing = this.listings.peek(key);
    return listing?.isPlus === isPlus ? listing : undefined;
  }

  /** Keeps a listing in the cache instead of its page. */
  keepListing(key: number, page: PackedPage, isPlus: boolean): PackedPage {
    const { first } = page;
    const entries = isPlus ? page.plus() : page.plain();
    const listing = { first, plus: () => entries, plain: () => entries, isPlus };
    this.drop(key, key + 1);
    this.listings.set(key, listing);
    return listing;
  }

  /** Keeps a page once it is loaded. A page that cannot be loaded is not kept. */
  load(key: number, loading: Promise<LoadedPage>): Promise<LoadedPage> {
    return keepLoading(this.pages, key, loading, weightOf);
  }

  /** Drops all pages whose keys are within a range. */
  drop(from: number, to: number): void {
    const isOut = (key: number): boolean => key >= from && key < to;
    this.listings.deleteWhere(isOut);
    this.pages.deleteWhere(isOut);
  }
}

function weightOf(page: LoadedPage): number {
  return page.entries.length + PAGE_WEIGHT;
}

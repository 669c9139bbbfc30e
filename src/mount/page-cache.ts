/** Pages of directories that were read last. The number of their entries is limited. */
import type { OpenContent } from './open-content.js';
import type { PackedPage, ShownEntry, Soon } from './tree.js';

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
  private readonly pages = new Map<number, Soon<LoadedPage>>();
  private readonly listings = new Map<number, PackedPage & { readonly isPlus: boolean }>();
  private entries = 0;

  get(key: number): Soon<LoadedPage> | undefined {
    const page = this.pages.get(key);
    if (page === undefined || page instanceof Promise) return page;
    this.pages.delete(key);
    this.pages.set(key, page);
    return page;
  }

  /** Returns the kept listing of a page; undefined if none is kept. */
  listing(key: number, isPlus: boolean): PackedPage | undefined {
    const listing = this.listings.get(key);
    return listing?.isPlus === isPlus ? listing : undefined;
  }

  /** Keeps a listing in the cache instead of its page. */
  keepListing(key: number, page: PackedPage, isPlus: boolean): PackedPage {
    const { first } = page;
    const entries = isPlus ? page.plus() : page.plain();
    const listing = { first, plus: () => entries, plain: () => entries, isPlus };
    this.drop(key, key + 1);
    this.listings.set(key, listing);
    const [oldest] = this.listings.keys();
    if (this.listings.size > MAX_LISTINGS) this.listings.delete(oldest!);
    return listing;
  }

  /** Keeps a page once it is loaded. A page that cannot be loaded is not kept. */
  load(key: number, loading: Promise<LoadedPage>): Promise<LoadedPage> {
    this.pages.set(key, loading);
    const settled = loading.then(
      (page) => {
        if (this.pages.get(key) === settled) this.put(key, page);
        return page;
      },
      (error: unknown) => {
        if (this.pages.get(key) === settled) this.pages.delete(key);
        throw error;
      },
    );
    this.pages.set(key, settled);
    return settled;
  }

  /** Drops all pages whose keys are within a range. */
  drop(from: number, to: number): void {
    for (const key of this.listings.keys()) {
      if (key >= from && key < to) this.listings.delete(key);
    }
    for (const [key, page] of this.pages) {
      if (key < from || key >= to) continue;
      this.pages.delete(key);
      if (!(page instanceof Promise)) this.entries -= weightOf(page);
    }
  }

  private put(key: number, page: LoadedPage): void {
    this.pages.delete(key);
    this.pages.set(key, page);
    this.entries += weightOf(page);
    for (const [oldest, old] of this.pages) {
      if (this.entries <= MAX_ENTRIES || oldest === key) return;
      if (old instanceof Promise) continue;
      this.pages.delete(oldest);
      this.entries -= weightOf(old);
    }
  }
}

function weightOf(page: LoadedPage): number {
  return page.entries.length + PAGE_WEIGHT;
}

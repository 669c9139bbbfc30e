/**
 * Packed pages of an encrypting client, opened by the addon. A page is returned only if the whole listing of its
 * directory was compared with its seal, and every entry is as the client sealed it. All other pages are left to `list`,
 * which reports the error or the doubt.
 */
import {
  type CatalogEntry,
  entriesIn,
  entriesOfPacked,
  type FetchedPage,
  joinEntries,
  joinPackedPages,
  lastNameIn,
  type ListingPage,
  packedPagesIn,
  type PackedPages,
} from '../../store/catalog/index.js';
import { type Keyring, type OpenedListing, SealSum } from '../../crypto/index.js';
import { type DirectoryId, NO_BYTES, NO_SEAL, type SetNumber } from '../../model/index.js';
import type { History } from '../history.js';
import { BoundedCache } from '../../system/index.js';
import type { DirectoryPlaces } from './directory-places.js';
import { LargeListing } from './large-listing.js';
import type { ProvenSet } from './proven-sets.js';

/**
 * Maximum number of entries in a directory whose listing is sorted. Larger directories are listed in the order of
 * their sealed names.
 */
export const MAX_SORTED_ENTRIES = 16_384;
/** Maximum number of opened listings of large directories that are kept. */
const MAX_KEPT = 2;
/** Maximum number of large directories that are remembered in `unproven`. */
const MAX_UNPROVEN = 64;
/**
 * Number of entries of a large directory that are fetched at once, and of an unsorted one also opened at once. To join a
 * value, SQLite takes several times the memory of it.
 */
const PART_ENTRIES = 2048;
/** Maximum size of an unsorted listing that is opened: some 150,000 entries. */
const MAX_LISTING_BYTES = 12 << 20;

/** The seal of a directory's listing, with which the sum of its entries is compared. */
interface SealedListing {
  readonly place: Buffer;
  readonly expected: Buffer;
  /** Sum of the entries that were opened. */
  readonly sum: SealSum;
}

export class OpenedPages {
  private readonly large = new BoundedCache<string, LargeListing>(MAX_KEPT);
  /** Keys of large directories that could not be opened and proven here, so that `list` must list them. */
  private readonly unproven = new BoundedCache<string, true>(MAX_UNPROVEN);

  constructor(
    private readonly sealed: History,
    private readonly keyring: Keyring,
    private readonly places: DirectoryPlaces,
  ) {}

  /**
   * Returns pages as `History.listPacked` does. A page has no bytes if `list` must list its directory. Returns
   * undefined if the store returns no such pages, and for pages of several directories after a name.
   */
  list(proven: ProvenSet, { directories, set, after, limit }: PackedPages): Buffer | undefined {
    const [first] = directories;
    const isOne = directories.length === 1;
    if (first === undefined || (after.length > 0 && !isOne)) return undefined;
    if (after.length > 0) return joinPackedPages([this.largePage(proven, first, after, limit)]);
    const found = this.fetch({ directories, set, after, limit });
    if (found.length !== directories.length) return undefined;
    const pages = found.map((page, index) => {
      if (entriesIn(page) < limit) return this.openWhole(proven, directories[index]!, page)?.page;
      return isOne ? this.largePage(proven, first, after, limit) : undefined;
    });
    return joinPackedPages(pages);
  }

  /**
   * Returns the entries of a directory, sorted by name, if they fit in one page. Returns undefined for other directories,
   * and if the listing is not proven here.
   */
  entries(
    proven: ProvenSet,
    { directory, set, after, limit, withDigests }: ListingPage,
  ): CatalogEntry[] | undefined {
    if (!proven.isSealed || after.length > 0 || withDigests) return undefined;
    const [page] = this.fetch({ directories: [directory], set, after, limit });
    if (page === undefined || entriesIn(page) >= limit) return undefined;
    const opened = this.openWhole(proven, directory, page);
    return opened && entriesOfPacked(opened.page, directory, opened.hashes);
  }

  /** True if a directory has so many entries that its listing is opened in several parts. */
  isLarge(set: SetNumber, directory: DirectoryId): boolean {
    const page = this.fetchPart(set, directory, NO_BYTES);
    return page !== undefined && entriesIn(page) >= PART_ENTRIES;
  }

  private fetch(pages: PackedPages): FetchedPage[] {
    const value = this.sealed.listPacked?.(pages);
    return value === undefined ? [] : packedPagesIn(value);
  }

  /** Returns the part of a large directory after a name; undefined if the store returns none. */
  private fetchPart(
    set: SetNumber,
    directory: DirectoryId,
    after: Buffer,
  ): FetchedPage | undefined {
    return this.fetch({ directories: [directory], set, after, limit: PART_ENTRIES })[0];
  }

  /** Opens the whole listing of a directory, sorted by name. Returns undefined unless it is proven. */
  private openWhole(
    proven: ProvenSet,
    directory: DirectoryId,
    found: FetchedPage,
  ): OpenedListing | undefined {
    const listing = this.listingOf(proven, directory);
    const opened = listing && this.keyring.tree.openListing(found, listing.place, listing.sum);
    if (opened === undefined || !this.isProven(listing!)) return undefined;
    this.placeChildren(proven, opened.children);
    return opened;
  }

  /**
   * Opens the whole listing of a directory in the order of the sealed names, part by part. Returns undefined if the
   * listing is not proven or is too large.
   */
  private openUnsorted(
    proven: ProvenSet,
    directory: DirectoryId,
    fetched: Iterable<FetchedPage>,
  ): Buffer[] | undefined {
    const listing = this.listingOf(proven, directory);
    if (listing === undefined) return undefined;
    const parts: Buffer[] = [];
    const children: OpenedListing['children'][] = [];
    let bytes = 0;
    for (const page of fetched) {
      const opened = this.keyring.tree.openListing(page, listing.place, listing.sum, false);
      bytes += opened?.page.length ?? 0;
      if (opened === undefined || bytes > MAX_LISTING_BYTES) return undefined;
      parts.push(opened.page);
      children.push(opened.children);
    }
    if (!this.isProven(listing)) return undefined;
    for (const some of children) this.placeChildren(proven, some);
    return parts;
  }

  /** Yields all entries of a directory, part by part. Ends early if a part cannot be fetched. */
  private *partsOf(proven: ProvenSet, directory: DirectoryId): Generator<FetchedPage> {
    for (let after: Buffer | undefined = NO_BYTES; after !== undefined; ) {
      const page = this.fetchPart(proven.set, directory, after);
      if (page === undefined) return;
      yield page;
      after = entriesIn(page) < PART_ENTRIES ? undefined : lastNameIn(page);
    }
  }

  /**
   * Returns the place and the seal with which the listing of a directory is compared. Returns undefined if the
   * directory has not exactly one place, or the set has no seal for that place.
   */
  private listingOf(proven: ProvenSet, directory: DirectoryId): SealedListing | undefined {
    const place = this.placeOf(proven, directory);
    const expected = place && proven.listingAt(place);
    if (place === undefined || expected === undefined || expected.equals(NO_SEAL)) return undefined;
    return { place, expected, sum: new SealSum() };
  }

  /** True if the entries that were added to the sum are all that the directory had. */
  private isProven({ sum, expected }: SealedListing): boolean {
    return this.keyring.tree.listing(sum).equals(expected);
  }

  private placeChildren({ set }: ProvenSet, children: OpenedListing['children']): void {
    for (const { id, place } of children) this.places.add(set, id, place);
  }

  /** Returns the place of a directory; undefined if it has none or several, of which each must be proven. */
  private placeOf({ set }: ProvenSet, directory: DirectoryId): Buffer | undefined {
    const places = this.places.of(set, directory);
    return places.length === 1 ? places[0] : undefined;
  }

  /**
   * Returns a page of a directory that has more entries than one page. Returns undefined if its listing is not proven.
   */
  private largePage(
    proven: ProvenSet,
    directory: DirectoryId,
    after: Buffer,
    limit: number,
  ): Buffer | undefined {
    const key = `${proven.set}/${directory}`;
    const listing = this.largeListing(proven, directory, key);
    const page = listing?.page(after, limit);
    // The kernel keeps what it has read, and the largest listings take much memory.
    if (listing?.isAtEnd === true && !listing.isSorted) this.large.delete(key);
    return page;
  }

  private largeListing(
    proven: ProvenSet,
    directory: DirectoryId,
    key: string,
  ): LargeListing | undefined {
    const place = this.placeOf(proven, directory);
    const kept = this.large.peek(key);
    if (place === undefined || this.unproven.has(key)) return undefined;
    if (kept?.place.equals(place) === true) return kept;
    const listing = this.opened(proven, directory, place);
    if (listing === undefined) {
      this.unproven.set(key, true);
      return undefined;
    }
    this.large.set(key, listing);
    return listing;
  }

  private opened(
    proven: ProvenSet,
    directory: DirectoryId,
    place: Buffer,
  ): LargeListing | undefined {
    const parts = this.partsOf(proven, directory);
    const first: FetchedPage[] = [];
    let entries = 0;
    for (let next = parts.next(); next.done !== true; next = parts.next()) {
      first.push(next.value);
      entries += entriesIn(next.value);
      if (entries > MAX_SORTED_ENTRIES) {
        const pages = this.openUnsorted(proven, directory, chained(first, parts));
        return pages && new LargeListing(place, pages, false);
      }
    }
    if (first.length === 0) return undefined;
    const value = joinEntries(first);
    const found = { value, from: 0, bytes: value.length };
    const page = this.openWhole(proven, directory, found)?.page;
    return page && new LargeListing(place, [page], true);
  }
}

/** Yields the items of two sequences. */
function* chained<T>(first: Iterable<T>, second: Iterable<T>): Generator<T> {
  yield* first;
  yield* second;
}

/**
 * Packed pages of an encrypting client, opened by the addon. A page is returned only if the whole listing of its directory
 * was compared with its seal, and every entry is as the client sealed it. All other pages are left to `list`, which has
 * the error or the doubt.
 */
import { type FetchedPage, packedPagesIn, type PackedPages } from '../../store/catalog/index.js';
import { type Keyring, SealSum } from '../../crypto/index.js';
import { type DirectoryId, NO_SEAL } from '../../model/index.js';
import type { History } from '../history.js';
import type { DirectoryPlaces } from './directory-places.js';
import type { ProvenSet } from './proven-sets.js';

/** Maximum number of opened listings of large directories that are kept, and of keys of those that have none. */
const MAX_KEPT = 2;
const MAX_UNPROVEN = 64;
const NOTHING: Buffer = Buffer.alloc(0);
const NO_PAGE: Buffer = Buffer.from('0;');
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;

/** A proven listing that has more entries than a page. */
interface LargeListing {
  readonly place: Buffer;
  /** The packed page with all entries. */
  readonly page: Buffer;
  /** The last name of the page that was returned last, and the offset of the entry after it. */
  last: Buffer;
  next: number;
}

export class OpenedPages {
  private readonly large = new Map<string, LargeListing>();
  /** Keys of large directories that must be listed in another way. */
  private readonly unproven = new Set<string>();
  private readonly sealed: History;
  private readonly keyring: Keyring;
  private readonly places: DirectoryPlaces;
  private readonly maxEntries: number;

  /** Directories with more than `maxEntries` entries are not sorted, and have no pages here. */
  constructor(sealed: History, keyring: Keyring, places: DirectoryPlaces, maxEntries: number) {
    this.sealed = sealed;
    this.keyring = keyring;
    this.places = places;
    this.maxEntries = maxEntries;
  }

  /** Returns pages as `History.listPacked` does, those without bytes for directories that `list` must list. */
  list(proven: ProvenSet, { directories, set, after, limit }: PackedPages): Buffer | undefined {
    const [first] = directories;
    const isOne = directories.length === 1;
    if (first === undefined || (after.length > 0 && !isOne)) return undefined;
    if (after.length > 0) return joined([this.largePage(proven, first, after, limit)]);
    const found = this.fetch({ directories, set, after, limit });
    if (found.length !== directories.length) return undefined;
    const pages = found.map((page, index) => {
      if (entriesIn(page) < limit) return this.open(proven, directories[index]!, page);
      return isOne ? this.largePage(proven, first, after, limit) : undefined;
    });
    return joined(pages);
  }

  private fetch(pages: PackedPages): FetchedPage[] {
    const value = this.sealed.listPacked?.({ ...pages, isStrict: true });
    return value === undefined ? [] : packedPagesIn(value);
  }

  /** Opens the whole listing of a directory. Returns undefined unless it is proven. */
  private open(proven: ProvenSet, directory: DirectoryId, found: FetchedPage): Buffer | undefined {
    const place = this.placeOf(proven, directory);
    const expected = place && proven.listingAt(place);
    if (place === undefined || expected === undefined || expected.equals(NO_SEAL)) return undefined;
    const { tree } = this.keyring;
    const sum = new SealSum();
    const opened = tree.openListing(found, place, sum);
    if (opened === undefined || !tree.listing(sum).equals(expected)) return undefined;
    for (const child of opened.children) this.places.add(proven.set, child.id, child.place);
    return opened.page;
  }

  /** Returns the place of a directory; undefined if it has none or several, of which each must be proven. */
  private placeOf({ set }: ProvenSet, directory: DirectoryId): Buffer | undefined {
    const places = this.places.of(set, directory);
    return places.length === 1 ? places[0] : undefined;
  }

  /** Returns a page of a directory that has more entries than one. */
  private largePage(
    proven: ProvenSet,
    directory: DirectoryId,
    after: Buffer,
    limit: number,
  ): Buffer | undefined {
    const listing = this.largeListing(proven, directory);
    return listing && pageOf(listing, after, limit);
  }

  private largeListing(proven: ProvenSet, directory: DirectoryId): LargeListing | undefined {
    const { set } = proven;
    const key = `${set}/${directory}`;
    const place = this.placeOf(proven, directory);
    const kept = this.large.get(key);
    if (place === undefined || this.unproven.has(key)) return undefined;
    if (kept?.place.equals(place) === true) return kept;
    const limit = this.maxEntries + 1;
    const [found] = this.fetch({ directories: [directory], set, after: NOTHING, limit });
    const isWhole = found !== undefined && entriesIn(found) < limit;
    const page = isWhole ? this.open(proven, directory, found) : undefined;
    if (page === undefined) {
      this.unproven.add(key);
      dropOldest(this.unproven, MAX_UNPROVEN);
      return undefined;
    }
    const listing = { place, page, last: NOTHING, next: firstEntry(page, 0) };
    this.large.delete(key);
    this.large.set(key, listing);
    dropOldest(this.large, MAX_KEPT);
    return listing;
  }
}

/** Deletes the oldest key if there are more than `most`. */
function dropOldest(
  kept: Pick<Map<string, unknown>, 'size' | 'keys' | 'delete'> | Set<string>,
  most: number,
): void {
  const [oldest] = kept.keys();
  if (kept.size > most) kept.delete(oldest!);
}

/** Returns pages as one value, each with its length before it. */
function joined(pages: readonly (Buffer | undefined)[]): Buffer {
  return Buffer.concat(
    pages.flatMap((page) =>
      page === undefined ? [NO_PAGE] : [Buffer.from(`${page.length};`), page],
    ),
  );
}

/** Returns the number of entries that a page has by its head. */
function entriesIn({ value, from }: FetchedPage): number {
  return numberAt(value, from);
}

/** Returns the number in decimal at an offset. */
function numberAt(value: Buffer, from: number): number {
  let number = 0;
  for (let at = from; at < value.length; at += 1) {
    const byte = value[at]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) break;
    number = number * 10 + byte - DIGIT_0;
  }
  return number;
}

/** Returns the offset after the head of a page. */
function firstEntry(page: Buffer, from: number): number {
  return page.indexOf(SEMICOLON, from) + 1;
}

/** Returns a page of at most `limit` entries after a name. */
function pageOf(listing: LargeListing, after: Buffer, limit: number): Buffer {
  const { page } = listing;
  let at = listing.last.equals(after) ? listing.next : firstEntry(page, 0);
  let [from, count] = [at, 0];
  let last = after;
  while (at < page.length && count < limit) {
    const nameAt = page.indexOf(SEMICOLON, at) + 1;
    const nameEnd = nameAt + numberAt(page, at);
    const metadataBytes = numberAt(page, page.indexOf(COMMA, at) + 1);
    const name = page.subarray(nameAt, nameEnd);
    at = nameEnd + metadataBytes;
    if (count === 0 && Buffer.compare(name, after) <= 0) {
      from = at;
      continue;
    }
    last = name;
    count += 1;
  }
  listing.last = last;
  listing.next = at;
  return Buffer.concat([Buffer.from(`${count},${count};`), page.subarray(from, at)]);
}

/**
 * Packs listings in the addon, directly from the rows of the catalog. This works for complete sets of a catalog on
 * this machine. In other sets, and for pages with an entry that is damaged, sparse or has attributes, entries are
 * loaded one by one.
 */
import { type DirectoryId, NO_BYTES, type SetNumber } from '../model/index.js';
import { BoundedCache, type FuseCalls, READY_LINKS_BYTES } from '../system/index.js';
import { ENTRY_BYTES } from './protocol.js';
import { type Dots, DOTS } from './packing.js';
import { PAGE_ENTRIES } from './page-cache.js';
import type { PackedEntries, PackedPage } from './tree.js';
import { type FetchedPage, type History, packedPagesIn } from '../history/index.js';

/** Maximum size of a packed page: 512 entries with long names. */
const MAX_PACKED_BYTES = 512 << 10;
/** Maximum number of bytes of listings that are kept. After the kernel has a listing, it seldom requests it again. */
const MAX_KEPT_BYTES = 2 << 20;
/** Approximate memory of a listing besides its bytes. */
const LISTING_BYTES = 256;
const HEAD_WORDS = 2;
const CHILD_WORDS = 3;
const INDEX_WORDS = HEAD_WORDS + DOTS + PAGE_ENTRIES + 1 + PAGE_ENTRIES * CHILD_WORDS;
const OTHER_DEVICE = 0x8000_0000;
const TWO_32 = 0x1_0000_0000;
const PLACE_NUMBERS = 12;
const DIRENT_NAME_AT = 24;
const NAME_BYTES_AT = 16;
/** Maximum number of pages whose directories are remembered. */
const MAX_NOTED = 4096;

export interface ListedDirectory {
  readonly set: SetNumber;
  readonly tree: number;
  readonly number: number;
  readonly id: DirectoryId;
  readonly device: string;
  readonly dots: Dots;
  /** Position of the first entry (-2 if that is `.`), and the name after which the page begins; no name for the first page. */
  readonly first: number;
  readonly after: Buffer;
  readonly validSeconds: number;
  readonly isPlus: boolean;
}

/** A directory that is listed in a page. */
export interface ListedChild {
  readonly position: number;
  readonly id: DirectoryId;
  readonly isOnOtherDevice: boolean;
}

/** Node of a directory in a page. */
export interface ChildNode {
  readonly number: number;
  readonly nodeLow: number;
  readonly nodeHigh: number;
}

/** The position of a directory in a page, and its number in the tree. */
export interface ListedNode {
  readonly position: number;
  readonly number: number;
}

/** Memory for a page, as bytes and as words. */
export interface Room {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
}

/** A page that was packed into a room. */
interface RoomListing {
  readonly bytes: number;
  /** Number of entries without `.` and `..`. */
  readonly entries: number;
  readonly children: readonly ListedNode[];
}

export interface PackedListing extends PackedPage, PackedEntries {
  readonly isPlus: boolean;
  readonly isLast: boolean;
  readonly lastName: Buffer;
  /** Directories that are listed in the page. */
  readonly children: readonly ListedNode[];
}

type NodeOf = (child: ListedChild) => ChildNode | undefined;

export class PackedListings {
  private readonly kept = new BoundedCache<number, PackedListing>(MAX_KEPT_BYTES);
  private readonly place = new Float64Array(PLACE_NUMBERS);
  private readonly placeBytes = Buffer.from(this.place.buffer);
  private readonly index = new Uint32Array(INDEX_WORDS);
  private readonly indexBytes = Buffer.from(this.index.buffer);
  /** Directories that are listed in pages, by the keys of the pages. */
  private readonly noted = new BoundedCache<number, readonly ListedNode[]>(MAX_NOTED);
  private target: Room | undefined;
  private device = '';
  private deviceBytes: Buffer = Buffer.alloc(0);

  /** `links`: the table into which the targets of links are packed (see `fuseListen`). */
  constructor(
    private readonly native: FuseCalls,
    private readonly links: Uint8Array = new Uint8Array(READY_LINKS_BYTES),
  ) {}

  /**
   * Returns a kept listing in the form of READDIRPLUS (with `isPlus`) or READDIR; in any form if `isPlus` is
   * undefined.
   */
  get(key: number, isPlus?: boolean): PackedListing | undefined {
    const listing = this.kept.peek(key);
    return isPlus === undefined || listing?.isPlus === isPlus ? listing : undefined;
  }

  /**
   * Makes and keeps a listing. `nodeOf` returns the node of a directory in the listing, or undefined if the directory
   * cannot be listed in packed form. In that case, and if the entries of the page must be loaded one by one, this
   * function returns undefined.
   */
  make(
    key: number,
    history: History,
    directory: ListedDirectory,
    nodeOf: NodeOf,
  ): PackedListing | undefined {
    const { id, set, after } = directory;
    const [page] = fetchPages(history, { directories: [id], set, after, limit: PAGE_ENTRIES });
    if (page === undefined) return undefined;
    const target = (this.target ??= roomOf(Buffer.allocUnsafeSlow(MAX_PACKED_BYTES)));
    const made = this.pack(target, page, directory, nodeOf);
    if (made === undefined) return undefined;
    const packed = Buffer.from(target.bytes.subarray(0, made.bytes));
    const listing = this.listing(directory, packed, made);
    this.note(key, made.children);
    this.kept.set(key, listing, LISTING_BYTES + listing.packed.length);
    return listing;
  }

  /**
   * Packs a listing into a room, without keeping it. Returns undefined in the cases of `make`, and if the room is too
   * small.
   */
  pack(
    room: Room,
    page: FetchedPage,
    directory: ListedDirectory,
    nodeOf: NodeOf,
  ): RoomListing | undefined {
    const { native, placeBytes, indexBytes, index, links } = this;
    this.describe(directory, page);
    const bytes = native.packListing(
      page.value,
      placeBytes,
      this.deviceBytes,
      room.bytes,
      indexBytes,
      links,
    );
    const entries = index[0]! + Math.min(0, directory.first);
    if (bytes < 0 || entries > PAGE_ENTRIES) return undefined;
    const children = this.fillNodes(directory, room.words, nodeOf);
    return children === undefined ? undefined : { bytes, entries, children };
  }

  /** Remembers the directories of a page. */
  note(key: number, children: readonly ListedNode[]): void {
    this.noted.set(key, children);
  }

  /** Returns the directories of a page that was packed; undefined if it was not packed, or long ago. */
  childrenIn(key: number): readonly ListedNode[] | undefined {
    return this.noted.peek(key);
  }

  /** Drops all listings whose keys are within a range. */
  drop(from: number, to: number): void {
    const isOut = (key: number): boolean => key >= from && key < to;
    this.noted.deleteWhere(isOut);
    this.kept.deleteWhere(isOut);
  }

  private describe(listed: ListedDirectory, { from, bytes }: FetchedPage): void {
    const { set, tree, number, id, first, validSeconds, isPlus, dots } = listed;
    const [{ directory: own }, parent] = dots;
    const page = [first, validSeconds, isPlus ? 1 : 0, from, bytes];
    this.place.set([set, tree, number, id, ...page, own!, parent.set, parent.directory!]);
    if (listed.device === this.device) return;
    this.device = listed.device;
    this.deviceBytes = Buffer.from(listed.device, 'latin1');
  }

  private fillNodes(
    { first, isPlus }: ListedDirectory,
    words: Uint32Array,
    nodeOf: NodeOf,
  ): PackedListing['children'] | undefined {
    const { index } = this;
    const count = index[0]!;
    const children: ListedNode[] = [];
    for (let child = 0; child < index[1]!; child += 1) {
      const at = HEAD_WORDS + count + 1 + child * CHILD_WORDS;
      const entry = index[at]!;
      const high = index[at + 2]!;
      const position = first + entry;
      const id = (high % OTHER_DEVICE) * TWO_32 + index[at + 1]!;
      const node = nodeOf({ position, id, isOnOtherDevice: high >= OTHER_DEVICE });
      if (node === undefined) return undefined;
      if (isPlus) {
        const word = index[HEAD_WORDS + entry]! >>> 2;
        words[word] = node.nodeLow;
        words[word + 1] = node.nodeHigh;
      }
      children.push({ position, number: node.number });
    }
    return children;
  }

  private listing(
    { first, isPlus }: ListedDirectory,
    packed: Buffer,
    { children, entries: shown }: RoomListing,
  ): PackedListing {
    const count = this.index[0]!;
    const starts = this.index.slice(HEAD_WORDS, HEAD_WORDS + count + 1);
    const direntAt = (starts[count - 1] ?? 0) + (isPlus ? ENTRY_BYTES : 0);
    const nameAt = direntAt + DIRENT_NAME_AT;
    const lastName =
      shown === 0
        ? NO_BYTES
        : packed.subarray(nameAt, nameAt + packed.readUInt32LE(direntAt + NAME_BYTES_AT));
    const entries = { packed, starts };
    const isLast = shown < PAGE_ENTRIES;
    const more = { isPlus, isLast, lastName, children };
    return { first, plus: () => entries, plain: () => entries, ...entries, ...more };
  }
}

/** Returns a room in this memory, which begins at a multiple of 4. */
export function roomOf(bytes: Buffer): Room {
  return { bytes, words: new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2) };
}

type RequestedPages = Parameters<NonNullable<History['listPacked']>>[0];

/** Returns a page for each directory; none if the history has no packed pages or an error, which `list` then reports. */
export function fetchPages(history: History, requested: RequestedPages): FetchedPage[] {
  let value: Buffer | undefined;
  try {
    value = history.listPacked?.(requested);
  } catch {
    return []; // `list` reports the error
  }
  const pages = value === undefined ? [] : packedPagesIn(value);
  return pages.length === requested.directories.length ? pages : [];
}

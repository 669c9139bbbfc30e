/**
 * The interface for reading a client's history. Every tool that lists, restores or compares uses these calls, on a
 * local store or on a server. Long results are split into pages, so that no call takes long.
 */
import type { DeltaSource } from '../delta/index.js';
import {
  type ContentId,
  type ContentKeys,
  DIGEST_BYTES,
  type DirectoryId,
  NO_BYTES,
  SEAL_BYTES,
  type SetNumber,
} from '../model/index.js';
import type {
  BackupSet,
  CatalogEntry,
  ListingPage,
  LocatedPiece,
  PackedPages,
  SealedDirectory,
} from '../store/catalog/index.js';
import type {
  ClientDirectory,
  ObjectReader,
  OwnerRecord,
  RootRecord,
  SetNote,
} from '../store/index.js';
import type { Access } from './local/access.js';
import type { Reports } from './reports.js';

export type HistoryEntry = CatalogEntry;

/** One version of a path, with the sets in which it was at that path. */
export interface PathVersion {
  readonly entry: HistoryEntry;
  /** The first and the last set in which this version was at the path; `lastSet` is undefined while it is current. */
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
}

/** True if a span of sets has a set. */
export function isAsOf(
  { firstSet, lastSet }: Pick<PathVersion, 'firstSet' | 'lastSet'>,
  set: SetNumber,
): boolean {
  return firstSet <= set && set <= (lastSet ?? Infinity);
}

/** The seals that prove that a set is the client's own, if the client encrypts. */
export interface SetSeals {
  readonly directories: readonly SealedDirectory[];
  readonly setSeal: Buffer | undefined;
}

/** One stored piece of a content. */
export type ContentPiece = LocatedPiece;

/** A content without a name. */
export interface FoundContent {
  readonly contentId: ContentId;
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

/** A content to locate. If the store is untrusted, the location is checked against the digest or the proof. */
export type RequestedContent = Pick<CatalogEntry, 'contentId'> &
  Partial<Pick<CatalogEntry, 'digest' | 'proof' | 'metadata'>>;

/** The pieces of a content in their order; undefined if its bytes are missing. */
export type ContentLocation = readonly ContentPiece[] | undefined;

export interface History extends Disposable {
  readonly client: string;
  /** Number of bytes of contents that were fetched over a connection so far. */
  readonly fetchedBytes: number;
  /**
   * True if reading contents, and usually each call, takes a round trip to a server or bucket. Callers should then
   * request data ahead.
   */
  readonly isRemote: boolean;
  /** Keys that decrypt contents and key their digests; undefined if nothing is encrypted. */
  readonly contentKeys: ContentKeys | undefined;
  /** Warnings about returned data without proof, as text for the user. */
  readonly doubts: readonly string[];
  /** True if any returned entry is of a directory or set without proof; undefined if the history has no proofs. */
  readonly hasUnproven?: boolean;
  /** Reports on sets and on the whole store, as opposed to single entries. */
  readonly reports: Reports;
  /** Directory of the client, for jobs that read its objects; undefined if a server or this thread reads them. */
  readonly directory: ClientDirectory | undefined;
  /**
   * The access rights of the reader. Calls that take a path enforce them. A caller that walks with `list` must
   * check every directory before its entries, and every file before its content.
   */
  readonly access: Access;
  /**
   * Accepts sets that do not match their seals. Each entry of such a set is then proven separately, and `doubts`
   * reports the set. Undefined if the client has no seals.
   */
  acceptUnproven?(): void;
  /**
   * Accepts a store in an older state than this machine has seen. `report` receives a description of the missing data.
   * Undefined if nothing is remembered about the store.
   */
  acceptOlder?(report: (what: string) => void): void;
  /** True if the store is in an older state than this machine has seen. */
  readonly isOlder?: boolean;
  /**
   * Returns CATALOG_DAMAGED for an error that looks like a bug but is explained by damage of the catalog; returns
   * other errors unchanged. Undefined if the catalog is not on this machine.
   */
  explain?(error: unknown): unknown;
  /**
   * Runs work that writes to the store of this history in this thread. Meanwhile no call keeps a read transaction open:
   * the writer would wait for it without end. Undefined if the store is not on this machine.
   */
  whileWriting?<T>(work: () => Promise<T>): Promise<T>;
  /** Returns the listed sets, oldest first. */
  sets(): Promise<BackupSet[]>;
  /**
   * Returns a set by number or name; without a text, the newest complete set. Throws NO_SUCH_SET if there is none, and
   * USAGE if several sets have the name.
   */
  findSet(text: string | undefined): Promise<BackupSet>;
  /**
   * Returns the roots of a set. For an unknown set, returns no roots, or throws NO_SUCH_SET if this history proves
   * sets.
   */
  roots(set: SetNumber): Promise<RootRecord[]>;
  /**
   * Returns the seals of at most `limit` directories of a set with ids after `after`, and the seal of the set, if
   * any.
   */
  seals(set: SetNumber, after: DirectoryId, limit: number): Promise<SetSeals>;
  notes(set: SetNumber): Promise<SetNote[]>;
  /** Returns the names of users and groups as of a set. */
  owners(set: SetNumber): Promise<OwnerRecord[]>;
  /** Returns the newest complete set that began at a time or before it. Throws NO_SUCH_SET if there is none. */
  findSetAt(momentMs: number): Promise<BackupSet>;
  /**
   * Returns the entry at an absolute path as of a set; undefined if the set has no such entry. Throws NO_ACCESS if the
   * reader may not search a directory on the path.
   */
  find(path: Buffer, set: SetNumber): Promise<HistoryEntry | undefined>;
  /** Returns a page of a directory as of a set, sorted by name (but see `orderOf`). A page has a limit of at least 1. */
  list(page: ListingPage): Promise<HistoryEntry[]>;
  /**
   * Returns a page of each of some directories, as `list` does, packed for `packListing` of the addon. Before each page
   * are its length in decimal and `;`. A page without bytes must be listed by `list`. The packed entries are not
   * checked. Returns undefined if this reader may not see every entry. The method is undefined unless the catalog is on
   * this machine.
   */
  listPacked?(pages: PackedPages): Buffer | undefined;
  /**
   * True if a directory has so many entries that its listing should not be opened before it is requested. The method is
   * undefined if every listing can be read page by page.
   */
  isLarge?(directory: DirectoryId, set: SetNumber): boolean;
  /**
   * Returns the bytes that stand for a name in the order of a directory that is too large to be sorted by name. The
   * method is undefined if all directories are sorted by name.
   */
  readonly orderOf?: (name: Buffer) => Buffer;
  /**
   * True if the bytes of a content are missing, or a check has marked it as damaged. Undefined if the catalog is not on
   * this machine.
   */
  isDamaged?(contentId: ContentId): boolean;
  /** Returns at most `limit` contents (1 to 4096) whose digests begin with these bytes (at least 8). */
  findContents(prefix: Buffer, limit: number): Promise<FoundContent[]>;
  /** Returns every version that was ever at an absolute path, oldest first, as far as the reader may see it. */
  versions(path: Buffer): Promise<PathVersion[]>;
  /** Returns the locations of contents, in the order of the request. */
  locate(contents: readonly RequestedContent[]): Promise<ContentLocation[]>;
  /** Returns a reader for the objects that contain the contents. */
  objects(): ObjectReader;
  /** Returns a source of deltas made where the store is; undefined if contents are read without deltas. */
  deltas(): DeltaSource | undefined;
  close(): void;
}

/** Yields the entries of a directory as of a set, in pages of `limit` entries; the last one is shorter. */
export async function* listedPages(
  history: Pick<History, 'list'>,
  listing: Omit<ListingPage, 'after'>,
): AsyncGenerator<readonly HistoryEntry[]> {
  for (let after = NO_BYTES; ; ) {
    const page = await history.list({ ...listing, after });
    yield page;
    if (page.length < listing.limit) return;
    after = page.at(-1)!.name;
  }
}

/** True if both have the same content. For an untrusted store, compares the proofs of their contents. */
export function isSameContent(one: HistoryEntry, other: HistoryEntry): boolean {
  if (one.proof !== undefined && other.proof !== undefined) {
    const end = other.proof.at + SEAL_BYTES;
    const { hashes, at } = one.proof;
    return hashes.compare(other.proof.hashes, other.proof.at, end, at, at + SEAL_BYTES) === 0;
  }
  if (one.digest?.length === DIGEST_BYTES && other.digest !== undefined) {
    return one.digest.equals(other.digest);
  }
  return one.contentId === other.contentId;
}

/**
 * Joins versions, oldest first, with their next ones that are alike, unless the path was gone between them. A joined
 * version has the entry of its first one. `covering` are the sets that show if the path was gone: the listed sets with a
 * root at or above it. By default these are all sets.
 */
export function joinVersions<T extends PathVersion>(
  versions: readonly T[],
  isAlike: (one: T, next: T) => boolean,
  covering?: readonly SetNumber[],
): T[] {
  const joined: T[] = [];
  for (const version of versions) {
    const { firstSet } = version;
    const last = joined.at(-1);
    const end = last?.lastSet ?? Infinity;
    const isNext = covering?.every((set) => set <= end || set >= firstSet) ?? end + 1 >= firstSet;
    if (last !== undefined && isNext && isAlike(last, version)) {
      joined[joined.length - 1] = { ...last, lastSet: version.lastSet };
    } else joined.push(version);
  }
  return joined;
}

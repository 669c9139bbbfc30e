/**
 * The one way to read a client's history: every tool that lists, restores, compares or mounts asks
 * these questions, of a local store or (later) of a server. Answers come in pages, so that no
 * question runs long.
 */
import type {
  BackupSet,
  CatalogEntry,
  ListingPage,
  LocatedPiece,
  SealedDirectory,
} from '../catalog/index.js';
import type { DeltaSource } from '../delta/index.js';
import type { ContentKeys } from '../model/index.js';
import type { ObjectReader, OwnerRecord, RootRecord, SetNote } from '../store/index.js';
import type { Access } from './access.js';
import type { Reports } from './reports.js';

export type ArchiveEntry = CatalogEntry;

/** One version of a path, and where it was found. */
export interface PathVersion {
  readonly entry: ArchiveEntry;
  /** The sets in which this version was at the path: from, to (undefined: still). */
  readonly firstSet: number;
  readonly lastSet: number | undefined;
}

/** What proves that a set is the client's own, where it encrypts. */
export interface SetSeals {
  readonly directories: readonly SealedDirectory[];
  readonly setSeal: Buffer | undefined;
}

/** One stored piece of a content. */
export type ContentPiece = LocatedPiece;

/** A content without a name. */
export interface FoundContent {
  readonly contentId: number;
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

/** A content that is looked for; the digest is checked where a store is not trusted. */
export type WantedContent = Pick<CatalogEntry, 'contentId'> &
  Partial<Pick<CatalogEntry, 'digest' | 'proof' | 'metadata'>>;

/** Where a content is: its pieces in order; undefined when its bytes are missing. */
export type ContentLocation = readonly ContentPiece[] | undefined;

export interface Archive {
  readonly client: string;
  /** Of contents, over a connection so far. */
  readonly fetchedBytes: number;
  /** Answers take their time: whoever can asks ahead. */
  readonly isFar: boolean;
  /** What decrypts contents, and keys their digests; undefined: nothing is encrypted. */
  readonly contentKeys: ContentKeys | undefined;
  /** What of that which was answered nothing proves, in words; for whoever restores it. */
  readonly doubts: readonly string[];
  /** Questions beside those of entries. */
  readonly reports: Reports;
  /** Where the store's objects are, for jobs that read them; undefined: not on this machine. */
  readonly clientPath: string | undefined;
  /**
   * What whoever asks may see. Questions by path keep to it themselves; who walks by `list` asks it
   * for every directory before its entries, and for every file before its content.
   */
  readonly access: Access;
  /** Sets that are listed, oldest first. */
  sets(): Promise<BackupSet[]>;
  /** A set by number or name; undefined text: the newest complete one. Throws NO_SUCH_SET. */
  findSet(text: string | undefined): Promise<BackupSet>;
  roots(set: number): Promise<RootRecord[]>;
  /** Seals of a set's directories behind a directory, `limit` at most, and of the set, if it has one. */
  seals(set: number, after: number, limit: number): Promise<SetSeals>;
  notes(set: number): Promise<SetNote[]>;
  /** Names of users and groups as of a set. */
  owners(set: number): Promise<OwnerRecord[]>;
  /** The newest complete set begun at a moment or before. Throws NO_SUCH_SET. */
  findSetAt(momentMs: number): Promise<BackupSet>;
  /** The entry at an absolute path as of a set. Throws NO_ACCESS if the way to it is closed. */
  find(path: Buffer, set: number): Promise<ArchiveEntry | undefined>;
  /** A page of a directory as of a set, by name. */
  list(page: ListingPage): Promise<ArchiveEntry[]>;
  /** Contents whose digest begins with these bytes (8 at least), `limit` at most. */
  findContents(prefix: Buffer, limit: number): Promise<FoundContent[]>;
  /** Every version of what was ever at an absolute path, oldest first, as far as it may be seen. */
  versions(path: Buffer): Promise<PathVersion[]>;
  /** Where contents are, in the order asked for. */
  locate(contents: readonly WantedContent[]): Promise<ContentLocation[]>;
  /** The objects that hold them. */
  objects(): ObjectReader;
  /** Who makes deltas where the contents are; undefined where that is here. */
  deltas(): DeltaSource | undefined;
  close(): void;
}

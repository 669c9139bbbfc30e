/**
 * The one way to read a client's history: every tool that lists, restores, compares or mounts asks
 * these questions, of a local store or (later) of a server. Answers come in pages, so that no
 * question runs long.
 */
import type { BackupSet, CatalogEntry, ListingPage } from '../catalog/index.js';
import type { OwnerRecord, RootRecord, SetNote } from '../store/index.js';

export type ArchiveEntry = CatalogEntry;

/** One version of a path, and where it was found. */
export interface PathVersion {
  readonly entry: ArchiveEntry;
  /** The sets in which this version was at the path: from, to (undefined: still). */
  readonly firstSet: number;
  readonly lastSet: number | undefined;
}

/** One stored piece of a content. */
export interface ContentPiece {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  /** Object that holds the record, its place there and its length. */
  readonly object: string;
  readonly position: number;
  readonly recordBytes: number;
  /** Within the decoded frame. */
  readonly offset: number;
}

/** Where a content is: its pieces in order; undefined when its bytes are missing. */
export type ContentLocation = readonly ContentPiece[] | undefined;

export interface Archive {
  readonly client: string;
  /** Where the store's objects are, for jobs that read them. */
  readonly clientPath: string;
  /** Sets that are listed, oldest first. */
  sets(): Promise<BackupSet[]>;
  /** A set by number or name; undefined text: the newest complete one. Throws NO_SUCH_SET. */
  findSet(text: string | undefined): Promise<BackupSet>;
  roots(set: number): Promise<RootRecord[]>;
  notes(set: number): Promise<SetNote[]>;
  /** Names of users and groups as of a set. */
  owners(set: number): Promise<OwnerRecord[]>;
  /** The entry at an absolute path as of a set. */
  find(path: Buffer, set: number): Promise<ArchiveEntry | undefined>;
  /** A page of a directory as of a set, by name. */
  list(page: ListingPage): Promise<ArchiveEntry[]>;
  /** Every version of what was ever at an absolute path, oldest first. */
  versions(path: Buffer): Promise<PathVersion[]>;
  /** Where contents are, in the order asked for. */
  locate(contentIds: readonly number[]): Promise<ContentLocation[]>;
  close(): void;
}

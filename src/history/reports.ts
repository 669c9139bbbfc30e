/** Reports on a client's history: changes between sets, names, settings, and the space that everything takes. */
import type { AttributeUse, EntryPlace, NamedVersion, SetSpan } from '../store/catalog/index.js';
import type {
  ClientConfig,
  ClientSetting,
  DirectoryId,
  RunRecord,
  SetNumber,
} from '../model/index.js';
import { type Body, SIZE_ORDERS } from '../transport/index.js';
import type { HistoryEntry } from './history.js';
import type { ClientOverview } from './wire/client-overview.js';

/** A request for the changes after a place. */
export interface ChangesPage extends SetSpan {
  readonly after: EntryPlace;
  readonly limit: number;
}

export interface ChangesFound {
  /**
   * Versions that only one of the two sets shows, sorted by directory and name, so that the versions of a name are
   * adjacent.
   */
  readonly entries: readonly HistoryEntry[];
  /** Place after which the next page begins; undefined if this is the last page. */
  readonly next: EntryPlace | undefined;
}

/** A request for the names after a place. */
export interface NamedPage {
  readonly after: EntryPlace;
  /**
   * Byte string that each opened name must contain, without regard to capital letters of ASCII; empty for any name.
   * `isMatch` decides.
   */
  readonly literal: Buffer;
  readonly isMatch: (name: Buffer) => boolean;
}

export interface NamesFound {
  /** The versions found, sorted by directory, then by the name as stored. */
  readonly versions: readonly NamedVersion[];
  /** Place after which the next page begins; undefined if this is the last page. */
  readonly next: EntryPlace | undefined;
}

/** The place before the first entry. */
export const FIRST_PLACE: EntryPlace = Object.freeze({ directory: -1, name: Buffer.alloc(0) });

/** Figures about the space that a client takes. */
export interface StoreFigures {
  /** Counts and bytes of each kind (docs/using/sets.md). */
  readonly numbers: Readonly<Record<StoreFigure, number>>;
  /** Directories with the most bytes in older versions of their files, largest first. */
  readonly busiest: readonly BusyDirectory[];
}

export type BusyDirectory = Body<'figuresAre'>['busiest'][number];

/** A request for the sizes of a directory as of a set, and of the largest directories in it. */
export type SizesRequest = Body<'readSizes'>;
export type SizesFound = Body<'sizesAre'>;
/** Sums over the files of a directory and of all below it. */
export type SizesBelow = NonNullable<SizesFound['sums']>;

export { SIZE_ORDERS };
export type SizeOrder = (typeof SIZE_ORDERS)[number];

export const STORE_FIGURES = [
  'packs',
  'packBytes',
  'objects',
  'objectBytes',
  'catalogBytes',
  'sets',
  'versions',
  'openVersions',
  'versionBytes',
  'contents',
  'contentBytes',
  'records',
  'recordBytes',
  'rawBytes',
  'deltas',
  'deadBytes',
  'olderBytes',
] as const;
type StoreFigure = (typeof STORE_FIGURES)[number];

/** Maximum number of directories in the report. */
export const MOST_BUSY = 10;

/** The catalog that a history reads, and the file system that has the store. */
export type StoreState = Body<'storeIs'>;

export interface Reports {
  /** Returns the paths of the roots of every listed set. For an encrypting client these are unproven. */
  rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>>;
  /**
   * Returns a page of the entries that only one of two sets shows. A renamed directory is one change, without its
   * entries.
   */
  changes(page: ChangesPage): Promise<ChangesFound>;
  /**
   * Returns a page of the versions of matching names in all sets, except roots. A page may be empty without being the
   * last one.
   */
  named(page: NamedPage): Promise<NamesFound>;
  /**
   * Returns the path of each directory as of a set; undefined if the set lacks the directory or the reader may not list
   * it.
   */
  directoryPaths(
    set: SetNumber,
    directories: readonly DirectoryId[],
  ): Promise<(Buffer | undefined)[]>;
  /** Returns the settings that are stored with the client, sorted by key. */
  settings(): Promise<readonly ClientSetting[]>;
  /** Returns the configuration that the client sent with a set; undefined if it sent none. */
  clientConfig(set: SetNumber): Promise<ClientConfig | undefined>;
  figures(): Promise<StoreFigures>;
  /**
   * Returns the number of bytes that would be freed if these sets were deleted. The function is absent, or returns
   * undefined, if the catalog is on another machine.
   */
  freedBy?(gone: ReadonlySet<SetNumber>): Promise<number | undefined>;
  /** Returns the sizes of a directory, and what came since the earlier set `before` (0: an empty one). */
  sizes(request: SizesRequest): Promise<SizesFound>;
  store(): Promise<StoreState>;
  /**
   * Returns the facts about this client that its server has; undefined if the catalog is on this machine.
   */
  ownState?(): Promise<ClientOverview | undefined>;
  /**
   * Returns the newest records of the client's journal, oldest first: at least `most`, if there are so many. Words that
   * are sealed are opened, or left out.
   */
  runs(most?: number): Promise<readonly RunRecord[]>;
  /**
   * Adds records to the journal, with their words sealed if the client encrypts. Throws STORE_NOT_WRITABLE or the like,
   * and the errors of a server that takes none.
   */
  noteRuns(runs: readonly RunRecord[]): Promise<void>;
  /**
   * Returns the attributes that entries of any set may have; undefined if they are not known after `limitMs`. The
   * function is absent if the catalog is on another machine.
   */
  attributeUse?(limitMs: number): Promise<AttributeUse | undefined>;
}

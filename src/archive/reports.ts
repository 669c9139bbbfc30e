/** What is asked of a client's history beside its entries: what sets changed, what is said of them, what all of it takes. */
import type { EntryPlace, SetSpan } from '../catalog/index.js';
import type { KeptSetting } from '../model/index.js';
import type { ArchiveEntry } from './archive.js';

/** Which changes are asked for: those behind a place. */
export interface ChangesPage extends SetSpan {
  readonly after: EntryPlace;
  readonly limit: number;
}

export interface ChangesFound {
  /** Versions that only one of the two sets shows, by directory and name; those of a name stand together. */
  readonly entries: readonly ArchiveEntry[];
  /** Where to go on; undefined: that was all. */
  readonly next: EntryPlace | undefined;
}

/** Before the first entry. */
export const FIRST_PLACE: EntryPlace = Object.freeze({ directory: -1, name: Buffer.alloc(0) });

/** What a client takes. */
export interface StoreFigures {
  /** Counts and bytes, by what they are of (docs/operations.md). */
  readonly numbers: Readonly<Record<StoreFigure, number>>;
  /** Directories whose files' older versions are the most bytes, the most first. */
  readonly busiest: readonly BusyDirectory[];
}

export interface BusyDirectory {
  readonly directory: number;
  /** Versions of files that are not the newest. */
  readonly versions: number;
  readonly bytes: number;
}

export const STORE_FIGURES = [
  'packs',
  'packBytes',
  'objects',
  'objectBytes',
  'catalogBytes',
  'catalogCopies',
  'catalogCopyBytes',
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
] as const;
export type StoreFigure = (typeof STORE_FIGURES)[number];

/** So many are named. */
export const MOST_BUSY = 10;

export interface Reports {
  /** Paths of the roots of every set that is listed; of a client that encrypts as the store tells them, without proof. */
  rootsOfSets(): Promise<ReadonlyMap<number, readonly Buffer[]>>;
  /** What one set shows and another does not. A renamed directory is one change, and what is in it none. */
  changes(page: ChangesPage): Promise<ChangesFound>;
  /** Where directories were as of a set; undefined for what it did not have, or who asks may not see. */
  directoryPaths(set: number, directories: readonly number[]): Promise<(Buffer | undefined)[]>;
  /** Those that are kept with the client, by key. */
  settings(): Promise<readonly KeptSetting[]>;
  /** What the client of a set was set to, in its own words. */
  clientConfig(set: number): Promise<string | undefined>;
  figures(): Promise<StoreFigures>;
}

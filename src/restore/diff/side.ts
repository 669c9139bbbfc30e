/** The two sides of a comparison: a set of a history, or the current files on the disk. */
import type { History, HistoryEntry, OnWay } from '../../history/index.js';
import { recordDamaged, type TardisError } from '../../errors/index.js';
import type { Entry, SetNumber } from '../../model/index.js';
import type { ListedFile } from '../../workers/index.js';

/** An entry of one of the sides. */
export interface Seen {
  /** Absolute path. */
  readonly path: Buffer;
  readonly entry: Entry;
  /** The entry in the history; undefined if the entry is on the disk. */
  readonly stored: HistoryEntry | undefined;
  /** The place of an entry that is on the disk, by which it is opened. */
  readonly listed?: ListedFile;
  /** The directory that contains the entry, in the history. */
  readonly above?: OnWay;
}

/** A directory, and the entry at its path on the other side. */
export interface Visit {
  readonly directory: Seen;
  readonly twin: Seen | undefined;
  /** True if a root of one of the sides lies below, which a set shows in place of what the directory has there. */
  readonly isAboveRoot: boolean;
}

export interface Side {
  /** Returns the entry at a path. Throws NO_ACCESS, or the error of the system, if it may not be read. */
  find(path: Buffer): Promise<Seen | undefined>;
  /** Returns the paths of the roots of this side; empty if it contains all paths. */
  roots(): Promise<readonly Buffer[]>;
  /**
   * Yields the entries of a directory sorted by name. `visit.twin` is the entry at the same path on the other side. If
   * it is the same directory and above no root, entries that are equal on both sides may be omitted, except directories. Throws the
   * errors of reading.
   */
  entries(visit: Visit): AsyncGenerator<Seen, void>;
  /** Announces the directories that will be visited next; the last one is visited first. */
  comeNext(visits: readonly Visit[]): void;
}

/** A set of a history. `other` is the set on the other side, if that side is a set. */
export interface ComparedSet {
  readonly history: History;
  readonly set: SetNumber;
  readonly other: SetNumber | undefined;
}

/** Returns the error for a name that no entry can have. */
export function badName(): TardisError {
  return recordDamaged('the store has an entry with an invalid name');
}

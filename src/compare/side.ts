/** The two trees that are compared: a set of an archive, or what is on the disk now. */
import type { Archive, ArchiveEntry } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import type { Entry } from '../model/index.js';

/** An entry where one of the sides has it. */
export interface Seen {
  /** Absolute. */
  readonly path: Buffer;
  readonly entry: Entry;
  /** As the archive has it; undefined: it is on the disk. */
  readonly stored: ArchiveEntry | undefined;
}

/** A directory, and what has its path on the other side. */
export interface Visit {
  readonly directory: Seen;
  readonly twin: Seen | undefined;
}

export interface Side {
  /** Throws NO_ACCESS, or what the system says, if it must not be looked at. */
  find(path: Buffer): Promise<Seen | undefined>;
  /** Where what it has begins; empty: it has all paths. */
  roots(): Promise<readonly Buffer[]>;
  /**
   * What is in a directory, by name. Of what is the very same in `twin`, the same path on the other
   * side, only directories need to come. Throws what reading throws.
   */
  entries(visit: Visit): AsyncGenerator<Seen, void>;
  /** Which directories are asked for next, the first one last. */
  comeNext(visits: readonly Visit[]): void;
}

/** Of one archive; `other`: the set on the other side, if that is one. */
export interface ComparedSet {
  readonly archive: Archive;
  readonly set: number;
  readonly other: number | undefined;
}

/** The error for a name that leads somewhere else than to an entry. */
export function badName(): TardisError {
  return new TardisError('RECORD_DAMAGED', 'the store has an entry whose name is none');
}

/**
 * The interface for writing a client's records. Appended records are durable once a commit has covered them; each
 * medium does this in its own way. A writer belongs to one session, which holds the client's claim.
 */
import type { ObjectWriter } from '../backends/backend.js';
import type { Location } from '../layout/layout.js';
import { type PackRange } from './pack-ranges.js';

/** Everything that was written since the last commit. */
export interface Covered {
  readonly ranges: readonly PackRange[];
  /** Objects outside of packs. */
  readonly objects: readonly { readonly digest: Buffer; readonly bytes: number }[];
}

/** The end of a commit record, which identifies it. */
export interface CommitEnd extends Location {
  readonly checksum: number;
}

/** Runs a write that must not fail on a full disk, and repeats it once if necessary. */
export type Insisting = <T>(write: () => T) => T;

export interface RecordWriter {
  /** Number of bytes written by this writer, objects included. */
  readonly appendedBytes: number;
  /** Number of bytes appended since the last commit, objects included. A crash would lose them. */
  readonly uncommittedBytes: number;
  /** Appends one whole record, and returns its position. */
  append(record: Buffer): Location;
  /** Appends a staged record to a pack, piece by piece, and returns its position. */
  appendStaged(pieces: AsyncIterable<Buffer>): Promise<Location>;
  /**
   * Keeps a staged record as an object of its own, and returns its position. Resolves with undefined, and leaves the
   * record staged, if an object of that name exists. Objects are not replaced, even stale or damaged ones.
   */
  adoptNew(writer: ObjectWriter, digest: Buffer): Promise<Location | undefined>;
  /**
   * Makes everything appended so far durable. Then appends the commit record that `build` returns for it, and resolves
   * when that is durable too. Resolves with undefined, without a commit, if nothing was appended. After a failure, it
   * is unknown which part is durable, and the writer can only be closed.
   */
  commit(
    build: (covered: Covered) => Promise<Buffer>,
    insist: Insisting,
  ): Promise<CommitEnd | undefined>;
  /**
   * Begins the session by a commit of its own if the medium requires one, and resolves with the end of that commit.
   * Resolves with undefined on other media. Call it once, before all other methods. Throws STORE_TAKEN if another
   * machine was first.
   */
  claim(build: (covered: Covered) => Promise<Buffer>): Promise<CommitEnd | undefined>;
  /**
   * Throws STORE_TAKEN if another session has begun since this one. Sends one request on a medium that other machines
   * write to, and none elsewhere. Must not be called during a commit.
   */
  requireNewest(): Promise<void>;
  /** Frees the space of data that no commit covers, as far as possible. Never throws. */
  giveUp(): void;
  close(): void;
}

/** The way in which a repository of another program is read. */
import type { StatePlace } from './state-place.js';

/** One snapshot of restic, or archive of borg. */
export interface Archive {
  readonly id: string;
  readonly dateMs: number;
  readonly name: string;
  /** The absolute paths that it has, of a snapshot of restic. */
  readonly paths: readonly string[];
}

/** A program that reads its repositories. */
export interface RepositoryProgram {
  /** Returns the words that list the archives of the repository. */
  list(): readonly string[];
  archivesIn(listed: unknown): Archive[];
  /** Restores an archive into an empty directory. */
  restoreAll(id: string, place: StatePlace, signal: AbortSignal): Promise<void>;
  /**
   * Makes a directory that shows `from` show `to`, and leaves each file as it is that both have alike: it keeps its inode and
   * change time, so a backup does not read it again. Returns false if that is in doubt; throws, too.
   */
  change(
    archives: { readonly from: string; readonly to: string },
    place: StatePlace,
    signal: AbortSignal,
  ): Promise<boolean>;
}

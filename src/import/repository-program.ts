/** The way in which a repository of another program is read. */
import type { Program } from './programs.js';
import type { StatePlace } from './state-place.js';

/** One snapshot of restic, or archive of borg. */
export interface Archive {
  readonly id: string;
  readonly dateMs: number;
  readonly name: string;
  /** The machine that it was made on; '' if it is not known. */
  readonly host: string;
  /** The absolute paths that it was made of, if the list of archives has them. */
  readonly paths?: readonly string[];
}

/** A program that reads its repositories. */
export interface RepositoryProgram {
  /** The variable from which it takes a password, and all by which a user may give it one. */
  readonly passwordVariables: readonly [string, ...string[]];
  /** Lines about what it could not restore exactly; the caller removes those that it shows. */
  readonly warnings: string[];
  /** Returns what lists the archives of the repository. */
  list(): Program;
  archivesIn(listed: unknown): Archive[];
  /**
   * Returns the paths, without the first slash, of what was saved, as opposed to the directories above it, which the
   * archive does not have. None if they are not known.
   */
  rootsOf(archive: Archive, place: StatePlace): Promise<readonly Buffer[]>;
  /** Restores an archive into an empty directory. */
  restoreAll(id: string, place: StatePlace): Promise<void>;
  /**
   * Makes a directory that shows `from` show `to`, and leaves each file as it is that both have alike: it keeps its inode and
   * change time, so a backup does not read it again. Returns false if that is in doubt; throws, too.
   */
  change(
    archives: { readonly from: string; readonly to: string },
    place: StatePlace,
  ): Promise<boolean>;
}

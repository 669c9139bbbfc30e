/** Repositories of restic and borg, read by their own programs. */
import { asTardisError, TardisError } from '../errors/index.js';
import { displayText, liesBelow } from '../model/index.js';
import { environmentOfOthers } from '../system/index.js';
import type { Program, Programs } from './programs.js';
import type { StatePlace } from './state-place.js';

/** One snapshot of restic, or archive of borg. */
export interface Archive {
  readonly id: string;
  readonly dateMs: number;
  readonly name: string;
  /** The machine that it was made on; '' if it is not known. */
  readonly host: string;
  /** The paths that it was made of, if the list of archives has them. */
  readonly paths?: readonly string[];
}

/** The password of a repository: the given one, or what prompts for it. */
export interface RepositoryPassword {
  readonly given: Buffer | undefined;
  readonly prompt: () => Promise<Buffer>;
}

export abstract class Repository {
  /** The variable from which the program takes a password, and all by which a user may give it one. */
  protected abstract readonly passwordVariables: readonly [string, ...string[]];
  /** Lines about what could not be restored exactly. */
  protected readonly warnings: string[] = [];
  /** The archive that a directory shows, if it is known to be as the program would restore it. */
  private shown: { readonly id: string; readonly place: StatePlace } | undefined;

  constructor(
    protected readonly repository: string,
    protected readonly programs: Programs,
  ) {}

  /** Returns what lists the archives. */
  protected abstract list(): Program;

  abstract archivesIn(listed: unknown): Archive[];

  /**
   * Returns the paths, without the first slash, of what was saved, as opposed to the directories above it, which the
   * archive does not have. None if they are not known.
   */
  protected abstract rootsOf(archive: Archive, place: StatePlace): Promise<readonly Buffer[]>;

  /** Restores an archive into an empty directory. */
  protected abstract restoreAll(id: string, place: StatePlace): Promise<void>;

  /**
   * Makes a directory that shows `from` show `to`, and leaves each file as it is that both have alike: it keeps its inode and
   * change time, so a backup does not read it again. Returns false if that is in doubt; throws, too.
   */
  abstract change(
    archives: { readonly from: string; readonly to: string },
    place: StatePlace,
  ): Promise<boolean>;

  /**
   * Returns the archives, oldest first, and those without a date that can be read. Throws IMPORT_SOURCE_UNKNOWN
   * if there are none, IMPORT_PROGRAM_MISSING, LOGIN_FAILED for a wrong password, PASSWORD_NEEDED, and IMPORT_SOURCE_DAMAGED if
   * the program fails otherwise.
   */
  async archives(
    password: RepositoryPassword,
  ): Promise<{ readonly dated: readonly Archive[]; readonly undated: readonly Archive[] }> {
    const printed = await this.printedList(password);
    const shown = `"${displayText(this.repository)}"`;
    let archives: Archive[];
    try {
      archives = this.archivesIn(JSON.parse(printed));
    } catch (error) {
      const what = `the list that was printed of ${shown} cannot be read`;
      throw new TardisError('IMPORT_SOURCE_DAMAGED', what, {}, error);
    }
    const isDated = ({ dateMs }: Archive): boolean => Number.isFinite(dateMs);
    const dated = archives.filter(isDated).sort((one, other) => one.dateMs - other.dateMs);
    const undated = archives.filter((one) => !isDated(one));
    if (dated.length > 0) return { dated, undated };
    const what = `${shown} has no archives, so there is nothing to import`;
    throw new TardisError('IMPORT_SOURCE_UNKNOWN', what);
  }

  /**
   * Returns what the program prints of all archives. Unless the user gives the password in a way of the program, an empty one is
   * tried first: a repository without encryption needs none.
   */
  private async printedList({ given, prompt }: RepositoryPassword): Promise<string> {
    const { programs, passwordVariables: names } = this;
    const environment = environmentOfOthers();
    const isOfUser = given === undefined && names.some((name) => environment[name] !== undefined);
    if (!isOfUser) programs.usePassword(names[0], given?.toString() ?? '');
    try {
      return await programs.run(this.list());
    } catch (error) {
      const mayPrompt = !isOfUser && given === undefined;
      if (!mayPrompt || asTardisError(error).code !== 'LOGIN_FAILED') throw error;
      programs.usePassword(names[0], (await prompt()).toString());
      return programs.run(this.list());
    }
  }

  /**
   * Makes a directory show an archive. If it shows another archive, only what differs is written, unless all is wanted
   * anew. Returns the paths of what was saved, without the first slash; none if they are not known, and the warnings of the
   * program.
   */
  async show(
    archive: Archive,
    place: StatePlace,
    { isAnew = false }: { readonly isAnew?: boolean } = {},
  ): Promise<{ readonly saved: readonly Buffer[]; readonly lacks: readonly string[] }> {
    const { id } = archive;
    const { shown } = this;
    this.shown = undefined;
    const mayChange = shown?.place === place && !isAnew;
    const change = () => this.change({ from: shown!.id, to: id }, place);
    const isChanged = mayChange && (await ifCertain(change, false));
    if (!isChanged) {
      place.empty();
      await this.restoreAll(id, place);
    }
    this.shown = { id, place };
    const roots = await ifCertain(() => this.rootsOf(archive, place), []);
    // A path below another one is a part of it.
    const saved = roots.filter((one) => !roots.some((top) => liesBelow(one, top)));
    return { saved, lacks: this.warnings.splice(0).filter((line) => line !== '') };
  }
}

/** Errors that a restore of all meets too. */
const FINAL: readonly string[] = ['INTERRUPTED', 'TEMPORARY_FULL'];

/**
 * Returns what work does to save a restore of all, and `otherwise` if it fails: in a directory that this user may not
 * change, or over a list that cannot be read. A restore of all shows if it is more.
 */
async function ifCertain<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (FINAL.includes(asTardisError(error).code)) throw error;
    return otherwise;
  }
}

/** Repositories of restic and borg, read by their own programs. */
import { asTardisError, TardisError } from '../errors/index.js';
import { displayName, displayText, liesBelow } from '../model/index.js';
import { environmentOfOthers } from '../system/index.js';
import { Borg } from './borg.js';
import { Programs } from './programs.js';
import type { Archive, RepositoryProgram } from './repository-program.js';
import { Restic } from './restic.js';
import type { StatePlace } from './state-place.js';

export type RepositoryKind = 'restic' | 'borg';

/** The password of a repository: the given one, or what prompts for it. */
export interface RepositoryPassword {
  readonly given: Buffer | undefined;
  readonly prompt: () => Promise<Buffer>;
}

export class Repository {
  /** The archive that a directory shows, if it is known to be as the program would restore it. */
  private shown: { readonly id: string; readonly place: StatePlace } | undefined;

  private constructor(
    private readonly program: RepositoryProgram,
    private readonly programs: Programs,
    readonly archives: readonly Archive[],
    /** Names of archives without a date that can be read. */
    readonly undated: readonly string[],
  ) {}

  /**
   * Lists the archives, oldest first. Throws IMPORT_SOURCE_UNKNOWN if there are none, IMPORT_PROGRAM_MISSING,
   * LOGIN_FAILED for a wrong password, PASSWORD_NEEDED, and IMPORT_SOURCE_DAMAGED if the program fails otherwise.
   */
  static async open(
    kind: RepositoryKind,
    place: string,
    { signal, password }: { readonly signal: AbortSignal; readonly password: RepositoryPassword },
  ): Promise<Repository> {
    const programs = new Programs(signal);
    const program = new (kind === 'restic' ? Restic : Borg)(place, programs);
    const printed = await listed(program, programs, password);
    let archives: Archive[];
    try {
      archives = program.archivesIn(JSON.parse(printed));
    } catch (error) {
      const what = `the list that ${kind} printed of "${displayText(place)}" cannot be read`;
      throw new TardisError('IMPORT_SOURCE_DAMAGED', what, {}, error);
    }
    const isDated = ({ dateMs }: Archive): boolean => Number.isFinite(dateMs);
    const dated = archives.filter(isDated).sort((one, other) => one.dateMs - other.dateMs);
    const undated = archives.filter((one) => !isDated(one)).map(({ name }) => name);
    if (dated.length > 0) return new Repository(program, programs, dated, undated);
    throw new TardisError(
      'IMPORT_SOURCE_UNKNOWN',
      `"${displayText(place)}" has no archives, so there is nothing to import`,
    );
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
    const change = () => this.program.change({ from: shown!.id, to: id }, place);
    const isChanged = mayChange && (await ifCertain(change, false));
    if (!isChanged) {
      place.empty();
      await this.program.restoreAll(id, place);
    }
    this.shown = { id, place };
    const roots = await ifCertain(() => this.program.rootsOf(archive, place), []);
    // A path below another one is a part of it.
    const saved = roots.filter((one) => !roots.some((top) => liesBelow(one, top)));
    return { saved, lacks: this.program.warnings.splice(0).filter((line) => line !== '') };
  }

  /** Returns the bytes that the running program has written. */
  writtenBytes(): number {
    return this.programs.writtenBytes();
  }
}

/**
 * Returns the list of a repository. Unless its user gives the password in a way of the program, an empty one is tried first:
 * a repository without encryption needs none.
 */
async function listed(
  program: RepositoryProgram,
  programs: Programs,
  { given, prompt }: RepositoryPassword,
): Promise<string> {
  const names = program.passwordVariables;
  const environment = environmentOfOthers();
  const isOfUser = given === undefined && names.some((name) => environment[name] !== undefined);
  if (!isOfUser) programs.usePassword(names[0], given?.toString() ?? '');
  try {
    return await programs.run(program.list());
  } catch (error) {
    const mayPrompt = !isOfUser && given === undefined;
    if (!mayPrompt || asTardisError(error).code !== 'LOGIN_FAILED') throw error;
    programs.usePassword(names[0], (await prompt()).toString());
    return programs.run(program.list());
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

/**
 * GNU tar, which decompresses by the programs that it knows. It takes no name as absolute, refuses one with `..`, and makes links
 * to other places only when all else is written, so nothing is written outside of its directory.
 */
const UNPACK = [
  'tar',
  '--extract',
  '--force-local',
  '--numeric-owner',
  '--same-permissions',
].concat(['--acls', '--xattrs', '--xattrs-include=*', '--warning=no-timestamp']);

/** Makes a directory show a tar file. Throws IMPORT_PROGRAM_MISSING, and IMPORT_SOURCE_DAMAGED if tar refuses anything. */
export async function showTar(file: Buffer, place: StatePlace, programs: Programs): Promise<void> {
  place.empty();
  const words = [...UNPACK, '--file', file.toString()];
  const env = { TAR_OPTIONS: '', LC_ALL: 'C.UTF-8' };
  await programs.run({ words, what: `unpack ${displayName(file)}`, env }, place.directory);
}

/**
 * Repositories of restic and borg, read by their own programs. These get passwords as their users give them: by their
 * environment, or at a prompt.
 */
import { TardisError } from '../errors/index.js';
import { displayName, displayText, liesBelow } from '../model/index.js';
import { Borg } from './borg.js';
import { runProgram } from './run-program.js';
import type { Archive, RepositoryProgram } from './repository-program.js';
import { Restic } from './restic.js';
import type { StatePlace } from './state-place.js';

export type RepositoryKind = 'restic' | 'borg';

export class Repository {
  /** The archive that a directory shows, if it is known to be as the program would restore it. */
  private shown: { readonly id: string; readonly place: StatePlace } | undefined;

  private constructor(
    private readonly program: RepositoryProgram,
    readonly archives: readonly Archive[],
    /** Names of archives without a date that can be read. */
    readonly undated: readonly string[],
  ) {}

  /**
   * Lists the archives, oldest first. Throws IMPORT_SOURCE_UNKNOWN if there are none, IMPORT_PROGRAM_MISSING,
   * LOGIN_FAILED for a wrong password, and IMPORT_SOURCE_DAMAGED if the program fails otherwise.
   */
  static async open(kind: RepositoryKind, place: string, signal: AbortSignal): Promise<Repository> {
    const program = kind === 'restic' ? new Restic(place) : new Borg(place);
    const printed = await runProgram(program.list(), undefined, signal);
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
    if (dated.length > 0) return new Repository(program, dated, undated);
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
    { signal, isAnew = false }: { readonly signal: AbortSignal; readonly isAnew?: boolean },
  ): Promise<{ readonly saved: readonly Buffer[]; readonly lacks: readonly string[] }> {
    const { id } = archive;
    const { shown } = this;
    this.shown = undefined;
    const mayChange = shown?.place === place && !isAnew;
    const change = () => this.program.change({ from: shown!.id, to: id }, place, signal);
    const isChanged = mayChange && (await ifCertain(change, false, signal));
    if (!isChanged) {
      place.empty();
      await this.program.restoreAll(id, place, signal);
    }
    this.shown = { id, place };
    const roots = await ifCertain(() => this.program.rootsOf(archive, place, signal), [], signal);
    // A path below another one is a part of it.
    const saved = roots.filter((one) => !roots.some((top) => liesBelow(one, top)));
    return { saved, lacks: this.program.warnings.splice(0).filter((line) => line !== '') };
  }
}

/**
 * Returns what work does to save a restore of all, and `otherwise` if it fails: in a directory that this user may not
 * change, or over a list that cannot be read. A restore of all shows if it is more.
 */
async function ifCertain<T>(work: () => Promise<T>, otherwise: T, signal: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw error;
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
export async function showTar(
  file: Buffer,
  directory: StatePlace,
  signal: AbortSignal,
): Promise<void> {
  directory.empty();
  const words = [...UNPACK, '--file', file.toString()];
  const program = { words, what: `unpack ${displayName(file)}`, env: { TAR_OPTIONS: '' } };
  await directory.run(program, signal);
}

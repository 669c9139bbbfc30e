/**
 * Repositories of restic and borg, read by their own programs. These get passwords as their users give them: by their
 * environment, or at a prompt.
 */
import { TardisError } from '../errors/index.js';
import { displayName, displayText } from '../model/index.js';
import { type StatePlace, runProgram } from './program.js';

/** One snapshot of restic, or archive of borg. */
export interface Archive {
  readonly id: string;
  readonly dateMs: number;
  readonly name: string;
  /** The absolute paths that it has, of a snapshot of restic. */
  readonly paths: readonly string[];
}

export type RepositoryKind = 'restic' | 'borg';

interface Program {
  readonly list: (repository: string) => readonly string[];
  readonly archivesIn: (listed: unknown) => Archive[];
  /** Returns the words that make the present directory show an archive. */
  readonly restore: (repository: string, id: string) => readonly string[];
  /** True if the program changes a directory that shows another archive. Otherwise it is emptied before. */
  readonly changesInPlace: boolean;
}

interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly hostname?: string;
  readonly paths: readonly string[];
}

interface BorgList {
  readonly archives: readonly { readonly name: string; readonly start: string }[];
}

const UNCHANGED_STAYS = ['--overwrite', 'if-changed', '--delete'];
const SHOWN_ID_CHARS = 8;

const PROGRAMS: Readonly<Record<RepositoryKind, Program>> = {
  restic: {
    list: (repository) => ['restic', '-r', repository, 'snapshots', '--json'],
    archivesIn: (listed) =>
      (listed as readonly ResticSnapshot[]).map(({ id, time, hostname = '', paths }) => ({
        id,
        dateMs: Date.parse(time),
        name: `${id.slice(0, SHOWN_ID_CHARS)} ${hostname}`.trim(),
        paths: paths.filter((path) => path.startsWith('/')),
      })),
    restore: (repository, id) =>
      ['restic', '-r', repository, 'restore', id, '--target', '.', '--quiet'].concat(
        UNCHANGED_STAYS,
      ),
    changesInPlace: true,
  },
  borg: {
    list: (repository) => ['borg', 'list', '--json', repository],
    archivesIn: (listed) =>
      (listed as BorgList).archives.map(({ name, start }) => ({
        id: name,
        dateMs: Date.parse(start),
        name,
        paths: [],
      })),
    restore: (repository, id) => ['borg', 'extract', '--numeric-ids', `${repository}::${id}`],
    changesInPlace: false,
  },
};

export class Repository {
  private constructor(
    private readonly program: Program,
    private readonly place: string,
    readonly archives: readonly Archive[],
  ) {}

  /**
   * Lists the archives, oldest first. Throws IMPORT_SOURCE_UNKNOWN if there are none, IMPORT_PROGRAM_MISSING, and
   * IMPORT_SOURCE_DAMAGED if the program fails.
   */
  static async open(kind: RepositoryKind, place: string, signal: AbortSignal): Promise<Repository> {
    const program = PROGRAMS[kind];
    const listing = { words: program.list(place), what: `list ${place}` };
    const printed = await runProgram(listing, undefined, signal);
    let archives: Archive[];
    try {
      archives = program.archivesIn(JSON.parse(printed));
    } catch (error) {
      const what = `the list that ${kind} printed of "${displayText(place)}" cannot be read`;
      throw new TardisError('IMPORT_SOURCE_DAMAGED', what, {}, error);
    }
    // A name that begins with a hyphen would be an option of the program.
    const usable = archives
      .filter(({ id, dateMs }) => Number.isFinite(dateMs) && !id.startsWith('-'))
      .sort((one, other) => one.dateMs - other.dateMs);
    if (usable.length > 0) return new Repository(program, place, usable);
    throw new TardisError('IMPORT_SOURCE_UNKNOWN', `"${displayText(place)}" has no archives`);
  }

  /** Makes a directory show an archive. */
  async show({ id }: Archive, directory: StatePlace, signal: AbortSignal): Promise<void> {
    if (!this.program.changesInPlace) directory.empty();
    const words = this.program.restore(this.place, id);
    await directory.run({ words, what: `restore ${id} of ${this.place}` }, signal);
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

/** Repositories of restic and borg, read by their own programs, which get passwords as their users give them: by environment or prompt. */
import { TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { byteText, textBytes } from '../system/index.js';
import { ProgramPlace, runProgram } from './program.js';
import { inOrder, type ImportSource, type ShownState, type State } from './source.js';

/** A state, as its repository names it. */
interface Archive extends State {
  readonly id: string;
  /** The absolute paths of a snapshot of restic. */
  readonly paths: readonly string[];
}

interface Repository {
  /** Words that list the archives as JSON. */
  readonly list: (repository: string) => readonly string[];
  readonly archivesIn: (listed: unknown) => Archive[];
  /** Words that make the present directory, which shows an earlier state or nothing, show an archive. */
  readonly restore: (repository: string, id: string) => readonly string[];
  /** True if the program changes the directory from state to state. Otherwise it is emptied before. */
  readonly isKept: boolean;
}

interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly hostname?: string;
  readonly paths: readonly string[];
}

interface BorgArchives {
  readonly archives: readonly { readonly name: string; readonly start: string }[];
}

const REPOSITORIES: Readonly<Record<'restic' | 'borg', Repository>> = {
  restic: {
    list: (repository) => ['restic', '-r', repository, 'snapshots', '--json'],
    archivesIn: (listed) =>
      (listed as readonly ResticSnapshot[]).map(({ id, time, hostname = '', paths }) => ({
        id,
        atMs: Date.parse(time),
        name: `${id.slice(0, 8)}${hostname === '' ? '' : ` ${hostname}`}`,
        paths,
      })),
    restore: (repository, id) => [
      'restic',
      '-r',
      repository,
      'restore',
      id,
      '--target',
      '.',
      '--overwrite',
      'if-changed',
      '--delete',
      '--quiet',
    ],
    isKept: true,
  },
  borg: {
    list: (repository) => ['borg', 'list', '--json', repository],
    archivesIn: (listed) =>
      (listed as BorgArchives).archives.map(({ name, start }) => ({
        id: name,
        atMs: Date.parse(start),
        name,
        paths: [],
      })),
    restore: (repository, id) => ['borg', 'extract', '--numeric-ids', `${repository}::${id}`],
    isKept: false,
  },
};

export class RepositorySource implements ImportSource {
  private readonly place: ProgramPlace;

  private constructor(
    private readonly given: RepositoryPlace,
    private readonly how: Repository,
    readonly states: readonly Archive[],
  ) {
    this.place = new ProgramPlace(given.staging);
  }

  /** Lists the archives. Throws IMPORT_SOURCE_DAMAGED if the program fails, and IMPORT_SOURCE_UNKNOWN without archives. */
  static async open(given: RepositoryPlace, signal: AbortSignal): Promise<RepositorySource> {
    const { kind, repository } = given;
    const how = REPOSITORIES[kind];
    const words = how.list(repository);
    const printed = await runProgram({ words, what: `list "${repository}"` }, undefined, signal);
    return new RepositorySource(given, how, archivesOf(how, printed, repository));
  }

  async show(state: State, signal: AbortSignal): Promise<ShownState> {
    const { id, paths } = this.states.find(({ atMs }) => atMs === state.atMs)!;
    const { how, place } = this;
    const { repository, keptAs } = this.given;
    if (!how.isKept) place.empty();
    await place.run({ words: how.restore(repository, id), what: `read "${id}"` }, signal);
    const top = byteText(place.directory);
    const roots = keptAs === undefined ? paths.filter((path) => path.startsWith('/')) : [];
    if (roots.length === 0)
      return {
        roots: [{ directory: place.directory, keptAs: keptAs ?? Buffer.from('/') }],
        lacks: [],
      };
    return {
      roots: roots.map((path) => ({ directory: textBytes(top + path), keptAs: textBytes(path) })),
      lacks: [],
    };
  }

  [Symbol.dispose](): void {
    this.place[Symbol.dispose]();
  }
}

export interface RepositoryPlace {
  readonly kind: 'restic' | 'borg';
  readonly repository: string;
  /** Directory in which a state is restored. */
  readonly staging: string;
  /** Path under which everything is stored; undefined for the paths of the repository. */
  readonly keptAs: Buffer | undefined;
}

function archivesOf(how: Repository, printed: string, repository: string): Archive[] {
  let archives: Archive[];
  try {
    archives = how.archivesIn(JSON.parse(printed));
  } catch (error) {
    const what = `the list of "${displayText(repository)}" cannot be read`;
    throw new TardisError('IMPORT_SOURCE_DAMAGED', what, {}, error);
  }
  const right = archives.filter(({ id, atMs }) => !Number.isNaN(atMs) && !id.startsWith('-'));
  if (right.length > 0) return inOrder(right);
  throw new TardisError('IMPORT_SOURCE_UNKNOWN', `"${displayText(repository)}" has no archives`);
}

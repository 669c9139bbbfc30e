/** Reads repositories of restic by restic itself, 0.17 or later. */
import type { ErrorCode } from '../errors/index.js';
import { joinPath } from '../model/index.js';
import type { Program } from './programs.js';
import { type Archive, Repository } from './repository.js';
import type { StatePlace } from './state-place.js';

interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly hostname?: string;
  readonly paths: readonly string[];
}

/** A line that `restic diff --json` prints. */
interface DiffLine {
  readonly message_type?: unknown;
  readonly path?: unknown;
  readonly modifier?: unknown;
}

/** Exit statuses of restic. */
const [NO_REPOSITORY, WRONG_PASSWORD] = [10, 12];
const SHOWN_ID_CHARS = 8;
/** Character that restic prints in the place of each byte that is not UTF-8. */
const STRAY = '\ufffd';
/** Paths without `.`, `..` and empty names. */
const ABSOLUTE = /^(?:\/(?!\.{1,2}(?:\/|$))[^/]+)+$/;
/** Restores nothing that is there, and deletes what the snapshot lacks. */
const ONLY_MISSING = ['--overwrite', 'never', '--delete'];

/** Entries that two snapshots do not have alike; none of directories whose metadata or entries changed. */
interface Changes {
  readonly paths: readonly Buffer[];
  /** Paths below which other entries may differ. */
  readonly tops: readonly Buffer[];
  /** Paths of directories in which entries differ whose names are not known exactly. */
  readonly strays: readonly string[];
}

export class Restic extends Repository {
  protected readonly passwordVariables = [
    'RESTIC_PASSWORD',
    'RESTIC_PASSWORD_FILE',
    'RESTIC_PASSWORD_COMMAND',
  ] as const;
  /** Paths of files with several names in the place that was restored last. */
  private linked: readonly Buffer[] = [];

  protected list(): Program {
    const words = this.words('snapshots', '--json');
    return { words, what: `list ${this.repository}`, failure: failureOf };
  }

  archivesIn(listed: unknown): Archive[] {
    return (listed as readonly ResticSnapshot[]).map(({ id, time, hostname = '', paths }) => ({
      id,
      dateMs: Date.parse(time),
      name: `${id.slice(0, SHOWN_ID_CHARS)} ${hostname}`.trim(),
      host: hostname,
      paths,
    }));
  }

  /** A path that is relative, or has stray bytes, is not known: then all of the snapshot is what was saved. */
  async rootsOf({ paths = [] }: Archive, place: StatePlace): Promise<Buffer[]> {
    const roots = paths.map((path) => Buffer.from(path.slice(1)));
    const areKnown = paths.every((path) => ABSOLUTE.test(path) && !path.includes(STRAY));
    return areKnown && roots.every((root) => place.has(root)) ? roots : [];
  }

  protected async restoreAll(id: string, place: StatePlace): Promise<void> {
    await this.programs.run(this.restore(id), place.directory);
    this.linked = place.linked([Buffer.alloc(0)], { below: true });
  }

  /**
   * Removes what differs, so that restic writes it anew, together with what is missing, and touches no other file. It
   * sets the metadata of directories in any case. Files with several names are always removed, since restic would
   * not give a new name to one that is there. More may be removed than differs.
   */
  async change(
    { from, to }: { readonly from: string; readonly to: string },
    place: StatePlace,
  ): Promise<boolean> {
    const words = this.words('diff', '--json', '--metadata', from, to);
    const printed = await this.programs.run({ words, what: `compare ${from} with ${to}` });
    const { paths, tops, strays } = changesIn(printed);
    const doubtful = (): Buffer[] => [...tops, ...strays.flatMap((one) => strayPaths(one, place))];
    const { linked } = this;
    if (!place.remove([...paths, ...doubtful(), ...linked])) return false;
    await this.programs.run(this.restore(to, ...ONLY_MISSING), place.directory);
    this.linked = [
      ...place.linked([...paths, ...linked], { below: false }),
      ...place.linked(doubtful(), { below: true }),
    ];
    return true;
  }

  private restore(id: string, ...how: readonly string[]) {
    const words = [...this.words('restore', id, '--target', '.', '--quiet'), ...how];
    return { words, what: `restore ${id} of ${this.repository}` };
  }

  private words(...words: readonly string[]): string[] {
    return ['restic', '-r', this.repository, ...words];
  }
}

/** Returns the code for a failure to list a repository. Without a password, restic ends as for any error. */
function failureOf(status: number | null, messages: string): ErrorCode {
  if (status === WRONG_PASSWORD || /empty password/i.test(messages)) return 'LOGIN_FAILED';
  return status === NO_REPOSITORY ? 'IMPORT_SOURCE_UNKNOWN' : 'IMPORT_SOURCE_DAMAGED';
}

/** Returns the entries that `restic diff` names. Throws if it printed anything else. */
function changesIn(printed: string): Changes {
  const paths: Buffer[] = [];
  const tops: Buffer[] = [];
  const strays = new Set<string>();
  for (const line of printed.split('\n')) {
    if (line === '') continue;
    const { message_type: kind, path, modifier } = JSON.parse(line) as DiffLine;
    if (kind === 'statistics') continue;
    if (kind !== 'change' || typeof path !== 'string' || typeof modifier !== 'string') {
      throw new Error('restic diff printed another line than a change');
    }
    const names = path.split('/').filter((name) => name !== '');
    if (names.some((name) => name === '.' || name === '..')) throw new Error('a path leads up');
    if (path.endsWith('/') && modifier === 'U') continue;
    const stray = names.findIndex((name) => name.includes(STRAY));
    if (stray >= 0) strays.add(names.slice(0, stray).join('/'));
    else (modifier.includes('T') ? tops : paths).push(Buffer.from(names.join('/')));
  }
  return { paths, tops, strays: [...strays] };
}

/** Returns the paths in a directory whose names restic prints with stray bytes. */
function strayPaths(directory: string, place: StatePlace): Buffer[] {
  const above = Buffer.from(directory);
  const names = place.namesIn(above).filter((name) => name.toString('utf8').includes(STRAY));
  return names.map((name) => joinPath(above, name));
}

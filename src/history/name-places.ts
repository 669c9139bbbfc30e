/**
 * Finds the paths of versions that were found by their names. The path is that in the newest set that can reach the
 * version.
 */
import { type DirectoryId, joinPath, type SetNumber } from '../model/index.js';
import type { BackupSet } from '../store/catalog/index.js';
import { type History, isAsOf } from './history.js';

/** Sets with the same roots: the complete ones, newest first, and then the unfinished ones. A directory that one of them can reach is reachable in the others too. */
type SetsOfRoots = readonly BackupSet[];

/** A version for which a path is sought; `lastSet` is undefined while it is current. */
interface NamedSpan {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
}

/** A version with its path in a set. */
export interface PlacedName<T extends NamedSpan> {
  readonly version: T;
  readonly path: Buffer;
  readonly set: SetNumber;
}

interface Wanted<T> {
  readonly version: T;
  /** Sets that show the version, newest first: one for each group of sets that have the same roots. */
  readonly candidates: readonly SetNumber[];
}

const NUL = Buffer.alloc(1);

export class NamePlaces {
  private readonly jobs: readonly SetsOfRoots[];

  /** Searches `sets`, which are sorted, oldest first. `roots` are the paths of the roots of each set. */
  constructor(
    private readonly history: Pick<History, 'reports'>,
    sets: readonly BackupSet[],
    roots: ReadonlyMap<SetNumber, readonly Buffer[]>,
  ) {
    this.jobs = jobsOf(sets, roots);
  }

  /**
   * Returns the newest complete set that shows versions of a span, else the newest unfinished one, for each group of sets
   * with the same roots. Newest first.
   */
  seenIn(span: Pick<NamedSpan, 'firstSet' | 'lastSet'>): SetNumber[] {
    const found = this.jobs.flatMap((job) => job.find(({ set }) => isAsOf(span, set)) ?? []);
    return found.sort(compareSets).map(({ set }) => set);
  }

  /**
   * Returns the versions that have a path, each in the newest set that shows it. If that set has no path of the
   * version, the newest set with other roots is tried, and so on.
   */
  async place<T extends NamedSpan>(versions: readonly T[]): Promise<PlacedName<T>[]> {
    const placed: PlacedName<T>[] = [];
    let left: Wanted<T>[] = versions
      .map((version) => ({ version, candidates: this.seenIn(version) }))
      .filter(({ candidates }) => candidates.length > 0);
    for (let turn = 0; left.length > 0; turn += 1) {
      const bySet = Map.groupBy(left, ({ candidates }) => candidates[turn]!);
      const missed: Wanted<T>[] = [];
      for (const [set, those] of bySet) {
        missed.push(...(await this.placeIn(set, those, turn, placed)));
      }
      left = missed.filter(({ candidates }) => candidates.length > turn + 1);
    }
    return placed;
  }

  /** Adds each version with a directory that has a path in the set. Returns the other versions. */
  private async placeIn<T extends NamedSpan>(
    set: SetNumber,
    wanted: readonly Wanted<T>[],
    turn: number,
    placed: PlacedName<T>[],
  ): Promise<Wanted<T>[]> {
    const directories = [...new Set(wanted.map(({ version }) => version.directory))];
    const paths = await this.history.reports.directoryPaths(set, directories);
    const places = new Map(directories.map((directory, index) => [directory, paths[index]]));
    return wanted.filter(({ version, candidates }) => {
      const above = places.get(version.directory);
      if (above === undefined) return true;
      placed.push({ version, path: joinPath(above, version.name), set: candidates[turn]! });
      return false;
    });
  }
}

function jobsOf(
  sets: readonly BackupSet[],
  roots: ReadonlyMap<SetNumber, readonly Buffer[]>,
): SetsOfRoots[] {
  const rootsOf = ({ set }: BackupSet): string =>
    Buffer.concat((roots.get(set) ?? []).flatMap((path) => [path, NUL])).toString('latin1');
  return [...Map.groupBy(sets.toSorted(compareSets), rootsOf).values()];
}

/** Sorts complete sets before unfinished ones, and newer ones first. */
function compareSets(one: BackupSet, other: BackupSet): number {
  const rank = ({ state }: BackupSet): number => (state === 'complete' ? 0 : 1);
  return rank(one) - rank(other) || other.set - one.set;
}

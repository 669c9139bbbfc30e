/** The sets from which `regenerate` takes paths, if it is not one set for all of them. */
import { asTardisError, TardisError } from '../../errors/index.js';
import { type BackupSet, type History, rootAbove, rootsEver } from '../../history/index.js';
import { displayName, joinPath, shownRoots } from '../../model/index.js';
import { isOfOneListing, type PathFilter } from '../../restore/index.js';
import { configuredPaths, configuredSettings } from '../shared/configured.js';
import type { RegenerateSettings } from './options.js';

/** Paths to restore, by the set that they are taken from; newest first. */
export type ChosenPaths = Map<BackupSet, Buffer[]>;

/** Groups paths by the newest complete set that has each. Throws NO_SUCH_PATH. */
export async function newestVersions(
  history: History,
  requested: readonly Buffer[],
): Promise<ChosenPaths> {
  const complete = await completeSets(history);
  const chosen: ChosenPaths = new Map();
  for (const path of requested) {
    const set = await newestWith(history, path, complete);
    if (set === undefined) {
      throw new TardisError('NO_SUCH_PATH', `no complete set has "${displayName(path)}"`);
    }
    chosen.set(set, [...(chosen.get(set) ?? []), path]);
  }
  return chosen;
}

/**
 * Returns the roots of a set. With --last, also those that the set lacks, each from the newest complete set that has it:
 * the configured roots, or without a configuration all roots that lie below no root of the set. Without --last, `warn`
 * gets a text about each of these.
 */
export async function wholeSets(
  history: History,
  set: BackupSet,
  options: RegenerateSettings,
  warn: (text: string) => void,
): Promise<ChosenPaths> {
  const roots = await history.roots(set.set);
  const chosen: ChosenPaths = new Map([[set, shownRoots(roots.map(({ path }) => path))]]);
  const others = (await completeSets(history)).filter((one) => one.set !== set.set);
  const configured = rootsInFile(options, warn);
  const ever = configured ?? (await rootsEver(history));
  const wanted = ever.filter((path) => configured !== undefined || !rootAbove(roots, path));
  for (const path of wanted) {
    if ((await newestWith(history, path, [set])) !== undefined) continue;
    const other = await newestWith(history, path, others);
    if (other !== undefined && options.last)
      chosen.set(other, [...(chosen.get(other) ?? []), path]);
    else {
      const advice = (options.backup ?? options.date) ? '' : ': add --last';
      const has = other
        ? `, which set ${other.set} has${advice}`
        : ', and so does each other complete set';
      warn(`set ${set.set} lacks ${displayName(path)}${has}`);
    }
  }
  return chosen;
}

async function completeSets(history: History): Promise<BackupSet[]> {
  return (await history.sets()).filter(({ state }) => state === 'complete').toReversed();
}

/** Returns the roots of the configuration. A restore goes on without one that cannot be read. */
function rootsInFile(
  options: RegenerateSettings,
  warn: (text: string) => void,
): readonly Buffer[] | undefined {
  try {
    return configuredPaths(configuredSettings(options));
  } catch (error) {
    warn(`the configured roots are not known: ${asTardisError(error).message}`);
    return undefined;
  }
}

/**
 * Returns the first of some sets that has a path. A set also counts if the path cannot be read or proven there: the
 * restore then gives the reason.
 */
async function newestWith(
  history: History,
  path: Buffer,
  sets: readonly BackupSet[],
): Promise<BackupSet | undefined> {
  for (const set of sets) {
    try {
      if ((await history.find(path, set.set)) === undefined) continue;
    } catch (error) {
      if (asTardisError(error).code !== 'NO_ACCESS' && !isOfOneListing(error)) throw error;
    }
    return set;
  }
  return undefined;
}

/** Returns a filter that also leaves out paths that are restored from other sets. */
export function besides(filter: PathFilter | undefined, others: readonly Buffer[]): PathFilter {
  const taken = new Set(others.map((path) => path.toString('latin1')));
  return {
    verdict(directory, name, isDirectory, isInside) {
      const path = joinPath(directory, name).toString('latin1');
      if (taken.has(path)) return 'elsewhere';
      return filter?.verdict(directory, name, isDirectory, isInside) ?? 'in';
    },
  };
}

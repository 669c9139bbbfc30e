/**
 * Proves the versions of one path for a client that encrypts. The sets of a version must show it, and the sets between
 * versions must not have the path. A server's answer alone proves only that the client made each entry with its name.
 */
import { type BackupSet, type History, type PathVersion, rootAbove } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import type { SetNumber } from '../../model/index.js';
import { isOfOneListing } from '../../restore/index.js';
import { provenFinds } from './prove-found.js';

/** Returns the versions that their sets show at the path, and errors for all other given versions. */
export async function provenVersions(
  history: History,
  path: Buffer,
  versions: readonly PathVersion[],
): Promise<{ versions: readonly PathVersion[]; refused: readonly TardisError[] }> {
  if (history.contentKeys === undefined || versions.length === 0) return { versions, refused: [] };
  const { paths, refused } = await provenFinds(history, [
    { path, versions, covering: [], goneSince: undefined },
  ]);
  if (refused.length === 0) return { versions, refused: [] };
  const what = 'versions are left out, since the seals of the sets do not prove them';
  return {
    versions: paths[0]?.versions ?? [],
    refused: [new TardisError('NOT_AUTHENTIC', what)],
  };
}

/**
 * A version of the path, or a gap: sets without the path. A gap has no entry. `lastSet` is undefined if the newest set
 * is the last one.
 */
interface Gap {
  readonly entry: unknown;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
}

/**
 * Returns the versions and gaps in `shown`, without the gaps that the sets do not prove. Also returns an error for each
 * of those gaps.
 */
export async function provenGaps<T extends Gap>(
  history: History,
  path: Buffer,
  shown: readonly T[],
  sets: readonly BackupSet[],
): Promise<{ shown: readonly T[]; refused: readonly TardisError[] }> {
  if (history.contentKeys === undefined) return { shown, refused: [] };
  const complete = sets.filter(({ state }) => state === 'complete');
  const proven: T[] = [];
  const refused: TardisError[] = [];
  for (const one of shown) {
    const { entry, firstSet, lastSet = complete.at(-1)?.set ?? firstSet } = one;
    const wrong =
      entry === undefined
        ? ((await faultOf(history, path, firstSet)) ??
          (lastSet === firstSet ? undefined : await faultOf(history, path, lastSet)))
        : undefined;
    if (wrong === undefined) proven.push(one);
    else refused.push(wrong);
  }
  return { shown: proven, refused };
}

/** Returns an error unless a set proves that it lacks the path. */
async function faultOf(
  history: History,
  path: Buffer,
  set: SetNumber,
): Promise<TardisError | undefined> {
  try {
    const found = await history.find(path, set);
    const isCovered = rootAbove(await history.roots(set), path) !== undefined;
    if (found === undefined && isCovered) return undefined;
    const what = isCovered
      ? `set ${set} has the path, in a version that was left out`
      : `set ${set} does not show if the path was gone`;
    return new TardisError('NOT_AUTHENTIC', what);
  } catch (error) {
    if (isOfOneListing(error)) return error;
    throw error;
  }
}

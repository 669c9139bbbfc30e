/** Finds the paths at which two sets of a client have the same entry, in everything that a restore writes. */
import type { History } from '../../history/index.js';
import { liesBelow, type SetNumber } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { Contents } from './contents.js';
import { compareTrees, isDifference } from './differences.js';
import { SetSide } from './set-side.js';

/** Maximum number of paths that are held. Beyond it, the sets count as different everywhere. */
const MOST_PATHS = 1_000_000;
/** Maximum number of paths that could not be compared, of which each is looked at for each entry. */
const MOST_UNCERTAIN = 100;

/** Returns true for an absolute path at which both sets have the same entry. A path that neither set has may count as one. */
export type EqualPaths = (path: Buffer) => boolean;

/** Compares two sets of a client. */
export async function equalPaths(
  system: System,
  history: History,
  {
    before,
    after,
    signal,
  }: { readonly before: SetNumber; readonly after: SetNumber; readonly signal: AbortSignal },
): Promise<EqualPaths> {
  const nothing: EqualPaths = () => false;
  if ((await history.roots(after)).length === 0) return nothing;
  const different = new Set<string>();
  const uncertain: Buffer[] = [];
  using contents = new Contents(system, history, false);
  const top = Buffer.from('/');
  const compared = compareTrees({
    system,
    before: new SetSide({ history, set: before, other: after }),
    after: new SetSide({ history, set: after, other: before }),
    contents,
    paths: [{ before: top, after: top }],
    recurse: true,
    entersOnly: true,
    metadata: true,
    hardLinks: true,
    signal,
  });
  for await (const one of compared) {
    if (isDifference(one)) different.add(one.path.toString('latin1'));
    else uncertain.push(one.path);
    if (different.size > MOST_PATHS || uncertain.length > MOST_UNCERTAIN) return nothing;
  }
  return (path) =>
    !different.has(path.toString('latin1')) &&
    !uncertain.some((other) => path.equals(other) || liesBelow(path, other));
}

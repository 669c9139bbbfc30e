/** Finds sets that do not fit their seals. */
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import type { SealFinding } from '../check/index.js';

/**
 * Returns the complete sets that do not fit their seals. With `all`, checks every set, and fetches the seals of all its
 * directories. Otherwise only the newest set is checked. Throws INTERRUPTED if it is aborted.
 */
export async function brokenSets(
  history: History,
  all: boolean,
  signal: AbortSignal,
): Promise<SealFinding[]> {
  const found: SealFinding[] = [];
  const complete = (await history.sets()).filter(({ state }) => state === 'complete');
  // The newest set comes first, so that this machine updates its memory of the newest set once and not for each set.
  for (const { set } of complete.slice(all ? 0 : -1).reverse()) {
    throwIfAborted(signal);
    try {
      await history.roots(set);
    } catch (error) {
      const { code } = asTardisError(error);
      if (code === 'NO_SUCH_SET') continue; // deleted meanwhile
      if (code !== 'NOT_AUTHENTIC') throw error;
      found.push({ finding: 'seal', set });
    }
  }
  return found.reverse();
}

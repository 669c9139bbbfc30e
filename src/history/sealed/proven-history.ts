/** A history that returns only proven data. It throws instead of reporting a doubt. */
import type { SetNumber } from '../../model/index.js';
import { TardisError } from '../../errors/index.js';
import type { History } from '../history.js';

/**
 * Returns a history whose roots, entries and listings are all proven by the client's seals. Its calls throw NOT_PROVEN
 * instead of returning data without proof. This function throws NOT_PROVEN if the client does not encrypt, since it
 * then has no seals.
 */
export function provenHistory(history: History): History {
  if (history.contentKeys === undefined) {
    throw new TardisError(
      'NOT_PROVEN',
      `the client "${history.client}" does not encrypt, so it has no seals`,
    );
  }
  const proven = async <T>(answer: Promise<T>): Promise<T> => {
    const found = await answer;
    const older = 'the store shows less than this machine has seen';
    const doubt = history.isOlder === true ? older : history.doubts[0];
    if (doubt !== undefined) throw new TardisError('NOT_PROVEN', doubt);
    return found;
  };
  return Object.create(history, {
    roots: { value: (set: SetNumber) => proven(history.roots(set)) },
    find: { value: (path: Buffer, set: SetNumber) => proven(history.find(path, set)) },
    listPacked: { value: undefined }, // pages that `list` has not returned
    list: {
      value: async (page: Parameters<History['list']>[0]) => {
        const entries = await proven(history.list(page));
        for (const { damage } of entries) if (damage !== undefined) throw damage;
        return entries;
      },
    },
  }) as History;
}

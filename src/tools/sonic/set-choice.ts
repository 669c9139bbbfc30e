/** Finds the backup sets that words of a command line name: numbers, names and ranges. */
import { type BackupSet, setNamed } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';

/**
 * Returns the sets that the words name, each once, in the order of `sets`. A word is a number, a name, `recentSet` for
 * the newest complete set, or a range `first-last`. Throws NO_SUCH_SET, USAGE for a name that several sets have.
 */
export function chosenSets(
  client: string,
  sets: readonly BackupSet[],
  words: readonly string[],
  recentSet: string,
): BackupSet[] {
  const chosen = new Set<BackupSet>();
  for (const word of words) {
    const found =
      word === recentSet ? [setNamed(client, sets, undefined)] : meant(client, sets, word);
    for (const set of found) chosen.add(set);
  }
  return sets.filter((set) => chosen.has(set));
}

function meant(client: string, sets: readonly BackupSet[], word: string): BackupSet[] {
  const range = /^(\d+)-(\d+)$/.exec(word);
  const isName = sets.some(({ name }) => name === word);
  if (range === null || isName) return [setNamed(client, sets, word)];
  const [first, last] = [Number(range[1]), Number(range[2])];
  const found = sets.filter(({ set }) => set >= first && set <= last);
  if (found.length > 0) return found;
  throw new TardisError('NO_SUCH_SET', `"${client}" has no backup sets from ${first} to ${last}`);
}

/**
 * Selects the paths to restore by patterns to include and to exclude, in the syntax of a backup's `--exclude`. If a
 * path is excluded, everything below it is omitted too. If a path is included, everything below it is restored too,
 * except what is excluded.
 */
import { parseRule, RuleList } from '../excludes/index.js';

export interface PathFilter {
  /**
   * Returns the decision on a name in a directory (given by its path in the backup): `in` to restore it, `out` to omit
   * it, `through` to only descend into it, `elsewhere` to omit it as part of another restore. `isInside` is true if an ancestor directory is included.
   */
  verdict(directory: Buffer, name: Buffer, isDirectory: boolean, isInside: boolean): FilterVerdict;
}

type FilterVerdict = 'in' | 'out' | 'through' | 'elsewhere';

/** Returns a filter; undefined if there are no patterns. */
export function pathFilter(
  includes: readonly Buffer[],
  excludes: readonly Buffer[],
): PathFilter | undefined {
  if (includes.length + excludes.length === 0) return undefined;
  const [including, excluding] = [listOf('--include', includes), listOf('--exclude', excludes)];
  return {
    verdict(directory, name, isDirectory, isInside) {
      // Rules take the bytes of a path as latin1, relative to the root of the file system.
      const above = directory.toString('latin1').replace(/^\//, '');
      const beneath = above === '' ? '' : `${above}/`;
      const nameText = name.toString('latin1');
      const isMatched = (list: RuleList): boolean =>
        list.find(nameText, beneath, isDirectory)?.isKeeping === false;
      if (isMatched(excluding)) return 'out';
      if (isInside || includes.length === 0 || isMatched(including)) return 'in';
      return isDirectory ? 'through' : 'out';
    },
  };
}

function listOf(option: string, patterns: readonly Buffer[]): RuleList {
  const origin = { kind: 'option', name: option } as const;
  const rules = patterns.map((pattern, index) =>
    parseRule(pattern.toString('latin1'), origin, index + 1, 'anywhere'),
  );
  return new RuleList(rules);
}

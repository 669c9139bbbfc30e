/**
 * Which paths a restore takes: patterns to include and to exclude, as a backup reads those of its
 * `--exclude`. What is excluded is left out with all that is below it; what is included is taken with all
 * that is below it.
 */
import { parseRule, RuleList } from '../excludes/index.js';

export interface PathFilter {
  /**
   * What to do about a name in a directory (its path as it was backed up): `in`, it is taken; `out`, left
   * out; `through`, it is only on the way to what may be taken. `isInside`: something above is included.
   */
  verdict(directory: Buffer, name: Buffer, isDirectory: boolean, isInside: boolean): FilterVerdict;
}

export type FilterVerdict = 'in' | 'out' | 'through';

/** Undefined without any pattern. */
export function pathFilter(
  includes: readonly Buffer[],
  excludes: readonly Buffer[],
): PathFilter | undefined {
  if (includes.length + excludes.length === 0) return undefined;
  const [including, excluding] = [listOf('--include', includes), listOf('--exclude', excludes)];
  return {
    verdict(directory, name, isDirectory, isInside) {
      // Rules want bytes as latin1, and paths from the root of the file system.
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

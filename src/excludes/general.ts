/** Compiles the rules that belong to no directory, once for all jobs of a thread. */
import type { ExcludeOptions, PatternSource } from './options.js';
import { parseRule, parseRules, type Rule, RuleList } from './rules.js';

type Sources = ExcludeOptions['sources'];

let last: { readonly sources: Sources; readonly list: RuleList } | undefined;

export function generalRules(sources: Sources): RuleList {
  if (last !== undefined && areSame(last.sources, sources)) return last.list;
  last = { sources, list: new RuleList(sources.flatMap(rulesOf)) };
  return last.list;
}

function rulesOf(source: PatternSource): Rule[] {
  const { origin } = source;
  if ('bytes' in source) return parseRules(source.bytes, origin, 'anywhere');
  return source.patterns.map((text, index) => parseRule(text, origin, index + 1, 'anywhere'));
}

/** True if the sources are equal; comparing takes a fraction of the time of compiling. */
function areSame(left: Sources, right: Sources): boolean {
  return (
    left.length === right.length && left.every((source, index) => isSame(source, right[index]!))
  );
}

function isSame(left: PatternSource, right: PatternSource): boolean {
  if (left.origin.name !== right.origin.name || left.origin.kind !== right.origin.kind)
    return false;
  if ('bytes' in left) return 'bytes' in right && Buffer.compare(left.bytes, right.bytes) === 0;
  if ('bytes' in right || left.patterns.length !== right.patterns.length) return false;
  return left.patterns.every((pattern, index) => pattern === right.patterns[index]);
}

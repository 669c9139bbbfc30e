/**
 * Exclude rules and lists of them. A rule is a line of a rule file or a pattern of the command line, with
 * gitignore's syntax. All texts are bytes as latin1 strings.
 */
import { bufferOf, listAt } from '../model/index.js';
import { compileGlob, type Glob, hasWildcard } from './glob.js';
import type { ExcludeOptions, PatternSource } from './options.js';

/** The source of a rule. */
export interface RuleOrigin {
  readonly kind: 'builtin' | 'option' | 'file';
  /** The option, or the path of the file (bytes as latin1). */
  readonly name: string;
}

export interface Rule {
  readonly origin: RuleOrigin;
  /** Line of the file, or number of the pattern within the option; from 1. */
  readonly line: number;
  /** Text as the user wrote it. */
  readonly text: string;
  /** True if the rule begins with `!`: matching entries are kept. */
  readonly isKeeping: boolean;
  /** True if the rule ends with `/`: it matches only directories. */
  readonly isForDirectories: boolean;
  /** True if the rule has no slash inside: it is matched against names, otherwise against paths. */
  readonly isForNames: boolean;
  readonly glob: Glob;
  /** The glob itself if it has no wildcard and is matched against names; otherwise undefined. */
  readonly plainName: string | undefined;
}

/** The base of a pattern that contains a slash but does not begin with one. */
type Reach = 'directory' | 'anywhere';

/**
 * Parses a pattern as git does after it has removed comments and trailing spaces. With the reach `anywhere`
 * (patterns that belong to no directory), a pattern without a leading `/` matches the end of a path.
 */
export function parseRule(text: string, origin: RuleOrigin, line: number, reach: Reach): Rule {
  const isKeeping = text.startsWith('!');
  let glob = isKeeping ? text.slice(1) : text;
  const isForDirectories = glob.endsWith('/');
  if (isForDirectories) glob = glob.slice(0, -1);
  const isForNames = !glob.includes('/');
  if (glob.startsWith('/')) glob = glob.slice(1);
  else if (!isForNames && reach === 'anywhere') glob = `**/${glob}`;
  const plainName = isForNames && !hasWildcard(glob) ? glob : undefined;
  return {
    origin,
    line,
    text,
    isKeeping,
    isForDirectories,
    isForNames,
    glob: compileGlob(glob),
    plainName,
  };
}

/** Returns the rules in a file; comments, empty lines and trailing spaces are ignored as in git. */
export function parseRules(bytes: Uint8Array, origin: RuleOrigin, reach: Reach): Rule[] {
  let text = bufferOf(bytes).toString('latin1');
  if (text.startsWith(BYTE_ORDER_MARK)) text = text.slice(BYTE_ORDER_MARK.length);
  return text.split('\n').flatMap((whole, index) => {
    if (whole.startsWith('#')) return [];
    const untilNul = whole.replace(/\r$/, '').split('\0', 1)[0]!;
    const pattern = withoutSpacesAtEnd(untilNul);
    return pattern === '' ? [] : [parseRule(pattern, origin, index + 1, reach)];
  });
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/** Removes trailing spaces, except one after a backslash. */
function withoutSpacesAtEnd(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === ' ') end -= 1;
  if (end === line.length) return line;
  let escapes = 0;
  while (escapes < end && line[end - 1 - escapes] === '\\') escapes += 1;
  return line.slice(0, escapes % 2 === 1 ? end + 1 : end);
}

/** The rules of one source; the last one that matches decides. */
export class RuleList {
  /** True if some rule needs the path relative to the list's directory. */
  readonly hasPaths: boolean;
  /** Indexes of the rules with plain names, by name, in rising order. Most rules are of this kind. */
  private readonly plain = new Map<string, number[]>();
  /** Indexes of the rules without plain names. */
  private readonly others: number[] = [];

  constructor(readonly rules: readonly Rule[]) {
    this.hasPaths = rules.some((rule) => !rule.isForNames);
    rules.forEach(({ plainName }, index) => {
      if (plainName === undefined) {
        this.others.push(index);
        return;
      }
      listAt(this.plain, plainName).push(index);
    });
  }

  /**
   * Returns the rule that decides about a name; undefined if no rule matches. `beneath` is the path of its directory,
   * relative to the list's directory.
   */
  find(name: string, beneath: string, isDirectory: boolean): Rule | undefined {
    const plain = this.plain.get(name);
    const best =
      plain?.findLast((index) => isDirectory || !this.rules[index]!.isForDirectories) ?? -1;
    const path = this.hasPaths ? beneath + name : name;
    for (let at = this.others.length - 1; at >= 0; at -= 1) {
      const index = this.others[at]!;
      if (index < best) break;
      const rule = this.rules[index]!;
      if (rule.isForDirectories && !isDirectory) continue;
      if (rule.glob.matches(rule.isForNames ? name : path)) return rule;
    }
    return this.rules[best];
  }
}

/** Returns the path of `directory` relative to `base`, with a slash at its end; empty for `base` itself. */
export function pathBeneath(base: string, directory: string): string {
  if (directory.length === base.length) return '';
  return `${directory.slice(base === '/' ? 1 : base.length + 1)}/`;
}

type Sources = ExcludeOptions['sources'];

let last: { readonly sources: Sources; readonly list: RuleList } | undefined;

/** Compiles the rules that belong to no directory, once for all jobs of a thread. */
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

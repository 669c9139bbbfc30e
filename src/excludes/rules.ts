/**
 * Rules and lists of rules: a line of a rule file, or a pattern of the command line, as gitignore has
 * them. All texts are bytes as latin1 strings.
 */
import { compileGlob, type Glob, hasWildcard } from './glob.js';

/** Where rules come from. */
export interface RuleOrigin {
  readonly kind: 'builtin' | 'option' | 'file';
  /** The option, or the path of the file (bytes as latin1). */
  readonly name: string;
}

export interface Rule {
  readonly origin: RuleOrigin;
  /** Line of the file, or number of the pattern among those of the option; from 1. */
  readonly line: number;
  /** As it was written. */
  readonly text: string;
  /** Begins with `!`: what it matches is kept. */
  readonly isKeeping: boolean;
  /** Ends with `/`: for directories only. */
  readonly isForDirectories: boolean;
  /** Without a slash inside: held against names, else against paths. */
  readonly isForNames: boolean;
  readonly glob: Glob;
  /** The glob itself where it has no wildcard and is for names. */
  readonly plainName: string | undefined;
}

/** What a pattern that begins with no slash but holds one is relative to. */
export type Reach = 'directory' | 'anywhere';

/**
 * Makes a rule of a pattern: what git does behind comments and spaces at the end. With the reach
 * `anywhere` (patterns that lie in no directory) a path may end with what does not begin with `/`.
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

/** The rules of a file's bytes: comments, empty lines and spaces at the end are left out as by git. */
export function parseRules(bytes: Uint8Array, origin: RuleOrigin, reach: Reach): Rule[] {
  let text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (text.startsWith(BYTE_ORDER_MARK)) text = text.slice(BYTE_ORDER_MARK.length);
  return text.split('\n').flatMap((whole, index) => {
    if (whole.startsWith('#')) return [];
    const untilNul = whole.replace(/\r$/, '').split('\0', 1)[0]!;
    const pattern = withoutSpacesAtEnd(untilNul);
    return pattern === '' ? [] : [parseRule(pattern, origin, index + 1, reach)];
  });
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/** Spaces at the end count only behind a backslash. */
function withoutSpacesAtEnd(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === ' ') end -= 1;
  if (end === line.length) return line;
  let escapes = 0;
  while (escapes < end && line[end - 1 - escapes] === '\\') escapes += 1;
  return line.slice(0, escapes % 2 === 1 ? end + 1 : end);
}

/** The rules of one source; the last one that matches counts. */
export class RuleList {
  readonly rules: readonly Rule[];
  /** Some rule needs the path beneath the list's directory. */
  readonly hasPaths: boolean;
  /** Numbers of the plain names, in rising order: most lists hold little else. */
  private readonly plain = new Map<string, number[]>();
  /** Numbers of the other rules. */
  private readonly others: number[] = [];

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    this.hasPaths = rules.some((rule) => !rule.isForNames);
    rules.forEach(({ plainName }, index) => {
      if (plainName === undefined) {
        this.others.push(index);
        return;
      }
      const same = this.plain.get(plainName);
      if (same === undefined) this.plain.set(plainName, [index]);
      else same.push(index);
    });
  }

  /** The rule that decides about a name, in a directory whose path beneath the list's is `beneath`. */
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

/** Beneath `base`, the path of `directory` with a slash at its end; empty for `base` itself. */
export function pathBeneath(base: string, directory: string): string {
  if (directory.length === base.length) return '';
  return `${directory.slice(base === '/' ? 1 : base.length + 1)}/`;
}

/**
 * Filters: lines of `kind accept|reject EXPRESSION`; the first line that matches decides. An expression is
 * matched against the beginning of a name or of a whole path. All texts are bytes as latin1.
 */
import { TardisError } from '../errors/index.js';
import { bufferOf, displayName } from '../model/index.js';
import { BoundedCache } from '../system/index.js';
import { Expressions, expressionSteps, MAX_EXPRESSION_STEPS } from './expressions.js';
import type { RuleOrigin } from './rules.js';

/** A sample filter file. */
export const SAMPLE_FILTER = `# A filter file for tardis --filter-file. Each line is
#
#   file, dir, any or path    accept or reject    a regular expression
#
# The first line that matches decides; what no line matches is left out. The expression is matched at the
# beginning of a name, with path at that of the whole path: write $ where the name must end.

# Build results and editors' copies.
dir     reject   (node_modules|target|__pycache__)$
file    reject   .*\\.(o|pyc|tmp)$
file    reject   .*~$

# One directory, wherever it is.
path    reject   /(.*/)?\\.cache$

# Without this line nothing would be backed up.
any     accept   .*
`;

/** A filter file, as plain data that crosses threads. */
export interface FilterFile {
  /** Path of the file; its bytes as latin1. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export const MAX_FILTER_FILE_BYTES: number = 256 << 10;
export const MAX_FILTER_LINES = 1000;

const KINDS = ['file', 'dir', 'any', 'path'] as const;
type FilterKind = (typeof KINDS)[number];

export interface FilterLine {
  readonly origin: RuleOrigin;
  /** Line number, from 1. */
  readonly line: number;
  /** Text as the user wrote it. */
  readonly text: string;
  readonly kind: FilterKind;
  readonly isAccepting: boolean;
  readonly expression: string;
}

/** A line that is not empty, without blanks around it. */
export interface NumberedLine {
  readonly line: number;
  readonly text: string;
}

/** Returns the non-empty lines of a file. Throws CONFIG_INVALID if the file is too large. */
export function linesOf({ path, bytes }: FilterFile): NumberedLine[] {
  if (bytes.length > MAX_FILTER_FILE_BYTES) {
    throw invalid(path, 1, `a filter file has at most ${MAX_FILTER_FILE_BYTES >> 10} KiB`);
  }
  return bufferOf(bytes)
    .toString('latin1')
    .split('\n')
    .map((line, index) => ({ line: index + 1, text: line.replace(/^[ \t]+|[ \t\r]+$/g, '') }))
    .filter((line) => line.text !== '');
}

/** Parses lines of filters, and limits their total cost. */
export class FilterLineReader {
  private steps = 0;
  private lines = 0;

  constructor(private readonly path: string) {}

  /** Parses one line. Throws CONFIG_INVALID with file and line. */
  read({ line, text }: NumberedLine): FilterLine {
    const fields = /^(\S+)[ \t]+(\S+)[ \t]+(.+)$/s.exec(text);
    if (fields === null) {
      throw invalid(
        this.path,
        line,
        'a line must be: file, dir, any or path; accept or reject; a regular expression',
      );
    }
    const [, kindWord, decision, expression] = fields as unknown as [
      string,
      string,
      string,
      string,
    ];
    const kind = KINDS.find((each) => each === kindWord.toLowerCase());
    if (kind === undefined) {
      throw invalid(this.path, line, `"${shown(kindWord)}" is not one of ${KINDS.join(', ')}`);
    }
    const isAccepting = decision.toLowerCase() === 'accept';
    if (!isAccepting && decision.toLowerCase() !== 'reject') {
      throw invalid(this.path, line, `"${shown(decision)}" is neither accept nor reject`);
    }
    this.count(line, expression);
    const origin = { kind: 'file', name: this.path } as const;
    return { origin, line, text, kind, isAccepting, expression };
  }

  private count(line: number, expression: string): void {
    this.lines += 1;
    if (this.lines > MAX_FILTER_LINES) {
      throw invalid(this.path, line, `a filter file has at most ${MAX_FILTER_LINES} rules`);
    }
    try {
      this.steps += expressionSteps(expression);
    } catch (error) {
      const message = (error as Error).message;
      throw invalid(this.path, line, `"${shown(expression)}": ${shown(message)}`, error);
    }
    if (this.steps > MAX_EXPRESSION_STEPS) {
      throw invalid(this.path, line, 'the expressions up to this line are too large together');
    }
  }
}

/**
 * Returns the lines of a filter file without comments, which begin with `#`. Throws CONFIG_INVALID, also if no line
 * accepts anything.
 */
export function parseFilterFile(file: FilterFile): FilterLine[] {
  const reader = new FilterLineReader(file.path);
  const lines = linesOf(file)
    .filter(({ text }) => !text.startsWith('#'))
    .map((line) => reader.read(line));
  if (lines.some(({ isAccepting }) => isAccepting)) return lines;
  // Entries that no line matches are excluded, so all would be; the set would record all of them as deleted.
  throw invalid(file.path, 1, 'no line accepts anything, so nothing would be backed up');
}

/** Maximum size of the cache of matches: names plus numbers of matching lines. Most names occur many times. */
const MAX_REMEMBERED = 1 << 15;

/** Compiled lines, in their order. */
export class FilterRules {
  private readonly files: Expressions;
  private readonly directories: Expressions;
  private readonly paths: Expressions | undefined;
  private readonly remembered = new BoundedCache<string, readonly number[]>(MAX_REMEMBERED);

  constructor(private readonly lines: readonly FilterLine[]) {
    const of = (...kinds: FilterKind[]): Expressions => {
      const numbers = [...lines.keys()].filter((number) => kinds.includes(lines[number]!.kind));
      return new Expressions(
        numbers.map((number) => lines[number]!.expression),
        numbers,
      );
    };
    this.files = of('file', 'any');
    this.directories = of('dir', 'any');
    this.paths = lines.some(({ kind }) => kind === 'path') ? of('path') : undefined;
  }

  /** Returns the first line that matches a name in the directory with this path; undefined if there is none. */
  find(directory: string, name: string, isDirectory: boolean): FilterLine | undefined {
    return this.lines[this.matching(directory, name, isDirectory)[0] ?? -1];
  }

  /** Returns the numbers of all lines that match, in rising order. */
  matching(directory: string, name: string, isDirectory: boolean): readonly number[] {
    const byName = this.byName(name, isDirectory);
    if (this.paths === undefined) return byName;
    const byPath = this.paths.matching(directory === '/' ? `/${name}` : `${directory}/${name}`);
    return byPath.length === 0 ? byName : [...byName, ...byPath].sort((a, b) => a - b);
  }

  private byName(name: string, isDirectory: boolean): readonly number[] {
    const key = isDirectory ? `${name}/` : name;
    const known = this.remembered.peek(key);
    if (known !== undefined) return known;
    const numbers = (isDirectory ? this.directories : this.files).matching(name);
    this.remembered.set(key, numbers, 1 + numbers.length);
    return numbers;
  }
}

/** Returns the beginning of a text from the filter file for an error message, with control characters escaped. */
export function shown(text: string): string {
  return displayName(Buffer.from(text.slice(0, MAX_SHOWN_BYTES), 'latin1'));
}

const MAX_SHOWN_BYTES = 80;

/** Returns CONFIG_INVALID that begins with file and line. */
export function invalid(path: string, line: number, what: string, cause?: unknown): TardisError {
  const place = `${displayName(Buffer.from(path, 'latin1'))}:${line}`;
  return new TardisError('CONFIG_INVALID', `${place}: ${what}`, {}, cause);
}

export function isSameFile(left: FilterFile | undefined, right: FilterFile | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined || left.path !== right.path) return false;
  return Buffer.compare(left.bytes, right.bytes) === 0;
}

let last: { readonly file: FilterFile; readonly rules: FilterRules } | undefined;

/** Returns the compiled rules of the file. Throws CONFIG_INVALID. */
export function fileFilter(file: FilterFile | undefined): FilterRules | undefined {
  if (file === undefined) return undefined;
  if (last === undefined || !isSameFile(last.file, file)) {
    last = { file, rules: new FilterRules(parseFilterFile(file)) };
  }
  return last.rules;
}

/**
 * Chooses the algorithm with which the content of a file is stored. The first tag of the filter file whose rules accept
 * the file decides. A tag is `#NAME,ALGORITHM`, followed by its rules, one per line.
 */
import { Scheme, type SchemeNumber } from '../model/index.js';
import {
  type FilterFile,
  type FilterLine,
  FilterLineReader,
  FilterRules,
  invalid,
  isSameFile,
  linesOf,
  type NumberedLine,
  shown,
} from './filter-rules.js';

/** Algorithms for contents. The setting `auto` means `aes` if the processor has AES instructions, else `chacha`. */
const CRYPT_ALGORITHMS = ['aes', 'chacha', 'none'] as const;
type CryptAlgorithm = (typeof CRYPT_ALGORITHMS)[number];

const SCHEMES: Readonly<Record<CryptAlgorithm, SchemeNumber>> = Object.freeze({
  aes: Scheme.aes,
  chacha: Scheme.chaCha,
  none: Scheme.readable,
});

/** The user's choice, as plain data that crosses threads. */
export interface CipherChoice {
  readonly file: FilterFile | undefined;
  /** Algorithm for files that no tag accepts. */
  readonly otherwise: CryptAlgorithm | 'auto';
}

interface CryptTag {
  readonly name: string;
  readonly algorithm: CryptAlgorithm;
  readonly lines: readonly FilterLine[];
}

const TAG_NAME = /^[A-Za-z0-9._-]{1,64}$/;
export const MAX_TAGS = 64;

/** Parses a file of tags. Throws CONFIG_INVALID with file and line. */
export function parseCryptFile(file: FilterFile): CryptTag[] {
  const reader = new FilterLineReader(file.path);
  const tags: { name: string; algorithm: CryptAlgorithm; lines: FilterLine[]; line: number }[] = [];
  for (const numbered of linesOf(file)) {
    if (/^#(?:[ \t#]|$)/.test(numbered.text)) continue; // a comment
    if (numbered.text.startsWith('#')) {
      const tag = parseTag(file.path, numbered);
      const { line } = numbered;
      if (tags.some(({ name }) => name === tag.name)) {
        throw invalid(file.path, line, `duplicate tag ${tag.name}`);
      }
      if (tags.length >= MAX_TAGS) throw invalid(file.path, line, `more than ${MAX_TAGS} tags`);
      tags.push({ ...tag, lines: [], line });
      continue;
    }
    const rule = reader.read(numbered);
    const tag = tags.at(-1);
    if (tag === undefined) {
      throw invalid(file.path, rule.line, 'a rule must follow the line of its tag: #tag,algorithm');
    }
    if (rule.kind === 'dir') {
      throw invalid(file.path, rule.line, 'a directory has no content: use file, any or path');
    }
    tag.lines.push(rule);
  }
  for (const { name, lines, line } of tags) {
    if (lines.length === 0) throw invalid(file.path, line, `the tag ${name} has no rules`);
  }
  return tags.map(({ name, algorithm, lines }) => ({ name, algorithm, lines }));
}

function parseTag(
  path: string,
  { line, text }: NumberedLine,
): Pick<CryptTag, 'name' | 'algorithm'> {
  const [name = '', word = '', ...options] = text
    .slice(1)
    .split(',')
    .map((each) => each.trim());
  if (!TAG_NAME.test(name)) {
    throw invalid(
      path,
      line,
      `"${shown(name)}" is not a valid tag name: use letters, digits, dots and hyphens`,
    );
  }
  const algorithm = CRYPT_ALGORITHMS.find((each) => each === word.toLowerCase());
  if (algorithm === undefined) {
    const known = CRYPT_ALGORITHMS.join(', ');
    throw invalid(path, line, `"${shown(word)}" is not one of the algorithms ${known}`);
  }
  // Keys come from the client's password, and the algorithms have no options.
  if (options.length > 0) {
    throw invalid(path, line, `${algorithm} has no option "${shown(options.join(','))}"`);
  }
  return { name, algorithm };
}

/** The algorithm chosen for a content, with the tag and rule that chose it. */
export interface CryptChoice {
  readonly algorithm: CryptAlgorithm | 'auto';
  readonly tag: string | undefined;
  readonly rule: FilterLine | undefined;
}

export class CryptFilter {
  private readonly tags: readonly CryptTag[];
  private readonly lines: readonly FilterLine[];
  /** For each line, the index of its tag. */
  private readonly tagOf: readonly number[];
  private readonly rules: FilterRules;
  private readonly otherwise: CipherChoice['otherwise'];

  /** Compiles a choice. Throws CONFIG_INVALID. */
  constructor({ file, otherwise }: CipherChoice) {
    this.otherwise = otherwise;
    this.tags = file === undefined ? [] : parseCryptFile(file);
    this.lines = this.tags.flatMap(({ lines }) => lines);
    this.tagOf = this.tags.flatMap(({ lines }, number) => lines.map(() => number));
    this.rules = new FilterRules(this.lines);
  }

  /** Returns the choice for a file of this name in the directory with this path (both bytes as latin1). */
  choose(directory: string, name: string): CryptChoice {
    let refused = -1; // within a tag the first line that matches decides
    for (const number of this.rules.matching(directory, name, false)) {
      const tag = this.tagOf[number]!;
      const rule = this.lines[number]!;
      if (tag === refused) continue;
      if (rule.isAccepting) {
        const { name: tagName, algorithm } = this.tags[tag]!;
        return { algorithm, tag: tagName, rule };
      }
      refused = tag;
    }
    return { algorithm: this.otherwise, tag: undefined, rule: undefined };
  }

  /** Returns the choice as the number of a scheme; undefined if the machine chooses. */
  scheme(directory: Buffer, name: Buffer): SchemeNumber | undefined {
    const { algorithm } = this.choose(directory.toString('latin1'), name.toString('latin1'));
    return algorithm === 'auto' ? undefined : SCHEMES[algorithm];
  }
}

let last: { readonly choice: CipherChoice; readonly filter: CryptFilter } | undefined;

/** Returns the filter, compiled once for all jobs of a thread; undefined if the machine chooses for all contents. */
export function cryptFilter(choice: CipherChoice | undefined): CryptFilter | undefined {
  if (choice === undefined || (choice.file === undefined && choice.otherwise === 'auto'))
    return undefined;
  const isSame =
    last !== undefined &&
    last.choice.otherwise === choice.otherwise &&
    isSameFile(last.choice.file, choice.file);
  if (last === undefined || !isSame) last = { choice, filter: new CryptFilter(choice) };
  return last.filter;
}

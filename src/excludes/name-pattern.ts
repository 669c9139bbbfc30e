/** The pattern of a search by name. It matches names, or the ends of paths if it has a slash. */
import { isUtf8 } from 'node:buffer';
import { lowerAscii, SLASH, splitPath } from '../model/index.js';
import { compileGlob } from './glob.js';

export interface NamePattern {
  /** The pattern as it was typed. */
  readonly text: Buffer;
  /** A byte string that every matching name contains, maybe with other letters of ASCII capital; empty if none is known. */
  readonly literal: Buffer;
  readonly isMatch: (name: Buffer) => boolean;
  /** True if the directories above the name match too. */
  readonly isPathMatch: (path: Buffer) => boolean;
}

/**
 * Matches a wildcard, which makes a name a pattern: `*`, `?`, a class that is closed, or an escaped bracket. In a name
 * without wildcards, a backslash and a bracket stand for themselves.
 */
const WILD = /[*?]|\[[^\]]+\]|\\\[/;

/**
 * Parses a pattern. A name without wildcards matches all names that contain it. A pattern with wildcards also matches
 * names that contain its text literally, since brackets are common in names.
 */
export function namePattern(text: Buffer): NamePattern {
  const parts = splitPath(text);
  const last = parts.at(-1) ?? Buffer.alloc(0);
  const above = parts.slice(0, -1).map((part) => matcherOf(part, false));
  const isAbsolute = text[0] === SLASH;
  return {
    text,
    literal: literalIn(last),
    isMatch: matcherOf(last, above.length === 0 && !isAbsolute),
    isPathMatch: (path) => {
      const names = splitPath(path).slice(0, -1);
      const from = names.length - above.length;
      if (from < 0 || (isAbsolute && from > 0)) return false;
      return above.every((matches, index) => matches(names[from + index]!));
    },
  };
}

/**
 * Parses the words of a search, separated by blanks. A name matches if each word does, in any order, without regard to
 * capital and small letters, or to how an accent is written.
 */
export function wordsPattern(text: Buffer): NamePattern {
  const all = folded(text).toString('latin1');
  const words = all.split(' ').filter((word) => word !== '');
  const patterns = (words.length === 0 ? [all] : words).map((word) =>
    namePattern(Buffer.from(word, 'latin1')),
  );
  const runs = patterns.flatMap(({ literal }) => literal.toString('latin1').split(/[^ -~]+/));
  const longest = runs.reduce((one, other) => (other.length > one.length ? other : one), '');
  return {
    text,
    literal: Buffer.from(longest, 'latin1'),
    isMatch: (name) => {
      const plain = folded(name);
      return patterns.every((pattern) => pattern.isMatch(plain));
    },
    isPathMatch: (path) => {
      const plain = Buffer.concat(splitPath(path).flatMap((part) => [SEPARATOR, folded(part)]));
      return patterns.every((pattern) => pattern.isPathMatch(plain));
    },
  };
}

/** Returns a name in small letters. If it is not UTF-8, only letters of ASCII change. */
function folded(name: Buffer): Buffer {
  if (isUtf8(name)) return Buffer.from(name.toString().toLowerCase().normalize());
  return lowerAscii(name);
}

function matcherOf(part: Buffer, isPart: boolean): (name: Buffer) => boolean {
  const isLiteral = (name: Buffer): boolean => (isPart ? name.includes(part) : name.equals(part));
  if (!isWild(part)) return isLiteral;
  const glob = compileGlob(part.toString('latin1'));
  return (name) => glob.matches(name.toString('latin1')) || isLiteral(name);
}

function isWild(part: Buffer): boolean {
  return WILD.test(part.toString('latin1'));
}

/** Returns a name without wildcards, or the longest literal run before the first class or escape. */
function literalIn(part: Buffer): Buffer {
  if (!isWild(part)) return part;
  const [plain = ''] = part.toString('latin1').split(/[[\\]/);
  const runs = plain.split(/[*?]+/).sort((one, other) => other.length - one.length);
  return Buffer.from(runs[0] ?? '', 'latin1');
}

const SEPARATOR: Buffer = Buffer.from([SLASH]);

/**
 * Globs with git's syntax, over bytes: texts and patterns are latin1 strings, one character per byte.
 *
 * This is not taken from a library, for three reasons. Libraries convert a glob to a regular expression, and
 * a hostile `a*a*a*a*b` then takes exponential time. This code tracks all reachable positions of the pattern
 * in parallel, so a match takes at most (pattern × text) steps. Libraries match UTF-16, but names are bytes.
 * And they do not report which rule decided.
 *
 * The behaviour of `git check-ignore` is the definition, including its oddities (a test compares both).
 */
import { SLASH } from '../model/index.js';

export interface Glob {
  matches(text: string): boolean;
}

const Kind = Object.freeze({
  /** One byte. */
  literal: 0,
  /** `?`: any byte but `/`. */
  any: 1,
  /** `[…]`: a byte of a set. */
  set: 2,
  /** `*`: any bytes but `/`. */
  star: 3,
  /** `**`: any bytes. */
  run: 4,
  /** Precedes a run and a slash that match directories: both may be skipped. */
  optional: 5,
});
type KindNumber = (typeof Kind)[keyof typeof Kind];

interface Token {
  readonly kind: KindNumber;
  readonly byte: number;
  /** For each of the 256 bytes, 1 if it is in the set, otherwise 0. */
  readonly set: Uint8Array | undefined;
}

const BYTES = 256;
const ASCII = 128;
const SPECIAL = /[*?[\\]/;
/** Number of tokens that an `optional` skips: itself, the run and the slash. */
const OPTIONAL_TOKENS = 3;

/** True if a text contains a special character of globs. */
export function hasWildcard(text: string): boolean {
  return SPECIAL.test(text);
}

/** Compiles a glob. A malformed one (an open bracket, a backslash at the end) matches nothing. */
export function compileGlob(glob: string): Glob {
  if (!hasWildcard(glob)) return { matches: (text) => text === glob };
  const ending = glob.slice(1);
  if (glob.startsWith('*') && !hasWildcard(ending) && !ending.includes('/')) {
    return { matches: (text) => endsWithinName(text, ending) };
  }
  const tokens = tokensOf(glob);
  if (tokens === undefined) return NOTHING;
  const prefix = /^[^*?[\\]*/.exec(glob)![0];
  return new TokenGlob(tokens, prefix, plainEnd(glob));
}

/** Returns the plain text at the end of a glob, without a leading slash, because that slash may be skipped. */
function plainEnd(glob: string): string {
  let start = glob.length;
  while (start > 0 && !'*?[]\\'.includes(glob[start - 1]!)) start -= 1;
  return glob.slice(glob[start] === '/' ? start + 1 : start);
}

const NOTHING: Glob = { matches: () => false };

/** True if `*ending` matches a text. The star matches no slash, so no slash may precede the ending. */
function endsWithinName(text: string, ending: string): boolean {
  return text.endsWith(ending) && !text.slice(0, text.length - ending.length).includes('/');
}

class TokenGlob implements Glob {
  private readonly least: number;

  /** `prefix` and `ending` are plain text with which every match begins and ends. */
  constructor(
    private readonly tokens: readonly Token[],
    private readonly prefix: string,
    private readonly ending: string,
  ) {
    this.least = leastBytes(tokens);
  }

  matches(text: string): boolean {
    if (text.length < this.least || !text.endsWith(this.ending)) return false;
    if (!text.startsWith(this.prefix)) return false;
    const { tokens } = this;
    const end = tokens.length;
    // All tokens of the prefix have matched.
    let now = PLACES[0].start(end + 1);
    let next = PLACES[1].start(end + 1);
    now.add(this.prefix.length, tokens);
    for (let at = this.prefix.length; at < text.length; at += 1) {
      const byte = text.charCodeAt(at);
      for (let index = 0; index < now.count; index += 1) {
        const place = now.list[index]!;
        if (place === end) continue;
        const token = tokens[place]!;
        if (!takes(token, byte)) continue;
        next.add(token.kind === Kind.star || token.kind === Kind.run ? place : place + 1, tokens);
      }
      if (next.count === 0) return false;
      [now, next] = [next, now.start(end + 1)];
    }
    return now.has(end);
  }
}

function takes(token: Token, byte: number): boolean {
  switch (token.kind) {
    case Kind.literal:
      return token.byte === byte;
    case Kind.any:
    case Kind.star:
      return byte !== SLASH;
    case Kind.set:
      return token.set![byte] === 1;
    default:
      return token.kind === Kind.run;
  }
}

function leastBytes(tokens: readonly Token[]): number {
  let least = 0;
  for (let at = 0; at < tokens.length; at += 1) {
    const { kind } = tokens[at]!;
    if (kind === Kind.optional) at += OPTIONAL_TOKENS - 1;
    else if (kind <= Kind.set) least += 1;
  }
  return least;
}

/** A set of positions in a pattern. Reused for every match of the thread. */
class Places {
  list = new Uint32Array(64);
  count = 0;
  private marks = new Uint32Array(64);
  private mark = 0;

  start(size: number): this {
    if (this.marks.length < size) {
      this.list = new Uint32Array(size * 2);
      this.marks = new Uint32Array(size * 2);
      this.mark = 0;
    }
    if (this.mark === 0xffff_ffff) {
      this.marks.fill(0);
      this.mark = 0;
    }
    this.count = 0;
    this.mark += 1;
    return this;
  }

  has(place: number): boolean {
    return this.marks[place] === this.mark;
  }

  /** Adds a position, and those after tokens that may match nothing. */
  add(place: number, tokens: readonly Token[]): void {
    for (let at = place; !this.has(at); ) {
      this.put(at);
      const kind = tokens[at]?.kind;
      if (kind === undefined || kind < Kind.star) return;
      at += 1;
      if (kind !== Kind.optional) continue;
      for (const last = at + OPTIONAL_TOKENS - 1; at < last; at += 1) this.put(at);
    }
  }

  private put(place: number): void {
    if (this.has(place)) return;
    this.marks[place] = this.mark;
    this.list[this.count] = place;
    this.count += 1;
  }
}

const PLACES: readonly [Places, Places] = [new Places(), new Places()];

// --- parsing a glob --------------------------------------------------------------------------------

const plain = (kind: KindNumber): Token => ({ kind, byte: 0, set: undefined });
const literal = (byte: number): Token => ({ kind: Kind.literal, byte, set: undefined });

/** Parses a glob; undefined if it is malformed. */
function tokensOf(glob: string): Token[] | undefined {
  const tokens: Token[] = [];
  /**
   * True while only plain text was read. Git removes this text first, so it treats a `**` after the text as if it were
   * at the beginning.
   */
  let isPlainSoFar = true;
  let at = 0;
  while (at < glob.length) {
    const character = glob[at]!;
    if (character === '*') {
      const start = at;
      while (glob[at] === '*') at += 1;
      const isRun = at - start > 1 && (isPlainSoFar || glob[start - 1] === '/');
      tokens.push(...starTokens(isRun, glob, at));
      isPlainSoFar = false;
      continue;
    }
    if (character === '[') {
      const parsed = parseSet(glob, at + 1);
      if (parsed === undefined) return undefined;
      tokens.push({ kind: Kind.set, byte: 0, set: parsed.set });
      at = parsed.end;
      isPlainSoFar = false;
      continue;
    }
    if (character === '\\') {
      at += 1;
      if (at === glob.length) return undefined;
      isPlainSoFar = false;
    }
    if (character === '?') {
      tokens.push(plain(Kind.any));
      isPlainSoFar = false;
    } else tokens.push(literal(glob.charCodeAt(at)));
    at += 1;
  }
  return tokens;
}

/** Returns the tokens for one or more stars; `at` is the position after them. */
function starTokens(isRun: boolean, glob: string, at: number): Token[] {
  const isLast = at === glob.length;
  if (isRun && glob[at] === '/') return [plain(Kind.optional), plain(Kind.run)];
  if (isRun && (isLast || glob.startsWith('\\/', at))) return [plain(Kind.run)];
  return [plain(Kind.star)];
}

const isEndOfSet = (character: string | undefined): boolean =>
  character === undefined || character === ']';

interface ParsedSet {
  readonly set: Uint8Array;
  /** Position after the closing bracket. */
  readonly end: number;
}

/** Parses a set; `from` is the position after its opening bracket. Undefined if the set is malformed. */
function parseSet(glob: string, from: number): ParsedSet | undefined {
  const set = new Uint8Array(BYTES);
  const isNegated = glob[from] === '!' || glob[from] === '^';
  const start = isNegated ? from + 1 : from;
  let at = start;
  /** The byte that may begin a range; 0 for none. */
  let previous = 0;
  // A closing bracket at the beginning belongs to the set.
  while (at === start || glob[at] !== ']') {
    if (at >= glob.length) return undefined;
    if (glob[at] === '-' && previous !== 0 && !isEndOfSet(glob[at + 1])) {
      at += glob[at + 1] === '\\' ? 2 : 1;
      if (at >= glob.length) return undefined;
      set.fill(1, previous, glob.charCodeAt(at) + 1);
      previous = 0;
      at += 1;
      continue;
    }
    if (glob.startsWith('[:', at)) {
      const close = glob.indexOf(']', at + 2);
      if (close < 0) return undefined;
      if (close > at + 2 && glob[close - 1] === ':') {
        const name = glob.slice(at + 2, close - 1);
        if (!Object.hasOwn(CLASSES, name)) return undefined;
        const members = CLASSES[name]!;
        for (let byte = 0; byte < ASCII; byte += 1) if (members(byte)) set[byte] = 1;
        previous = 0;
        at = close + 1;
        continue;
      }
    }
    if (glob[at] === '\\') at += 1;
    if (at >= glob.length) return undefined;
    previous = glob.charCodeAt(at);
    set[previous] = 1;
    at += 1;
  }
  if (isNegated) for (let byte = 0; byte < BYTES; byte += 1) set[byte]! ^= 1;
  set[SLASH] = 0;
  return { set, end: at + 1 };
}

const between = (byte: number, first: string, last: string): boolean =>
  byte >= first.charCodeAt(0) && byte <= last.charCodeAt(0);
const isDigit = (byte: number): boolean => between(byte, '0', '9');
const isLower = (byte: number): boolean => between(byte, 'a', 'z');
const isUpper = (byte: number): boolean => between(byte, 'A', 'Z');
const isAlpha = (byte: number): boolean => isLower(byte) || isUpper(byte);
const isAlnum = (byte: number): boolean => isAlpha(byte) || isDigit(byte);
const isGraph = (byte: number): boolean => between(byte, '!', '~');

/** Character classes with git's definition: only ASCII, and no vertical tab or form feed in `space`. */
const CLASSES: Readonly<Record<string, (byte: number) => boolean>> = Object.freeze({
  alnum: isAlnum,
  alpha: isAlpha,
  blank: (byte: number) => byte === 0x20 || byte === 0x09,
  cntrl: (byte: number) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: isLower,
  print: (byte: number) => between(byte, ' ', '~'),
  punct: (byte: number) => isGraph(byte) && !isAlnum(byte),
  space: (byte: number) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d,
  upper: isUpper,
  xdigit: (byte: number) => isDigit(byte) || between(byte, 'a', 'f') || between(byte, 'A', 'F'),
});

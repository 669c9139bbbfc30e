import { Random } from './random.js';
import { Vocabulary } from './vocabulary.js';

/**
 * Share of the lines at which a copy of earlier lines of the file begins. Together with the idioms it determines the
 * compression ratio of one file.
 */
const COPY_SHARE = 0.135;
/** Number of bytes before a line from which lines are copied, since programmers copy code from nearby. */
const COPY_WINDOW_BYTES = 16 * 1024;
const COPY_LINES_MAX = 6;
/**
 * Share of the lines that are idioms of the theme. Because of them, a block of files compresses better than the files
 * one by one.
 */
const IDIOM_SHARE = 0.42;
const IDIOMS = 96;
/** Share of the files that begin with one of the licence headers. */
const HEADER_SHARE = 0.75;
const HEADERS = 4;
const HEADER_LINES = 18;
const THEME_NAMES = 256;
const FILE_NAMES_MAX = 512;
/** Share of a file's names that it takes from its theme. */
const THEME_NAME_SHARE = 0.9;

// Kinds of slots in a line: a word of the whole vocabulary, a name of the file, a name in camel case, a number.
const WORD = 1;
const NAME = 2;
const CAMEL = 3;
const NUMBER = 4;
const SLOTS: Readonly<Record<string, number>> = { w: WORD, n: NAME, c: CAMEL, d: NUMBER };

/**
 * Templates of lines. The first character is `+` if the line opens a block, and `-` if it closes one. `%` and a letter
 * are a slot.
 */
const LINES = [
  '+if (%n.%w(%c) !== %n) {',
  '+for (const %n of %c.%w) {',
  '+export function %c(%n: %w, %n: %w): %w {',
  '+static int %c(struct %w *%n, size_t %n) {',
  '-}',
  '-}',
  '-}',
  '-}',
  ' return %n;',
  ' const %n = %c(%n, %w);',
  ' const %c = await %n.%w(%d);',
  ' %n.%w = %n.%w + %d;',
  ' this.%n.%c(%n);',
  ' return %n.%c(%n, %n);',
  ' throw new %c("%w %w %w: %n");',
  ' { name: "%w", value: %d, kind: "%n" },',
  ' // %w %w %w %w %w %w, %w %w %w.',
  ' // %w %w %w %w; %w %w.',
  ' * @param %n %w %w %w %w',
  ' %c.%w(%n[%d], %n => %n.%w);',
  ' import { %c, %n } from "../%w/%w.js";',
  ' assert.equal(%c(%n, %d), %n);',
].map(compileLine);

interface Line {
  readonly indent: number;
  readonly bytes: Uint8Array;
}

interface Theme {
  readonly seed: number;
  /** Pairs of ranks of words. A name in camel case consists of both words of a pair. */
  readonly names: Uint16Array;
  readonly idioms: readonly Uint8Array[];
}

/**
 * Writes text like program source: indented lines of words that recur by Zipf's law, in the file and in its
 * theme.
 */
export class SourceText {
  /**
   * Number of bytes that `fill` needs after the requested size, so that its loops need no bounds check within a line.
   */
  static readonly slackBytes = 16 * 1024;

  readonly vocabulary: Vocabulary;
  readonly #headers: readonly Uint8Array[];
  readonly #names = new Uint16Array(2 * FILE_NAMES_MAX);
  #theme: Theme | undefined;

  constructor(seed: number) {
    const random = new Random(seed, -1);
    this.vocabulary = new Vocabulary(random);
    this.#headers = Array.from({ length: HEADERS }, () => this.#makeHeader(random));
  }

  /**
   * Fills the first `sizeBytes` of `out` with whole lines, of which the last is cut off. `out` must have `slackBytes`
   * more.
   */
  fill(out: Uint8Array, sizeBytes: number, themeSeed: number, random: Random): void {
    const theme = this.#themeOf(themeSeed);
    const nameCount = Math.min(FILE_NAMES_MAX, 10 + (sizeBytes >>> 9));
    this.#chooseNames(nameCount, theme, random);
    let at = 0;
    if (random.unit() < HEADER_SHARE) {
      const header = this.#headers[random.below(HEADERS)] ?? new Uint8Array(0);
      out.set(header, 0);
      at = header.length;
    }
    const copyBelow = COPY_SHARE * 0x10000;
    const idiomBelow = copyBelow + IDIOM_SHARE * 0x10000;
    let indent = 0;
    while (at < sizeBytes) {
      const bits = random.bits();
      const dice = bits & 0xffff;
      if (dice < copyBelow && at > 256) {
        at = copyLines(out, at, random);
        continue;
      }
      const choice = bits >>> 16;
      const line = LINES[(choice * LINES.length) >>> 16];
      if (line === undefined || indent + line.indent < 0) {
        continue;
      }
      const isIdiom = dice < idiomBelow && line.indent === 0;
      indent = Math.min(7, line.indent < 0 ? indent - 1 : indent);
      for (let i = 2 * indent; i > 0; i--) {
        out[at++] = 0x20;
      }
      if (isIdiom) {
        const idiom = theme.idioms[random.below(IDIOMS)] ?? new Uint8Array(0);
        out.set(idiom, at);
        at += idiom.length;
      } else {
        at = this.#writeLine(out, at, line.bytes, this.#names, nameCount, random);
        indent += line.indent > 0 ? 1 : 0;
      }
    }
    if (sizeBytes > 0) {
      out[sizeBytes - 1] = 0x0a;
    }
  }

  #chooseNames(nameCount: number, theme: Theme, random: Random): void {
    for (let i = 0; i < 2 * nameCount; i += 2) {
      const shared = random.unit() < THEME_NAME_SHARE ? 2 * random.below(THEME_NAMES) : -1;
      this.#names[i] = theme.names[shared] ?? this.vocabulary.rank(random);
      this.#names[i + 1] = theme.names[shared + 1] ?? this.vocabulary.rank(random);
    }
  }

  /** Returns a theme. Only the last one is cached, because the files of a theme are written one after the other. */
  #themeOf(seed: number): Theme {
    if (this.#theme?.seed === seed) {
      return this.#theme;
    }
    const random = new Random(seed, 2);
    const names = Uint16Array.from({ length: 2 * THEME_NAMES }, () => this.vocabulary.rank(random));
    const plain = LINES.filter((line) => line.indent === 0);
    const scratch = new Uint8Array(4096);
    const idioms = Array.from({ length: IDIOMS }, () => {
      const line = plain[random.below(plain.length)]?.bytes ?? new Uint8Array(0);
      return scratch.slice(0, this.#writeLine(scratch, 0, line, names, THEME_NAMES, random));
    });
    this.#theme = { seed, names, idioms };
    return this.#theme;
  }

  #writeLine(
    out: Uint8Array,
    start: number,
    line: Uint8Array,
    names: Uint16Array,
    nameCount: number,
    random: Random,
  ): number {
    let at = start;
    for (const byte of line) {
      if (byte > NUMBER) {
        out[at++] = byte;
        continue;
      }
      const bits = random.bits() >>> 0;
      if (byte === WORD) {
        at = this.#writeWord(out, at, this.vocabulary.zipf[bits >>> 16] ?? 0);
      } else if (byte === NUMBER) {
        let rest = (bits >>> 24) * (bits & 0x10 ? 1 : 16);
        do {
          out[at++] = 0x30 + (rest % 10);
          rest = (rest / 10) | 0;
        } while (rest > 0);
      } else {
        // The product of two uniform numbers makes the first names the most frequent ones.
        const skewed = (((bits >>> 16) * (bits & 0xffff)) / 0x1_0000_0000) * nameCount;
        const name = 2 * (skewed | 0);
        at = this.#writeWord(out, at, names[name] ?? 0);
        if (byte === CAMEL) {
          const second = at;
          at = this.#writeWord(out, at, names[name + 1] ?? 0);
          out[second] = (out[second] ?? 0) & 0xdf; // A capital letter.
        }
      }
    }
    out[at] = 0x0a;
    return at + 1;
  }

  #writeWord(out: Uint8Array, start: number, rank: number): number {
    const { bytes, starts } = this.vocabulary;
    const end = starts[rank + 1] ?? 0;
    let at = start;
    for (let from = starts[rank] ?? 0; from < end; from++) {
      out[at++] = bytes[from] ?? 0;
    }
    return at;
  }

  #makeHeader(random: Random): Uint8Array {
    let text = '/*\n';
    for (let i = 0; i < HEADER_LINES; i++) {
      const words = Array.from({ length: 11 }, () => this.vocabulary.word(random));
      text += ` * ${words.join(' ')}\n`;
    }
    return Buffer.from(`${text} */\n`);
  }
}

function compileLine(text: string): Line {
  const bytes: number[] = [];
  for (let i = 1; i < text.length; i++) {
    if (text[i] === '%') {
      i++;
      bytes.push(SLOTS[text[i] ?? ''] ?? 0);
    } else {
      bytes.push(text.charCodeAt(i));
    }
  }
  const sign = text[0];
  return { indent: sign === '+' ? 1 : sign === '-' ? -1 : 0, bytes: Uint8Array.from(bytes) };
}

/** Appends a copy of a few lines that begin somewhere in the window before `at`. */
function copyLines(out: Uint8Array, at: number, random: Random): number {
  let from = at - 1 - random.below(Math.min(at - 1, COPY_WINDOW_BYTES));
  while (from > 0 && out[from - 1] !== 0x0a) {
    from--;
  }
  let to = at;
  for (let lines = 1 + random.below(COPY_LINES_MAX); lines > 0 && from < at; lines--) {
    let byte: number;
    do {
      byte = out[from++] ?? 0x0a;
      out[to++] = byte;
    } while (byte !== 0x0a);
  }
  return to;
}

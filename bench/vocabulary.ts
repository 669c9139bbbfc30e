import type { Random } from './random.js';

/** Number of words. It is so large that no compression dictionary covers the words, and so small that they recur. */
const WORD_COUNT = 8192;
const ONSETS = ['b', 'c', 'd', 'f', 'g', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'st', 'tr', 'ch'];
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'e', 'a', 'io'];
const CODAS = ['', '', '', 'n', 'r', 's', 't', 'x'];

/** Invented words, frequent ones first. Their bytes are in one array because copying them takes most of the time. */
export class Vocabulary {
  readonly words: readonly string[];
  readonly bytes: Uint8Array;
  /** Word i is `bytes[starts[i] .. starts[i + 1])`. */
  readonly starts: Int32Array;
  /** Maps sixteen random bits to the rank of a word: P(rank) is about 1/rank (Zipf). */
  readonly zipf: Uint16Array;

  constructor(random: Random) {
    const known = new Set<string>();
    while (known.size < WORD_COUNT) {
      // As in any language, the most frequent words are the shortest.
      const syllables = 1 + random.below(known.size < 60 ? 1 : known.size < 1500 ? 2 : 3);
      let word = '';
      for (let i = 0; i < syllables; i++) {
        word += pick(ONSETS, random) + pick(VOWELS, random) + pick(CODAS, random);
      }
      known.add(word);
    }
    this.words = [...known];
    this.bytes = Buffer.from(this.words.join(''));
    this.starts = new Int32Array(WORD_COUNT + 1);
    this.words.forEach((word, i) => {
      this.starts[i + 1] = (this.starts[i] ?? 0) + word.length;
    });
    this.zipf = Uint16Array.from({ length: 0x10000 }, (_, i) =>
      Math.floor(WORD_COUNT ** ((i + 0.5) / 0x10000)),
    ).map((rank) => rank - 1);
  }

  /** Returns the rank of a random word. */
  rank(random: Random): number {
    return this.zipf[random.bits() >>> 16] ?? 0;
  }

  /** Returns a random word. */
  word(random: Random): string {
    return this.words[this.rank(random)] ?? '';
  }
}

/** Returns one of the choices, each equally likely. */
export function pick<T>(choices: readonly T[], random: Random): T {
  const chosen = choices[random.below(choices.length)];
  if (chosen === undefined) {
    throw new Error('nothing to pick from');
  }
  return chosen;
}

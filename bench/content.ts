import { Random } from './random.js';
import { SourceText } from './text.js';
import type { Vocabulary } from './vocabulary.js';

/**
 * The kind of a file's content: text like program source, half-compressible binary, or noise (like compressed
 * data).
 */
export type ContentKind = 'text' | 'binary' | 'noise';

/** All parameters of a file's bytes, besides the seed of the tree. */
export interface ContentSpec {
  readonly kind: ContentKind;
  readonly sizeBytes: number;
  readonly contentSeed: number;
  /** Files of one theme share names and phrases, as the files of one module do. */
  readonly themeSeed: number;
}

/** Makes file contents; a given seed and specification always yield the same bytes. */
export class ContentMaker {
  readonly #text: SourceText;
  #buffer = new Uint8Array(0);

  constructor(seed: number) {
    this.#text = new SourceText(seed);
  }

  get vocabulary(): Vocabulary {
    return this.#text.vocabulary;
  }

  /** Returns the contents of a file. They are valid until the next call, which reuses the buffer. */
  make(spec: ContentSpec): Uint8Array {
    const { kind, sizeBytes } = spec;
    if (this.#buffer.length < sizeBytes + SourceText.slackBytes) {
      this.#buffer = new Uint8Array(2 * sizeBytes + SourceText.slackBytes);
    }
    const random = new Random(spec.contentSeed, 1);
    const out = this.#buffer.subarray(0, sizeBytes);
    if (kind === 'text') {
      this.#text.fill(this.#buffer, sizeBytes, spec.themeSeed, random);
    } else {
      fillWithNoise(out, random);
      if (kind === 'binary') {
        halveEntropy(out, random);
      }
    }
    return out;
  }
}

function fillWithNoise(out: Uint8Array, random: Random): void {
  let i = 0;
  for (; i + 4 <= out.length; i += 4) {
    const bits = random.bits();
    out[i] = bits;
    out[i + 1] = bits >>> 8;
    out[i + 2] = bits >>> 16;
    out[i + 3] = bits >>> 24;
  }
  for (; i < out.length; i++) {
    out[i] = random.bits();
  }
}

/**
 * Replaces every other 64 bytes of noise with eight zeros and a part of one of eight patterns, so that only half of the
 * bytes are random.
 */
function halveEntropy(out: Uint8Array, random: Random): void {
  const patterns = new Uint8Array(8 * 64);
  fillWithNoise(patterns, random);
  for (let i = 0; i < out.length; i += 128) {
    const from = (random.bits() & 7) * 64;
    const end = Math.min(i + 64, out.length);
    out.set(patterns.subarray(from, from + end - i), i);
    out.fill(0, i, Math.min(i + 8, end));
  }
}

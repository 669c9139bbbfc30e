/**
 * Mutates copies of inputs with a seeded random source: bytes, numbers, pieces, words of the format, parts of other
 * inputs.
 */
import type { Random } from './target.js';

const MOST_STEPS = 6;
const LONGEST_PIECE_BYTES = 64;
const MOST_COPIES = 32;
/** Share of inputs that are filled to full length; they take long, so they are few. */
const FILLED_SHARE = 0.1;
const SHORT_PIECE_BYTES = 6;
/** Numbers at which lengths, counts and offsets break. */
const EDGES = [
  0, 1, 2, 3, 7, 8, 0x0f, 0x10, 0x1f, 0x20, 0x40, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
  0x1_0000, 0x10_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];
const WIDE_EDGES = [
  0n,
  1n,
  (1n << 31n) - 1n,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 62n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

type Step = (data: Buffer) => Buffer;

export class Mutator {
  private readonly random: Random;
  private readonly tokens: readonly Buffer[];
  private readonly maxBytes: number;
  private readonly other: () => Buffer;
  private readonly steps: readonly Step[];

  /** `other` returns another known input, from which pieces are taken. */
  constructor(
    random: Random,
    tokens: readonly (string | Buffer)[],
    maxBytes: number,
    other: () => Buffer,
  ) {
    this.random = random;
    this.tokens = tokens.map((token) => Buffer.from(token as string));
    this.maxBytes = maxBytes;
    this.other = other;
    const steps: Step[] = [
      (data) => this.flip(data),
      (data) => this.setByte(data),
      (data) => this.addTo(data),
      (data) => this.setNumber(data),
      (data) => this.remove(data),
      (data) => this.double(data),
      (data) => this.fill(data),
      (data) => this.move(data),
      (data) => this.insertNoise(data),
      (data) => this.cutOff(data),
      (data) => this.cross(data),
      (data) => this.changeDigits(data),
    ];
    const withTokens: Step[] = [(data) => this.putToken(data), (data) => this.putToken(data)];
    this.steps = this.tokens.length === 0 ? steps : [...steps, ...withTokens];
  }

  /** Returns a mutated copy of `data`. */
  mutate(data: Buffer): Buffer {
    let changed: Buffer = Buffer.from(data);
    const steps = 1 + Math.floor(this.random.next() ** 2 * MOST_STEPS);
    for (let step = 0; step < steps; step += 1) {
      changed = this.steps[this.below(this.steps.length)]!(changed);
    }
    return changed.subarray(0, this.maxBytes);
  }

  private below(end: number): number {
    return Math.floor(this.random.next() * end);
  }

  private flip(data: Buffer): Buffer {
    if (data.length > 0) data[this.below(data.length)]! ^= 1 << this.below(8);
    return data;
  }

  private setByte(data: Buffer): Buffer {
    if (data.length > 0) data[this.below(data.length)] = this.below(256);
    return data;
  }

  private addTo(data: Buffer): Buffer {
    if (data.length > 0) data[this.below(data.length)]! += this.below(17) - 8;
    return data;
  }

  /** Writes a number of 1 to 8 bytes near some limit, little- or big-endian. */
  private setNumber(data: Buffer): Buffer {
    const bytes = 1 << this.below(4);
    if (data.length < bytes) return data;
    const at = this.below(data.length - bytes + 1);
    const number = Buffer.alloc(8);
    if (bytes === 8) number.writeBigUInt64LE(WIDE_EDGES[this.below(WIDE_EDGES.length)]!);
    else number.writeUInt32LE(this.edge(data.length));
    const part = number.subarray(0, bytes);
    if (this.random.next() < 0.3) part.reverse();
    part.copy(data, at);
    return data;
  }

  /** Returns a number near a limit. Lengths near that of the input break more than any other. */
  private edge(inputBytes: number): number {
    if (this.random.next() < 0.3) return Math.max(0, inputBytes - this.below(LONGEST_PIECE_BYTES));
    return EDGES[this.below(EDGES.length)]!;
  }

  private piece(data: Buffer): [from: number, to: number] {
    const from = this.below(data.length + 1);
    const longest = this.random.next() < 0.2 ? data.length : LONGEST_PIECE_BYTES;
    return [from, Math.min(data.length, from + 1 + this.below(longest))];
  }

  private remove(data: Buffer): Buffer {
    const [from, to] = this.piece(data);
    return Buffer.concat([data.subarray(0, from), data.subarray(to)]);
  }

  /** Repeats a piece, once or many times. */
  private double(data: Buffer): Buffer {
    const [from, to] = this.piece(data);
    const copies = this.random.next() < 0.7 ? 1 : 1 + this.below(MOST_COPIES);
    const piece = data.subarray(from, to);
    const all = Array.from({ length: Math.min(copies, this.roomFor(piece)) }, () => piece);
    return Buffer.concat([data.subarray(0, to), ...all, data.subarray(to)]);
  }

  /** Repeats a short piece up to the longest input, which exposes more than linear time. */
  private fill(data: Buffer): Buffer {
    if (data.length === 0 || this.random.next() > FILLED_SHARE) return this.double(data);
    const from = this.below(data.length);
    const to = from + 1 + this.below(SHORT_PIECE_BYTES);
    const piece = data.subarray(from, to);
    const filled = Buffer.alloc(Math.max(0, this.maxBytes - data.length), piece);
    return Buffer.concat([data.subarray(0, to), filled, data.subarray(to)]);
  }

  private roomFor(piece: Buffer): number {
    return Math.ceil(this.maxBytes / Math.max(1, piece.length));
  }

  private move(data: Buffer): Buffer {
    const [from, to] = this.piece(data);
    const piece = Buffer.from(data.subarray(from, to));
    piece.copy(data, this.below(data.length + 1));
    return data;
  }

  private insertNoise(data: Buffer): Buffer {
    const noise = Buffer.alloc(1 + this.below(16));
    const same = this.random.next() < 0.5 ? this.below(256) : undefined;
    for (let at = 0; at < noise.length; at += 1) noise[at] = same ?? this.below(256);
    return this.insert(data, noise);
  }

  private insert(data: Buffer, piece: Buffer): Buffer {
    const at = this.below(data.length + 1);
    return Buffer.concat([data.subarray(0, at), piece, data.subarray(at)]);
  }

  private cutOff(data: Buffer): Buffer {
    return data.subarray(0, this.below(data.length + 1));
  }

  /** Joins the beginning of one input and the end of another, or inserts a piece of the other one. */
  private cross(data: Buffer): Buffer {
    const other = this.other();
    const [from, to] = this.piece(other);
    if (this.random.next() < 0.5) return this.insert(data, other.subarray(from, to));
    return Buffer.concat([data.subarray(0, this.below(data.length + 1)), other.subarray(from)]);
  }

  /** Replaces a number written in digits, because dates, sizes and options are text. */
  private changeDigits(data: Buffer): Buffer {
    const digits = [...data.toString('latin1').matchAll(/\d+/g)];
    if (digits.length === 0) return this.setByte(data);
    const found = digits[this.below(digits.length)]!;
    const number =
      this.random.next() < 0.5
        ? WIDE_EDGES[this.below(WIDE_EDGES.length)]!
        : BigInt(this.edge(data.length));
    const end = found.index + found[0].length;
    return Buffer.concat([
      data.subarray(0, found.index),
      Buffer.from(String(number)),
      data.subarray(end),
    ]);
  }

  private putToken(data: Buffer): Buffer {
    const token = this.tokens[this.below(this.tokens.length)]!;
    if (this.random.next() < 0.5) return this.insert(data, token);
    token.copy(data, this.below(data.length + 1));
    return data;
  }
}

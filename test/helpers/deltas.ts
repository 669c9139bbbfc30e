/** Generates pairs of contents, and applies src/delta to whole contents. */
import {
  type Basis,
  DeltaIndex,
  DeltaMaker,
  LoadedSignature,
  patched,
  SignatureMaker,
} from '../../src/delta/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { loadNative } from '../../src/system/native.js';

const native = loadNative();

export interface Pair {
  readonly kind: string;
  readonly before: Buffer;
  readonly after: Buffer;
}

const KINDS = [
  'insertion',
  'deletion',
  'move',
  'change',
  'equal',
  'to-empty',
  'from-empty',
  'other',
];

/** Returns the n-th generated pair of a seed: each kind in turn, from nothing to some 60 KiB. */
export function makePair(seed: number, n: number): Pair {
  const random = seededRandom(seed + n * 7919);
  const upTo = (most: number): number => Math.floor(random.next() * (most + 1));
  const kind = KINDS[n % KINDS.length]!;
  const before = kind === 'from-empty' ? Buffer.alloc(0) : random.bytes(1 + upTo(60_000));
  // The content of every third pair repeats itself, as zeros and tables do.
  if (n % 3 === 0) before.fill(Buffer.from(before.subarray(0, 1 + upTo(40))), upTo(before.length));
  const at = upTo(before.length);
  const [head, tail] = [before.subarray(0, at), before.subarray(at)];
  const cut = upTo(tail.length);
  switch (kind) {
    case 'insertion':
      return { kind, before, after: Buffer.concat([head, random.bytes(1 + upTo(9000)), tail]) };
    case 'deletion':
      return { kind, before, after: Buffer.concat([head, tail.subarray(cut)]) };
    case 'move':
      return {
        kind,
        before,
        after: Buffer.concat([tail.subarray(cut), head, tail.subarray(0, cut)]),
      };
    case 'change': {
      const after = Buffer.from(before);
      for (let times = upTo(5); times >= 0; times -= 1) {
        random.bytes(1 + upTo(300)).copy(after, upTo(after.length));
      }
      return { kind, before, after };
    }
    case 'equal':
      return { kind, before, after: Buffer.from(before) };
    case 'to-empty':
      return { kind, before, after: Buffer.alloc(0) };
    default:
      return { kind, before, after: random.bytes(upTo(30_000)) };
  }
}

/** Returns pieces of uneven lengths, so that no boundary is where it would be convenient. */
export function* piecesOf(bytes: Buffer, seed: number): Generator<Buffer> {
  const random = seededRandom(seed);
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random.next() ** 3 * 20_000);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function* asyncPieces(bytes: Buffer, seed: number): AsyncGenerator<Buffer> {
  yield* piecesOf(bytes, seed);
}

export function signatureOf(content: Buffer, blockBytes: number, seed = 1): Buffer {
  using maker = new SignatureMaker(native, blockBytes, content.length);
  for (const piece of piecesOf(content, seed)) maker.push(piece);
  return maker.finish();
}

export function deltaOf(signature: Buffer, basisBytes: number, after: Buffer, seed = 1): Buffer {
  const loaded = new LoadedSignature(native, basisBytes);
  try {
    for (const piece of piecesOf(signature, seed)) loaded.push(piece, false);
    loaded.push(Buffer.alloc(0), true);
    using maker = new DeltaMaker(native, loaded.number, 5000);
    const made: Buffer[] = [];
    for (const piece of piecesOf(after, seed + 1)) {
      for (const part of maker.push(piece)) made.push(Buffer.from(part));
    }
    for (const part of maker.finish()) made.push(Buffer.from(part));
    return Buffer.concat(made);
  } finally {
    loaded.close();
  }
}

export function basisOf(content: Buffer): Basis {
  return {
    sizeBytes: content.length,
    read: async (position, target, at, bytes) => {
      if (position + bytes > content.length) throw new Error('a read behind the end');
      content.copy(target, at, position, position + bytes);
    },
  };
}

export async function patchOf(before: Buffer, delta: Buffer, sizeBytes: number): Promise<Buffer> {
  const made: Buffer[] = [];
  const pieces = asyncPieces(delta, delta.length);
  for await (const piece of patched(native, pieces, basisOf(before), sizeBytes)) {
    made.push(Buffer.from(piece));
  }
  return Buffer.concat(made);
}

/** Returns a range of the result of a delta, by the index of its commands. */
export async function rangeOf(
  before: Buffer,
  delta: Buffer,
  sizeBytes: number,
  range: { from: number; bytes: number },
): Promise<Buffer> {
  const index = await DeltaIndex.read(asyncPieces(delta, 3), before.length, sizeBytes);
  const made: Buffer[] = [];
  for (const { isLiteral, from, bytes } of index.stretches(range.from, range.bytes)) {
    made.push((isLiteral ? delta : before).subarray(from, from + bytes));
  }
  return Buffer.concat(made);
}

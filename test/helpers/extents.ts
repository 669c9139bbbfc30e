/** Files with data and holes in every pattern, and their contents, computed without the help of a file system. */
import fs from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { noise } from './tree.js';

/** A file as blocks of data and holes. */
export interface Pattern {
  readonly name: string;
  readonly blockBytes: number;
  readonly isData: readonly boolean[];
  /** Bytes after the last block. */
  readonly tailBytes: number;
}

const BLOCKS = [512, 1024, 4096];
const MOST_BLOCKS = 700;

/**
 * Alternating blocks, up to more extents than a file that is read whole keeps separate (256), with all kinds of
 * ends.
 */
const FIXED: readonly (readonly [blocks: number, dataFirst: boolean])[] = [
  [1, true],
  [1, false],
  [2, false],
  [511, true],
  [512, true],
  [512, false],
  [513, true],
  [515, true],
  [700, false],
];

const runs = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 300 });

const pattern = fc.record({
  blockBytes: fc.constantFrom(...BLOCKS),
  lengths: runs,
  startsWithData: fc.boolean(),
  tailBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 511 })),
});

/** Returns the fixed patterns, followed by `count` random ones. */
export function patterns(seed: number, count: number): Pattern[] {
  const fixed = FIXED.map(([blocks, dataFirst], index) => ({
    name: `fixed ${index}`,
    blockBytes: 1024,
    isData: Array.from({ length: blocks }, (_, block) => (block % 2 === 0) === dataFirst),
    tailBytes: 0,
  }));
  const chosen = fc.sample(pattern, { seed, numRuns: count });
  const random = chosen.map(({ blockBytes, lengths, startsWithData, tailBytes }, index) => ({
    name: `chance ${index}`,
    blockBytes,
    tailBytes,
    isData: lengths
      .flatMap((length, run) => Array<boolean>(length).fill((run % 2 === 0) === startsWithData))
      .slice(0, MOST_BLOCKS),
  }));
  return [...fixed, ...random];
}

function dataOf({ name, blockBytes, isData, tailBytes }: Pattern): [number, Buffer][] {
  const data = isData.flatMap((is, block): [number, Buffer][] =>
    is ? [[block * blockBytes, noise(`${name} ${block}`, blockBytes)]] : [],
  );
  const end = isData.length * blockBytes;
  return tailBytes === 0 ? data : [...data, [end, noise(name, tailBytes)]];
}

function sizeOf({ blockBytes, isData, tailBytes }: Pattern): number {
  return isData.length * blockBytes + tailBytes;
}

/** Returns the content of the file, with holes as zeros. */
export function bytesOf(file: Pattern): Buffer {
  const bytes = Buffer.alloc(sizeOf(file));
  for (const [position, data] of dataOf(file)) data.copy(bytes, position);
  return bytes;
}

/** Writes the files into a directory, with real holes. */
export function writePatterns(directory: string, files: readonly Pattern[]): void {
  for (const file of files) {
    const fd = fs.openSync(path.join(directory, file.name), 'wx');
    for (const [position, data] of dataOf(file)) fs.writeSync(fd, data, 0, data.length, position);
    fs.ftruncateSync(fd, sizeOf(file));
    fs.closeSync(fd);
  }
}

/** Returns a description of each file with wrong content. */
export function wrongPatterns(directory: string, files: readonly Pattern[]): string[] {
  return files.flatMap((file) => {
    const wanted = bytesOf(file);
    const found = fs.readFileSync(path.join(directory, file.name));
    if (found.equals(wanted)) return [];
    const { name, blockBytes, isData } = file;
    return [`${name}: ${found.length} of ${wanted.length} bytes, ${isData.length} × ${blockBytes}`];
  });
}

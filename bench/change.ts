import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { ContentMaker } from './content.js';
import { Random } from './random.js';

/** Number of bytes of a file that are read to distinguish text from binary. */
const PEEK_BYTES = 4096;

/** Counts and sizes of a tree. */
export interface TreeSize {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  /** Number of bytes of memory on a memory file system: whole pages, and about 1 KiB for each entry. */
  readonly footprintBytes: number;
}

/**
 * Rewrites `share` of a tree's regular files in place with other content. Text stays text, binary stays binary,
 * and each size stays within the same power of two. A given seed and tree always yield the same change. Returns
 * the number of rewritten files.
 */
export function changeTree(root: string, options: { seed: number; share: number }): number {
  const random = new Random(options.seed, 3);
  const maker = new ContentMaker(options.seed);
  const files: string[] = [];
  visit(root, (path, stat) => {
    if (stat.isFile() && stat.size > 0) {
      files.push(path);
    }
  });
  // Sorting makes the result independent of the order in which directories list their entries.
  files.sort();
  const count = Math.min(files.length, Math.max(1, Math.round(files.length * options.share)));
  for (let i = 0; i < count; i++) {
    // Fisher-Yates shuffle of only the first `count` files.
    const other = i + random.below(files.length - i);
    const path = files[other] ?? '';
    files[other] = files[i] ?? '';
    rewrite(path, maker, random);
  }
  return count;
}

/** Returns the counts and sizes of a tree. */
export function sizeOfTree(root: string): TreeSize {
  const size = { files: 0, directories: 0, others: 0, bytes: 0, footprintBytes: 0 };
  visit(root, (_path, stat) => {
    size.footprintBytes += 1024;
    if (stat.isFile()) {
      size.files++;
      size.bytes += stat.size;
      size.footprintBytes += Math.ceil(stat.size / 4096) * 4096;
    } else if (stat.isDirectory()) {
      size.directories++;
    } else {
      size.others++;
    }
  });
  return size;
}

/** Returns the size of a tree in one line. */
export function treeLine(size: TreeSize): string {
  const megabytes = (size.bytes / 1e6).toFixed(0);
  return `${size.files} files, ${size.directories} directories, ${size.others} others, ${megabytes} MB`;
}

function visit(path: string, seen: (path: string, stat: Stats) => void): void {
  const stat = lstatSync(path);
  seen(path, stat);
  if (stat.isDirectory()) {
    for (const name of readdirSync(path)) {
      visit(`${path}/${name}`, seen);
    }
  }
}

function rewrite(path: string, maker: ContentMaker, random: Random): void {
  const oldBytes = lstatSync(path).size;
  const classBytes = 2 ** Math.floor(Math.log2(oldBytes));
  const contents = maker.make({
    kind: looksBinary(path) ? 'binary' : 'text',
    sizeBytes: classBytes + random.below(classBytes),
    contentSeed: random.bits(),
    themeSeed: random.bits(),
  });
  writeFileSync(path, contents);
}

function looksBinary(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const start = Buffer.alloc(PEEK_BYTES);
    return start.subarray(0, readSync(fd, start)).includes(0);
  } finally {
    closeSync(fd);
  }
}

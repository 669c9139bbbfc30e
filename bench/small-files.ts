/** Generates many small files, for measurements that depend on their number only. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Many directories with some files each, or all files in one directory. */
export const SHAPES = ['tree', 'one directory'] as const;
export type Shape = (typeof SHAPES)[number];
/**
 * Number of bytes that a tiny file takes on a memory file system, with its name and inode. Callers require twice as
 * much, since the store and the catalog take space too.
 */
export const FOOTPRINT_BYTES = 6 << 10;
const PAST_S = Date.UTC(2024, 0, 1) / 1000;
const FILES_PER_DIRECTORY = 40;
const DIRECTORIES_PER_LEVEL = 50;

/** Creates files of a few bytes each, all different, with a fixed modification time. */
export function makeSmallFiles(root: string, shape: Shape, files: number): void {
  mkdirSync(root, { recursive: true });
  const made = new Set<string>();
  for (let i = 0; i < files; i++) {
    const directory = shape === 'tree' ? join(root, directoryOf(i)) : root;
    if (shape === 'tree' && !made.has(directory)) {
      mkdirSync(directory, { recursive: true });
      made.add(directory);
    }
    const file = join(directory, `file-${i}.txt`);
    writeFileSync(file, `this is the small file number ${i}\n`);
    utimesSync(file, PAST_S, PAST_S);
  }
}

function directoryOf(file: number): string {
  const directory = Math.floor(file / FILES_PER_DIRECTORY);
  const above = Math.floor(directory / DIRECTORIES_PER_LEVEL);
  return join(`d${Math.floor(above / DIRECTORIES_PER_LEVEL)}`, `d${above}`, `d${directory}`);
}

/** Generates many small files, for measurements that depend on their number only. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Many directories with some files each, or all files in one directory. */
export const SHAPES = ['tree', 'one directory'] as const;
/** `deep tree` has only a few files in each directory, with 100 bytes each. */
export type Shape = (typeof SHAPES)[number] | 'deep tree';
/**
 * Number of bytes that a tiny file takes on a memory file system, with its name and inode. Callers require twice as
 * much, since the store and the catalog take space too.
 */
export const FOOTPRINT_BYTES = 6 << 10;
const PAST_S = Date.UTC(2024, 0, 1) / 1000;
const FILES_PER_DIRECTORY = { tree: 40, 'deep tree': 5 };
const DEEP_FILE_BYTES = 100;
const DIRECTORIES_PER_LEVEL = 50;

/** Creates files of a few bytes each, all different, with a fixed modification time. */
export function makeSmallFiles(root: string, shape: Shape, files: number): void {
  mkdirSync(root, { recursive: true });
  const made = new Set<string>();
  for (let i = 0; i < files; i++) {
    const isTree = shape !== 'one directory';
    const directory = isTree ? join(root, directoryOf(i, FILES_PER_DIRECTORY[shape])) : root;
    if (isTree && !made.has(directory)) {
      mkdirSync(directory, { recursive: true });
      made.add(directory);
    }
    const file = join(directory, `file-${i}.txt`);
    const text = `this is the small file number ${i}\n`;
    writeFileSync(file, shape === 'deep tree' ? text.padEnd(DEEP_FILE_BYTES, '.') : text);
    utimesSync(file, PAST_S, PAST_S);
  }
}

function directoryOf(file: number, filesPerDirectory: number): string {
  const directory = Math.floor(file / filesPerDirectory);
  const above = Math.floor(directory / DIRECTORIES_PER_LEVEL);
  return join(`d${Math.floor(above / DIRECTORIES_PER_LEVEL)}`, `d${above}`, `d${directory}`);
}

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
    const directory = directoryOf(root, shape, i);
    if (directory !== root && !made.has(directory)) {
      mkdirSync(directory, { recursive: true });
      made.add(directory);
    }
    const file = join(directory, `file-${i}.txt`);
    const text = `this is the small file number ${i}\n`;
    writeFileSync(file, shape === 'deep tree' ? text.padEnd(DEEP_FILE_BYTES, '.') : text);
    utimesSync(file, PAST_S, PAST_S);
  }
}

/** Changes one of 100 of the files. */
export function changeSmallFiles(root: string, shape: Shape, files: number): void {
  for (let i = 0; i < files; i += 100) {
    const file = join(directoryOf(root, shape, i), `file-${i}.txt`);
    writeFileSync(file, `this is another small file number ${i}\n`);
  }
}

function directoryOf(root: string, shape: Shape, file: number): string {
  if (shape === 'one directory') return root;
  const directory = Math.floor(file / FILES_PER_DIRECTORY[shape]);
  const above = Math.floor(directory / DIRECTORIES_PER_LEVEL);
  return join(root, `d${Math.floor(above / DIRECTORIES_PER_LEVEL)}`, `d${above}`, `d${directory}`);
}

/** Marks the files of `tardis setup`, and finds the commands and the page of this package. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { usualClientFile } from '../../config/index.js';
import { isThere, packageRoot, readStart, type System } from '../../system/index.js';

/** First line of each file that `tardis setup` writes. A file without it belongs to somebody else. */
export const MARK = '# Written by `tardis setup`';

/** True if a file is there and is not one of `tardis setup`. */
export function isForeign({ files }: System, file: string): boolean {
  const start = readStart(files, file, MARK.length);
  return start !== undefined && start.toString() !== MARK;
}

/** True if `tardis setup` has written the configuration of this user. */
export function isSetUp(system: System): boolean {
  return isThere(usualClientFile()) && !isForeign(system, usualClientFile());
}

/** Returns the command that a timer or a user starts: beside this program, else the one of PATH. */
export function tardisCommand(tool = 'tardis'): string {
  const beside = path.join(packageRoot(), 'bin', tool);
  return isThere(beside) ? beside : tool;
}

const PAGE_FOLDER = 'dist/bundle/page';

/** Reads a file of the page, which the build writes beside the bundles of the programs. */
export function readPage(name: string): Buffer {
  return readFileSync(path.join(packageRoot(), PAGE_FOLDER, name));
}

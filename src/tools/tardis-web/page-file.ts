/** Reads the files of the page, which the build writes beside the bundle of the program. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../system/index.js';

const FOLDER = 'dist/bundle/page';

export function readPage(name: string): Buffer {
  return readFileSync(path.join(packageRoot(), FOLDER, name));
}

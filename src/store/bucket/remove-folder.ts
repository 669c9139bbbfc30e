/** Deletes the data that a machine has of a client in a bucket. */
import path from 'node:path';
import type { Files } from '../../system/index.js';

/** Maximum depth of nested folders that are entered. A client has fewer. */
const MAX_DEPTH = 4;

/** Deletes a folder with all that is in it. Does not follow links. */
export function removeFolder(files: Files, folder: string, depth = 1): void {
  for (const name of files.list(folder)) {
    const file = path.join(folder, name);
    const isFolder = !files.isLink(file) && files.status(file)?.isDirectory === true;
    if (isFolder && depth < MAX_DEPTH) removeFolder(files, file, depth + 1);
    else files.unlink(file);
  }
  files.removeDirectory(folder);
}

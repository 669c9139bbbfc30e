/** Words for byte-wise searches in a store that must not contain them. */
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

/** They occur nowhere by chance, and no codec shortens them. */
export const WORDS = {
  name: 'Zebrafink-name-7F3A9C',
  directory: 'Quastenflosser-directory-51B2',
  content: 'Okapi-content-E4D7C1',
  target: 'Nacktmull-target-88A0',
  attribute: 'Axolotl-attribute-3C9E',
  set: 'Wombat-set-name-D2F5',
} as const;

export function filesBelow(directory: string): string[] {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const found = path.join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(found) : [found];
  });
}

/**
 * Returns the bytes of a file; empty if it is gone. A file being written, such as a copy of a catalog, may be
 * renamed.
 */
export function bytesOfFile(file: string): Buffer {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

/** Returns the bytes of a file; for records of runs, their text. */
function plainOf(file: string): Buffer {
  const bytes = bytesOfFile(file);
  return /\.(?:run|page)$/.test(file) && bytes.length > 0 ? gunzipSync(bytes) : bytes;
}

/** Returns which of the words occur in a store, in names or contents of files. */
export function wordsIn(store: string): string[] {
  const found = new Set<string>();
  for (const path of filesBelow(store)) {
    const bytes = plainOf(path);
    for (const [what, word] of Object.entries(WORDS)) {
      const forms = [word, Buffer.from(word).toString('base64').slice(0, 16), word.toUpperCase()];
      if (path.includes(word) || forms.some((form) => bytes.includes(form))) found.add(what);
    }
  }
  return [...found].sort();
}

/** Words that are searched for byte by byte, where a store must not show them. */
import fs from 'node:fs';
import path from 'node:path';

/** Found nowhere by chance, and not made shorter by any codec. */
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

/** What is being made beside a test, such as a copy of a catalog, may have another name by now. */
export function bytesOfFile(file: string): Buffer {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

/** Which of the words stand somewhere in a store: in names of files, or in what they hold. */
export function wordsIn(store: string): string[] {
  const found = new Set<string>();
  for (const path of filesBelow(store)) {
    const bytes = bytesOfFile(path);
    for (const [what, word] of Object.entries(WORDS)) {
      const forms = [word, Buffer.from(word).toString('base64').slice(0, 16), word.toUpperCase()];
      if (path.includes(word) || forms.some((form) => bytes.includes(form))) found.add(what);
    }
  }
  return [...found].sort();
}

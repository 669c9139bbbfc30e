// Writes the manual pages to dist/man and the completions to dist/completions, at the end of `npm run build`. Both are
// made from the table of settings and the texts of help.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { completions } from './make-completions.mjs';
import { manPages } from './make-man.mjs';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const made = new Map([...manPages(), ...completions()].map(({ file, text }) => [file, text]));

for (const [file, text] of made) {
  mkdirSync(join(dist, dirname(file)), { recursive: true });
  writeFileSync(join(dist, file), text);
}
// Files of commands that no longer exist are removed.
for (const folder of ['man', 'completions']) {
  for (const name of readdirSync(join(dist, folder))) {
    if (!made.has(`${folder}/${name}`)) rmSync(join(dist, folder, name));
  }
}

/** The list of targets: each is a file in the folder `targets`, and has the name of that file. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('targets/', import.meta.url));

/** Returns the names of all targets, sorted. */
export function targetNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .sort();
}

/** Returns the path of a target's compiled file. */
export function moduleOf(name: string): string {
  return path.join(FOLDER, `${name}.js`);
}

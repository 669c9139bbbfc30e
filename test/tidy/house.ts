import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The root of the checkout, in which ava starts every test. */
export const ROOT = process.cwd();

const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'native/build']);

/** Returns every file that is, or could be, in the repository, relative to the checkout. */
export function filesOfHouse(): string[] {
  const name: unknown = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).name;
  if (name !== 'tardis-pipeline') throw new Error(`${ROOT} is not the checkout`);
  return (listedByGit() ?? walk('')).sort();
}

/**
 * Returns the files that git lists; undefined without git, or if this is not a repository (say, an unpacked archive).
 */
function listedByGit(): string[] | undefined {
  if (!existsSync(path.join(ROOT, '.git'))) return undefined;
  // New files count too, because they are about to be committed.
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const git = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (git.status !== 0) return undefined;
  const listed = git.stdout.split('\0').filter((file) => file !== '');
  // A deleted file is listed until its deletion is committed.
  return [...new Set(listed)].filter((file) => existsSync(path.join(ROOT, file)));
}

function walk(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (NOT_OURS.has(file)) return [];
    if (entry.isDirectory()) return walk(file);
    return entry.isFile() ? [file] : [];
  });
}

/** Returns `file:line: text` of each line that matches. */
export function linesMatching(file: string, text: string, pattern: RegExp): string[] {
  return text
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []));
}

// Prints how many lines of code each folder of the program and of its tests has, without blank lines and comments.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const CODE = /\.(ts|tsx|css|cc|h)$/;

/** Returns how many lines of a text are neither blank nor comments. */
function linesOfCode(text) {
  const lines = text.replaceAll(/^[ \t]*\/\*[^]*?\*\//gm, '').split('\n');
  return lines.filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;
}

/** Prints the lines and files of each folder below these, and the sum. */
function printSizes(title, folders, files) {
  const sizes = new Map();
  for (const file of files.filter((one) => folders.some((folder) => one.startsWith(folder)))) {
    const folder = path.posix.dirname(file);
    const size = sizes.get(folder) ?? { lines: 0, files: 0 };
    sizes.set(folder, size);
    size.lines += linesOfCode(readFileSync(file, 'utf8'));
    size.files += 1;
  }
  const all = [...sizes.values()].reduce(
    (sum, one) => ({ lines: sum.lines + one.lines, files: sum.files + one.files }),
    { lines: 0, files: 0 },
  );
  const rows = [...[...sizes].toSorted(([a], [b]) => (a < b ? -1 : 1)), [`all ${title}`, all]];
  console.log(`   lines  files  ${title}`);
  for (const [name, { lines, files: count }] of rows) {
    console.log(`${String(lines).padStart(8)} ${String(count).padStart(6)}  ${name}`);
  }
}

const listed = spawnSync('git', ['ls-files', 'src', 'native', 'test'], { encoding: 'utf8' });
if (listed.status !== 0) throw new Error(listed.stderr || String(listed.error));
const code = listed.stdout.split('\n').filter((file) => CODE.test(file));
printSizes('code', ['src/', 'native/src/'], code);
console.log();
printSizes('tests', ['test/', 'native/testing/'], code);

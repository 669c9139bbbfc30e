// Reads the times of test files, which `note-duration.mjs` records in the file that TEST_TIMES names.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SLOWEST_SHOWN = 25;

/** Returns a new file for times, and a function that removes it. */
export function newTimes() {
  const folder = mkdtempSync(join(tmpdir(), 'tardis-test-times-'));
  return { times: join(folder, 'times'), remove: () => rmSync(folder, { recursive: true }) };
}

/** Returns lines that show the files that took longest; none if no times were noted. */
export function slowestLines(times) {
  let text;
  try {
    text = readFileSync(times, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return [];
  }
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '))
    .toSorted(([a], [b]) => Number(b) - Number(a));
  const seconds = rows.reduce((sum, [one]) => sum + Number(one), 0);
  return [
    `${rows.length} files of tests took ${(seconds / 60).toFixed(1)} min; the longest, in seconds, and what they and their commands computed:`,
    ...rows.slice(0, SLOWEST_SHOWN).map((row) => row.map((one) => one.padStart(7)).join(' ')),
  ];
}

// Runs tests with ava, several files in one worker: `node scripts/run-tests.mjs [OPTION OF AVA]... [PATTERN]...`.
//
// Without a pattern it runs all files. Those that change their process for good have a worker each; of the others,
// neighbours make groups (`run-group.mjs`), and a few of those that take long make one, which begins before the others. Files that are named in full run alone, as with ava itself,
// unless --grouped is given. At its end a run of groups prints which files took longest; if TEST_TIMES names a file for the times,
// the caller does that.
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { paceOf } from './test-pace.mjs';
import { newTimes, slowestLines } from './test-times.mjs';

const TESTS = 'dist/test';
/** Folder of the groups' files. Another run at the same time needs another folder. */
const GROUPS = `${TESTS}/${process.env.TEST_GROUPS ?? 'groups'}`;

const words = process.argv.slice(2);
/**
 * Maximum number of files in a group. Loading takes a worker more than a second of processor time. But with small groups of
 * files that take long, all workers end at about the same time.
 */
const MAX_GROUP_FILES = words.includes('--grouped') ? 30 : 20;
const MAX_LONG_FILES = 4;
const isPattern = (word) => /^!?dist\/test\//.test(word);
const patterns = words.filter(isPattern);
const options = words.filter((word) => !isPattern(word) && word !== '--grouped');
const areGrouped =
  words.includes('--grouped') ||
  patterns.length === 0 ||
  patterns.some((pattern) => pattern.includes('*'));

function listed() {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'));
  const left = patterns.filter((pattern) => pattern.startsWith('!')).map((word) => word.slice(1));
  return globSync(wanted.length === 0 ? `${TESTS}/**/*.test.js` : wanted)
    .filter((file) => !file.startsWith(`${TESTS}/groups`) && !left.includes(file))
    .sort();
}

/** Writes the files of groups. Returns the files that ava has to run. */
function grouped(files) {
  const ofPace = (pace) => files.filter((file) => paceOf(file) === pace);
  const [alone, long] = [ofPace('alone'), ofPace('long')];
  const others = files.filter((file) => !alone.includes(file) && !long.includes(file));
  rmSync(GROUPS, { recursive: true, force: true });
  mkdirSync(GROUPS, { recursive: true });
  const perGroup = Math.ceil(others.length / Math.ceil(others.length / MAX_GROUP_FILES));
  const groupsOfLong = Math.ceil(long.length / MAX_LONG_FILES);
  return [
    ...alone,
    ...written('long-', long, (at) => at % groupsOfLong),
    ...written('', others, (at) => Math.floor(at / perGroup)),
  ];
}

/** Writes groups, of which `groupOf` returns the number for the n-th file. Returns their files. */
function written(prefix, files, groupOf) {
  const groups = Object.groupBy(files, (_file, at) => groupOf(at));
  return Object.values(groups).map((group, at) => {
    const name = `${GROUPS}/${prefix}${String(at + 1).padStart(2, '0')}.test.js`;
    const urls = group.map(
      (file) => `  new URL('../${file.slice(TESTS.length + 1)}', import.meta.url).href,\n`,
    );
    writeFileSync(
      name,
      `import { runGroup } from '../../../scripts/run-group.mjs';\n\nrunGroup([\n${urls.join('')}]);\n`,
    );
    return name;
  });
}

const files = areGrouped ? grouped(listed()) : patterns;
const ava = join(import.meta.dirname, '../node_modules/ava/entrypoints/cli.js');
const own = areGrouped && process.env.TEST_TIMES === undefined ? newTimes() : undefined;
const child = spawn(process.execPath, [ava, ...options, ...files], {
  stdio: 'inherit',
  env: own === undefined ? process.env : { ...process.env, TEST_TIMES: own.times },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('exit', (code, signal) => {
  if (own !== undefined) {
    for (const line of slowestLines(own.times)) console.error(line);
    own.remove();
  }
  process.exitCode = code ?? (signal === null ? 1 : 128);
});

/** Several files of tests run in one worker, each as if it were alone (scripts/run-group.mjs). */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ROOT } from './house.js';

/** In dist/test, where a group finds its files; a name of its own lets the run that this test is in go on. */
const FOLDER = 'groups-tried';
const HOME = path.join(ROOT, 'dist/test', FOLDER);

const COUNT = 'export const seen = { count: 0 };\n';
/** Leaves all behind that a file can leave. */
const FIRST = `
import test from 'ava';
import { seen } from './count.js';
test.beforeEach((t) => { t.context = 'first'; });
test.after.always(() => { globalThis.afterFirst = true; });
test.serial('hooks are of this file', (t) => {
  seen.count += 1;
  process.env.LEFT_BEHIND = 'yes';
  process.exitCode = 7;
  process.on('exit', () => { globalThis.exitsOfFirst = (globalThis.exitsOfFirst ?? 0) + 1; });
  t.is(t.context, 'first');
});
test('one fails', (t) => t.is(seen.count, 0));
test('the file is known', (t) => t.true(test.meta.file.endsWith('/first.test.js')));
`;
const SECOND = `
import test from 'ava';
import { seen } from './count.js';
test('the file is known', (t) => t.true(test.meta.file.endsWith('/second.test.js')));
test('hooks are of this file', (t) => t.deepEqual(t.context, {}));
test('the file before has ended', (t) => {
  t.is(process.env.LEFT_BEHIND, undefined);
  t.is(process.exitCode, undefined);
  t.true(globalThis.afterFirst);
  t.is(globalThis.exitsOfFirst, 1);
});
test('helpers begin anew', (t) => t.is(seen.count, 0));
`;
const EMPTY = "import test from 'ava';\nvoid test;\n";

function runGroup(t: { teardown(end: () => void): void }, files: Record<string, string>) {
  fs.rmSync(HOME, { recursive: true, force: true });
  fs.mkdirSync(path.join(HOME, 'samples'), { recursive: true });
  t.teardown(() => fs.rmSync(HOME, { recursive: true, force: true }));
  const group = path.join(HOME, '01.test.js');
  const tests = Object.keys(files).filter((name) => name.endsWith('.test.js'));
  for (const [name, text] of Object.entries(files)) {
    fs.writeFileSync(path.join(HOME, 'samples', name), text);
  }
  const urls = tests.map((name) => `new URL('./samples/${name}', import.meta.url).href`);
  fs.writeFileSync(
    group,
    `import { runGroup } from '../../../scripts/run-group.mjs';\nrunGroup([${urls.join()}]);\n`,
  );
  const ava = path.join(ROOT, 'node_modules/ava/entrypoints/cli.js');
  const env = { ...process.env, FORCE_COLOR: '0' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [ava, '--tap', group], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
  });
  const results = stdout.split('\n').filter((line) => /^(not )?ok /.test(line));
  return { status, results: results.map((line) => line.replace(/ \d+ - /, ' ')).sort(), stderr };
}

test.serial(
  'a file of a group has its own hooks, titles and helpers, and a process in order',
  (t) => {
    const files = { 'count.js': COUNT, 'first.test.js': FIRST, 'second.test.js': SECOND };
    const { status, results, stderr } = runGroup(t, files);
    const name = (file: string): string => `${FOLDER} › samples › ${file} › `;
    t.deepEqual(
      results,
      [
        `not ok ${name('first')}one fails`,
        `ok ${name('first')}hooks are of this file`,
        `ok ${name('first')}the file is known`,
        `ok ${name('second')}helpers begin anew`,
        `ok ${name('second')}hooks are of this file`,
        `ok ${name('second')}the file before has ended`,
        `ok ${name('second')}the file is known`,
      ],
      stderr,
    );
    t.is(status, 1);
  },
);

test.serial('a group fails if one of its files has no tests or cannot be loaded', (t) => {
  const none = runGroup(t, { 'empty.test.js': EMPTY });
  t.is(none.status, 1);
  t.regex(none.results.join('\n'), /no tests in .*empty/);
  const broken = runGroup(t, { 'broken.test.js': "import './absent.js';\n" });
  t.is(broken.status, 1);
  t.regex(broken.results.join('\n'), /absent/);
});

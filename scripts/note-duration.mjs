// Notes how long the file of tests took that runs in this process: a line in the file that TEST_TIMES names. ava loads
// it before each file of tests.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const times = process.env.TEST_TIMES;
if (times !== undefined) {
  const startMs = performance.now();
  const file = relative('dist/test', fileURLToPath(test.meta.file));
  process.once('exit', () => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    appendFileSync(times, `${seconds} ${file}\n`);
  });
}

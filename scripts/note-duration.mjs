// Notes how long the file of tests took that runs in this thread, and for how long the thread computed: a line in the
// file that TEST_TIMES names. ava loads it before each file of tests. Processes and threads that tests start do not count.
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
    appendFileSync(times, `${seconds} ${computed()} ${file}\n`);
  });
}

/** Returns the seconds of processor time of this thread; `-` if this Node.js cannot tell. */
function computed() {
  const spent = process.threadCpuUsage?.();
  return spent === undefined ? '-' : ((spent.user + spent.system) / 1e6).toFixed(1);
}

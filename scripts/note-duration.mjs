// Notes how long a file of tests took, and for how long its thread computed: a line in the file that TEST_TIMES names. ava
// loads it before each file of tests; a group notes its files itself (`run-group.mjs`). Processes and threads that tests
// start do not count.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const times = process.env.TEST_TIMES;
const GROUP = /^groups/;

/** Returns a function that notes the time since; one that does nothing if no times are wanted. */
export function noteFile(name) {
  if (times === undefined) return () => undefined;
  const startMs = performance.now();
  const spent = process.threadCpuUsage?.();
  return () => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    appendFileSync(times, `${seconds} ${computedSince(spent)} ${name}\n`);
  };
}

/** Returns the seconds of processor time of this thread since; `-` if this Node.js cannot measure it. */
function computedSince(before) {
  if (before === undefined) return '-';
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) / 1e6).toFixed(1);
}

if (times !== undefined) {
  const name = relative('dist/test', fileURLToPath(test.meta.file));
  if (!GROUP.test(name)) process.once('exit', noteFile(name));
}

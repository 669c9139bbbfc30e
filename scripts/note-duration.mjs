// Records how long a test file took, and how long its thread computed, as a line in the file that TEST_TIMES names. ava
// loads this module before each test file; a group records its files itself (`run-group.mjs`). Processes and threads
// that tests start are not included.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const times = process.env.TEST_TIMES;
const GROUP = /^groups/;

/** Returns a function that records the time since this call. It does nothing if no times are recorded. */
export function noteFile(name) {
  if (times === undefined) return () => undefined;
  const startMs = performance.now();
  const spent = process.threadCpuUsage?.();
  return () => {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    appendFileSync(times, `${seconds} ${computedSince(spent)} ${name}\n`);
  };
}

/** Returns the seconds of processor time of this thread since `before`; `-` if this Node.js cannot measure it. */
function computedSince(before) {
  if (before === undefined) return '-';
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) / 1e6).toFixed(1);
}

if (times !== undefined) {
  const name = relative('dist/test', fileURLToPath(test.meta.file));
  if (!GROUP.test(name)) process.once('exit', noteFile(name));
}

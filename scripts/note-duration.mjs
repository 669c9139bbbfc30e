// Records how long a test file took, how long its process computed, and how long the commands that it ran, as a line in the file
// that TEST_TIMES names. ava loads this module before each test file; a group records its files itself (`run-group.mjs`).
import { appendFileSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const times = process.env.TEST_TIMES;
const GROUP = /^groups/;
/** Clock ticks of a second in /proc, on all architectures. */
const TICKS = 100;

/** Returns a function that records the time since this call. It does nothing if no times are recorded. */
export function noteFile(name) {
  if (times === undefined) return () => undefined;
  const startMs = performance.now();
  const [own, ofCommands] = [process.cpuUsage(), secondsOfCommands()];
  return () => {
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(own);
    const spent = [seconds, (user + system) / 1e6, secondsOfCommands() - ofCommands];
    appendFileSync(times, `${spent.map((one) => one.toFixed(1)).join(' ')} ${name}\n`);
  };
}

/** Returns the seconds of processor time of the commands of this process that have ended, and of those that these ran (proc_pid_stat(5)). */
function secondsOfCommands() {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

if (times !== undefined) {
  const name = relative('dist/test', fileURLToPath(test.meta.file));
  if (!GROUP.test(name)) process.once('exit', noteFile(name));
}

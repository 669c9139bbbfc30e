// Runs a command that prints test results as TAP, shows the failed ones with their details,
// and ends with the line `N passed, N failed`. Fails when a test failed, none ran, or the command did.
//
// The command runs in a process group of its own. When it has ended, or has taken longer than
// TARDIS_TEST_LIMIT_MIN minutes, the whole group is killed: what a test has left behind must not hold the
// run open, however it came to hold a pipe of ours. The files that took longest are printed before the last line.
//
// Files with failed tests run once more with --again=N, one after the other, if they are at most N. A test that passes
// then is printed as UNSTEADY and counts as passed: its fault shows only beside other tests, and has to be found.
//
//   node scripts/summarise-tap.mjs [--again=N] npx ava --tap
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { newTimes, slowestLines } from './test-times.mjs';

const RESULT = /^(not )?ok \d+(?: - )?(.*)$/;
/** Matches a directive at the end of a result: the test was not run, or is only planned. */
const NOT_RUN = new RegExp(`# (?:SKIP|${'TO'}DO)\\b`, 'i');
const PROGRESS_EVERY = 50;
const SILENCE_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 << 20;
const DEFAULT_LIMIT_MIN = 80;
/** Minimum time in minutes for running failed files again. */
const LEAST_AGAIN_MIN = 1;
/** Time for the command to end after a signal, and for its output to end after that. */
const END_GRACE_MS = 15_000;

const words = process.argv.slice(2);
const again = /^--again=(\d+)$/.exec(words[0] ?? '');
const mostAgain = Number(again?.[1] ?? 0);
const [program, ...args] = again === null ? words : words.slice(1);
if (program === undefined) {
  console.error('usage: node scripts/summarise-tap.mjs [--again=N] COMMAND [ARGUMENT...]');
  process.exit(1);
}

const startMs = performance.now();
let passed = 0;
let failed = 0;
const failures = [];
let notRun = 0;
let isFailureShown = false;
let isInDetails = false;
let isInterrupted = false;
let lastTitle = 'none';
let lastResultMs = startMs;

/** Prints the time since the start, and the last test. */
function tellProgress(title) {
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(`${passed} tests passed so far, ${minutes} min; the last one: ${title}`);
}

function fail(title) {
  failed += 1;
  failures.push(title);
  console.log(`\nFAILED  ${title}`);
}

function readResult(line) {
  const [, not, title] = RESULT.exec(line);
  lastTitle = title;
  lastResultMs = performance.now();
  isFailureShown = false;
  if (NOT_RUN.test(title)) {
    notRun += 1;
  } else if (not === undefined) {
    passed += 1;
    if (passed % PROGRESS_EVERY === 0) tellProgress(title);
  } else {
    fail(title);
    isFailureShown = true;
  }
}

function readLine(line) {
  if (isInDetails) {
    if (line === '  ...') isInDetails = false;
    else if (isFailureShown) console.log(`  ${line}`);
  } else if (line === '  ---') {
    isInDetails = true;
  } else if (RESULT.test(line)) {
    readResult(line);
  } else if (isFailureShown && line.startsWith('#')) {
    // A line that the test has logged.
    console.log(`    ${line.slice(1)}`);
  } else if (line.startsWith('Bail out!')) {
    fail(line);
  }
}

const limitMin = Number(process.env.TARDIS_TEST_LIMIT_MIN ?? DEFAULT_LIMIT_MIN);
if (!(limitMin > 0)) throw new Error('TARDIS_TEST_LIMIT_MIN must be a number of minutes');

const { times, remove: removeTimes } = newTimes();
const env = { ...process.env, TEST_TIMES: times };
delete env.TARDIS_TEST_LIMIT_MIN; // the commands that tests run refuse variables that they do not know
const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true, env });

/** Sends a signal to the command and all processes in its group. */
function signalGroup(signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Returns the file of a test by its title, which may begin with that of its group. Returns undefined if the title is
 * not that of a test.
 */
function fileOf(title) {
  const parts = title.split(' › ');
  const names = parts.flatMap((_first, from) =>
    parts.slice(from).map((_last, at) => parts.slice(from, from + at + 1).join('/')),
  );
  return names
    .filter((name) => !name.startsWith('groups/') && name !== '')
    .map((name) => `dist/test/${name}.test.js`)
    .find((name) => existsSync(name));
}

/**
 * Runs the files of the failed tests again, if there are few enough. Returns true if all tests pass then, so that they
 * are only unsteady.
 */
function passAgain() {
  const files = new Set(failures.map(fileOf));
  if (failed === 0 || isInterrupted || files.has(undefined) || files.size > mostAgain) return false;
  console.log(`\nagain, one after the other: ${[...files].join(' ')}`);
  const self = fileURLToPath(import.meta.url);
  const command = [self, program, ...args, '--concurrency=1', ...files];
  const leftMin = limitMin - (performance.now() - startMs) / 60_000;
  const { status, stdout } = spawnSync(process.execPath, command, {
    env: { ...process.env, TARDIS_TEST_LIMIT_MIN: String(Math.max(LEAST_AGAIN_MIN, leftMin)) },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  console.log(stdout.trim().replace(/^/gm, '  | '));
  return status === 0;
}

const ended = new Promise((resolve) => {
  child.once('error', (error) => resolve(`could not start: ${error.message}`));
  child.once('exit', (code, signal) => {
    resolve(code === 0 ? '' : code === null ? `ended by ${signal}` : `exit status ${code}`);
  });
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    isInterrupted = true;
    signalGroup(signal);
  });
}

const silence = setInterval(() => {
  if (performance.now() - lastResultMs < SILENCE_MS) return;
  lastResultMs = performance.now();
  console.log(`nothing for ${SILENCE_MS / 60_000} min; the last one: ${lastTitle}`);
}, 1_000);
const limit = setTimeout(() => {
  fail(`not ended after ${limitMin} min; the last one: ${lastTitle}`);
  signalGroup('SIGINT');
  setTimeout(() => signalGroup('SIGKILL'), END_GRACE_MS).unref();
}, limitMin * 60_000);

const lines = createInterface({ input: child.stdout, crlfDelay: Infinity });
lines.on('line', readLine);
const allRead = new Promise((resolve) => lines.once('close', resolve));
const how = await ended;
const grace = setTimeout(() => lines.close(), END_GRACE_MS);
signalGroup('SIGKILL');
await allRead;
clearTimeout(grace);
clearTimeout(limit);
clearInterval(silence);

if (how !== '' && failed === 0) fail(`${[program, ...args].join(' ')}: ${how}`);
else if (passed === 0 && failed === 0) fail('no test ran');
console.log(['', ...slowestLines(times)].join('\n'));
removeTimes();
if (passAgain()) {
  for (const title of failures) console.log(`UNSTEADY  ${title}`);
  passed += failed;
  failed = 0;
} else if (failed > 0) {
  // Once more, since their details are far above, and may be cut off where a log is shown in part.
  console.log(failures.map((title) => `\nFAILED  ${title}`).join(''));
}
console.log('');
if (notRun > 0) console.log(`${notRun} not run`);
console.log(`${passed} passed, ${failed} failed`);
// A process may still hold the pipe, but the output is complete.
process.exit(failed === 0 ? 0 : 1);

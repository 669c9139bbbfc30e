// Runs a command that prints test results as TAP, shows the failed ones with what is told about them,
// and ends with the line `N passed, N failed`. Fails when a test failed, none ran, or the command did.
//
//   node scripts/summarise-tap.mjs npx ava --tap
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const RESULT = /^(not )?ok \d+(?: - )?(.*)$/;
/** A directive at the end of a result: the test was not run, or only planned. */
const NOT_RUN = new RegExp(`# (?:SKIP|${'TO'}DO)\\b`, 'i');
const PROGRESS_EVERY = 50;

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error('usage: node scripts/summarise-tap.mjs COMMAND [ARGUMENT...]');
  process.exit(1);
}

const startMs = performance.now();
let passed = 0;
let failed = 0;
let notRun = 0;
let isFailureShown = false;
let isInDetails = false;

/** How long it has taken, and how far it has come in the order of the files. */
function tellProgress(title) {
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(`${passed} tests passed so far, ${minutes} min; the last one: ${title}`);
}

function fail(title) {
  failed += 1;
  console.log(`\nFAILED  ${title}`);
}

function readResult(line) {
  const [, not, title] = RESULT.exec(line);
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
    // What the test has logged.
    console.log(`    ${line.slice(1)}`);
  } else if (line.startsWith('Bail out!')) {
    fail(line);
  }
}

const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const ended = new Promise((resolve) => {
  child.once('error', (error) => resolve(`could not start: ${error.message}`));
  child.once('close', (code, signal) => {
    resolve(code === 0 ? '' : code === null ? `ended by ${signal}` : `exit status ${code}`);
  });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
for await (const line of createInterface({ input: child.stdout, crlfDelay: Infinity })) {
  readLine(line);
}
const how = await ended;

if (how !== '' && failed === 0) fail(`${[program, ...args].join(' ')}: ${how}`);
else if (passed === 0 && failed === 0) fail('no test ran');
console.log('');
if (notRun > 0) console.log(`${notRun} not run`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

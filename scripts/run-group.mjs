// Runs several files of tests in one worker of ava, one after the other, so that ava, our own code and its compiled form
// are loaded once for all of them. `scripts/run-tests.mjs` writes the files that call it.
//
// Each file gets a runner of ava of its own: its hooks, its serial tests and its `test.meta` are its own, and titles begin
// with the name of the file. Modules below dist/test are loaded afresh for each file, so that helpers keep nothing from one
// to the next; modules of the program are not. Environment, exit status and listeners of the process are put back.
import { registerHooks } from 'node:module';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'ava';
import { noteFile } from './note-duration.mjs';
import { setChain } from './chain-of-file.mjs';

const TESTS = new URL('../dist/test/', import.meta.url).href;
/** The module from which test files of a group get `test`. */
const CHAIN = new URL('chain-of-file.mjs', import.meta.url).href;
/** A module of which the process has only one instance, since it changes how modules of the commands are loaded. */
const SHARED = new URL('helpers/in-process.js', TESTS).href;
const SEPARATOR = ' › ';
/** Time in which a worker ends by itself once all of its files have run. */
const MAX_END_MS = 60_000;
/** ava does not export its runner, so it is imported by its path; package.json has one exact version of ava. */
const AVA = new URL('../lib/', import.meta.resolve('ava'));

const { default: Runner } = await import(new URL('runner.js', AVA).href);
const { get: optionsOfWorker } = await import(new URL('worker/options.js', AVA).href);
const { send } = await import(new URL('worker/channel.js', AVA).href);
const { waitForReady } = await import(new URL('worker/state.js', AVA).href);

/** The number of the running file in its group. */
let running = 0;

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === 'ava' && context.parentURL?.startsWith(TESTS) === true)
      return { url: CHAIN, shortCircuit: true };
    const found = next(specifier, context);
    const isOfTest = context.parentURL?.startsWith(TESTS) === true && found.url.startsWith(TESTS);
    return isOfTest && found.url !== SHARED
      ? { ...found, url: `${found.url}?in=${running}` }
      : found;
  },
});

/** Runs the files with these addresses, before ava ends this worker. */
export function runGroup(urls) {
  // ava waits for this before it looks for tests of the worker's own file, which has only the hook.
  waitForReady.push(runAll(urls).catch(endWorker));
  test.before('the files of this group have run', () => undefined);
}

/** Ends this worker in the way in which ava does for an error that no test has caught. */
function endWorker(error) {
  setImmediate(() => {
    throw error;
  });
}

async function runAll(urls) {
  // After this import, modules of commands that are loaded later can be reset to their first values.
  await import(SHARED);
  for (const url of urls) {
    running += 1;
    await runFile(url);
  }
  endWithin(MAX_END_MS);
}

/**
 * Fails this worker if it is still there after some time, since a test has left something open. ava would wait for it,
 * without an end if any test requested a long time (`t.timeout`).
 */
function endWithin(timeoutMs) {
  const fail = () => {
    const open = process.getActiveResourcesInfo().join(', ');
    throw new Error(`a test has left something open, so that its process does not end: ${open}`);
  };
  setTimeout(fail, timeoutMs).unref();
}

async function runFile(url) {
  const file = fileURLToPath(url);
  const name = relative(fileURLToPath(TESTS), file);
  const note = noteFile(name);
  const restore = keepProcess();
  const { experiments, failFast, failWithoutAssertions, match, projectDir, serial } =
    optionsOfWorker();
  const options = { experiments, failFast, failWithoutAssertions, match, projectDir, serial };
  const runner = new Runner({ ...options, file });
  runner.waitForReady = []; // not for this group
  const prefix = name.replace(/\.test\.js$/, '').replaceAll('/', SEPARATOR);
  let declared = 0;
  runner.on('stateChange', ({ data: state }) => {
    if (state.type === 'declared-test') declared += 1;
    const { title } = state;
    send(title === undefined ? state : { ...state, title: `${prefix}${SEPARATOR}${title}` });
  });
  const ended = new Promise((resolve, reject) => {
    runner.on('finish', resolve);
    runner.on('error', ({ data: error }) => reject(error));
  });
  setChain(runner.chain);
  await import(`${pathToFileURL(file).href}?in=${running}`);
  if (declared === 0) throw new Error(`no tests in ${name}`);
  await ended;
  restore();
  note();
}

/**
 * Returns a function that restores the present state of the process. It calls listeners for the end of the process
 * first.
 */
function keepProcess() {
  const environment = { ...process.env };
  const kept = new Map(
    process.eventNames().map((name) => [name, new Set(process.rawListeners(name))]),
  );
  return () => {
    for (const listener of process.rawListeners('exit')) {
      if (kept.get('exit')?.has(listener) !== true) listener.call(process, 0);
    }
    for (const name of process.eventNames()) {
      for (const listener of process.rawListeners(name)) {
        if (kept.get(name)?.has(listener) !== true) process.removeListener(name, listener);
      }
    }
    for (const name of Object.keys(process.env)) {
      if (environment[name] === undefined) delete process.env[name];
    }
    Object.assign(process.env, environment);
    process.exitCode = undefined;
  };
}

// Runs the tests of the addon with a build of it that finds faults of memory, undefined behaviour and leaks (AddressSanitizer,
// UndefinedBehaviorSanitizer): `npm run test:native [-- FILE...]`. A fault or a leak fails the run, although all tests pass.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { compilerReports, headersOfNode } from './compiler.mjs';
import { faultsIn } from './sanitizer-log.mjs';

const ROOT = dirname(import.meta.dirname);
const BUILD = join(ROOT, 'dist/sanitized');
const ADDON = join(BUILD, 'build/Release/tardis_native.node');
const LOGS = join(BUILD, 'log');
const LOADER = join(import.meta.dirname, 'sanitized-addon.cjs');
/** The libraries that a process loads before all others, since Node.js itself is not built with them. */
const PRELOADED = ['libasan.so', 'libubsan.so', 'libstdc++.so'];
const SANITIZERS = '-fsanitize=address,undefined';

/** The tests whose subject is the addon: hostile arguments, and comparisons of each call with its twin in JavaScript. */
const FILES = [
  'system/{log-index,native-*}',
  'workers/*',
  'crypto/opened-listing',
  'history/opened-pages',
  'mount/{numbers,packed-listings,ready-files,ready-pages,set-listings}',
  'restore/copies',
  'server/whole-parcels',
  'store/{chunks,frames,parity/parity}',
  '{contents,delta}/*',
].map((name) => `dist/test/${name}.test.js`);

function fail(reason) {
  console.error(`test-native: ${reason}`);
  process.exit(1);
}

/** Builds the addon from a copy of its sources, so that the usual build stays as it is. */
function build() {
  mkdirSync(BUILD, { recursive: true });
  const from = join(ROOT, 'native');
  cpSync(join(from, 'src'), join(BUILD, 'src'), { recursive: true, preserveTimestamps: true });
  cpSync(join(from, 'binding.gyp'), join(BUILD, 'binding.gyp'), { preserveTimestamps: true });
  const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const options = ['--release', '--jobs=max', '--loglevel=error', ...headersOfNode()];
  console.log('test-native: building the addon with sanitizers');
  const built = spawnSync(process.execPath, [gyp, 'configure', 'build', '-C', BUILD, ...options], {
    encoding: 'utf8',
    env: {
      ...process.env,
      CXXFLAGS: `${SANITIZERS} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1 -O1`,
      LDFLAGS: SANITIZERS,
    },
  });
  if (built.status !== 0) fail(`the addon could not be built\n${built.stdout}${built.stderr}`);
}

/** Returns the environment in which processes load the sanitized addon and write what it finds to LOGS. */
function environment() {
  const preloaded = PRELOADED.map((library) => {
    const path = compilerReports([`-print-file-name=${library}`]);
    if (path === library) fail(`${library} is missing; g++ brings it`);
    return path;
  });
  const log = `log_path=${join(LOGS, 'found')}`;
  return {
    ...process.env,
    LD_PRELOAD: preloaded.join(' '),
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --require "${LOADER}"`,
    // With the fast way, the stack of an allocation ends at the first library without frame pointers.
    ASAN_OPTIONS: `${log}:detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=12`,
    UBSAN_OPTIONS: `${log}:print_stacktrace=1`,
    LSAN_OPTIONS: 'exitcode=0', // Node.js leaks a little by itself
  };
}

/** Fails if a process does not load the sanitized addon, since the tests would then show nothing. */
function proveLoaded(env) {
  const usual = join(ROOT, 'native/build/Release/tardis_native.node');
  const script = `require(process.argv[1]); console.log(process.report.getReport().sharedObjects.join())`;
  const { stdout } = spawnSync(process.execPath, ['-e', script, usual], { env, encoding: 'utf8' });
  if (!stdout.split(',').includes(ADDON)) fail('a process did not load the sanitized addon');
}

build();
rmSync(LOGS, { recursive: true, force: true });
mkdirSync(LOGS);
const env = environment();
proveLoaded(env);
const named = process.argv.slice(2);
const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.js');
const words = [ava, '--timeout=30m', ...(named.length > 0 ? named : FILES)];
const tests = spawnSync(process.execPath, words, { env, stdio: 'inherit' });
const found = readdirSync(LOGS).flatMap((name) => faultsIn(readFileSync(join(LOGS, name), 'utf8')));
for (const fault of found) console.error(`\n${fault}`);
console.log(`test-native: ${found.length} faults and leaks of the addon`);
process.exitCode = tests.status === 0 && found.length === 0 ? 0 : 1;

// Builds native/build/Release/tardis_native.node with node-gyp, unless it is newer than its sources and loads; in a
// checkout also sqlite_disk.so beside it, the extension of SQLite by which tests see what it does to its files.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiler, headersOfNode } from './compiler.mjs';

const require = createRequire(import.meta.url);
const native = join(dirname(dirname(fileURLToPath(import.meta.url))), 'native');
const addon = join(native, 'build', 'Release', 'tardis_native.node');

function fail(reason, hint = '') {
  console.error(`build-native: ${reason}`);
  if (hint !== '') console.error(`build-native: ${hint}`);
  process.exit(1);
}

const PACKAGES =
  'building the addon takes python3, make, g++, and librsync and libzstd with their headers; ' +
  'on Debian and Ubuntu: apt-get install python3 make g++ librsync-dev libzstd-dev';

/**
 * Source that compiles only with the minimum versions: librsync 2.2.0, whose formats the addon has, and libzstd 1.4.0,
 * whose calls it uses.
 */
const USES_LIBRARIES = `#include <stdio.h>
#include <librsync.h>
#include <zstd.h>
int magic() { return RS_RK_BLAKE2_SIG_MAGIC; }
size_t end(ZSTD_CCtx* context) { return ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, 0); }
`;

/**
 * Throws if a library is missing or too old. Without this check, the compiler's own message would be lost among those
 * of node-gyp.
 */
function requireLibraries() {
  const result = compiler(['-x', 'c++', '-fsyntax-only', '-'], { input: USES_LIBRARIES });
  const isCompiler = compiler(['--version'], { stdio: 'ignore' }).status === 0;
  if (result.status === 0 || !isCompiler) return; // if there is no compiler, the build reports that
  fail(
    'librsync 2.2 or newer is missing (the library that applies deltas), or libzstd 1.4 or newer',
    'on Debian and Ubuntu: apt-get install librsync-dev libzstd-dev; then run `npm run build:native`',
  );
}

function loads() {
  // A fresh process loads the addon, since this one could not load the file again after it was rebuilt.
  return (
    spawnSync(process.execPath, ['-e', 'require(process.argv[1])', addon], { stdio: 'ignore' })
      .status === 0
  );
}

function isCurrent() {
  if (!existsSync(addon)) return false;
  const built = statSync(addon).mtimeMs;
  const sources = readdirSync(join(native, 'src')).map((name) => join(native, 'src', name));
  return (
    [...sources, join(native, 'binding.gyp')].every((path) => statSync(path).mtimeMs < built) &&
    loads()
  );
}

function build() {
  let gyp;
  try {
    gyp = require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    fail('node-gyp is not installed; run npm install first');
  }
  requireLibraries();
  const from = headersOfNode();
  console.log(
    `build-native: building tardis_native for node ${process.version}` +
      (from.length > 0 ? ` (${from[0]})` : ' (node-gyp finds the headers)'),
  );
  const options = ['--release', '--jobs=max', '--loglevel=error', ...from];
  // While the old addon works, it stays in use until the new one replaces it.
  const steps = loads() ? ['configure', 'build'] : ['rebuild'];
  const result = spawnSync(process.execPath, [gyp, ...steps, '--directory', native, ...options], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    fail(
      result.error
        ? `node-gyp could not run: ${result.error.message}`
        : 'the addon could not be built',
      PACKAGES,
    );
  }
  if (process.argv.includes('--verbose')) process.stderr.write(`${result.stdout}${result.stderr}`);
  if (!loads()) fail(`${addon} was built but cannot be loaded`, PACKAGES);
}

/**
 * Builds a file for tests from its source, by one call of the compiler. It needs nothing of Node.js. An installed
 * package has no source of it. Returns false if the compiler refuses the source.
 */
function buildForTests(name, source, options) {
  const from = join(native, 'testing', source);
  if (!existsSync(from)) return true;
  const target = join(native, 'build', 'Release', name);
  if (existsSync(target) && statSync(from).mtimeMs < statSync(target).mtimeMs) return true;
  console.log(`build-native: building ${name}, for tests`);
  const made = `${target}.new`;
  const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-o', made];
  const result = compiler([...flags, from, ...options]);
  if (result.status === 0) {
    renameSync(made, target); // renamed in one step, since an old one may be in use
    return true;
  }
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return false;
}

/** Builds the extension of SQLite for tests. Its headers are those of the SQLite that is used. */
function buildTestExtension() {
  const sqlite = join(dirname(require.resolve('better-sqlite3/package.json')), 'deps', 'sqlite3');
  const options = ['-shared', '-fPIC', '-fvisibility=hidden', '-I', sqlite];
  if (!buildForTests('sqlite_disk.so', 'sqlite-disk.cc', options))
    fail('sqlite_disk.so could not be built', PACKAGES);
}

/** Builds a FUSE file system for tests, if the headers of libfuse 3 are there. Without it those tests are left out. */
function buildTestFileSystem() {
  if (!existsSync('/usr/include/fuse3/fuse.h')) return;
  if (!buildForTests('lying-fuse', 'lying-fuse.cc', ['-D_FILE_OFFSET_BITS=64', '-lfuse3']))
    console.log('build-native: lying-fuse could not be built; tests of FUSE are left out');
}

if (process.platform !== 'linux') fail('only Linux is supported');
if (isCurrent()) console.log('build-native: tardis_native is up to date');
else build();
buildTestExtension();
buildTestFileSystem();

// How ava runs the tests. Files that take long begin first, so that the end of a run is not one long file.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { LONGEST } from './scripts/longest-tests.mjs';

/** Two files for each processor: many wait for clocks, for syncs of a disk, or for a slow line. */
const concurrency = 2 * availableParallelism();

/**
 * Flags for the threads of the tests, which make and drop many large buffers. By default, each 64 MiB of them have V8 look
 * for garbage in the whole heap, with threads beside: a fifth of the processor time of a file. Now buffers count as all else on
 * the heap does. An unknown flag would be refused with a line on standard error, so only the Node.js of the checkout gets them.
 */
const FLAGS = ['--external-memory-accounted-in-global-limit', '--no-concurrent-marking'];
if (process.versions.node.startsWith('24.')) FLAGS.forEach((flag) => setFlagsFromString(flag));
const places = new Map(
  LONGEST.map((name, at) => [join(import.meta.dirname, 'dist/test', `${name}.test.js`), at]),
);
const placeOf = (file) => places.get(file) ?? LONGEST.length;

/** Files that run several others (`scripts/run-tests.mjs`); they are no tests of their own. */
const areGroupsNamed = process.argv.some((word) => word.includes('dist/test/groups'));

export default {
  files: ['dist/test/**/*.test.js', ...(areGroupsNamed ? [] : ['!dist/test/groups*/**'])],
  timeout: '5m',
  concurrency,
  nodeArguments: ['--enable-source-maps'],
  // Every file of tests loads much of the same code; each build removes its compiled form.
  environmentVariables: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'dist/compiled') },
  // Each file of tests would load it, which takes 40 ms.
  require: process.env.TEST_TIMES === undefined ? [] : ['./scripts/note-duration.mjs'],
  sortTestFiles: (a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1),
};

// How ava runs the tests. Files that take long begin first, so that the end of a run is not one long file.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { LONGEST } from './scripts/longest-tests.mjs';

/** Files that run at once for each processor, and one more: some of them wait for clocks or for a slow line. */
const concurrency = availableParallelism() + 1;
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

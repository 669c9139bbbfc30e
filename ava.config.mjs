// How ava runs the tests. Files that take long begin first, so that the end of a run is not one long file.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { paceOf } from './scripts/test-pace.mjs';

/** Files that run at once for each processor, and one more: some of them wait for clocks or for a slow line. */
const concurrency = availableParallelism() + 1;
/** Files of groups hold no tests themselves. */
const isLong = (file) =>
  file.includes('/groups') ? /\/long-\d+\.test\.js$/.test(file) : paceOf(file) === 'long';

/** Files that run several others (`scripts/run-tests.mjs`); they are no tests of their own. */
const areGroupsNamed = process.argv.some((word) => word.includes('dist/test/groups'));

export default {
  files: ['dist/test/**/*.test.js', ...(areGroupsNamed ? [] : ['!dist/test/groups*/**'])],
  timeout: '5m',
  concurrency,
  nodeArguments: ['--enable-source-maps'],
  // Every file of tests loads much of the same code; each build removes its compiled form.
  environmentVariables: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'dist/compiled') },
  require: [
    './scripts/bundled-threads.mjs',
    './scripts/quick-equality.mjs',
    // Each file of tests would load it, which takes 40 ms.
    ...(process.env.TEST_TIMES === undefined ? [] : ['./scripts/note-duration.mjs']),
  ],
  sortTestFiles: (a, b) => Number(isLong(b)) - Number(isLong(a)) || (a < b ? -1 : 1),
};

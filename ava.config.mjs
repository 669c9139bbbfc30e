// How ava runs the tests. Files that take long begin first, so that the end of a run is not one long file.
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { paceOf } from './scripts/test-pace.mjs';

/** Files that run at once: one for each processor, and two more, since many wait for clocks, commands or a slow line. */
const concurrency = availableParallelism() + 2;
/**
 * Size of the old space at which V8 first collects it. Tests are short, and their garbage mostly dies young: with V8's own
 * first limits, marking the heap takes a quarter of the processor time of a run. A larger process takes longer to fork, once
 * for each command that is run.
 */
const MOST_MIB = 300;
/** Part of the machine's memory that the old space of one worker may take before that. */
const PART = 16;
const oldSpaceMiB = Math.min(MOST_MIB, Math.floor(totalmem() / 2 ** 20 / PART));
/** V8 also marks the heap after each 64 MiB of buffers, unless it is told not to, which Node.js 22 cannot. */
const isTellable = Number.parseInt(process.versions.node) >= 24;

/** Files of groups hold no tests themselves. */
const isLong = (file) =>
  file.includes('/groups') ? /\/long-\d+\.test\.js$/.test(file) : paceOf(file) === 'long';

/** Files that run several others (`scripts/run-tests.mjs`); they are no tests of their own. */
const areGroupsNamed = process.argv.some((word) => word.includes('dist/test/groups'));

export default {
  files: ['dist/test/**/*.test.js', ...(areGroupsNamed ? [] : ['!dist/test/groups*/**'])],
  timeout: '5m',
  concurrency,
  // Threads of one process would make it large, and so slow to fork, and would wait for each other's page faults.
  workerThreads: false,
  nodeArguments: [
    '--enable-source-maps',
    `--initial-old-space-size=${oldSpaceMiB}`,
    ...(isTellable ? ['--external-memory-accounted-in-global-limit'] : []),
  ],
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

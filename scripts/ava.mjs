// Runs ava, whose arguments these are, with a heap that is seldom collected: `node scripts/ava.mjs [ARGUMENT]...`.
//
// A worker runs many short tests, whose garbage mostly dies young. With V8's own first limits, marking the heap takes a
// quarter of the processor time of a run. Flags on the command line would not do: ava hands them to its workers, which refuse
// flags of V8.
import { totalmem } from 'node:os';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/** Size of the old space at which V8 first collects it. A larger process takes longer to fork, once for each command that is run. */
const MOST_MIB = 300;
/** Part of the machine's memory that the old space of one worker may take before that. */
const PART = 16;

const sizeMiB = Math.min(MOST_MIB, Math.floor(totalmem() / 2 ** 20 / PART));
setFlagsFromString(`--initial-old-space-size=${sizeMiB}`);
// Without it, V8 also marks the heap after each 64 MiB of buffers. Node.js 22 does not know it.
if (Number.parseInt(process.versions.node) >= 24) {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
await import('../node_modules/ava/entrypoints/cli.js');

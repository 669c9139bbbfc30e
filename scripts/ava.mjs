// Runs ava, whose arguments these are, with a heap that is seldom collected: `node scripts/ava.mjs [ARGUMENT]...`.
//
// A worker runs many short tests, whose garbage mostly dies young. With V8's own first limit, marking the heap takes a
// sixth of the processor time of a run. Flags on the command line would not do: ava hands them to its workers, which refuse
// flags of V8.
import { totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';

/** Size of the old space at which V8 first collects it. */
const MOST_MIB = 1000;
/** Part of the machine's memory that the old space of one worker may take before that. */
const PART = 16;

const sizeMiB = Math.min(MOST_MIB, Math.floor(totalmem() / 2 ** 20 / PART));
setFlagsFromString(`--initial-old-space-size=${sizeMiB}`);
await import('../node_modules/ava/entrypoints/cli.js');

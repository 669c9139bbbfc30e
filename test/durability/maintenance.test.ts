// Pace: long
/** Power cuts at every operation of background jobs, and of the backup of a file in parts. See docs/inside/testing.md. */
import test from 'ava';
import { PARTS } from '../helpers/crash-scenarios.js';
import { sweep } from '../helpers/crash-sweep.js';
import { MAINTENANCE } from '../helpers/crash-maintenance.js';

test.serial(PARTS.name, async (t) => void (await sweep(t, PARTS)));
for (const scenario of MAINTENANCE) {
  test.serial(scenario.name, async (t) => void (await sweep(t, scenario)));
}

// Pace: long
/**
 * Power cuts at every operation of backups, of a purge and of a restore. After each one, everything acknowledged is
 * stored, and the next run continues. See docs/inside/testing.md.
 */
import test from 'ava';
import { RESTORE } from '../helpers/crash-restores.js';
import { times } from '../helpers/crash-runs.js';
import { FIRST, SECOND } from '../helpers/crash-scenarios.js';
import { sweep } from '../helpers/crash-sweep.js';
import { PURGE } from '../helpers/crash-maintenance.js';

let points = 0;
let states = 0;

function add(report: { readonly points: number; readonly states: number }): void {
  points += report.points;
  states += report.states;
}

test.serial(FIRST.name, async (t) => add(await sweep(t, FIRST)));
test.serial(SECOND.name, async (t) => add(await sweep(t, SECOND)));
test.serial(RESTORE.name, async (t) => add(await sweep(t, RESTORE)));
test.serial(PURGE.name, async (t) => add(await sweep(t, PURGE)));

test.serial('these were enough', (t) => {
  t.true(points >= 2000, `${points} crash points`);
  t.true(states >= 3100 * Math.min(1, times), `${states} states`);
});

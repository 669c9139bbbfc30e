/**
 * Power cuts at every operation of backups, of clearing up and of a restore: after each of them what was
 * promised is there, and the next run goes on. See docs/testing.md.
 */
import test from 'ava';
import { RESTORE } from '../helpers/crash-restores.js';
import { times } from '../helpers/crash-runs.js';
import { FIRST, SECOND } from '../helpers/crash-scenarios.js';
import { sweep } from '../helpers/crash-sweep.js';
import { PURGE } from '../helpers/crash-tending.js';

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

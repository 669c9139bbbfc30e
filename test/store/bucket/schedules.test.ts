// Pace: long
/** Writers of one log lose nothing that was acknowledged, however their requests are delayed, lost and repeated. */
import test from 'ava';
import { runSchedule } from '../../helpers/log-schedules.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { sweepShare } from '../../helpers/share.js';

const ALL_SCHEDULES = 100_000;
const SCHEDULES = Math.round(ALL_SCHEDULES * sweepShare);
/** Schedules of a bucket that does not arbitrate, of which many lose commits. */
const UNSAFE_SCHEDULES = 100;

test('no schedule of several writers loses or forks what was acknowledged', async (t) => {
  t.timeout(3 * 3600_000);
  const folder = scratchInMemory(t);
  let [acknowledged, taken] = [0, 0];
  for (let number = 0; number < SCHEDULES; number += 1) {
    const result = await runSchedule(folder, seed + number);
    t.deepEqual(result.problems, [], `TEST_SEED=${seed + number}`);
    acknowledged += result.acknowledged;
    taken += result.taken;
  }
  t.log(`${SCHEDULES} schedules, ${acknowledged} commits, ${taken} times taken`);
  // Otherwise the schedules would prove nothing.
  t.true(acknowledged > 0 && taken > 0);
});

test('the schedules find what a bucket loses that ignores conditions', async (t) => {
  const folder = scratchInMemory(t);
  let found = 0;
  for (let number = 0; number < UNSAFE_SCHEDULES; number += 1) {
    const { problems } = await runSchedule(folder, seed + number, { ignoresConditions: true });
    if (problems.length > 0) found += 1;
  }
  t.true(found > UNSAFE_SCHEDULES / 10, `${found}`);
});

/** Times of planned backups, and 30 simulated days of a laptop: no gap is longer than it must be. */
import test from 'ava';
import {
  isDue,
  isReported,
  plannedMs,
  type Schedule,
  type Surroundings,
  whyWait,
} from '../../src/model/index.js';
import { seededRandom } from '../support/seeded-random.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = new Date(2026, 2, 20).getTime(); // a change of the clock is in these days, where there is one
const DAYS = 30;
const TICK_MINUTES = 15;
/** Longest backup. With a tick and its random delay, it ends within an hour. */
const LONGEST_MINUTES = 35;

/** Something that is there or not, for random times. */
class Coming {
  isThere = true;
  private minutesLeft = 0;

  constructor(
    private readonly random: () => number,
    private readonly longest: { readonly there: number; readonly away: number },
  ) {}

  /** Passes a minute. Returns true if it has just come. */
  pass(): boolean {
    this.minutesLeft -= 1;
    if (this.minutesLeft > 0) return false;
    this.isThere = !this.isThere;
    const longest = this.isThere ? this.longest.there : this.longest.away;
    this.minutesLeft = 1 + Math.floor(this.random() * longest);
    return this.isThere;
  }
}

interface Simulated {
  /** Longest run of minutes, with all that a backup needs, in which one that is planned was not made. */
  readonly longestWaitMinutes: number;
  readonly backups: number;
}

/** Decides whether a backup begins, as a timer looks at it. */
type Rule = (
  schedule: Schedule,
  lastGoodMs: number,
  nowMs: number,
  around: Surroundings,
) => boolean;

/** The rule of the program. */
const ifDue: Rule = (schedule, lastGoodMs, nowMs, around) =>
  isDue(schedule, { lastGoodMs }, nowMs) && whyWait(around) === undefined;

/** A timer of the planned times alone, with conditions: what they keep back is not made up for. */
const atPlannedTimes: Rule = (schedule, _, nowMs, around) =>
  nowMs - plannedMs(schedule, nowMs) < TICK_MINUTES * MINUTE_MS && whyWait(around) === undefined;

/**
 * Simulates a machine, minute by minute. A timer of systemd (OnCalendar=*:0/15) starts the service at each tick, with a
 * random delay; ticks that were slept through start it once after waking; the unit of the disk starts it too. A service
 * that runs is not started again. A backup that loses the disk or the network ends without a set.
 */
function simulate(seed: number, schedule: Schedule, rule: Rule): Simulated {
  const random = seededRandom(seed).next;
  const waking = new Coming(random, { there: 6 * 60, away: 14 * 60 });
  const disk = new Coming(random, { there: 10 * 60, away: 30 * 60 });
  const network = new Coming(random, { there: 8 * 60, away: 4 * 60 });
  const power = new Coming(random, { there: 12 * 60, away: 6 * 60 });
  let lastGoodMs = START_MS;
  let [startsAtMs, leftMinutes, wait, longest, backups] = [Infinity, 0, 0, 0, 0];
  for (let nowMs = START_MS; nowMs < START_MS + DAYS * 24 * HOUR_MS; nowMs += MINUTE_MS) {
    const hasWoken = waking.pass();
    const hasAppeared = disk.pass();
    network.pass();
    power.pass();
    if (new Date(nowMs).getMinutes() % TICK_MINUTES === 0) {
      startsAtMs = Math.min(startsAtMs, nowMs + Math.floor(random() * 3) * MINUTE_MS);
    }
    if (!waking.isThere) {
      wait = 0;
      continue; // a backup that runs is held up; a tick that passes is made up for
    }
    const around: Surroundings = {
      isDiskThere: disk.isThere,
      isOnBattery: !power.isThere,
      isMetered: false,
    };
    const isReady = network.isThere && whyWait(around) === undefined;
    const isStarted = startsAtMs <= nowMs || hasAppeared || (hasWoken && startsAtMs < Infinity);
    if (startsAtMs <= nowMs) startsAtMs = Infinity;
    if (leftMinutes > 0) {
      leftMinutes = disk.isThere && network.isThere ? leftMinutes - 1 : 0;
      if (leftMinutes === 1) [lastGoodMs, leftMinutes, backups] = [nowMs, 0, backups + 1];
    } else if (isStarted && rule(schedule, lastGoodMs, nowMs, around)) {
      // Without the network, the backup ends at once, and waits as one whose disk is away.
      leftMinutes = network.isThere ? 2 + Math.floor(random() * LONGEST_MINUTES) : 0;
    }
    wait = isReady && lastGoodMs < plannedMs(schedule, nowMs) ? wait + 1 : 0;
    longest = Math.max(longest, wait);
  }
  return { longestWaitMinutes: longest, backups };
}

test('30 days of random sleep, disk, network and power leave no gap longer than interval and first hour with all', (t) => {
  for (const schedule of ['hourly', 'daily', 'weekly'] as const) {
    for (let seed = 1; seed <= 40; seed += 1) {
      const { longestWaitMinutes, backups } = simulate(seed, schedule, ifDue);
      t.true(longestWaitMinutes < 60, `seed ${seed}, ${schedule}: ${longestWaitMinutes} minutes`);
      t.true(backups >= (schedule === 'weekly' ? 1 : 5), `seed ${seed}, ${schedule}: ${backups}`);
    }
  }
  // The simulation can fail: by a timer of the planned times alone, days are lost.
  t.true(simulate(1, 'daily', atPlannedTimes).longestWaitMinutes > 60);
});

test('planned times are local times, whatever the clock does in between', (t) => {
  const at = (...parts: [number, number, number, number, number?]): number =>
    new Date(...parts).getTime();
  t.is(plannedMs('hourly', at(2026, 4, 5, 9, 59)), at(2026, 4, 5, 9));
  t.is(plannedMs('hourly', at(2026, 4, 5, 9, 59), 1), at(2026, 4, 5, 10));
  t.is(plannedMs('daily', at(2026, 4, 5, 1, 59)), at(2026, 4, 4, 2));
  t.is(plannedMs('daily', at(2026, 4, 5, 2)), at(2026, 4, 5, 2));
  t.is(plannedMs('daily', at(2026, 4, 5, 2), 1), at(2026, 4, 6, 2));
  t.is(plannedMs('weekly', at(2026, 4, 3, 1)), at(2026, 3, 26, 2)); // a Sunday before two
  t.is(plannedMs('weekly', at(2026, 4, 9, 23)), at(2026, 4, 3, 2));
  t.is(plannedMs('weekly', at(2026, 4, 9, 23), 1), at(2026, 4, 10, 2));
});

test('a failed backup is tried again after an hour, and a fault is reported once a day', (t) => {
  const nowMs = new Date(2026, 4, 5, 9).getTime();
  const lastGoodMs = nowMs - 30 * HOUR_MS;
  t.true(isDue('daily', { lastGoodMs }, nowMs));
  t.false(isDue('daily', { lastGoodMs, failedAtMs: nowMs - 59 * MINUTE_MS }, nowMs));
  t.true(isDue('daily', { lastGoodMs, failedAtMs: nowMs - HOUR_MS }, nowMs));
  t.true(isReported({ lastGoodMs }, nowMs));
  t.false(isReported({ lastGoodMs, reportedAtMs: nowMs - HOUR_MS }, nowMs));
  t.true(isReported({ lastGoodMs, reportedAtMs: nowMs - 24 * HOUR_MS }, nowMs));
  t.true(isReported({ lastGoodMs, reportedAtMs: lastGoodMs - HOUR_MS }, nowMs));
});

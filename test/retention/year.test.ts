// Pace: slow
/**
 * Retention over a year, each day after its backups, compared with a naive second implementation that knows the true
 * time. With a correct clock both keep the same sets. With a clock that jumps, no set is deleted that the true time
 * would have kept. TEST_SEED replays a run; TEST_SHARE multiplies the number of years.
 */
import test from 'ava';
import {
  decideRetention,
  NO_RULES,
  type RetentionRules,
  type RetentionSet,
  monotonicAgeOf,
} from '../../src/retention/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 365;
const RUNS = shareOf(150);

type Random = ReturnType<typeof seededRandom>;
interface TrueSet extends RetentionSet {
  /** The true time when the set was begun; `openedAtMs` is what the clock showed. */
  readonly trueMs: number;
}

function below(random: Random, most: number): number {
  return Math.floor(random.next() * most);
}

/**
 * Returns random rules. If the clock jumps there is no hourly rule, because a clock that is some minutes off changes
 * hours.
 */
function anyRules(random: Random, jumps: boolean): RetentionRules {
  const some = (most: number): number => (random.next() < 0.5 ? 0 : 1 + below(random, most));
  const days = [...Array(3).keys()].map(() => below(random, 90));
  const periods = [40, 20, 10].map((priority, at) => ({ priority, days: days[at]! }));
  return {
    periods: random.next() < 0.4 ? periods : [],
    keepLast: some(6),
    keepHourly: jumps ? 0 : some(30),
    keepDaily: some(20),
    keepWeekly: some(9),
    keepMonthly: some(8),
    keepYearly: some(2),
    keepWithinMs: some(40) * DAY_MS,
    endedAfterMs: 0,
    keepTags: random.next() < 0.5 ? ['keep'] : [],
  };
}

/** Returns a function that gives the clock's time for a true time; the error depends on the day. */
function clockOf(random: Random, jumps: boolean): (trueMs: number, day: number) => number {
  if (!jumps) return (trueMs) => trueMs;
  const wrongs: ((trueMs: number) => number)[] = [
    (at) => at + 5 * 60_000,
    (at) => at - 5 * 60_000,
    (at) => at + 40 * DAY_MS,
    (at) => at - 40 * DAY_MS,
    (at) => at + 3650 * DAY_MS,
    (at) => at - 3650 * DAY_MS,
    (at) => at % (20 * DAY_MS), // reset to 1970
    (at) => at + 20 * 365 * DAY_MS,
  ];
  const byDay: ((trueMs: number) => number)[] = [];
  for (let day = 0; day < DAYS; ) {
    const rightDays = 1 + below(random, 90);
    const wrongDays = 1 + below(random, 10);
    const wrong = wrongs[below(random, wrongs.length)]!;
    for (let at = 0; at < rightDays; at += 1) byDay.push((trueMs) => trueMs);
    for (let at = 0; at < wrongDays; at += 1) byDay.push(wrong);
    day += rightDays + wrongDays;
  }
  return (trueMs, day) => byDay[day]!(trueMs);
}

// --- the naive implementation, with the true time --------------------------------------------------

/**
 * Returns the sets to keep. An age that is less than `slackMs` short of a limit counts as at the limit. With
 * `isOldest`, the oldest set of a period is kept, not the newest.
 */
function naive(
  sets: readonly TrueSet[],
  rules: RetentionRules,
  nowMs: number,
  slackMs: number,
  isOldest: boolean,
): Set<number> {
  const kept = new Set<number>();
  for (const series of new Set(sets.map((set) => set.series))) {
    const mine = sets.filter((set) => set.series === series);
    for (const set of mine) {
      const ageMs = nowMs - set.trueMs + slackMs;
      const { periods } = rules;
      const period = periods.find(({ priority }) => set.priority >= priority) ?? periods.at(-1);
      if (set.isLocked || !set.isComplete) kept.add(set.set);
      if (rules.keepTags.some((tag) => set.tags.includes(tag))) kept.add(set.set);
      if (ageMs < rules.keepWithinMs) kept.add(set.set);
      if (period && (period.days === 0 || ageMs < period.days * DAY_MS)) kept.add(set.set);
    }
    const complete = mine.filter((set) => set.isComplete);
    if (complete.length > 0) kept.add(complete.at(-1)!.set);
    if (rules.keepLast > 0) for (const { set } of complete.slice(-rules.keepLast)) kept.add(set);
    for (const [count, keyOf] of [
      [rules.keepHourly, (at: Date) => `${at.toDateString()} ${at.getHours()}`],
      [rules.keepDaily, (at: Date) => at.toDateString()],
      [rules.keepWeekly, mondayOf],
      [rules.keepMonthly, (at: Date) => `${at.getFullYear()} ${at.getMonth()}`],
      [rules.keepYearly, (at: Date) => `${at.getFullYear()}`],
    ] as const) {
      const keys = [...new Set(complete.map((set) => keyOf(new Date(set.trueMs))))];
      for (const key of count === 0 ? [] : keys.slice(-count)) {
        const its = complete.filter((set) => keyOf(new Date(set.trueMs)) === key);
        kept.add(its.at(isOldest ? 0 : -1)!.set);
      }
    }
  }
  return kept;
}

function mondayOf(at: Date): string {
  const monday = new Date(at.getFullYear(), at.getMonth(), at.getDate());
  while (monday.getDay() !== 1) monday.setDate(monday.getDate() - 1);
  return monday.toDateString();
}

// --- a year ------------------------------------------------------------------------------------------

interface Year {
  /**
   * Sets that the naive implementation kept and ours did not, with the day. `extra` has the opposite, with a correct
   * clock only.
   */
  readonly lost: string[];
  readonly extra: string[];
  readonly keptAtEnd: number;
  readonly purged: number;
}

function liveAYear(run: number, jumps: boolean): Year {
  const random = seededRandom(seed + run);
  // With this option `keepLast` counts days, which is not tested here.
  const resistsFloods = run % 2 === 1 && anyRules(seededRandom(seed + run), jumps).keepLast === 0;
  const rules = anyRules(random, jumps);
  const clock = clockOf(random, jumps);
  const startMs = Date.UTC(2027, 0, 1, 2) + below(random, 300) * DAY_MS;
  let [ours, theirs]: TrueSet[][] = [[], []];
  const year: { lost: string[]; extra: string[] } = { lost: [], extra: [] };
  let number = 0;
  for (let day = 0; day < DAYS; day += 1) {
    const count = random.next() < 0.1 ? 0 : 1 + (random.next() < 0.2 ? below(random, 5) : 0);
    let trueMs = startMs + day * DAY_MS;
    for (let at = 0; at < count; at += 1) {
      trueMs += at === 0 ? 0 : 10 * 60_000 + below(random, 4 * HOUR_MS);
      number += 1;
      const isComplete = random.next() < 0.95;
      const openedAtMs = clock(trueMs, day);
      const before = ours!.filter((one) => one.isComplete);
      const set: TrueSet = {
        set: number,
        trueMs,
        openedAtMs,
        isComplete,
        isDoubtful: false,
        age: isComplete ? monotonicAgeOf(before, openedAtMs) : undefined,
        priority: [0, 10, 20, 40, 25][below(random, 5)]!,
        isLocked: random.next() < 0.01,
        tags: random.next() < 0.02 ? ['keep', 'x'] : [],
        series: random.next() < 0.85 ? 'home' : 'etc',
      };
      ours!.push(set);
      theirs!.push(set);
    }
    const nowMs = trueMs + HOUR_MS;
    const { verdicts } = decideRetention(ours!, {
      rules,
      nowMs: clock(nowMs, day),
      leastAgeMs: 0,
      resistsFloods,
      keepsDoubtful: false,
      trustsClock: false,
    });
    const gone = new Set(
      verdicts.filter(({ reasons }) => reasons.length === 0).map((one) => one.set),
    );
    const kept = naive(theirs!, rules, nowMs, jumps ? 10 * 60_000 : 0, resistsFloods);
    ours = ours!.filter(({ set }) => !gone.has(set));
    theirs = theirs!.filter(({ set }) => kept.has(set));
    const has = new Set(ours.map(({ set }) => set));
    for (const { set } of theirs) if (!has.has(set)) year.lost.push(`day ${day}: ${set}`);
    if (!jumps) {
      const wanted = new Set(theirs.map(({ set }) => set));
      for (const { set } of ours) if (!wanted.has(set)) year.extra.push(`day ${day}: ${set}`);
    }
  }
  return { ...year, keptAtEnd: ours!.length, purged: number - ours!.length };
}

/** True if there is a rule by which sets go. A tag by itself is none (docs/using/sets.md). */
function hasAny(rules: RetentionRules): boolean {
  return JSON.stringify({ ...rules, keepTags: [] }) !== JSON.stringify(NO_RULES);
}

for (const jumps of [false, true]) {
  const what = jumps ? 'a clock that jumps deletes nothing that is wanted' : 'the naive one agrees';
  test(`${RUNS} years: ${what}`, (t) => {
    t.timeout(300_000);
    t.log(`seed ${seed}`);
    let [purged, kept] = [0, 0];
    for (let run = 0; run < RUNS; run += 1) {
      if (!hasAny(anyRules(seededRandom(seed + run), jumps))) continue;
      const year = liveAYear(run, jumps);
      t.deepEqual(
        [year.lost.slice(0, 5), year.extra.slice(0, 5)],
        [[], []],
        `run ${run}: ${JSON.stringify(anyRules(seededRandom(seed + run), jumps))}`,
      );
      purged += year.purged;
      kept += year.keptAtEnd;
    }
    t.log(`${purged} sets purged, ${kept} kept`);
    t.true(purged > kept, 'it does purge');
  });
}

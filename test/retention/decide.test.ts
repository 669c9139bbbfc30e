/**
 * Retention in odd cases: sets whose monotonic age is lost, clocks that were wrong, damage, sealed tags.
 */
import test from 'ava';
import {
  decideRetention,
  isNameByFormat,
  isReason,
  formatsOf,
  nameByFormat,
  NO_RULES,
  periodOf,
  type RetentionRules,
  type RetentionSet,
  type RetentionOptions,
  monotonicAgeOf,
} from '../../src/retention/index.js';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1, 12);

function set(number: number, day: number, more: Partial<RetentionSet> = {}): RetentionSet {
  return {
    set: number,
    openedAtMs: START_MS + day * DAY_MS,
    age: undefined,
    isComplete: true,
    isDoubtful: false,
    priority: 0,
    isLocked: false,
    tags: [],
    series: 'all',
    ...more,
  };
}

function gone(
  sets: readonly RetentionSet[],
  rules: Partial<RetentionRules>,
  nowDay: number,
  more: Partial<RetentionOptions> = {},
): number[] {
  const { verdicts } = decideRetention(sets, {
    rules: { ...NO_RULES, ...rules },
    nowMs: START_MS + nowDay * DAY_MS,
    leastAgeMs: 0,
    resistsFloods: false,
    keepsDoubtful: true,
    trustsClock: false,
    ...more,
  });
  return verdicts.filter(({ reasons }) => reasons.length === 0).map((one) => one.set);
}

test('a clock that ran ahead makes nothing old, of sets without monotonic ages either', (t) => {
  const within = { keepWithinMs: 30 * DAY_MS };
  const sets = [set(1, 0), set(2, 1), set(3, 2), set(4, 3650)];
  t.deepEqual(gone(sets, within, 3650), []);
  t.deepEqual(gone(sets, within, 3650, { trustsClock: true }), []);
  t.deepEqual(gone([set(1, 0), set(2, 5), set(3, 10), set(4, 15)], { keepLast: 1 }, 20), [1, 2, 3]);
});

test('a clock that runs ahead makes nothing old where few sets are left of a daily backup', (t) => {
  const made: RetentionSet[] = [];
  for (let day = 0; day < 100; day += 1) {
    const next = set(day + 1, day, { isLocked: day === 0 });
    made.push({ ...next, age: monotonicAgeOf(made, next.openedAtMs) });
  }
  const left = made.filter(({ set: number }) => number === 1 || number > 98);
  t.deepEqual(gone(left, { keepWithinMs: 3 * DAY_MS }, 100), []);
  t.deepEqual(gone(left, { keepWithinMs: 3 * DAY_MS }, 140), [], 'ahead before a backup');
  const ahead = set(101, 140);
  left.push({ ...ahead, age: monotonicAgeOf(left, ahead.openedAtMs) });
  t.deepEqual(gone(left, { keepWithinMs: 3 * DAY_MS }, 140), [], 'ahead since a backup');
});

test('periods by priority hold for sets without monotonic ages too', (t) => {
  const periods = [
    { priority: 40, days: 0 },
    { priority: 10, days: 30 },
  ];
  const sets = Array.from({ length: 24 }, (_, week) => set(week + 1, week * 7));
  t.is(gone(sets, { periods }, 24 * 7).length, 20);
  const stamped = sets.map((one) => ({
    ...one,
    age: { countedMs: one.openedAtMs, stretch: 0, stretchMs: 0, gapMs: 7 * DAY_MS },
  }));
  t.is(gone(stamped, { periods }, 24 * 7).length, 20);
});

test('what may lack something since a rebuild stays until an operator has looked', (t) => {
  const sets = [set(1, 0, { isDoubtful: true }), set(2, 1), set(3, 2)];
  t.deepEqual(gone(sets, { keepLast: 1 }, 3), [2]);
  t.deepEqual(gone(sets, { keepLast: 1 }, 3, { keepsDoubtful: false }), [1, 2]);
});

test('of a day the newest set stays, or the oldest where floods must evict none; the reason names it', (t) => {
  const sets = [set(1, 0), set(2, 0.1), set(3, 0.2), set(4, 1), set(5, 1.1), set(6, 2)];
  const rules = { keepDaily: 7 };
  t.deepEqual(gone(sets, rules, 2), [1, 2, 4]);
  t.deepEqual(gone(sets, rules, 2, { resistsFloods: true }), [2, 3, 5]);
  for (const resistsFloods of [false, true]) {
    const request = {
      rules: { ...NO_RULES, ...rules },
      nowMs: START_MS + 2 * DAY_MS,
      leastAgeMs: 0,
    };
    const how = { resistsFloods, keepsDoubtful: true, trustsClock: false };
    const { verdicts } = decideRetention(sets, { ...request, ...how });
    const which = resistsFloods ? 'oldest' : 'newest';
    t.like(verdicts[resistsFloods ? 0 : 2]!.reasons[0], { why: 'day', which });
    t.true(verdicts.flatMap(({ reasons }) => reasons).every(isReason));
  }
  t.false(isReason({ why: 'day', which: 'middle' }));
});

test('where floods must evict none, the last sets are counted one a day', (t) => {
  const sets = [set(1, 0), set(2, 1), set(3, 2), set(4, 2.1), set(5, 2.2)];
  t.deepEqual(gone(sets, { keepLast: 2 }, 3), [1, 2, 3]);
  t.deepEqual(gone(sets, { keepLast: 2 }, 3, { resistsFloods: true }), [1]);
});

test('names by year and week of ISO 8601 go with the week of the rules', (t) => {
  for (const [date, name] of [
    [new Date(2026, 10, 22, 12), 'W-2026-47'],
    [new Date(2027, 0, 3, 12), 'W-2026-53'],
    [new Date(2027, 0, 4, 12), 'W-2027-01'],
    [new Date(2024, 11, 30, 12), 'W-2025-01'],
  ] as const) {
    const formats = [{ format: 'W-%G-%V', priority: 1, isName: true }];
    t.is(nameByFormat(formats, date.getTime(), [], () => false).name, name);
    t.is(periodOf('week', date.getTime()), name.replace(/W-(\d+)-/, '$1-W'));
    t.true(isNameByFormat(['W-%G-%V'], name, date.getTime()));
  }
  const literal = [{ format: '%%G-%Y', priority: 1, isName: true }];
  t.is(nameByFormat(literal, START_MS, [], () => false).name, '%G-2026');
});

test('a sealed tag may be one to keep; a set of 1970 is as old as what is around it', (t) => {
  const sets = [set(1, 0, { tags: ['~c2VhbGVk'] }), set(2, 1, { tags: ['other'] }), set(3, 2)];
  const keepLast = 1;
  t.deepEqual(gone(sets, { keepLast, keepTags: ['mine'] }, 3), [2]);
  const sealed = ['~b3RoZXI'];
  t.deepEqual(
    gone(sets, { keepLast, keepTags: sealed }, 3),
    [1, 2],
    'those to keep are sealed too',
  );
  t.deepEqual(gone(sets, { keepTags: sealed }, 3), [], 'a tag by itself is no rule');
  const odd = [set(1, 0), set(2, 1), set(3, 0, { openedAtMs: 0 }), set(4, 2)];
  const only = { beforeMs: START_MS - 90 * DAY_MS, priority: 10 };
  t.deepEqual(gone(odd, {}, 30, { only, trustsClock: true }), []);
});

test('series that have ended are judged as one, in comparison with the newest set', (t) => {
  const dated = [1, 2, 3, 4, 5].map((day) => set(day, day, { series: `day${day}` }));
  t.deepEqual(gone(dated, { keepLast: 2 }, 6), [], 'each is the newest of its series');
  const endedAfterMs = DAY_MS;
  t.deepEqual(gone(dated, { keepLast: 2, endedAfterMs }, 6), [1, 2], '3 and 4 of those that ended');
  t.deepEqual(gone(dated, { keepLast: 2, endedAfterMs: 9 * DAY_MS }, 6), []);
  t.deepEqual(gone(dated, { endedAfterMs }, 6), [], 'without a rule nothing goes');
  const two = [1, 2, 3].flatMap((day) => [
    set(2 * day - 1, day, { series: 'home' }),
    set(2 * day, day, { series: 'photos' }),
  ]);
  t.deepEqual(
    gone(two, { keepLast: 1, endedAfterMs }, 6),
    [1, 2, 3, 4],
    'none ends while nobody backs up',
  );
  const locked = dated.map((one) => ({ ...one, isLocked: one.set === 1 }));
  t.deepEqual(gone(locked, { keepLast: 1, endedAfterMs }, 6), [2, 3]);
});

test('without formats, sets are named by date and time, and the first of a month, week or day has its priority', (t) => {
  const formats = formatsOf({ formats: undefined, priorities: ['40', '20', '10'] });
  const made: Parameters<typeof nameByFormat>[2][number][] = [];
  const make = (at: Date): string => {
    const isTaken = (text: string): boolean => made.some(({ firstName }) => firstName === text);
    const { name, priority } = nameByFormat(formats, at.getTime(), made, isTaken);
    const openedAtMs = at.getTime();
    made.push({ firstName: name, priority, openedAtMs, hasSameRoots: () => true });
    return `${name} ${priority}`;
  };
  t.is(make(new Date(2026, 10, 2, 9, 5, 7)), '2026-11-02_090507 40');
  t.is(make(new Date(2026, 10, 2, 10)), '2026-11-02_100000 20');
  t.is(make(new Date(2026, 10, 2, 11)), '2026-11-02_110000 10');
  t.is(make(new Date(2026, 10, 2, 11)), '2026-11-02_110000.2 0');
  t.is(make(new Date(2026, 10, 3, 9)), '2026-11-03_090000 10');
  t.is(make(new Date(2026, 11, 1, 9)), '2026-12-01_090000 40');
  made.splice(-1); // deleted: the next one is the first of its month, by a name of its own
  t.is(make(new Date(2026, 11, 1, 10)), '2026-12-01_100000 40');
});

/** Sets that may be purged early, and sets that may not, whatever the clock has shown. */
import test from 'ava';
import * as fc from 'fast-check';
import { type EarlySet, setsToDeleteForSpace } from '../../../src/maintenance/gc/index.js';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2030, 0, 1);

function set(number: number, ageDays: number, more: Partial<EarlySet> = {}): EarlySet {
  const openedAtMs = NOW_MS - ageDays * DAY_MS;
  return {
    set: number,
    state: 'complete',
    openedAtMs,
    closedAtMs: openedAtMs + 60_000,
    isDoubtful: false,
    isExpendable: true,
    isLocked: false,
    series: 'all',
    freedBytes: 100,
    ...more,
  };
}

function chosen(sets: readonly EarlySet[], neededBytes = 1000, leastAgeDays = 7): number[] {
  return setsToDeleteForSpace(sets, {
    neededBytes,
    nowMs: NOW_MS,
    leastAgeMs: leastAgeDays * DAY_MS,
  });
}

test('the oldest go first, no more than are needed', (t) => {
  const sets = [set(4, 10), set(1, 40), set(3, 20), set(2, 30), set(5, 9)];
  t.deepEqual(chosen(sets, 1), [1]);
  t.deepEqual(chosen(sets, 100), [1]);
  t.deepEqual(chosen(sets, 101), [1, 2]);
  t.deepEqual(chosen(sets, 0), []);
  t.deepEqual(chosen(sets, 1e9), [1, 2, 3, 4], 'all that may go, if they do not suffice');
});

test('a newest set that may lack entries does not stand for the newest sound one', (t) => {
  const sets = [
    set(1, 40),
    set(2, 30),
    set(3, 20, { isDoubtful: true }),
    set(4, 9, { isDoubtful: true }),
  ];
  t.deepEqual(chosen(sets), [1, 3]);
});

test('what gives nothing back for sure does not count', (t) => {
  const sets = [
    set(1, 40, { freedBytes: 0 }),
    set(2, 30, { freedBytes: -5 }),
    set(3, 20),
    set(4, 9),
  ];
  t.deepEqual(chosen(sets, 1), [1, 2, 3]);
});

test('only what is marked expendable, not locked and complete', (t) => {
  const sets = [
    set(1, 40, { isExpendable: false }),
    set(2, 39, { isLocked: true }),
    set(3, 38, { state: 'unfinished', closedAtMs: undefined }),
    set(4, 37),
    set(5, 8),
  ];
  t.deepEqual(chosen(sets), [4]);
});

test('never the newest complete set, also when an unfinished one follows it', (t) => {
  t.deepEqual(chosen([set(1, 40)]), []);
  const unfinished = set(3, 20, { state: 'unfinished', closedAtMs: undefined });
  t.deepEqual(chosen([set(1, 40), set(2, 30), unfinished]), [1]);
});

test('never below the least age, which counts from the end of the set', (t) => {
  const sets = [set(1, 8), set(2, 7), set(3, 6), set(4, 1)];
  t.deepEqual(chosen(sets), [1]);
  t.deepEqual(chosen([set(1, 40, { closedAtMs: NOW_MS - DAY_MS }), set(2, 1)]), []);
  t.deepEqual(chosen(sets, 1000, 0), [1, 2, 3]);
});

test('a clock that ran ahead only keeps longer, one that stood in 1970 makes nothing old', (t) => {
  const ahead = set(2, -400);
  t.deepEqual(chosen([set(1, 40), ahead, set(3, 30), set(4, 20)]), [1]);
  const unset = { openedAtMs: 5000, closedAtMs: 65_000 };
  t.deepEqual(chosen([set(1, 0, unset), set(2, 40), set(3, 30)]), [2], 'of unknown age');
  t.deepEqual(
    chosen([set(1, 3), set(2, 0, unset), set(3, 1)]),
    [],
    'not older than the one before',
  );
  t.deepEqual(chosen([set(1, 40), set(2, 0, unset), set(3, 1)]), [1, 2]);
  t.deepEqual(
    chosen([set(1, 0, { openedAtMs: Number.NaN, closedAtMs: undefined }), set(2, 1)]),
    [],
  );
});

const anySet = fc.record({
  set: fc.integer({ min: 1, max: 1e6 }),
  state: fc.constantFrom('complete' as const, 'unfinished' as const),
  openedAtMs: fc.integer({ min: -1e12, max: 4e12 }),
  closedAtMs: fc.option(fc.integer({ min: -1e12, max: 4e12 }), { nil: undefined }),
  isDoubtful: fc.boolean(),
  isExpendable: fc.boolean(),
  isLocked: fc.boolean(),
  series: fc.constantFrom('home', 'etc'),
  freedBytes: fc.nat(1000),
});

test('whatever the sets and clocks are, what must stay stays', (t) => {
  const many = fc.uniqueArray(anySet, { selector: (one) => one.set, maxLength: 30 });
  const request = fc.record({
    neededBytes: fc.nat(5000),
    nowMs: fc.integer({ min: 0, max: 4e12 }),
    leastAgeMs: fc.nat(1e12),
  });
  fc.assert(
    fc.property(many, request, (sets, requested) => {
      const gone = setsToDeleteForSpace(sets, requested);
      for (const series of ['home', 'etc']) {
        const complete = sets.filter((one) => one.state === 'complete' && one.series === series);
        t.false(gone.includes(Math.max(...complete.map((one) => one.set))));
      }
      t.deepEqual(
        gone,
        [...gone].sort((a, b) => a - b),
      );
      let bytes = 0;
      for (const number of gone) {
        t.true(bytes < requested.neededBytes, 'more than is needed');
        const one = sets.find((candidate) => candidate.set === number)!;
        t.true(one.isExpendable && !one.isLocked && one.state === 'complete');
        const youngest = Math.max(one.openedAtMs, one.closedAtMs ?? one.openedAtMs);
        t.true(requested.nowMs - youngest >= requested.leastAgeMs);
        bytes += one.freedBytes;
      }
    }),
  );
});

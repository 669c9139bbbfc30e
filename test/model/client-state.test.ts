/** The one answer to how a client is: a table of what it follows from, and of what it is. */
import test from 'ava';
import {
  byUrgency,
  CLIENT_STATES,
  type ClientFacts,
  clientState,
  configuredRoots,
  distinctRuns,
  NO_FACTS,
  runFacts,
  usualLateMs,
} from '../../src/model/index.js';
import { aRun } from '../helpers/runs.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 1000 * DAY_MS;

/** Facts of a client whose only set ended an hour ago, and which is late after 26 hours. */
function facts(more: Partial<ClientFacts>): ClientFacts {
  const set = { completeSets: 1, newestSet: 1, newestAtMs: NOW_MS - HOUR_MS };
  return { ...NO_FACTS, ...set, lateAfterMs: 26 * HOUR_MS, ...more };
}

const NO_SET = { completeSets: 0, newestSet: 0, newestAtMs: 0 };
const root = (hoursAgo: number) => ({
  id: 'x'.repeat(12),
  set: 1,
  atMs: NOW_MS - hoursAgo * HOUR_MS,
});
const NEVER_SAVED = { id: 'y'.repeat(12), set: 0, atMs: 0 };
const FAILED = { failedAtMs: NOW_MS - HOUR_MS / 2, failureCode: 'QUOTA_EXCEEDED', failure: 'full' };
const EARLIER = { ...FAILED, failedAtMs: NOW_MS - 2 * HOUR_MS };
const LATER = { ...FAILED, failedAtMs: NOW_MS + DAY_MS };
const AFTER = { setBeforeFailure: 1 };
const BEFORE = { setAfterFailure: 1 };
const BETWEEN = { ...EARLIER, newestSet: 2, setBeforeFailure: 1, setAfterFailure: 2 };
const GB = 1e9;

/** The facts, the state, and the cause. */
const TABLE: readonly [what: string, Partial<ClientFacts>, state: string, cause: string][] = [
  ['a fresh set', {}, 'good', 'good'],
  ['no set', NO_SET, 'never', 'never'],
  ['no set, and an interval that has passed', { ...NO_SET, lateAfterMs: 1 }, 'never', 'never'],
  ['a store that is away', { fault: 'there is no store' }, 'unknown', 'unseen'],
  ['a backup in progress', { isInUse: true }, 'running', 'running'],
  ['a first backup in progress', { ...NO_SET, isInUse: true }, 'running', 'running'],
  ['an old set', { newestAtMs: NOW_MS - 26 * HOUR_MS }, 'late', 'late'],
  ['an old set, and no interval', { newestAtMs: 1, lateAfterMs: 0 }, 'good', 'good'],
  ['each root in a fresh set', { roots: [root(1), root(25)] }, 'good', 'good'],
  ['a root in old sets only', { roots: [root(1), root(27)] }, 'late', 'late'],
  ['a root in no set', { roots: [root(1), NEVER_SAVED] }, 'late', 'lacking'],
  ['a set of something else', { roots: [NEVER_SAVED] }, 'late', 'lacking'],
  ['a refused run', FAILED, 'failed', 'failed'],
  ['a refused first run', { ...NO_SET, ...FAILED }, 'failed', 'failed'],
  ['a refused run before the set', { ...FAILED, failedAtMs: NOW_MS - 2 * HOUR_MS }, 'good', 'good'],
  [
    'a refused run after the set, by a clock that is behind',
    { ...EARLIER, ...AFTER },
    'failed',
    'failed',
  ],
  [
    'a refused run before the set, by a clock that was ahead',
    { ...LATER, ...BEFORE },
    'good',
    'good',
  ],
  [
    'a refused run between sets, of which a root has the first',
    { ...BETWEEN, roots: [root(1)] },
    'failed',
    'failed',
  ],
  [
    'a refused run before a set that was not recorded',
    { ...EARLIER, setBeforeFailure: 0 },
    'good',
    'good',
  ],
  ['a set that is dated ahead', { newestAtMs: NOW_MS + 2 * DAY_MS }, 'warned', 'ahead'],
  ['a set that is dated ahead by an hour', { newestAtMs: NOW_MS + HOUR_MS }, 'good', 'good'],
  ['a refused run after the sets of a root', { ...FAILED, roots: [root(2)] }, 'failed', 'failed'],
  ['a run without a code', { ...FAILED, failureCode: '' }, 'failed', 'failed'],
  ['a run that was killed', { failedAtMs: NOW_MS }, 'failed', 'cut'],
  ['a set that was cut off', { unfinishedAtMs: NOW_MS - 1000 }, 'failed', 'cut'],
  ['a first set that was cut off', { ...NO_SET, unfinishedAtMs: NOW_MS - 1000 }, 'failed', 'cut'],
  [
    'a set that the user stopped',
    { unfinishedAtMs: NOW_MS - 1000, stoppedAtMs: NOW_MS - 500 },
    'good',
    'good',
  ],
  [
    'a set that was cut off after a stop',
    { unfinishedAtMs: NOW_MS - 1000, stoppedAtMs: NOW_MS - 5000 },
    'failed',
    'cut',
  ],
  ['a full quota', { quotaBytes: GB, accountBytes: GB }, 'failed', 'quota'],
  [
    'a quota of which more than 90 % are used',
    { quotaBytes: GB, accountBytes: 0.91 * GB },
    'warned',
    'quota',
  ],
  ['a quota of which 90 % are used', { quotaBytes: GB, accountBytes: 0.9 * GB }, 'good', 'good'],
  ['a full disk', { diskBytes: GB, freeBytes: 1000, leastFreeBytes: 2000 }, 'failed', 'disk'],
  [
    'a disk with 9 % free',
    { diskBytes: GB, freeBytes: 0.09 * GB, leastFreeBytes: 1 },
    'warned',
    'disk',
  ],
  ['a disk with room', { diskBytes: GB, freeBytes: 0.2 * GB, leastFreeBytes: 1 }, 'good', 'good'],
  ['damaged contents', { damagedContents: 1 }, 'warned', 'damaged'],
  ['a check that found faults', { faults: 2 }, 'warned', 'damaged'],
  ['a set that may lack entries', { isDoubtful: true }, 'warned', 'damaged'],
  ['a copy that failed', { copyFailure: 'NO_SUCH_STORE' }, 'warned', 'copy'],
  ['entries that were not read', { unread: 2 }, 'warned', 'unread'],
  // A fault goes before what only warns.
  ['a refused run of a late client', { ...FAILED, newestAtMs: 1 }, 'failed', 'failed'],
  ['a late client with damage', { newestAtMs: 1, damagedContents: 1 }, 'late', 'late'],
  ['damage in a set with unread entries', { faults: 1, unread: 1 }, 'warned', 'damaged'],
  [
    'all at once, and away',
    { ...FAILED, unread: 1, isInUse: true, fault: 'gone' },
    'unknown',
    'unseen',
  ],
  ['all at once, and in progress', { ...FAILED, unread: 1, isInUse: true }, 'running', 'running'],
];

test('the state of a client follows from its facts', (t) => {
  for (const [what, more, state, cause] of TABLE) {
    const found = clientState(facts(more), NOW_MS);
    t.deepEqual([found.state, found.cause.code], [state, cause], what);
    t.regex(found.reason, /[^?.][?.]$/, what);
    t.notRegex(found.reason, /undefined|NaN|\[\]/, what);
    t.is(found.advice === '', state === 'good' || state === 'running', what);
  }
  t.deepEqual([...new Set(TABLE.map(([, , state]) => state))].sort(), [...CLIENT_STATES].sort());
});

test('the advice for a refused run is that of its error', (t) => {
  t.regex(clientState(facts(FAILED), NOW_MS).advice, /SpaceQuota/);
  t.regex(clientState(facts(FAILED), NOW_MS).reason, /full \[QUOTA_EXCEEDED\] \(30 minutes ago\)/);
});

test('of several clients, the worst is shown first', (t) => {
  const states = TABLE.map(([, more]) => clientState(facts(more), NOW_MS));
  const order = byUrgency(states).map(({ state }) => state);
  t.deepEqual([...new Set(order)], CLIENT_STATES.toReversed());
  t.is(order.length, states.length);
});

test('facts of runs are those of the last ones that count', (t) => {
  const at = (hour: number) => ({ beganMs: hour * HOUR_MS, endedMs: hour * HOUR_MS });
  const bad = { end: 'failed', code: 'DISK_FULL' } as const;
  const of = (...runs: Parameters<typeof aRun>[0][]) =>
    runFacts(
      runs.map((run, hour) => aRun({ ...at(hour + 1), ...run })),
      NOW_MS,
    );
  t.is(of({}).failedAtMs, 0);
  t.like(of({}, bad), { failedAtMs: 2 * HOUR_MS, failureCode: 'DISK_FULL' });
  t.is(of(bad, {}).failedAtMs, 0);
  t.is(of({}, { ...bad, isWhole: false }).failedAtMs, 0, 'something else by hand');
  t.is(of(bad, { isWhole: false }).failedAtMs, HOUR_MS);
  t.is(
    of(bad, { isWhole: undefined }).failedAtMs,
    HOUR_MS,
    'something else without a configuration',
  );
  const unset = { isWhole: undefined };
  t.is(of({ ...bad, ...unset }, unset).failedAtMs, 0);
  t.is(of(unset, { ...bad, ...unset }).failedAtMs, 2 * HOUR_MS);
  t.like(of(bad, { end: 'stopped' }), { failedAtMs: HOUR_MS, stoppedAtMs: 2 * HOUR_MS });
  t.is(of({}, { end: 'cut' }).failedAtMs, 2 * HOUR_MS);
  const [second, third] = [{ numbers: { set: 2 } }, { isWhole: false, numbers: { set: 3 } }];
  const sets = { setBeforeFailure: 2, setAfterFailure: 3 };
  t.like(of(second, { ...bad, endedMs: 0 }, third), { failureCode: 'DISK_FULL', ...sets });
  t.is(of({}, { kind: 'check', ...bad }).failedAtMs, 0);
  t.is(of({ kind: 'alert', numbers: { lateAfterMs: 5 } }, {}).lateAfterMs, 5);
  t.is(
    of({ numbers: { lateAfterMs: 7 } }, {}).lateAfterMs,
    7,
    'by the schedule of a configuration',
  );
  const byServer = { kind: 'alert', numbers: { lateAfterMs: 5 } } as const;
  t.is(of(byServer, { numbers: { lateAfterMs: 7 } }).lateAfterMs, 5);
  const copy = { kind: 'copy', end: 'failed', code: 'NO_SUCH_STORE', endedMs: NOW_MS } as const;
  const [here, there] = [{ configured: ['here'] }, { configured: ['there'] }];
  t.is(
    of({}, { ...copy, ...here }, { kind: 'copy', endedMs: NOW_MS, ...there }).copyFailure,
    'NO_SUCH_STORE',
    'of several stores, one',
  );
  const cutOff = { ...copy, ...here, end: 'cut', code: undefined } as const;
  t.is(
    of({ ...copy, ...here }, cutOff).copyFailure,
    'NO_SUCH_STORE',
    'a copy that was cut off is none',
  );
  const done = { kind: 'copy', endedMs: NOW_MS } as const;
  t.is(of({}, { ...copy, ...here }, {}, { ...done, ...here }, {}).copyFailure, '');
  t.is(
    of({ ...copy, endedMs: NOW_MS - HOUR_MS }, {}).copyFailure,
    'NO_SUCH_STORE',
    'no backup ends it',
  );
  t.is(of({ ...copy, endedMs: NOW_MS - 31 * DAY_MS }).copyFailure, '', 'it may have been given up');
  t.is(of({ kind: 'restore' }, { kind: 'restore', end: 'failed' }).restoredAtMs, HOUR_MS);
});

test('a check that reads nothing proves nothing; the data read is a share with a date', (t) => {
  const check = (daysAgo: number, readBytes: number, more: object = {}) =>
    aRun({
      kind: 'check',
      endedMs: NOW_MS - daysAgo * DAY_MS,
      numbers: { readBytes, totalBytes: 1000, faults: 0, ...more },
    });
  const proof = (...runs: ReturnType<typeof check>[]) =>
    clientState(facts(runFacts(runs, NOW_MS)), NOW_MS).proof;
  t.like(proof(check(1, 0)), { checkedAtMs: undefined, readShare: undefined });
  t.regex(proof(check(1, 0))!.read, /^no data was read/);
  const weekly = [check(9, 500), check(3, 50), check(1, 75), check(0, 0)];
  t.is(proof(...weekly)?.read, '12 % of the data in the last 7 days');
  t.is(proof(...weekly)?.checkedAtMs, NOW_MS - DAY_MS);
  t.regex(
    proof(check(20, 1000, { allReadSinceMs: NOW_MS - 20 * DAY_MS }))!.read,
    /^data was last read again 20 days ago, all of it since \d{4}-\d\d-\d\d$/,
  );
  const since = { allReadSinceMs: NOW_MS - 2 * DAY_MS };
  t.is(proof(check(2, 1000, since), check(1, 0))?.allReadSinceMs, since.allReadSinceMs);
  t.is(proof(check(1, 1))?.read, 'less than 1 % of the data in the last 7 days');
  t.is(proof(check(1, 999), check(0, 999))?.readShare, 1);
  const faults = (...runs: ReturnType<typeof check>[]) => runFacts(runs, NOW_MS).faults;
  const bad = check(2, 9, { faults: 3 });
  t.is(faults(bad, check(1, 0)), 3, 'what reading has found ends by reading');
  t.is(
    faults(bad, check(1, 9, { allReadSinceMs: NOW_MS - 3 * DAY_MS })),
    3,
    'not all was read since',
  );
  t.is(faults(bad, check(1, 9, { allReadSinceMs: NOW_MS - DAY_MS })), 0);
  t.is(faults(check(2, 0, { faults: 1 }), check(1, 0)), 0);
  const ahead = check(-300, 9, { faults: 3 });
  t.is(faults(ahead, check(1, 999)), 3);
  t.is(
    faults(ahead, check(1, 1000), check(1, 9)),
    0,
    'all was read again, whatever the clock said',
  );
  const wrong = check(-300, 1000, { allReadSinceMs: NOW_MS + 300 * DAY_MS });
  t.like(runFacts([wrong], NOW_MS), { checkedAtMs: 0, readShare: 0, allReadSinceMs: 0 });
});

test('the last restore that proved the backups is shown, and does not change the state', (t) => {
  const of = (restoredAtMs: number) => clientState(facts({ restoredAtMs }), NOW_MS);
  t.is(of(0).proof?.code, 'none');
  t.is(of(NOW_MS - 3 * DAY_MS).proof?.code, 'restored');
  t.is(of(NOW_MS - 182 * DAY_MS).proof?.code, 'old');
  t.is(of(NOW_MS + DAY_MS).proof?.code, 'restored', 'a clock that was set back');
  t.is(of(0).state, 'good');
  t.is(clientState(facts({ fault: 'gone' }), NOW_MS).proof, undefined);
});

test('the configured roots are those of the newest record that has them', (t) => {
  t.is(configuredRoots([aRun()]), undefined);
  t.deepEqual(configuredRoots([aRun({ configured: ['a'] }), aRun({ configured: ['b'] }), aRun()]), [
    'b',
  ]);
});

test('a record that came late is at the place of its time, others where they were added', (t) => {
  const [set, late, later] = [aRun({ endedMs: 5 }), aRun({ endedMs: 3 }), aRun({ endedMs: 1 })];
  t.deepEqual(distinctRuns([set, late]), [set, late]);
  const waited = { ...late, isLate: true };
  t.deepEqual(distinctRuns([later, set, waited]), [later, waited, set]);
  t.deepEqual(distinctRuns([waited, set]), [waited, set]);
  const failed = { ...waited, end: 'failed', code: 'NO_SUCH_STORE' } as const;
  t.is(runFacts(distinctRuns([set, failed]), NOW_MS).failedAtMs, 0);
});

test('the record of a run itself counts in place of that of its server', (t) => {
  const own = aRun({ end: 'stopped', endedMs: 5 });
  const servers = { ...own, way: 'server', end: 'cut', endedMs: 9 } as const;
  t.deepEqual(distinctRuns([own, servers]), [own]);
  t.deepEqual(distinctRuns([servers, own]), [own]);
});

test('without an interval, a client is late after two and a half times the usual distance of days', (t) => {
  const at = (...days: number[]) => usualLateMs(days.map((day) => day * DAY_MS));
  t.is(at(0, 1, 2, 3, 8, 9), 2.5 * DAY_MS);
  t.is(at(9, 8, 3, 2, 1, 0), 2.5 * DAY_MS);
  t.is(at(0, 7, 14, 21), 17.5 * DAY_MS);
  // Several backups on few days show no schedule.
  t.is(at(0, 0.1, 0.2, 0.3, 1), 0);
  t.is(at(), 0);
});

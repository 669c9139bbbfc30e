/** Texts of reports: the result of a backup and of a purge, labels of packs, bars, and JSON for a terminal. */
import test from 'ava';
import type { Settled } from '../../src/client/index.js';
import { BackupProgress } from '../../src/pipeline/index.js';
import {
  backupLines,
  jsonText,
  labelText,
  progressBar,
  purgedText,
  setRanges,
  settledLines,
  settledWarning,
} from '../../src/tools/index.js';

const NOTHING: Settled = {
  purged: [],
  early: [],
  young: 0,
  isCautious: false,
  contents: 0,
  packs: 0,
  freedBytes: 0,
  deletedFiles: 0,
  deletedBytes: 0,
  isDone: true,
  isClockInDoubt: false,
};

type BackupResult = Parameters<typeof backupLines>[0];

function resultOf(progress: Partial<BackupProgress>, settled?: Settled): BackupResult {
  return {
    set: 7,
    setName: 'Daily\u001b',
    elapsedMs: 1500,
    progress: Object.assign(new BackupProgress(), progress),
    missing: 0,
    stages: [],
    storedBytes: 1000,
    isRecorded: true,
    wireBytes: 0,
    resentBytes: 0,
    replacedConnections: 0,
    restarts: 0,
    peakInFlightBytes: 0,
    doubts: [],
    settled,
    budgetBytes: 0,
  };
}

test('numbers of sets are printed as ranges, in order, and at most forty of them', (t) => {
  t.is(setRanges([]), '');
  t.is(setRanges([7, 1, 3, 2]), '1-3, 7');
  const odd = Array.from({ length: 60 }, (_, index) => 2 * index + 1);
  t.is(setRanges(odd).split(', ').length, 41);
  t.regex(setRanges(odd), /, 79, …$/);
  t.is(purgedText('me', [1, 2]), '2 backup sets of "me" purged (1-2)');
  t.is(purgedText('me', []), '0 backup sets of "me" purged');
});

test('a purge that deletes nothing gives the reason', (t) => {
  const only = (settled: Partial<Settled>): string[] =>
    settledLines('me', { ...NOTHING, ...settled }, true);
  t.deepEqual(only({}), []);
  t.regex(only({ young: 2 })[0]!, /2 sets that no rule keeps, but younger than LeastAge/);
  t.regex(only({ isCautious: true })[0]!, /without the right `purge`/);
  t.deepEqual(only({ isClockInDoubt: true }), []);
  t.deepEqual(only({ failure: 'the server has stopped' }), []);
  t.deepEqual(settledLines('me', NOTHING, false), []);
  t.is(settledWarning(NOTHING), undefined);
  t.is(settledWarning({ ...NOTHING, failure: 'the server has stopped' }), 'the server has stopped');
  t.regex(settledWarning({ ...NOTHING, isClockInDoubt: true })!, /--trust-clock purges anyway$/);
});

test('sets that were deleted early are named, whether a purge was requested or not', (t) => {
  for (const isRequested of [true, false]) {
    const [first] = settledLines('me', { ...NOTHING, early: [4, 5] }, isRequested);
    t.is(first, 'Space was low: 2 expendable backup sets deleted early (4-5).');
  }
});

test('the report of a backup has a line for each kind of problem, and none without one', (t) => {
  const plain = backupLines(resultOf({ entries: 2, directories: 1 }), 'me', false);
  t.is(plain.length, 2);
  t.is(plain[0], 'Backup set 7 (Daily\\x1b) is complete.');
  t.regex(plain[1]!, /^2 entries in 1 directory, .* in 1\.50 s\.$/);
  const counts = {
    leftOut: 1,
    protected: 2,
    vanished: 3,
    changed: 4,
    inconsistent: 5,
    incomplete: 6,
    unreadable: 7,
  };
  const lines = backupLines(resultOf(counts), 'me', false).slice(2);
  t.deepEqual(
    lines.map((line) => Number.parseInt(line, 10)),
    [1, 2, 3, 4, 5, 6, 7],
  );
  t.regex(
    backupLines(resultOf({ protected: 1 }), 'me', false)[2]!,
    /^1 directory was .*--trust-roots/,
  );
  const more = backupLines(resultOf({ sentBytes: 3 << 20, holeBytes: 1 << 20 }), 'me', false);
  t.regex(more[2]!, /^More was sent than read/);
  t.regex(more[3]!, /of them in holes\.$/);
  const purged = backupLines(resultOf({}, { ...NOTHING, purged: [1] }), 'me', true);
  t.is(purged[2], '1 backup set of "me" purged (1).');
});

test('the label of a strange pack is described by what is known of its client', (t) => {
  const pack = { finding: 'pack', file: 'packs/3', pack: 2, clientId: 'a1', isOwn: false } as const;
  const textOf = (more: object): string => labelText({ ...pack, ...more });
  t.is(textOf({ isOwn: true }), 'contains pack 2 of this client');
  t.is(textOf({ client: 'you' }), 'contains pack 2 of the client "you"');
  t.is(textOf({ clientId: '' }), 'contains pack 2, and its label names no client');
  t.is(textOf({}), 'contains pack 2 of another client (its id is a1)');
});

test('a bar is never fuller than the work, and full if there is none', (t) => {
  t.is(progressBar(0, 10), '[----------] 0 %');
  t.is(progressBar(999, 1000), '[#########-] 99 %');
  t.is(progressBar(20, 10), '[##########] 100 %');
  t.is(progressBar(0, 0), '[##########] 100 %');
});

test('JSON has no character that a terminal obeys, and means the same', (t) => {
  const value = { name: 'a\u009bb\u202ec\u2028\u007f', ok: 'ü' };
  const text = jsonText(value);
  t.notRegex(text, /[\u007f-\u009f\u2028\u202e]/);
  t.true(text.includes('ü'));
  t.deepEqual(JSON.parse(text), { version: 1, ...value });
});

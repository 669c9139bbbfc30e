/** Progress of long work: known amounts, and the remaining time only if it can be estimated. */
import test from 'ava';
import { BackupProgress, PartUnderWay } from '../../src/pipeline/index.js';
import { newRestoreProgress } from '../../src/restore/index.js';
import { BackupLine, RestoreLine, showsColors, TimeLeft } from '../../src/tools/index.js';

const MINUTE_MS = 60_000;

/** Returns a clock that the test sets by hand. */
function clock(): { nowMs: number; readonly read: () => number } {
  const hand = { nowMs: 1000, read: () => hand.nowMs };
  return hand;
}

test('the time that is left follows from what was done, and is shown as a guess', (t) => {
  const hand = clock();
  const left = new TimeLeft(hand.read);
  t.is(left.text(0, 100), '');
  hand.nowMs += 1999;
  t.is(left.text(50, 100), '', 'too early');
  hand.nowMs += 1;
  t.is(left.text(50, 100), ', about 2 s left');
  t.is(left.text(2, 1000), '', 'too little');
  hand.nowMs += 8000;
  t.is(left.text(1, 100), '', 'too little');
  t.is(left.text(50, 100), ', about 10 s left');
  t.is(left.text(10, 100), ', about 2 min left');
  t.is(left.text(25, 100), ', about 30 s left');
  t.is(left.text(95, 100), ', about 1 s left');
  for (const of of [undefined, 0, -5])
    t.is(left.text(50, of), '', 'nobody knows how much there is');
  t.is(left.text(100, 100), '');
  t.is(left.text(120, 100), '', 'there was more than was thought');
  hand.nowMs += 600 * MINUTE_MS;
  t.is(left.text(50, 100), ', about 10 h left');
  t.is(left.text(3, 100), '', 'weeks are no answer');
  left.restart();
  t.is(left.text(50, 100), '', 'other work has begun');
});

test('a first backup shows what is left when the walk is done, a later one while it walks', (t) => {
  const hand = clock();
  const shown = new BackupLine(hand.read);
  t.is(shown.text(), 'starting');
  const first = new BackupProgress();
  shown.begin(first);
  shown.opened({ empty: true, lastEntries: 0 });
  shown.text();
  hand.nowMs += 20_000;
  Object.assign(first, { entries: 1100, directories: 100, scannedBytes: 1_000_000 });
  Object.assign(first, { filesRead: 500, readBytes: 500_000, sentBytes: 9000, durableBytes: 5000 });
  t.is(
    shown.text(),
    'scanned 1,100 entries, 1.0 MB …  read 500 files, 500 kB  sent 9.0 kB  stored 5.0 kB',
  );
  first.isWalkDone = true;
  shown.text();
  hand.nowMs += 20_000;
  t.is(
    shown.text(),
    '[#####-----] 50 %, about 40 s left  read 500 kB of 1.0 MB, sent 9.0 kB, stored 5.0 kB',
  );
  // The walk waits for reading. If the entries were counted ahead, the totals are known earlier.
  first.isWalkDone = false;
  t.notRegex(shown.text(), /%/);
  shown.expect({ files: 1000, bytes: 2_000_000 });
  t.regex(shown.text(), /^\[####------\] 4\d %, about .* left {2}read 500 kB of 2\.0 MB, /);
  // A large file counts while it is sent.
  const part = new PartUnderWay(first);
  part.sent(700_000);
  t.regex(shown.text(), /read 1\.2 MB of 2\.0 MB, sent 709 kB/);
  part.end();
  t.is(first.readingBytes, 0);
  t.regex(shown.text(), /read 1\.2 MB/, 'it does not go back');
  first.holeBytes = 500_000;
  t.regex(shown.text(), /read 1\.2 MB of 1\.5 MB/, 'holes are not read');

  const later = new BackupProgress();
  shown.begin(later);
  t.notRegex(shown.text(), /left/);
  hand.nowMs += 20_000;
  later.entries = 250;
  t.notRegex(shown.text(), /left/, 'the server has not said yet what there was');
  shown.opened({ empty: false, lastEntries: 1000 });
  t.notRegex(shown.text(), /of a second/);
  t.regex(shown.text(), /, about 1 min left$/);
  later.isWalkDone = true;
  t.notRegex(shown.text(), /left/, 'how much of it has changed is not known');
});

test('a restore of a whole set shows what is left, any other does not', (t) => {
  const hand = clock();
  const progress = newRestoreProgress();
  const shown = new RestoreLine(progress, hand.read);
  shown.text();
  hand.nowMs += 10_000;
  Object.assign(progress, { files: 90, directories: 10, bytes: 1_000_000 });
  t.is(shown.text(), 'restored 90 files in 10 directories, 1.0 MB');
  const stats = { entries: 400, scannedBytes: 4_000_000 };
  shown.expect({ state: 'complete', stats });
  shown.text();
  hand.nowMs += 10_000;
  t.is(
    shown.text(),
    '[##--------] 25 %, about 30 s left  restored 90 files in 10 directories, 1.0 MB',
  );
  progress.unchanged = 100;
  t.is(
    shown.text(),
    '[#####-----] 50 %, about 10 s left  restored 90 files in 10 directories, 1.0 MB, 100 unchanged',
  );
  progress.unchanged = 0;
  t.regex(shown.text(), /^\[#####-----\] 50 %/, 'it does not go back');
  shown.expect({ state: 'unfinished', stats });
  hand.nowMs += 10_000;
  t.notRegex(shown.text(), /left|%/, 'how much an unfinished set holds nobody has counted');
});

test('colors are for terminals that know them, and never where NO_COLOR is set', (t) => {
  const terminal = { isTTY: true };
  t.true(showsColors(undefined, terminal, { TERM: 'xterm' }));
  t.true(showsColors(undefined, terminal, { NO_COLOR: '' }), 'empty is as if it were not there');
  t.false(showsColors(undefined, terminal, { NO_COLOR: '1' }));
  t.false(showsColors(undefined, terminal, { NO_COLOR: '0' }), 'whatever it says');
  t.false(showsColors(undefined, terminal, { TERM: 'dumb' }));
  t.false(showsColors(undefined, { isTTY: false }, {}));
  t.false(showsColors(undefined, {}, {}));
  t.false(showsColors(false, terminal, {}));
  t.true(showsColors(true, {}, { NO_COLOR: '1' }), 'an option is asked for by name');
});

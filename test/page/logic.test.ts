/** Tests of the parts of the page that need no browser. */
import test from 'ava';
import { array, assert, property, uint8Array } from 'fast-check';
import {
  aboveRoots,
  changedRow,
  comparison,
  crumbsOf,
  deletedBefore,
  diffRows,
  foundRows,
  hashOf,
  imageType,
  includes,
  joinPath,
  lateSets,
  leftMs,
  MAX_SELECTED,
  msOfNs,
  NOTHING,
  ofOneSet,
  parentOf,
  pathFromText,
  pathOf,
  placeOf,
  rateOf,
  plotOf,
  roundUp,
  rowBeginning,
  rowForKey,
  rowOf,
  rowsInView,
  scrollFor,
  segmentOf,
  shareOf,
  setTimes,
  shownAgo,
  shownBytes,
  shownDuration,
  shownMode,
  shownName,
  spacePoints,
  START,
  startingPath,
  textIn,
  textOf,
  toggled,
  weeksOf,
  withDeleted,
  withPaths,
} from './logic.js';

const DAY_MS = 86_400_000;

function entry(name: string, sizeBytes = 1, type = 'file') {
  return { name, type, sizeBytes, modifiedNs: String(sizeBytes) };
}

test('any bytes become a segment of a path, and come back', (t) => {
  const name = uint8Array({ minLength: 1, maxLength: 40 });
  assert(
    property(name, (bytes) => {
      const buffer = Buffer.from(bytes);
      const segment = segmentOf({ name: '?', nameBytes: buffer.toString('base64') });
      const decoded = segment.replaceAll(/%(..)/g, (_, hex: string) =>
        String.fromCodePoint(Number.parseInt(hex, 16)),
      );
      return Buffer.from(decoded, 'latin1').equals(buffer) && !/[/?#&+]/.test(segment);
    }),
  );
  t.is(segmentOf({ name: 'a b/ж' }), 'a%20b%2F%D0%B6');
  t.is(pathOf('/a b/ж'), '/a%20b/%D0%B6');
  t.is(textOf('/a%20b/%D0%B6/%FF'), '/a b/ж/\ufffd');
  t.is(pathFromText('home//me/./x y/'), '/home/me/x%20y');
});

test('paths have parents, steps and children', (t) => {
  t.is(parentOf('/'), undefined);
  t.is(parentOf('/a'), '/');
  t.is(parentOf('/a/b'), '/a');
  t.is(joinPath('/', 'a'), '/a');
  t.deepEqual(
    crumbsOf('/a/b').map(({ path }) => path),
    ['/', '/a', '/a/b'],
  );
});

test('directories above the roots are made of the roots', (t) => {
  const roots = ['/home/me/docs', '/home/me/pics', '/etc'];
  t.deepEqual(aboveRoots('/', roots), ['etc', 'home']);
  t.deepEqual(aboveRoots('/home', roots), ['me']);
  t.deepEqual(aboveRoots('/home/me', roots), ['docs', 'pics']);
  t.is(aboveRoots('/home/me/docs', roots), undefined);
  t.is(aboveRoots('/etc/deep', roots), undefined);
  t.deepEqual(aboveRoots('/hom', roots), []);
  t.is(aboveRoots('/', ['/']), undefined);
  t.is(startingPath(roots), '/');
  t.is(startingPath(['/home/me']), '/home/me');
  t.is(startingPath(['/home/me/a', '/home/me/b']), '/home/me');
});

test('a place and its address are one, and malformed addresses do no harm', (t) => {
  const place = {
    ...START,
    client: 'a&b',
    set: 12,
    path: '/x%FF/y%20z',
    file: '/x%FF/%23',
    search: '*ж&=#*',
    sort: 'size',
    order: 'desc',
    showsDeleted: true,
    showsChanges: true,
  } as const;
  t.deepEqual(placeOf(hashOf(place)), place);
  t.deepEqual(placeOf(hashOf(START)), START);
  for (const hash of ['', '#', '#/', '#/nowhere?set=x&path=relative&file=%zz&search=%', '#?=&&=']) {
    t.deepEqual(placeOf(hash), START, hash);
  }
});

test('names show no unseen characters', (t) => {
  t.is(shownName('a\nb'), 'a‹U+000A›b');
  t.is(shownName('evil\u202Egnp.exe'), 'evil‹U+202E›gnp.exe');
  t.is(shownName('\u200Bx\uD800'), '‹U+200B›x‹U+D800›');
  t.is(shownName('👩\u200D🚀 ж <b>'), '👩\u200D🚀 ж <b>');
});

test('figures are short', (t) => {
  t.is(shownBytes(0, 'en'), '0 bytes');
  t.is(shownBytes(999, 'de'), '999 Byte');
  t.regex(shownBytes(1500, 'fr'), /^1,5\sko$/);
  t.is(shownBytes(999_960, 'en'), '1.0 MB');
  t.is(shownBytes(123_456_789, 'en'), '123 MB');
  t.is(shownMode(0o750), 'rwxr-x---');
  t.is(msOfNs('1500000000000000000'), 1_500_000_000_000);
  for (const wrong of [undefined, '', 'x', '9'.repeat(40), '9'.repeat(30)]) {
    t.is(msOfNs(wrong), undefined);
  }
  t.is(shownAgo(0, 3 * DAY_MS, 'en'), '3 days ago');
});

test('a month has its days, sets and troubles', (t) => {
  const at = (day: number): number => new Date(2026, 1, day, 12).getTime();
  const sets = [
    { set: 1, state: 'complete', openedAtMs: at(3) },
    { set: 2, state: 'unfinished', openedAtMs: at(3) },
    { set: 3, state: 'complete', openedAtMs: new Date(2026, 2, 3).getTime() },
  ];
  const weeks = weeksOf({ year: 2026, month: 1 }, sets, 1);
  t.true(weeks.every((week) => week.length === 7));
  const days = weeks.flat().filter((day) => day !== undefined);
  t.is(days.length, 28);
  t.is(weeks[0]![6]?.day, 1); // the first of February 2026 is a Sunday
  t.deepEqual(days[2], { day: 3, sets: [1, 2], isTroubled: true });
  t.deepEqual(days[3], { day: 4, sets: [], isTroubled: false });
});

test('a set after an unusual time without one is late', (t) => {
  const daily = [0, 1, 2, 3, 8, 9].map((day, index) => ({
    set: index + 1,
    state: 'complete',
    openedAtMs: day * DAY_MS,
  }));
  t.deepEqual([...lateSets(daily, 2.5 * DAY_MS)], [[5, 5]]);
  t.deepEqual([...lateSets(daily.toReversed(), 2.5 * DAY_MS)], [[5, 5]]);
  t.deepEqual([...lateSets(daily, 0)], []);
});

test('only rows in view are made, and keys stay within the rows', (t) => {
  const view = { scrollPx: 1_700_000, heightPx: 600, rowPx: 34, count: 100_000 };
  const { first, end } = rowsInView(view);
  t.true(first <= 50_000 && end >= 50_018 && end - first < 50);
  t.deepEqual(rowsInView({ ...view, count: 0 }), { first: 0, end: 0 });
  t.is(scrollFor(50_005, view), view.scrollPx);
  t.is(scrollFor(0, view), 0);
  t.is(scrollFor(99_999, view), 100_000 * 34 - 600);
  t.is(rowForKey('End', 0, view), 99_999);
  t.is(rowForKey('ArrowUp', 0, view), 0);
  t.is(rowForKey('PageDown', 0, view), 16);
  t.is(rowForKey('x', 0, view), undefined);
  t.is(rowForKey('constructor', 0, view), undefined);
});

test('a selected directory includes what is below it', (t) => {
  const some = withPaths(NOTHING, ['/a/b', '/c']);
  t.deepEqual([...withPaths(some, ['/a'])], ['/c', '/a']);
  t.true(includes(new Set(['/a']), '/a/b/c'));
  t.false(includes(new Set(['/a']), '/ab'));
  t.deepEqual([...toggled(some, '/c')], ['/a/b']);
});

test('deleted entries come in their places, and wait for the rows before them', (t) => {
  const rows = ['b', 'd'].map((name) => rowOf('/', entry(name)));
  const gone = ['e', 'a', 'c'].map((name) => ({ ...rowOf('/', entry(name)), isDeleted: true }));
  const names = (isWhole: boolean): string =>
    withDeleted(rows, gone, comparison('name', 'asc'), isWhole)
      .map((row) => row?.name)
      .join('');
  t.is(names(true), 'abcde');
  t.is(names(false), 'abcd');
  // Where rows are not loaded yet, nobody knows the place of a deleted one.
  const partly = withDeleted(
    [...rows, undefined, rowOf('/', entry('y'))],
    [...gone, rowOf('/', entry('z'))],
    comparison('name', 'asc'),
    true,
  );
  t.is(partly.map((row) => row?.name ?? '?').join(''), 'abcd?yz');
  t.is(deletedBefore(partly, 3), 2);
  const sized = comparison('size', 'desc');
  t.true(sized(rowOf('/', entry('a', 5)), rowOf('/', entry('b', 3))) < 0);
  t.true(sized(rowOf('/', entry('a', 5)), rowOf('/', entry('b', 9, 'directory'))) < 0);
});

test('a search shows the newest version of each path', (t) => {
  const rows = foundRows([
    { path: '/a', entry: entry('a', 1), firstSet: 1, lastSet: 2, set: 2 },
    { path: '/a', entry: entry('a', 2), firstSet: 3, set: 6 },
    // Set 4 was deleted.
    { path: '/b', entry: entry('b'), firstSet: 1, lastSet: 4, set: 3 },
  ]);
  t.deepEqual(
    rows.map(({ path, inSet, isDeleted }) => [path, inSet, isDeleted]),
    [
      ['/a', 6, false],
      ['/b', 3, true],
    ],
  );
  t.is(rows[0]!.entry?.sizeBytes, 2);
  t.is(rowBeginning(rows, 'B', 0), 1);
  t.is(rowBeginning(rows, 'x', 0), undefined);
});

test('a list of changes shows what is gone in the set before', (t) => {
  const gone = changedRow({ path: '/x/a b', kind: 'gone', before: entry('a b') }, 3);
  t.like(gone, { path: '/x/a%20b', name: 'a b', inSet: 3, isDeleted: true, change: 'gone' });
  const changed = { path: '/x/c', kind: 'changed', before: entry('c', 1), after: entry('c', 2) };
  const row = changedRow(changed as Parameters<typeof changedRow>[0], 3);
  t.like(row, { inSet: undefined, isDeleted: false, entry: { sizeBytes: 2 } });
});

test('what is selected together is of one set', (t) => {
  const rows = [{ inSet: 3 }, { inSet: undefined }, { inSet: 3 }, { inSet: 5 }];
  t.deepEqual(ofOneSet(rows, undefined, 7), { set: 7, rows: [{ inSet: undefined }] });
  t.deepEqual(ofOneSet(rows, 3, 7), { set: 3, rows: [{ inSet: 3 }, { inSet: 3 }] });
  t.deepEqual(ofOneSet(rows.slice(2), undefined, 7), { set: 3, rows: [{ inSet: 3 }] });
  t.deepEqual(ofOneSet([{ inSet: 5 }], 3, 7).rows, []);
});

test('a selection is large, and quick with as many paths as it has', (t) => {
  const paths = Array.from({ length: MAX_SELECTED + 5 }, (_, n) => `/many/n${n}`);
  const all = withPaths(NOTHING, paths);
  t.is(all.size, MAX_SELECTED);
  const before = process.cpuUsage();
  t.is(withPaths(all, paths).size, MAX_SELECTED);
  t.true(process.cpuUsage(before).user < 2_000_000);
});

test('differences of texts have both sides, and hide what is equal', (t) => {
  const equal = Array.from({ length: 20 }, (_, index) => `line ${index}\n`).join('');
  const rows = diffRows(`${equal}old\nend\n`, `${equal}new\nmore\nend\n`)!;
  t.deepEqual(
    rows.map(({ kind }) => kind),
    ['skipped', 'same', 'same', 'same', 'changed', 'new', 'same'],
  );
  t.deepEqual(rows[0], { kind: 'skipped', lines: 17 });
  const [, , , , changed] = rows;
  t.deepEqual(changed, {
    kind: 'changed',
    before: { line: 21, text: 'old' },
    after: { line: 21, text: 'new' },
  });
  t.deepEqual(diffRows('', ''), []);
});

test('contents are shown as what they are', (t) => {
  t.is(imageType('a.PNG'), 'image/png');
  t.is(imageType('a.html'), undefined);
  t.is(imageType('a.constructor'), undefined);
  t.is(textIn(Buffer.from('ж')), 'ж');
  t.is(textIn(Buffer.from('ж').subarray(0, 1)), '');
  t.is(textIn(Buffer.from('\ufeffж\n', 'utf16le')), 'ж\n');
  t.is(textIn(Buffer.from('\ufeffж', 'utf16le').swap16()), 'ж');
  t.is(textIn(Buffer.from([0xff, 0xfe, 0x36, 0x04, 0x41])), 'ж', 'cut in a character');
  t.is(textIn(Buffer.from([0xff, 0xfe, 0x00, 0xdc])), undefined, 'not UTF-16');
  t.is(textIn(Buffer.from('Grüße, naïve\r\n\t', 'latin1')), 'Grüße, naïve\r\n\t');
  t.is(textIn(Buffer.from([0x80])), '€');
  t.is(textIn(Buffer.from([0xff, 0x41, 0x01])), undefined);
  t.is(textIn(Buffer.from([0x41, 0])), undefined);
});

test('a plot stays in its box, with round numbers beside it', (t) => {
  const box = { width: 640, height: 220, left: 64, right: 16, top: 12, bottom: 28 };
  t.is(plotOf([], box), undefined);
  const sets = [9, 4, 1].map((set) => ({ set, openedAtMs: set, stats: { storedBytes: set } }));
  t.deepEqual(
    spacePoints([{ set: 12, openedAtMs: 12, stats: {} }, ...sets]).map(({ bytes }) => bytes),
    [1, 5, 14, 14],
  );
  t.is(roundUp(0), 1);
  t.is(roundUp(2.2), 2.5);
  t.is(roundUp(1000), 1000);
  const bytes = array(uint8Array({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 30 });
  assert(
    property(bytes, (all) => {
      const points = all.map((one, index) => ({
        ms: index * DAY_MS,
        bytes: one.reduce((sum, byte) => sum * 256 + byte, 0),
      }));
      return plotOf(points, box)!.dots.every(
        ({ x, y }) => x >= 64 && x <= 624 && y >= 12 && y <= 192,
      );
    }),
  );
});

test('sets of one minute have seconds, and others none', (t) => {
  const at = (clock: string): number => new Date(`2026-02-03T${clock}`).getTime();
  const sets = ['10:00:01', '10:00:59', '10:01:00'].map((clock, index) => ({
    set: index + 1,
    openedAtMs: at(clock),
  }));
  const clocks = [...setTimes(sets, 'en-GB').values()].map(({ clock }) => clock);
  t.deepEqual(clocks, ['10:00:01', '10:00:59', '10:01']);
});

test('names are sorted as people do, with directories first in both directions', (t) => {
  const rows = [
    entry('b10'),
    entry('B2'),
    entry('zoo', 1, 'directory'),
    entry('a'),
    entry('Zoo 2', 1, 'directory'),
  ].map((one) => rowOf('/', one));
  const sorted = (order: 'asc' | 'desc'): string[] =>
    rows.toSorted(comparison('name', order)).map(({ name }) => name);
  t.deepEqual(sorted('asc'), ['zoo', 'Zoo 2', 'a', 'B2', 'b10']);
  t.deepEqual(sorted('desc'), ['Zoo 2', 'zoo', 'b10', 'B2', 'a']);
});

test('a job has a share, a rate and a time that is left, as far as they are known', (t) => {
  const job = { elapsedMs: 2000, totalBytes: 400, progress: { bytes: 100 } };
  t.is(shareOf(job), 0.25);
  t.is(rateOf(job), 50);
  t.is(leftMs(job), 6000);
  t.is(leftMs({ ...job, progress: { bytes: 500 } }), 0);
  t.is(shareOf({ ...job, totalBytes: undefined }), undefined);
  t.is(leftMs({ ...job, totalBytes: undefined }), undefined);
  t.is(rateOf({ ...job, elapsedMs: 10 }), undefined);
  t.deepEqual(
    [0, 59_000, 59_500, 61_000, 3_600_000, 5_400_000].map((ms) => shownDuration(ms, 'en')),
    ['0 sec', '59 sec', '1 min 0 sec', '1 min 1 sec', '1 hr 0 min', '1 hr 30 min'],
  );
  t.is(shownDuration(61_000, 'de'), '1 Min. 1 Sek.');
});

/** Every case of an existing entry in the place of a restored one. */
import test from 'ava';
import type { HistoryEntry } from '../../src/history/index.js';
import { FailedBefore, type PolicyOptions, RestorePolicy } from '../../src/restore/index.js';
import { encodeRow, type Entry, EntryType, RowFlag } from '../../src/model/index.js';
import { entryOf } from '../helpers/rows.js';

const SECOND = 1_000_000_000n;
const TIME = 1_500_000_000n * SECOND + 123_456_789n;
const SINCE = 1_600_000_000n * SECOND;
const OWN = process.getuid!();

const BASE = entryOf('x', {
  uid: OWN,
  gid: process.getgid!(),
  sizeBytes: 1000,
  mtimeNs: TIME,
  ctimeNs: SINCE + 5n,
  birthTimeNs: 1_400_000_000n * SECOND,
  inode: 7n,
});
const LINK: Partial<Entry> = { type: EntryType.symlink, linkTarget: Buffer.from('to') };
const RESUME = {
  sinceNs: SINCE,
  isBrokenOff: true,
  firstSinceNs: SINCE,
  failed: FailedBefore.none,
  set: 3,
  isSameSet: true,
  isSameBoot: true,
  uid: 0,
  ownUid: 0,
};
const AT = Buffer.from('a/name');
const BORN: Partial<Entry> = { birthTimeNs: SINCE + 1n };

function verdict(
  options: PolicyOptions,
  there: Partial<Entry>,
  wanted: Partial<Entry> = {},
  resume?: Partial<typeof RESUME>,
): string {
  const policy = new RestorePolicy(options, 0);
  if (resume !== undefined) policy.resume = { ...RESUME, ...resume };
  const row = encodeRow({ ...BASE, ...there });
  const found = policy.decide({ ...BASE, ...wanted } as HistoryEntry, row, AT);
  return found.do === 'write' ? `write ${found.how}` : found.do;
}

const [NEW, REPLACE, COMPARE, EITHER] = ['write 0', 'write 1', 'write 2', 'write 3'];
/** Replaced if its content is a beginning of that of the set. */
const GO_ON = 'write 129';
/** Verdict as before, also if bytes of it are zero instead. */
const GO_ON_TORN = 'write 385';

test('the same type, size and time are the same, whatever the mode', (t) => {
  for (const overwrite of [undefined, 'always', 'newer', 'older', 'never'] as const) {
    t.is(verdict({ overwrite }, {}), 'nothing', overwrite);
    t.is(verdict({ overwrite }, LINK, LINK), 'nothing', overwrite);
  }
});

test('what differs is replaced according to the mode', (t) => {
  const newer = { mtimeNs: TIME + 10n * SECOND, sizeBytes: 5 };
  const older = { mtimeNs: TIME - 10n * SECOND, sizeBytes: 5 };
  for (const [overwrite, overNewer, overOlder] of [
    [undefined, 'refuse', 'refuse'],
    ['never', 'keep', 'keep'],
    ['always', REPLACE, REPLACE],
    ['newer', 'keep', REPLACE],
    ['older', REPLACE, 'keep'],
  ] as const) {
    t.is(verdict({ overwrite }, newer), overNewer, `${overwrite} over a newer one`);
    t.is(verdict({ overwrite }, older), overOlder, `${overwrite} over an older one`);
    t.is(verdict({ overwrite }, { ...older, ...LINK }), overOlder, `${overwrite} over a link`);
  }
  t.is(verdict({ overwrite: 'newer' }, { sizeBytes: 5 }), 'keep', 'of equal times none is newer');
  t.is(verdict({ overwrite: 'always' }, { type: EntryType.directory }), 'refuse', 'a directory');
  t.is(verdict({ overwrite: 'always' }, { ...LINK, linkTarget: Buffer.from('no') }, LINK), REPLACE);
  t.is(new RestorePolicy({ overwrite: 'always' }, 0).unseen.do, 'write');
  t.is(NEW, 'write 0');
});

test('other permissions count only if all must be as in the set', (t) => {
  t.is(verdict({}, { permissions: 0o600 }), 'nothing');
  t.is(verdict({ overwrite: 'always' }, { permissions: 0o600 }), REPLACE);
  t.is(verdict({ overwrite: 'always', setPermissions: false }, { permissions: 0o600 }), 'nothing');
});

test('contents are compared on request, or when times show nothing', (t) => {
  t.is(verdict({ compareContents: true }, {}), COMPARE);
  t.is(verdict({ compareContents: true, overwrite: 'always' }, {}), EITHER);
  t.is(verdict({ setTimes: false }, { mtimeNs: TIME + SECOND * 99n }), COMPARE);
  const seconds = { mtimeNs: (TIME / SECOND) * SECOND };
  t.is(verdict({}, seconds), COMPARE, 'a file system that keeps seconds only');
  for (const unit of [1_000_000n, 1000n, 100n]) {
    const kept = (TIME / unit) * unit;
    t.is(verdict({}, { mtimeNs: kept }), COMPARE, `a file system that keeps ${unit} ns`);
    t.is(verdict({}, { mtimeNs: kept + unit }), COMPARE, `one that rounds up to ${unit} ns`);
    t.is(verdict({}, { mtimeNs: kept - unit }), 'refuse', `another time, of ${unit} ns`);
    t.is(verdict({}, { mtimeNs: kept + 2n * unit }), 'refuse');
  }
  t.is(verdict({}, { mtimeNs: TIME + 1n }), 'refuse');
});

test('what a killed run may have left is examined, by its birth and its state', (t) => {
  const closed = { ...BORN, permissions: 0o600, mtimeNs: SINCE + 9n };
  const whole = { ...BORN, mtimeNs: SINCE + 9n };
  const half = { ...closed, sizeBytes: 400 };
  for (const overwrite of [undefined, 'never'] as const) {
    const stays = overwrite === undefined ? 'refuse' : 'keep';
    t.is(verdict({ overwrite }, half, {}, {}), GO_ON, 'half written');
    t.is(verdict({ overwrite }, whole, {}, {}), GO_ON, 'whole, without its time');
    t.is(verdict({ overwrite }, { ...BORN, ...LINK, mtimeNs: SINCE + 9n }, LINK, {}), REPLACE);
    t.is(verdict({ overwrite }, half), stays, 'without a run before');
    t.is(verdict({ overwrite }, { ...half, birthTimeNs: SINCE - 1n }, {}, {}), stays, 'older');
    const elsewhere = { ...BORN, ...LINK, linkTarget: Buffer.from('mine'), mtimeNs: SINCE + 9n };
    t.is(verdict({ overwrite }, elsewhere, LINK, {}), stays, 'a link to another place');
    const fifo = { ...BORN, type: EntryType.fifo, mtimeNs: SINCE + 9n };
    t.is(verdict({ overwrite }, fifo, { type: EntryType.fifo }, {}), REPLACE, 'a fifo');
    t.is(verdict({ overwrite }, { ...half, linkCount: 2 }, {}, {}), stays, 'with another name');
    t.is(verdict({ overwrite }, { ...whole, sizeBytes: 400 }, {}, {}), stays, 'readable but short');
  }
  t.is(verdict({}, BORN, {}, {}), 'nothing', 'a finished one');
  t.is(verdict({}, BORN, {}, { isSameBoot: false }), EITHER, 'finished, but before a power cut');
  t.is(verdict({}, { ...BORN, sizeBytes: 0 }, {}, {}), GO_ON_TORN, 'lost by a failed disk');
  const holes = { ...BORN, flags: RowFlag.sparse };
  t.is(verdict({}, holes, {}, {}), EITHER, 'finished, and perhaps lost');
  t.is(verdict({}, holes), 'nothing', 'without a run before');
  t.is(verdict({}, { ...half, birthTimeNs: 0n, ctimeNs: SINCE + 1n }, {}, {}), GO_ON);
});

test('what a run that came to its end could not make whole gets its metadata again', (t) => {
  const ended = { isBrokenOff: false, failed: FailedBefore.of([AT]) };
  t.is(verdict({}, BORN, {}, ended), 'write 8');
  t.is(verdict({}, { ...LINK, ...BORN }, LINK, ended), REPLACE);
  t.is(verdict({ compareContents: true }, BORN, {}, ended), 'write 10');
  t.is(verdict({}, BORN, {}, { isBrokenOff: false }), 'nothing');
  const others = { isBrokenOff: false, failed: FailedBefore.of([Buffer.from('a/other')]) };
  t.is(verdict({}, BORN, {}, others), 'nothing');
  // The last run left no file half-written, so a file that looks half-written is the user's own.
  const half: Partial<Entry> = {
    ...BORN,
    sizeBytes: 1,
    permissions: 0o600,
    uid: process.geteuid!(),
    mtimeNs: SINCE + 9n,
  };
  t.is(verdict({}, half, {}, ended), 'refuse');
  t.is(verdict({}, half, {}, {}), GO_ON);
});

test('paths that failed are remembered by their bytes, and too many as all', (t) => {
  const odd = Buffer.from([0x61, 0x2f, 0xff, 0xfe]);
  const few = FailedBefore.from(JSON.parse(JSON.stringify(FailedBefore.of([odd]).toJson())));
  t.true(few.has(odd));
  t.false(few.has(AT));
  const many = FailedBefore.of(Array.from({ length: 20_000 }, (_, n) => Buffer.from(String(n))));
  t.true(FailedBefore.from(JSON.parse(JSON.stringify(many.toJson()))).has(AT));
  t.false(FailedBefore.from({ nonsense: 1 }).has(AT));
});

test('what a restore wrote is still so if type, size, time and rights are, also on a file system with coarse times', (t) => {
  const policy = new RestorePolicy({ overwrite: 'always' }, 0);
  const isUntouched = (there: Partial<Entry>, wanted: Partial<Entry> = {}): boolean =>
    policy.isUntouched({ ...BASE, ...wanted } as HistoryEntry, encodeRow({ ...BASE, ...there }));
  t.true(isUntouched({ inode: 8n, linkCount: 3 }));
  t.true(isUntouched({ mtimeNs: TIME - (TIME % 100n) }));
  for (const changed of [
    { sizeBytes: 999 },
    { mtimeNs: TIME + 1n },
    { permissions: 0o600 },
    ...(OWN === 0 ? [{ uid: 1234 }] : []),
    LINK,
  ]) {
    t.false(isUntouched(changed), JSON.stringify(Object.keys(changed)));
  }
  t.true(isUntouched(LINK, LINK));
  t.false(isUntouched({ ...LINK, linkTarget: Buffer.from('elsewhere') }, LINK));
});

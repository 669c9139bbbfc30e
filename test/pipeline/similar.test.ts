/** This machine's memory of similar contents: what it finds, what it forgets, and which files it believes. */
import { createHmac, hkdfSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { SimilarContents } from '../../src/pipeline/index.js';
import { FEATURE_BYTES } from '../../src/system/index.js';
import { sha256 } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';

const ME = 1000;
const BUDGET = 12 << 20;
const KEY = Buffer.alloc(32, 'key');

/** Returns features with these numbers. */
function features(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * FEATURE_BYTES);
  for (const [index, number] of numbers.entries()) {
    bytes.writeUIntLE(number * 0x1234567 + 1, index * FEATURE_BYTES, FEATURE_BYTES);
  }
  return bytes;
}

const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, n) => from + n);

function opened(file: string, key?: Buffer, budget = BUDGET): SimilarContents {
  const memory = new SimilarContents(budget);
  memory.at({ file, key });
  return memory;
}

/** Remembers contents in one set. */
function saved(
  file: string,
  contents: readonly (readonly [string, number, Buffer])[],
  key?: Buffer,
): void {
  const memory = opened(file, key);
  for (const [name, user, own] of contents) memory.keep(user, sha256(name), own);
  if (memory.save().length > 0) throw new Error('the memory was not written');
}

/** Returns the names of the contents that are near to one with these features. */
function near(
  memory: SimilarContents,
  names: readonly string[],
  user: number,
  wanted: Buffer,
): string[] {
  const { near } = memory.compare(user, wanted, undefined);
  return near.map((digest) => names.find((name) => sha256(name).equals(digest)) ?? '?');
}

test('contents are found by two features that they share, of the same user only', (t) => {
  const file = path.join(scratch(t), 'memory');
  saved(file, [
    ['a', ME, features(1, 2, 3, 4)],
    ['b', ME, features(11, 12, 13)],
    ['c', ME + 1, features(1, 2, 3, 4)],
  ]);
  const memory = opened(file);
  const names = ['a', 'b', 'c'];
  t.deepEqual(near(memory, names, ME, features(9, 4, 2, 8)), ['a']);
  t.deepEqual(near(memory, names, ME + 1, features(9, 4, 2, 8)), ['c']);
  t.deepEqual(near(memory, names, ME, features(4, 11)), [], 'one feature is chance');
  t.deepEqual(near(memory, names, ME, features(4, 4, 4)), [], 'and counts once');
  t.deepEqual(near(memory, names, ME + 2, features(1, 2, 3, 4)), []);
  t.is(memory.compare(ME, features(1), sha256('a')).isSharing, true);
  t.is(memory.compare(ME, features(1), sha256('b')).isSharing, false);
  t.is(memory.compare(ME, features(1), sha256('c')).isSharing, undefined, 'of another user');
  t.true(memory.knows(ME, sha256('a')));
  t.false(memory.knows(ME, sha256('c')));
});

test('of those that share about as many the newest comes first, and a set does not find itself', (t) => {
  const file = path.join(scratch(t), 'memory');
  const days = range(0, 6).map((day) => `day ${day}`);
  for (const [day, name] of days.entries()) {
    const before = opened(file);
    before.keep(ME, sha256(name), features(...range(day, 20)));
    const found = near(before, days, ME, features(...range(day, 20)));
    t.is(found[0], days[day - 1], name);
    t.false(found.includes(name));
    t.deepEqual(before.save(), []);
  }
  // A content that is seen again is the newest one.
  saved(file, [['day 1', ME, features(...range(1, 20))]]);
  t.is(near(opened(file), days, ME, features(...range(1, 20)))[0], 'day 1');
});

test('many versions of a large content cost what they change, and the oldest go first', (t) => {
  const file = path.join(scratch(t), 'memory');
  const versions = range(0, 40).map((n) => `version ${n}`);
  for (const [n, name] of versions.entries()) {
    saved(file, [[name, ME, features(...range(0, 1000), ...range(2000 + n, 1))]]);
  }
  const bytes = fs.statSync(file).size;
  t.true(bytes < 5 * 1000 * FEATURE_BYTES, `${bytes}`);
  const memory = opened(file);
  t.is(near(memory, versions, ME, features(...range(0, 1000)))[0], 'version 39');
  const [small, budget] = [path.join(path.dirname(file), 'small'), 4096];
  for (const n of range(0, 30)) {
    const own = opened(small, undefined, budget);
    own.keep(ME, sha256(`${n}`), features(...range(n * 20, 20)));
    t.deepEqual(own.save(), []);
  }
  t.true(fs.statSync(small).size < budget / 2 + 100);
  const left = opened(small, undefined, budget);
  t.false(left.knows(ME, sha256('0')));
  t.true(left.knows(ME, sha256('29')));
  const one = opened(small, undefined, budget);
  for (const n of range(0, 1000))
    one.keep(ME, sha256(`of a set ${n}`), features(...range(n * 20, 20)));
  t.deepEqual(one.save(), []);
  t.true(fs.statSync(small).size < budget / 2 + 100, 'one set is bounded as well');
});

test('a file that is spoilt, of other keys, or not only ours is empty, and named once', (t) => {
  const folder = scratch(t);
  const good = path.join(folder, 'good');
  saved(good, [['a', ME, features(...range(0, 50))]], KEY);
  const bytes = fs.readFileSync(good);
  const written = (name: string, content: Buffer, mode = 0o600): string => {
    fs.writeFileSync(path.join(folder, name), content, { mode });
    fs.chmodSync(path.join(folder, name), mode);
    return path.join(folder, name);
  };
  const flipped = seededRandom(7);
  const wrong: (readonly [string, string, Buffer | undefined])[] = [
    ['other keys', good, Buffer.alloc(32, 'other')],
    ['no keys', good, undefined],
    ['empty', written('empty', Buffer.alloc(0)), KEY],
    ['cut off', written('cut', bytes.subarray(0, -1)), KEY],
    ['longer', written('longer', Buffer.concat([bytes, Buffer.alloc(1)])), KEY],
    ['huge', written('huge', Buffer.alloc(11 << 20)), KEY],
    ['readable', written('readable', bytes, 0o640), KEY],
    ['writable', written('writable', bytes, 0o602), KEY],
    ...range(0, 40).map((n): readonly [string, string, Buffer] => {
      const spoilt = Buffer.from(bytes);
      spoilt[Math.floor(flipped.next() * spoilt.length)]! ^= 1 << Math.floor(flipped.next() * 8);
      return ['a flipped bit', written(`flipped ${n}`, spoilt), KEY];
    }),
  ];
  fs.symlinkSync(good, path.join(folder, 'link'));
  fs.mkdirSync(path.join(folder, 'directory'), { mode: 0o700 });
  if (isRoot) {
    const foreign = written('foreign', bytes);
    fs.chownSync(foreign, 1234, 1234);
    wrong.push(['of another user', foreign, KEY]);
  }
  wrong.push(['a link', path.join(folder, 'link'), KEY]);
  for (const [what, file, key] of wrong) {
    const memory = opened(file, key);
    t.true(memory.isEmpty, what);
    memory.keep(ME, sha256('b'), features(...range(100, 50)));
    const reports = memory.save();
    t.is(reports.length, 1, what);
    t.regex(reports[0]!, /similar contents, .*begins anew/, what);
    t.true(opened(file, key).knows(ME, sha256('b')), 'and it works again');
    if (file === good) fs.writeFileSync(good, bytes);
  }
  const memory = opened(path.join(folder, 'directory'), KEY);
  memory.keep(ME, sha256('b'), features(1, 2));
  t.regex(memory.save().at(-1)!, /is not written: EISDIR \[MEMORY_NOT_WRITTEN\]/);
});

/** Returns a file of a client without keys that has these rows, as docs/inside/formats.md defines it. */
function forged(rows: Buffer): Buffer {
  const salt = Buffer.alloc(32, 'salt');
  const keys = Buffer.from(hkdfSync('sha256', '', salt, 'tardis similar contents 1', 2048 + 32));
  const body = Buffer.concat([Buffer.from('TDSSIML1'), salt, rows]);
  return Buffer.concat([body, createHmac('sha256', keys.subarray(2048)).update(body).digest()]);
}

test('rows whose counts do not fit are no memory, even under a right tag', (t) => {
  const file = path.join(scratch(t), 'memory');
  const row = (count: number, own: Buffer): Buffer => {
    const head = Buffer.concat([sha256('a'), Buffer.alloc(8)]);
    head.writeUInt32LE(ME, 32);
    head.writeUInt32LE(count, 36);
    return Buffer.concat([head, own]);
  };
  const right = row(3, features(1, 2, 3));
  for (const [rows, isKnown] of [
    [right, true],
    [Buffer.concat([right, row(0, features())]), true],
    [row(4, features(1, 2, 3)), false],
    [row(2, features(1, 2, 3)), false],
    [row(0xffffffff, features(1, 2, 3)), false],
    [Buffer.concat([right, right.subarray(0, 39)]), false],
  ] as const) {
    fs.writeFileSync(file, forged(rows), { mode: 0o600 });
    t.is(opened(file).knows(ME, sha256('a')), isKnown);
  }
  // Equal features without end: each is looked up, and only four of a user count.
  const many = Array.from({ length: 20_000 }, () => row(2, features(7, 7)));
  fs.writeFileSync(file, forged(Buffer.concat(many)), { mode: 0o600 });
  const memory = opened(file);
  t.deepEqual(memory.compare(ME, features(7), sha256('a')).near, []);
  memory.keep(ME, sha256('b'), features(8, 9));
  t.deepEqual(memory.save(), []);
});

test('without a place nothing is remembered', (t) => {
  const memory = new SimilarContents(BUDGET);
  t.is(memory.gear, undefined);
  memory.keep(ME, sha256('a'), features(1, 2));
  t.true(memory.isEmpty);
  t.deepEqual(memory.save(), []);
  t.deepEqual(memory.compare(ME, features(1, 2), undefined), { near: [], isSharing: undefined });
});

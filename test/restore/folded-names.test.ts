import test from 'ava';
import { FailedBefore, FoldedNames } from '../../src/restore/index.js';
import { thrownCode } from '../helpers/codes.js';

const bytes = (name: string): Buffer => Buffer.from(name);
const HERE = { path: bytes('/out') };

/** Claims names one after the other; returns the code of the first refusal. */
function claim(names: readonly Buffer[], areOne = true, folded = new FoldedNames()) {
  return thrownCode(() => {
    for (const name of names) folded.claim(HERE, name, () => areOne);
  });
}

test('names that a file system takes for one are refused, the second time', (t) => {
  for (const [one, other] of [
    ['Read.me', 'read.ME'],
    ['\u00e9', 'e\u0301'], // one letter, and a letter with its accent
    ['stra\u00dfe', 'STRASSE'],
    ['\ufb01le', 'file'], // a ligature
  ] as const) {
    t.is(claim([bytes(one), bytes(other)]), 'TARGET_EXISTS', `${one} ${other}`);
    t.is(claim([bytes(one), bytes(other)], false), undefined, 'this file system knows them apart');
    t.is(claim([bytes(one), bytes(one)]), undefined, 'one name may come again');
  }
});

test('names that are not alike are never looked up', (t) => {
  const folded = new FoldedNames();
  for (const name of ['a', 'b', 'a ', '\u00e9', 'e']) {
    t.notThrows(() => folded.claim(HERE, bytes(name), () => t.fail(name)));
  }
});

test('names that are not UTF-8 are compared as bytes', (t) => {
  t.is(claim([Buffer.from([0xff, 0x41]), Buffer.from([0xff, 0x61])]), 'TARGET_EXISTS');
  t.is(claim([Buffer.from([0xff]), Buffer.from([0xfe])]), undefined);
  t.is(
    claim([Buffer.from([0xff]), bytes('\ufffd')]),
    undefined,
    'nor are they what a decoder shows',
  );
});

test('a name of another directory does not matter, unless outputs are shared', (t) => {
  const once = new FoldedNames();
  once.claim(HERE, bytes('a'), () => true);
  t.notThrows(() => once.claim({ path: bytes('/out/b') }, bytes('A'), () => true));
  const shared = new FoldedNames(true);
  shared.claim({ path: bytes('/out') }, bytes('a'), () => true);
  const again = thrownCode(() => shared.claim({ path: bytes('/out') }, bytes('A'), () => true));
  t.is(again, 'TARGET_EXISTS');
});

test('what failed before is written and read back, whatever its bytes are', (t) => {
  const paths = [bytes('a/b'), Buffer.from([0x2f, 0xff, 0x0a]), Buffer.alloc(0)];
  const read = FailedBefore.from(JSON.parse(JSON.stringify(FailedBefore.of(paths).toJson())));
  for (const path of paths) t.true(read.has(path));
  t.false(read.has(bytes('a')));
  t.false(read.isEmpty);
  t.true(FailedBefore.none.isEmpty);
});

test('too many failures make every path one that may have failed', (t) => {
  for (const paths of [
    Array.from({ length: 20_000 }, () => bytes('x')),
    [Buffer.alloc(3 << 20, 'x')],
  ]) {
    const all = FailedBefore.of(paths);
    t.true(all.has(bytes('never seen')));
    t.false(all.isEmpty);
    t.true(FailedBefore.from(all.toJson()).has(bytes('never seen')));
  }
});

test('a journal of anyone cannot name what is no text', (t) => {
  for (const value of [undefined, null, 7, {}, 'some', [], [1, {}, null]]) {
    const read = FailedBefore.from(value);
    t.true(read.isEmpty, JSON.stringify(value));
    t.false(read.has(bytes('x')));
  }
});

import test from 'ava';
import * as fc from 'fast-check';
import {
  checkRows,
  copyRowWithDigest,
  countRows,
  decodeRow,
  DIGEST_BYTES,
  type Entry,
  EntryType,
  encodeRow,
  forEachRow,
  isEntryName,
  MAX_LINK_BYTES,
  MAX_NAME_BYTES,
  ROW_FIXED_BYTES,
  RowFlag,
  RowOffset,
  RowReader,
} from '../../src/model/index.js';
import { thrownCode } from '../helpers/codes.js';
import { anyEntry, anyName, entryOf, rowOf, rowsOf, sha256 } from '../helpers/rows.js';

function code(rows: Uint8Array, sorted = false): string | undefined {
  return thrownCode(() => checkRows(rows, sorted));
}

test('an entry comes back from its row, whatever it holds', (t) => {
  fc.assert(
    fc.property(anyEntry, fc.nat(20), (entry, gap) => {
      const rows = new RowReader(Buffer.concat([Buffer.alloc(gap, 0xaa), encodeRow(entry)]));
      t.deepEqual(decodeRow(rows, gap), entry);
    }),
    { numRuns: 500 },
  );
});

test('a reader finds every field of every row', (t) => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 6 }), (entries) => {
      const rows = new RowReader(rowsOf(...entries));
      t.is(countRows(rows), entries.length);
      let index = 0;
      forEachRow(rows, (at) => {
        const entry = entries[index]!;
        index += 1;
        t.is(rows.type(at), entry.type);
        t.is(rows.flags(at), entry.flags);
        t.is(rows.sizeBytes(at), entry.sizeBytes);
        t.is(rows.mtimeNs(at), entry.mtimeNs);
        t.is(rows.ctimeNs(at), entry.ctimeNs);
        t.is(rows.birthTimeNs(at), entry.birthTimeNs);
        t.is(rows.inode(at), entry.inode);
        t.is(rows.linkCount(at), entry.linkCount);
        t.deepEqual(Buffer.from(rows.name(at)), entry.name);
        t.is(rows.hasDigest(at), entry.digest !== undefined);
        if (entry.digest !== undefined) t.deepEqual(Buffer.from(rows.digest(at)), entry.digest);
        if (entry.linkTarget !== undefined) {
          t.deepEqual(Buffer.from(rows.linkTarget(at)), entry.linkTarget);
        }
        t.deepEqual(Buffer.from(rows.row(at)), encodeRow(entry));
      });
      t.is(index, entries.length);
    }),
  );
});

test('a digest is added to a row, or replaced, and nothing else changes', (t) => {
  fc.assert(
    fc.property(anyEntry, fc.nat(30), fc.nat(30), (entry, from, to) => {
      const file: Entry = { ...entry, type: EntryType.file, linkTarget: undefined };
      const rows = new RowReader(Buffer.concat([Buffer.alloc(from), encodeRow(file)]));
      const target = Buffer.alloc(to + rows.rows.length + DIGEST_BYTES + 5, 0xaa);
      const digest = sha256('the new one');
      const end = copyRowWithDigest(rows, from, digest, target, to);
      const flags = file.flags | RowFlag.hasDigest;
      t.deepEqual(decodeRow(new RowReader(target), to), { ...file, flags, digest });
      t.is(end, to + encodeRow({ ...file, digest }).length);
      t.is(checkRows(target.subarray(to, end), true).rows.length, end - to);
      t.true(target.subarray(0, to).every((byte) => byte === 0xaa));
      t.true(target.subarray(end).every((byte) => byte === 0xaa));
      t.deepEqual(decodeRow(rows, from), file, 'the first row stays');
    }),
  );
});

test('sizes past 4 GiB are exact', (t) => {
  for (const sizeBytes of [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 50 + 3, 2 ** 53 - 1]) {
    t.is(new RowReader(rowOf('x', { sizeBytes })).sizeBytes(0), sizeBytes);
  }
});

// --- rows of unknown origin ----------------------------------------------------------------------

test('honest rows are taken', (t) => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 8 }), (entries) => {
      t.is(code(rowsOf(...entries)), undefined);
      const names = new Map(entries.map((entry) => [entry.name.toString('latin1'), entry]));
      const sorted = [...names.values()].sort((a, b) => Buffer.compare(a.name, b.name));
      t.is(code(rowsOf(...sorted), true), undefined);
    }),
  );
});

test('names that do not rise are refused where order is required', (t) => {
  const [a, b, ab] = ['a', 'b', 'ab'].map((name) => entryOf(name));
  for (const entries of [
    [b!, a!],
    [a!, a!],
    [ab!, a!],
    [a!, b!, ab!],
  ]) {
    t.is(code(rowsOf(...entries), true), 'PROTOCOL_VIOLATION');
    t.is(code(rowsOf(...entries), false), undefined);
  }
  t.is(code(rowsOf(a!, ab!, b!), true), undefined);
  const high = entryOf(Buffer.from([0xff]));
  t.is(code(rowsOf(b!, high), true), undefined, 'bytes are compared without a sign');
  t.is(code(rowsOf(high, b!), true), 'PROTOCOL_VIOLATION');
});

/** Returns a copy of the row with other bytes at an offset. */
function changed(row: Buffer, at: number, ...bytes: readonly number[]): Buffer {
  const copy = Buffer.from(row);
  copy.set(bytes, at);
  return copy;
}

test('each hostile shape is refused', (t) => {
  const file = rowOf('name', { sizeBytes: 5, digest: sha256('x') });
  const plain = rowOf('name');
  const link = rowOf('link', { type: EntryType.symlink, linkTarget: Buffer.from('there') });
  const named = (name: string | Buffer): Buffer => rowOf(name);
  const linkTo = (bytes: number): Buffer =>
    rowOf('l', { type: EntryType.symlink, linkTarget: Buffer.alloc(bytes, 1) });
  for (const row of [file, plain, link, linkTo(MAX_LINK_BYTES)]) t.is(code(row), undefined);
  const shapes: [string, Buffer][] = [
    ['cut in its fixed part', plain.subarray(0, ROW_FIXED_BYTES - 1)],
    ['cut in its name', plain.subarray(0, -1)],
    ['a byte more', Buffer.concat([plain, Buffer.alloc(1)])],
    ['length 0', changed(plain, RowOffset.rowBytes, 0, 0, 0, 0)],
    ['length of the fixed part', changed(plain, RowOffset.rowBytes, ROW_FIXED_BYTES)],
    ['length of 4 GiB', changed(plain, RowOffset.rowBytes, 255, 255, 255, 255)],
    ['a longer name than the row', changed(plain, RowOffset.nameBytes, 5)],
    ['a name of 64 KiB', changed(plain, RowOffset.nameBytes, 255, 255)],
    ['a link’s length without a link', changed(plain, RowOffset.linkBytes, 1)],
    ['type 0', changed(plain, RowOffset.type, 0)],
    ['type 8', changed(plain, RowOffset.type, 8)],
    ['type 255', changed(plain, RowOffset.type, 255)],
    ['a digest that is not there', changed(plain, RowOffset.flags, RowFlag.hasDigest)],
    ['a digest of a directory', changed(file, RowOffset.type, EntryType.directory)],
    ['a digest of a link', changed(file, RowOffset.type, EntryType.symlink)],
    ['a link target of a file', changed(link, RowOffset.type, EntryType.file)],
    ['a link target of a directory', changed(link, RowOffset.type, EntryType.directory)],
    ['a link without a target', changed(plain, RowOffset.type, EntryType.symlink)],
    ['a link target that is too long', linkTo(MAX_LINK_BYTES + 1)],
    ['a size of 2^53', changed(plain, RowOffset.sizeBytes + 6, 0x20)],
    ['a size of 2^64 - 1', changed(plain, RowOffset.sizeBytes, ...Array<number>(8).fill(255))],
    ['no name', named('')],
    ['.', named('.')],
    ['..', named('..')],
    ['a slash', named('a/b')],
    ['a slash at the end', named('a/')],
    ['only a slash', named('/')],
    ['NUL', named('a\0b')],
    ['a name that is too long', named(Buffer.alloc(MAX_NAME_BYTES + 1, 0x61))],
  ];
  for (const [what, row] of shapes) {
    t.is(code(row), 'PROTOCOL_VIOLATION', what);
    t.is(code(Buffer.concat([plain, row])), 'PROTOCOL_VIOLATION', `${what}, second`);
  }
});

test('an unreadable link may be without its target', (t) => {
  t.is(code(rowOf('l', { type: EntryType.symlink, flags: RowFlag.unreadable })), undefined);
});

test('names are bytes, with few exceptions', (t) => {
  fc.assert(fc.property(anyName, (name) => isEntryName(name)));
  for (const name of ['', '.', '..', 'a/b', '/', 'a\0', '\0']) {
    t.false(isEntryName(Buffer.from(name)), JSON.stringify(name));
  }
  for (const name of ['...', '..a', ' ', '\n', '.a', '-rf', '~']) {
    t.true(isEntryName(Buffer.from(name)), JSON.stringify(name));
  }
});

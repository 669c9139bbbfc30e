import test from 'ava';
import * as fc from 'fast-check';
import {
  appendRow,
  attributesOf,
  BytesBuilder,
  checkAttributes,
  checkRows,
  decodeRow,
  EntryType,
  encodeRow,
  exactMtimeNs,
  isSparse,
  joinRow,
  linkTargetOf,
  MAX_ATTRIBUTES_BYTES,
  metadataOf,
  packAttributes,
  readAttributes,
  RowFlag,
  RowOffset,
  RowReader,
  sameAttributes,
  sameMetadata,
  withAttributes,
  sizeIn,
} from '../../src/model/index.js';
import { thrownCode } from '../helpers/codes.js';
import { anyEntry, entryOf, rowOf, sha256 } from '../helpers/rows.js';

const readerOf = (row: Buffer): RowReader => new RowReader(row);
const attribute = (name: string, value = 'v'): { name: Buffer; value: Buffer } => ({
  name: Buffer.from(name),
  value: Buffer.from(value),
});

test('what the catalog keeps of a row makes the row again', (t) => {
  fc.assert(
    fc.property(anyEntry, fc.nat(9), (entry, gap) => {
      // Only device nodes have a device number; metadata of other types does not store it.
      const isDevice =
        entry.type === EntryType.characterDevice || entry.type === EntryType.blockDevice;
      const kept = { ...entry, device: isDevice ? entry.device : 0n };
      const rows = readerOf(Buffer.concat([Buffer.alloc(gap), encodeRow(kept)]));
      const metadata = Buffer.from(metadataOf(rows, gap));
      t.deepEqual(decodeRow(readerOf(joinRow(metadata, kept.name, kept.digest)), 0), kept);
      const appended = new BytesBuilder(gap);
      appendRow(appended, metadata, kept.name, kept.digest);
      t.deepEqual(decodeRow(readerOf(appended.take()), 0), kept);
      t.deepEqual(attributesOf(metadata), kept.attributes);
      t.is(isSparse(metadata), (kept.flags & RowFlag.sparse) !== 0);
      if (kept.linkTarget !== undefined) t.deepEqual(linkTargetOf(metadata), kept.linkTarget);
      t.true(sameMetadata(metadata, rows, gap));
      t.true(sameAttributes(metadata, rows, gap));
    }),
    { numRuns: 500 },
  );
});

test('metadata that ends early makes a row of zeros behind its end', (t) => {
  const whole = Buffer.from(metadataOf(readerOf(rowOf('file')), 0));
  for (let bytes = 1; bytes < whole.length; bytes += 1) {
    const row = joinRow(whole.subarray(0, bytes), Buffer.from('name'), undefined);
    t.is(row.readUInt32LE(0), row.length, `${bytes} bytes`);
  }
});

test('sizes are read exactly, up to the largest that a number represents', (t) => {
  const sizes = [0, 1, 2 ** 32 - 1, 2 ** 32, 5 * 2 ** 32 + 7, Number.MAX_SAFE_INTEGER];
  for (const sizeBytes of sizes) {
    t.is(sizeIn(metadataOf(new RowReader(rowOf('name', { sizeBytes })), 0)), sizeBytes);
  }
});

test('entries without attributes cost nothing for those that have some', (t) => {
  t.is(metadataOf(readerOf(rowOf('plain')), 0).length, RowOffset.device - RowOffset.type);
  const link = rowOf('l', { type: EntryType.symlink, linkTarget: Buffer.from('to') });
  t.is(metadataOf(readerOf(link), 0).length, RowOffset.device - RowOffset.type + 2);
});

test('each field makes a difference but the number of links, the birth time and the flags', (t) => {
  const entry = entryOf('x', { type: EntryType.blockDevice, device: 7n });
  const metadata = metadataOf(readerOf(encodeRow(entry)), 0);
  const differs = (changes: Partial<typeof entry>): boolean =>
    !sameMetadata(metadata, readerOf(encodeRow({ ...entry, ...changes })), 0);
  t.deepEqual(
    [
      { type: EntryType.fifo },
      { permissions: 0o600 },
      { uid: 1 },
      { gid: 1 },
      { sizeBytes: 1 },
      { mtimeNs: 1n },
      { ctimeNs: 1n },
      { inode: 1n },
      { device: 8n },
    ].filter((changes) => !differs(changes)),
    [],
  );
  for (const same of [{ linkCount: 9 }, { birthTimeNs: 9n }, { flags: RowFlag.unsettled }]) {
    t.false(differs(same));
  }
  const linkTo = (to: string): Buffer =>
    rowOf('l', { type: EntryType.symlink, linkTarget: Buffer.from(to) });
  const link = metadataOf(readerOf(linkTo('here')), 0);
  t.true(sameMetadata(link, readerOf(linkTo('here')), 0));
  t.false(sameMetadata(link, readerOf(linkTo('there')), 0));
  const attributed = withAttributes(linkTo('here'), packAttributes([attribute('user.a')]));
  t.true(sameMetadata(link, readerOf(attributed), 0), 'a listing has no attributes yet');
  t.false(sameAttributes(link, readerOf(attributed), 0));
});

test('attributes are added to a row, replaced and taken away', (t) => {
  const digest = sha256('x');
  const row = rowOf('name', { digest, sizeBytes: 3 });
  const [one, two] = [packAttributes([attribute('a')]), packAttributes([attribute('b', '')])];
  const first = withAttributes(row, one);
  t.deepEqual(decodeRow(readerOf(first), 0), {
    ...decodeRow(readerOf(row), 0),
    flags: RowFlag.hasDigest | RowFlag.hasAttributes,
    attributes: one,
  });
  t.deepEqual(decodeRow(readerOf(withAttributes(first, two)), 0).attributes, two);
  t.deepEqual(withAttributes(first, Buffer.alloc(0)), row);
  t.deepEqual(readAttributes(one), [attribute('a')]);
});

test('a time beyond 64 bits of nanoseconds is stored in the attribute without a name', (t) => {
  const value = Buffer.alloc(12);
  value.writeBigInt64LE(-11_644_473_600n, 0); // the year 1601
  value.writeUInt32LE(5, 8);
  const packed = packAttributes([{ name: Buffer.alloc(0), value }, attribute('user.a')]);
  t.is(exactMtimeNs(-(2n ** 63n), packed), -11_644_473_599_999_999_995n);
  t.is(exactMtimeNs(17n, packed), 17n);
  t.is(exactMtimeNs(2n ** 63n - 1n, undefined), 2n ** 63n - 1n);
  t.deepEqual(readAttributes(packed), [attribute('user.a')], 'it is no attribute');
});

test('each hostile shape of attributes is refused', (t) => {
  const time = (bytes: number, nanoseconds: number): Buffer => {
    const value = Buffer.alloc(bytes);
    if (bytes >= 12) value.writeUInt32LE(nanoseconds, 8);
    return packAttributes([{ name: Buffer.alloc(0), value }]);
  };
  const good = packAttributes([attribute('a'), attribute('b')]);
  t.true(checkAttributes(good));
  t.true(checkAttributes(time(12, 999_999_999)));
  const shapes: [string, Buffer][] = [
    ['cut in a head', good.subarray(0, 3)],
    ['cut in a value', good.subarray(0, -1)],
    ['a byte more', Buffer.concat([good, Buffer.alloc(1)])],
    ['not in order', packAttributes([attribute('b'), attribute('a')])],
    ['a name twice', packAttributes([attribute('a'), attribute('a')])],
    ['NUL in a name', packAttributes([attribute('a\0b')])],
    ['a name that is too long', packAttributes([attribute('a'.repeat(256))])],
    ['a time of another length', time(11, 0)],
    ['a time of more than a second of nanoseconds', time(12, 1_000_000_000)],
    ['too much', packAttributes([attribute('a', 'x'.repeat(MAX_ATTRIBUTES_BYTES + 64))])],
  ];
  for (const [what, packed] of shapes) {
    t.false(checkAttributes(packed), what);
    const row = withAttributes(rowOf('x'), packed);
    t.is(
      thrownCode(() => checkRows(row, false)),
      'PROTOCOL_VIOLATION',
      what,
    );
  }
  const claimed = rowOf('x');
  claimed[RowOffset.flags]! |= RowFlag.hasAttributes;
  t.is(
    thrownCode(() => checkRows(claimed, false)),
    'PROTOCOL_VIOLATION',
  );
  const hidden = Buffer.from(withAttributes(rowOf('x'), good));
  hidden[RowOffset.flags]! &= ~RowFlag.hasAttributes;
  t.is(
    thrownCode(() => checkRows(hidden, false)),
    'PROTOCOL_VIOLATION',
  );
});

/** The call that finds the contents of many rows gives what JavaScript finds, and refuses what `checkRows` refuses. */
import test from 'ava';
import * as fc from 'fast-check';
import {
  checkRows,
  DIGEST_BYTES,
  type Entry,
  EntryType,
  forEachRow,
  packAttributes,
  RowFlag,
  type RowReader,
} from '../../src/model/index.js';
import { FRAME_ENTRY_BYTES } from '../../src/store/index.js';
import { RowPlace, UNKNOWN_ID } from '../../src/system/index.js';
import { native } from '../helpers/native.js';
import { anyName, entryOf, rowsOf, sha256 } from '../helpers/rows.js';

const DIGESTS = Array.from({ length: 20 }, (_none, index) => sha256(`content ${index}`));
/** Contents of a frame: all digests but the last five. */
const KNOWN = DIGESTS.slice(0, 15);
const FIRST_ID = 1000;

function memoryOf(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(numbers).buffer);
}

function frameOf(digests: readonly Buffer[]): Buffer {
  const index = Buffer.alloc(digests.length * FRAME_ENTRY_BYTES, 0xee);
  digests.forEach((digest, at) => digest.copy(index, at * FRAME_ENTRY_BYTES));
  return index;
}

/** Returns the numbers of each row; undefined if they are refused. `sections` has pairs of bytes and directory. */
function placesOf(rows: Buffer, sections: readonly number[]): number[] | undefined {
  const ids = memoryOf(KNOWN.map((_digest, index) => FIRST_ID + index));
  const places = native.placeRows(rows, memoryOf(sections), frameOf(KNOWN), ids);
  if (places === undefined) return undefined;
  return [...new Float64Array(places.buffer, places.byteOffset, places.length / 8)];
}

/** Does the same in JavaScript. */
function reference(bytes: Buffer, sections: readonly number[]): number[] | undefined {
  let rows: RowReader;
  try {
    rows = checkRows(bytes, false);
  } catch {
    return undefined;
  }
  const ends = new Map<number, number>();
  const places: number[] = [];
  let from = 0;
  for (let at = 0; at < sections.length; at += 2) {
    for (let row = from; row < from + sections[at]!; row += 1) ends.set(row, sections[at + 1]!);
    from += sections[at]!;
  }
  if (from !== bytes.length) return undefined;
  let isFinal = true;
  forEachRow(rows, (at) => {
    const isWhole = ends.get(at) === ends.get(at + rows.rowBytes(at) - 1);
    const needsContent = rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0;
    if (needsContent !== rows.hasDigest(at) || !isWhole) isFinal = false;
    if ((rows.flags(at) & RowFlag.unreadable) !== 0) isFinal = false;
    const known = KNOWN.findIndex((digest) => rows.hasDigest(at) && digest.equals(rows.digest(at)));
    const content = known < 0 ? UNKNOWN_ID : FIRST_ID + known;
    const child = rows.type(at) === EntryType.directory ? UNKNOWN_ID : 0;
    places.push(ends.get(at)!, rows.hasDigest(at) ? content : 0, child, at);
  });
  return isFinal ? places : undefined;
}

const anyEntry: fc.Arbitrary<Entry> = fc
  .record({
    name: anyName,
    type: fc.integer({ min: 1, max: 7 }),
    digest: fc.constantFrom(undefined, ...DIGESTS),
    hasTail: fc.boolean(),
  })
  .map(({ name, type, digest, hasTail }) => {
    const isFile = type === EntryType.file;
    return entryOf(name, {
      type: type as Entry['type'],
      sizeBytes: isFile && digest !== undefined ? 5 : 0,
      digest: isFile ? digest : undefined,
      linkTarget: type === EntryType.symlink ? Buffer.from('there') : undefined,
      attributes: hasTail
        ? packAttributes([{ name: Buffer.from('user.a'), value: Buffer.from('b') }])
        : undefined,
    });
  });

test('rows get the ids of their contents, and those of directories are left open', (t) => {
  const any = fc.array(fc.array(anyEntry, { maxLength: 6 }), { maxLength: 5 });
  fc.assert(
    fc.property(any, (entries) => {
      const parts = entries.map((section) => rowsOf(...section));
      const sections = parts.flatMap((rows, index) => [rows.length, index + 7]);
      const rows = Buffer.concat(parts);
      const places = placesOf(rows, sections);
      t.not(places, undefined);
      t.deepEqual(places, reference(rows, sections));
      t.is(places!.length, entries.flat().length * RowPlace.numbers);
    }),
  );
});

test('changed bytes are refused as in JavaScript, and never read past the end', (t) => {
  const any = fc.array(anyEntry, { minLength: 1, maxLength: 4 });
  const anyChange = fc.record({ at: fc.nat(), value: fc.nat(255), cut: fc.nat(3) });
  let refused = 0;
  fc.assert(
    fc.property(any, fc.array(anyChange, { minLength: 1, maxLength: 3 }), (entries, changes) => {
      const rows = rowsOf(...entries.map((entry) => ({ ...entry, attributes: undefined })));
      const cut = changes[0]!.cut;
      for (const { at, value } of changes) rows[at % rows.length] = value;
      // In a buffer of exactly its bytes, whatever lies behind them is not part of the test.
      const changed = Buffer.from(Uint8Array.from(rows.subarray(0, rows.length - cut)).buffer);
      const [expected, got] = [
        reference(changed, [changed.length, 3]),
        placesOf(changed, [changed.length, 3]),
      ];
      const hasAttributes = expected === undefined && got !== undefined; // they are not checked
      if (!hasAttributes) t.deepEqual(got, expected);
      if (got === undefined) refused += 1;
    }),
    { numRuns: 2000 },
  );
  t.true(refused > 100);
});

test('sections that cut through rows, or do not end with them, are refused', (t) => {
  const rows = rowsOf(entryOf('a'), entryOf('b'));
  const half = rows.length / 2;
  t.not(placesOf(rows, [half, 1, half, 2]), undefined);
  t.not(placesOf(rows, [half, 1, 0, 5, half, 2]), undefined, 'a directory without rows');
  for (const sections of [
    [],
    [half, 1],
    [half - 1, 1, half + 1, 2],
    [rows.length + 1, 1],
    [half, 1, half + 1, 2],
  ]) {
    t.is(placesOf(rows, sections), undefined, sections.join());
  }
  for (const bytes of [-1, NaN, Infinity, 1e300]) t.is(placesOf(rows, [bytes, 1]), undefined);
  t.is(placesOf(rows, [half + 0.5, 1, half - 0.5, 2]), undefined);
});

test('a row that is not final is refused', (t) => {
  const refused: Partial<Entry>[] = [
    { sizeBytes: 3 },
    { digest: DIGESTS[0] },
    { flags: RowFlag.unreadable },
    { name: Buffer.from('..') },
    { name: Buffer.from('a/b') },
    { name: Buffer.alloc(4097, 0x61) },
    { linkTarget: Buffer.from('x') },
    { type: EntryType.symlink },
  ];
  for (const change of refused) {
    const rows = rowsOf(entryOf('a', change));
    t.is(placesOf(rows, [rows.length, 1]), undefined, JSON.stringify(Object.keys(change)));
  }
});

test('lists that do not belong together throw', (t) => {
  const rows = rowsOf(entryOf('a'));
  const none = Buffer.alloc(0);
  const sections = memoryOf([rows.length, 1]);
  const index = frameOf(KNOWN);
  for (const [entries, ids] of [
    [index, none],
    [none, memoryOf([1])],
    [index.subarray(1), memoryOf(KNOWN.map(() => 1))],
    [index.subarray(DIGEST_BYTES), memoryOf([1])],
  ] as const) {
    t.throws(() => native.placeRows(rows, sections, entries, ids), { code: 'EINVAL' });
  }
  t.throws(() => native.placeRows(rows, sections.subarray(1), none, none), { code: 'EINVAL' });
  t.throws(() => native.placeRows('rows' as never, sections, none, none), { code: 'EINVAL' });
});

test('many contents with equal beginnings are told apart', (t) => {
  const digests = Array.from({ length: 3000 }, (_none, index) => {
    const digest = Buffer.alloc(DIGEST_BYTES, 7);
    digest.writeUInt32BE(index, DIGEST_BYTES - 4);
    return digest;
  });
  const rows = rowsOf(...digests.map((digest, at) => entryOf(`${at}`, { digest, sizeBytes: 1 })));
  const ids = memoryOf(digests.map((_digest, index) => index + 1));
  const placed = native.placeRows(rows, memoryOf([rows.length, 1]), frameOf(digests), ids)!;
  const places = new Float64Array(placed.buffer, placed.byteOffset, placed.length / 8);
  const found = digests.map((_digest, at) => places[at * RowPlace.numbers + RowPlace.content]);
  t.deepEqual(
    found,
    digests.map((_digest, index) => index + 1),
  );
});

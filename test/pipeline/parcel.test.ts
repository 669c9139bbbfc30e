import test from 'ava';
import * as fc from 'fast-check';
import { type Entry, EntryType, IDENTITY_BYTES, RowReader } from '../../src/model/index.js';
import {
  type LargeFile,
  type Parcel,
  ParcelCutter,
  type ParcelLimits,
} from '../../src/pipeline/index.js';
import { Wanted } from '../../src/transport/index.js';
import { runOf } from '../../src/workers/index.js';
import { entriesOf, entryOf, rowsOf } from '../helpers/rows.js';

interface Directory {
  readonly slot: number;
  readonly entries: readonly Entry[];
  readonly wanted?: readonly number[];
}

const LIMITS: ParcelLimits = { parcelFiles: 4, parcelBytes: 100, largeBytes: 80 };

function cut(directories: readonly Directory[], limits = LIMITS) {
  const cutter = new ParcelCutter(limits);
  const parcels: Parcel[] = [];
  const larges: LargeFile[] = [];
  for (const { slot, entries, wanted } of directories) {
    const rows = new RowReader(rowsOf(...entries));
    const path = Buffer.from(`/path/${slot}`);
    const directory = Buffer.alloc(IDENTITY_BYTES, slot);
    const range = { from: 0, to: rows.rows.length };
    const selected = wanted && Uint8Array.from(wanted);
    for (const work of cutter.add({ slot, path, directory, rows, ...range, wanted: selected })) {
      if ('parcel' in work) parcels.push(work.parcel);
      else larges.push(work.large);
    }
  }
  const rest = cutter.flush();
  if (rest !== undefined) parcels.push(rest);
  if (cutter.flush() !== undefined) throw new Error('there was still something left');
  return { parcels, larges };
}

/** Returns `slot/name` of each row, in order. Throws if the paths are not those of the slots. */
function namesOf({ input, slots }: Parcel): string[] {
  if (slots.join() !== input.slots.join()) throw new Error('the slots differ');
  return slots.flatMap((slot, section) => {
    const path = runOf(input.paths, input.pathEnds, section).toString();
    if (path !== `/path/${slot}`) throw new Error(`${path} is not that of slot ${slot}`);
    const rows = runOf(input.rows, input.rowEnds, section);
    return entriesOf(rows).map(({ name }) => `${slot}/${name.toString()}`);
  });
}

const file = (name: string, sizeBytes: number): Entry => entryOf(name, { sizeBytes });

test('a parcel ends with its files, or its bytes', (t) => {
  const many = ['a', 'b', 'c', 'd', 'e'].map((name) => file(name, 1));
  t.deepEqual(cut([{ slot: 1, entries: many }]).parcels.map(namesOf), [
    ['1/a', '1/b', '1/c', '1/d'],
    ['1/e'],
  ]);
  const heavy = [file('a', 60), file('b', 40), file('c', 1), file('d', 80), file('e', 21)];
  t.deepEqual(cut([{ slot: 1, entries: heavy }]).parcels.map(namesOf), [
    ['1/a', '1/b'],
    ['1/c', '1/d'],
    ['1/e'],
  ]);
});

test('directories share parcels, and one may be in several', (t) => {
  const { parcels } = cut([
    { slot: 7, entries: [file('a', 1), file('b', 1), file('c', 1)] },
    { slot: 8, entries: [] },
    { slot: 9, entries: [file('a', 1), file('b', 1), file('c', 1)] },
  ]);
  t.deepEqual(parcels.map(namesOf), [
    ['7/a', '7/b', '7/c', '9/a'],
    ['9/b', '9/c'],
  ]);
  t.deepEqual(
    parcels.map(({ slots }) => slots),
    [[7, 9], [9]],
  );
});

test('entries without contents cost neither files nor bytes, but do not gather without end', (t) => {
  const empties = Array.from({ length: 5000 }, (_, index) =>
    index % 2 === 0
      ? entryOf(`${index}`)
      : entryOf(`${index}`, { type: EntryType.directory, sizeBytes: 4096 }),
  );
  const { parcels, larges } = cut([{ slot: 1, entries: empties }]);
  t.deepEqual(larges, []);
  t.true(parcels.length >= 2);
  for (const { files, input } of parcels) t.deepEqual([files, input.contentBytes], [0, 0]);
  t.is(parcels.flatMap(namesOf).length, 5000);
});

test('paths of directories do not gather without end', (t) => {
  const cutter = new ParcelCutter({ parcelFiles: 1000, parcelBytes: 1 << 20, largeBytes: 80 });
  const rows = new RowReader(rowsOf(file('a', 1)));
  const long = (slot: number): Buffer => Buffer.alloc(300_000, slot);
  const parcels: Parcel[] = [];
  for (let slot = 1; slot <= 10; slot += 1) {
    const directory = Buffer.alloc(IDENTITY_BYTES);
    const range = { from: 0, to: rows.rows.length, wanted: undefined };
    for (const work of cutter.add({ slot, path: long(slot), directory, rows, ...range })) {
      if ('parcel' in work) parcels.push(work.parcel);
    }
  }
  parcels.push(cutter.flush()!);
  t.deepEqual(
    parcels.map(({ slots }) => slots),
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10],
    ],
  );
  for (const { input, heldBytes } of parcels) t.is(heldBytes, input.paths.length);
});

test('large files travel alone, hashed first where that is requested', (t) => {
  const { parcels, larges } = cut([
    {
      slot: 3,
      entries: [file('a', 80), file('b', 81), file('c', 2 ** 40), file('d', 1), file('e', 500)],
      wanted: [Wanted.hashFirst, Wanted.yes, Wanted.hashFirst, Wanted.yes, Wanted.no],
    },
  ]);
  t.deepEqual(parcels.map(namesOf), [['3/a', '3/d']]);
  t.deepEqual(
    larges.map(({ slot, directoryPath, directory, row, sizeBytes, hashFirst }) => [
      slot,
      directory[0],
      directoryPath.toString(),
      entriesOf(row)[0]!.name.toString(),
      sizeBytes,
      hashFirst,
    ]),
    [
      [3, 3, '/path/3', 'b', 81, false],
      [3, 3, '/path/3', 'c', 2 ** 40, true],
    ],
  );
});

test('a cutter knows which directory it still holds something of', (t) => {
  const cutter = new ParcelCutter(LIMITS);
  const add = (slot: number, ...entries: Entry[]): number => {
    const rows = new RowReader(rowsOf(...entries));
    const place = { slot, path: Buffer.from('/'), directory: Buffer.alloc(IDENTITY_BYTES) };
    const selection = { ...place, rows, from: 0, to: rows.rows.length };
    const work = [...cutter.add({ ...selection, wanted: undefined })];
    return work.filter((one) => 'parcel' in one).length;
  };
  t.false(cutter.isHolding(1));
  t.is(add(1, file('a', 1)), 0);
  t.true(cutter.isHolding(1));
  add(2, file('large', 1000));
  t.false(cutter.isHolding(2), 'a large file does not wait');
  t.is(add(3, file('b', 80), file('c', 80)), 1);
  t.true(cutter.isHolding(3));
  cutter.flush();
  t.false(cutter.isHolding(3));
});

test('every wanted row comes out once, in its order, within the limits', (t) => {
  const anyEntry = fc.record({
    type: fc.constantFrom(EntryType.file, EntryType.file, EntryType.file, EntryType.directory),
    sizeBytes: fc.oneof(fc.nat(30), fc.nat(200)),
    wanted: fc.constantFrom(Wanted.no, Wanted.yes, Wanted.yes, Wanted.hashFirst),
  });
  const anyDirectory = fc.record({
    entries: fc.array(anyEntry, { maxLength: 20 }),
    isAll: fc.boolean(),
  });
  const anyLimits = fc.record({
    parcelFiles: fc.integer({ min: 1, max: 8 }),
    parcelBytes: fc.integer({ min: 1, max: 300 }),
    largeBytes: fc.integer({ min: 1, max: 150 }),
  });
  fc.assert(
    fc.property(fc.array(anyDirectory, { maxLength: 12 }), anyLimits, (specs, limits) => {
      const directories = specs.map(({ entries, isAll }, slot) => ({
        slot,
        entries: entries.map(({ type, sizeBytes }, index) =>
          entryOf(`${index}`.padStart(3, '0'), { type, sizeBytes }),
        ),
        wanted: isAll ? undefined : entries.map(({ wanted }) => wanted),
      }));
      const { parcels, larges } = cut(directories, limits);
      const isLarge = ({ type, sizeBytes }: Entry): boolean =>
        type === EntryType.file && sizeBytes > limits.largeBytes;
      const wanted = directories.flatMap(({ slot, entries, wanted: requests }) =>
        entries
          .filter((_entry, index) => (requests?.[index] ?? Wanted.yes) !== Wanted.no)
          .map((entry) => ({ key: `${slot}/${entry.name.toString()}`, isLarge: isLarge(entry) })),
      );
      const keys = (large: boolean): string[] =>
        wanted.filter((one) => one.isLarge === large).map(({ key }) => key);
      t.deepEqual(parcels.flatMap(namesOf), keys(false));
      t.deepEqual(
        larges.map(({ slot, row }) => `${slot}/${entriesOf(row)[0]!.name.toString()}`),
        keys(true),
      );
      for (const { files, input } of parcels) {
        const sizes = entriesOf(input.rows)
          .filter(({ type, sizeBytes }) => type === EntryType.file && sizeBytes > 0)
          .map(({ sizeBytes }) => sizeBytes);
        t.is(files, sizes.length);
        t.true(files <= limits.parcelFiles);
        t.is(
          input.contentBytes,
          sizes.reduce((sum, size) => sum + size, 0),
        );
        t.true(input.contentBytes <= limits.parcelBytes || files === 1);
        t.is(input.rowEnds.at(-1), input.rows.length);
        t.is(input.pathEnds.at(-1), input.paths.length);
      }
    }),
    { numRuns: 300 },
  );
});

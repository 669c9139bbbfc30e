// Pace: slow
/** Packed pages that the addon opens, beside a reference in plain Node: sound ones, and hostile ones. */
import test from 'ava';
import * as fc from 'fast-check';
import { SealSum, TreeSealer } from '../../src/crypto/index.js';
import { systemCode } from '../../src/errors/index.js';
import { type Entry, EntryType, metadataOf, RowFlag, RowReader } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { ReferenceSealer, type SealKeys } from '../helpers/opened-page-reference.js';
import { type Choose, chooser } from '../helpers/random-tree.js';
import { anyEntry, rowsOf } from '../helpers/rows.js';

const { native } = nodeSystem();
const PLACE = Buffer.alloc(16, 0x11);
const SOUND_RUNS = 300;
const HOSTILE_RUNS = 6000;

function keysFrom(byte: number): { names: Buffer; keys: SealKeys } {
  const key = (offset: number, bytes = 32): Buffer =>
    Buffer.from(Array.from({ length: bytes }, (_, at) => (byte * 31 + offset * 7 + at) & 0xff));
  const [places, listings, proofs, sets] = [key(3), key(4), key(5), key(6)];
  return { names: key(1, 64), keys: { entries: key(2, 64), places, listings, proofs, sets } };
}

const OWN = keysFrom(1);
const tree = new TreeSealer(native, OWN.names, OWN.keys);
const reference = new ReferenceSealer(OWN.names, OWN.keys);

/** An entry of a page. */
interface Row {
  name: Buffer;
  metadata: Buffer;
  childId: string;
  contentId: string;
}

/** Seals entries, and adds their seals to `sum`. */
function sealed(entries: readonly Entry[], sum: SealSum): Row[] {
  const reader = new RowReader(tree.rows(rowsOf(...entries), entries.length, sum));
  let at = 0;
  return entries.map(({ type, digest }, index) => {
    const name = Buffer.from(reader.name(at));
    const metadata = Buffer.from(metadataOf(reader, at));
    at += reader.rowBytes(at);
    const childId = type === EntryType.directory ? `${index + 5}` : '';
    return { name, metadata, childId, contentId: digest === undefined ? '' : `${index + 9}` };
  });
}

/** Returns rows as the catalog packs them, at the end of their memory. */
function pageOf(rows: readonly Row[], head = `${rows.length},${rows.length};`): Buffer {
  const parts = rows.flatMap(({ name, metadata, childId, contentId }) => [
    Buffer.from(`${name.length},${metadata.length},${childId},${contentId};`),
    name,
    metadata,
  ]);
  return Buffer.from(new Uint8Array(Buffer.concat([Buffer.from(head), ...parts])).buffer);
}

/** Only devices have a device number in the catalog. */
function stored(entry: Entry): Entry {
  const { characterDevice, blockDevice } = EntryType;
  const isDevice = entry.type === characterDevice || entry.type === blockDevice;
  return isDevice ? entry : { ...entry, device: 0n };
}

const usualEntry = anyEntry.map((entry): Entry => {
  const flags = entry.flags & ~(RowFlag.hasAttributes | RowFlag.sparse);
  return stored({ ...entry, attributes: undefined, flags });
});
const usualEntries = fc.uniqueArray(usualEntry, {
  maxLength: 12,
  selector: ({ name }) => name.toString('latin1'),
});

/** Opens a page in both ways, which must agree; returns it, and the seal of a listing with these entries. */
function open(
  t: { deepEqual(one: unknown, other: unknown): unknown },
  page: Buffer,
  { sealer = tree, sorts = true } = {},
) {
  const [sum, wantedSum] = [new SealSum(), new SealSum()];
  const range = { value: page, from: 0, bytes: page.length };
  const opened = sealer.openListing(range, PLACE, sum, sorts);
  const wanted = sealer === tree ? reference.openListing(page, PLACE, wantedSum, sorts) : undefined;
  t.deepEqual(opened?.page, wanted?.page);
  t.deepEqual(opened?.children, wanted?.children);
  if (opened === undefined) return undefined;
  t.deepEqual(sum.bytes, wantedSum.bytes);
  t.deepEqual(opened.count, wanted!.count);
  return { ...opened, seal: tree.listing(sum) };
}

test('sound pages are opened as the reference opens them, sorted by their names', (t) => {
  fc.assert(
    fc.property(usualEntries, (entries) => {
      const sum = new SealSum();
      const rows = sealed(entries, sum);
      const opened = open(t, pageOf(rows));
      t.is(opened?.count, entries.length);
      t.deepEqual(opened!.seal, reference.listing(sum));
      const names = entries.map(({ name }) => name).sort(Buffer.compare);
      let at = 0;
      for (const name of names) {
        at = opened!.page.indexOf(name, at);
        t.true(at >= 0);
      }
      t.is(
        opened!.children.length,
        entries.filter(({ type }) => type === EntryType.directory).length,
      );
    }),
    { numRuns: SOUND_RUNS },
  );
});

test('without sorting, entries keep their order, and the page says so', (t) => {
  fc.assert(
    fc.property(usualEntries, (entries) => {
      const rows = sealed(entries, new SealSum());
      const opened = open(t, pageOf(rows), { sorts: false });
      let at = opened!.page.indexOf(':');
      t.is(opened!.page.toString('latin1', 0, at), `${entries.length},${entries.length}`);
      for (const { name } of entries) {
        at = opened!.page.indexOf(name, at + 1);
        t.true(at > 0);
      }
    }),
    { numRuns: SOUND_RUNS },
  );
});

test('a page with an entry that is sparse or has attributes is not opened', (t) => {
  fc.assert(
    fc.property(usualEntries, anyEntry, (entries, last) => {
      const isUsual = last.attributes === undefined && (last.flags & RowFlag.sparse) === 0;
      const others = entries.filter(({ name }) => !name.equals(last.name));
      const opened = open(t, pageOf(sealed([...others, stored(last)], new SealSum())));
      t.is(opened !== undefined, isUsual);
    }),
    { numRuns: SOUND_RUNS },
  );
});

test('other keys open nothing', (t) => {
  fc.assert(
    fc.property(usualEntries, (entries) => {
      const page = pageOf(sealed(entries, new SealSum()));
      const other = keysFrom(2);
      const isEmpty = entries.length === 0;
      const range = { value: page, from: 0, bytes: page.length };
      for (const [names, keys] of [
        [other.names, OWN.keys],
        [OWN.names, { ...OWN.keys, entries: other.keys.entries }],
      ] as const) {
        const opened = new TreeSealer(native, names, keys).openListing(range, PLACE, new SealSum());
        t.is(opened !== undefined, isEmpty);
      }
    }),
    { numRuns: SOUND_RUNS },
  );
});

/** Changes of rows, as a store could make them. All leave a page whose form is sound. */
const CHANGES: readonly ((rows: Row[], choose: Choose) => void)[] = [
  (rows, choose) => rows.splice(choose(rows.length), 1),
  (rows, choose) => rows.push({ ...rows[choose(rows.length)]! }),
  (rows, choose) => swap(rows, choose, 'name'),
  (rows, choose) => swap(rows, choose, 'metadata'),
  (rows, choose) => swap(rows, choose, 'childId'),
  (rows, choose) => swap(rows, choose, 'contentId'),
  (rows, choose) =>
    (rows[choose(rows.length)]!.childId = ['', '0', '7', '00', `${2 ** 53}`][choose(5)]!),
  (rows, choose) =>
    (rows[choose(rows.length)]!.contentId = ['', '0', '7', '-1', '1.5'][choose(5)]!),
  (rows, choose) => flip(rows[choose(rows.length)]!.name, choose),
  (rows, choose) => flip(rows[choose(rows.length)]!.metadata, choose),
  (rows, choose) => {
    const row = rows[choose(rows.length)]!;
    row.metadata = row.metadata.subarray(0, choose(row.metadata.length));
  },
  (rows, choose) => {
    const row = rows[choose(rows.length)]!;
    row.metadata = Buffer.concat([row.metadata, Buffer.alloc(1 + choose(60), choose(256))]);
  },
];

function swap(rows: Row[], choose: Choose, field: keyof Row): void {
  const [one, other] = [choose(rows.length), choose(rows.length)];
  const [first, second] = [{ ...rows[one]! }, { ...rows[other]! }];
  rows[one] = { ...rows[one]!, [field]: second[field] };
  rows[other] = { ...rows[other]!, [field]: first[field] };
}

function flip(bytes: Buffer, choose: Choose): void {
  if (bytes.length > 0) bytes[choose(bytes.length)]! ^= 1 << choose(8);
}

const KINDS = [EntryType.file, EntryType.directory, EntryType.symlink, EntryType.blockDevice];

function someEntries(choose: Choose): Entry[] {
  return Array.from({ length: 1 + choose(5) }, (_, index) => {
    const [entry] = fc.sample(usualEntry, { numRuns: 1, seed: choose(2 ** 30) });
    const type = KINDS[choose(KINDS.length)]!;
    const isFile = type === EntryType.file;
    const digest = isFile && choose(2) === 0 ? Buffer.alloc(32, index) : undefined;
    return stored({
      ...entry!,
      name: Buffer.from(`name ${index}`),
      type,
      flags: digest === undefined ? 0 : RowFlag.hasDigest,
      digest,
      linkTarget: type === EntryType.symlink ? Buffer.from('target/./x') : undefined,
    });
  });
}

test('changed pages get the verdict of the reference, and never the seal of the listing', (t) => {
  const choose = chooser(17);
  let [refused, others] = [0, 0];
  for (let round = 0; round < HOSTILE_RUNS / 4; round += 1) {
    const sum = new SealSum();
    const rows = sealed(someEntries(choose), sum);
    const before = pageOf(rows);
    CHANGES[round % CHANGES.length]!(rows, choose);
    const page = pageOf(rows);
    const opened = open(t, page);
    if (opened === undefined) refused += 1;
    // Ids of contents and directories are the store's own; all else is what the seal covers.
    const bare = (bytes: Buffer): string => bytes.toString('latin1').replaceAll(/,\d*,\d*;/g, ';');
    if (opened === undefined || bare(page) === bare(before)) continue;
    others += 1;
    const isFlagOrSame = opened.seal.equals(reference.listing(sum));
    if (isFlagOrSame) t.true(isUncovered(before, page));
  }
  t.true(refused > 300 && others > 100, `${refused} ${others}`);
});

/** True if two pages differ in one byte at most, as of the flags and other fields that a seal does not cover. */
function isUncovered(before: Buffer, after: Buffer): boolean {
  if (before.length !== after.length) return false;
  return before.filter((byte, at) => byte !== after[at]).length <= 1;
}

test('pages that are damaged in any way get the verdict of the reference', (t) => {
  const choose = chooser(18);
  const sound = pageOf(sealed(someEntries(choose), new SealSum()));
  let refused = 0;
  for (let round = 0; round < HOSTILE_RUNS; round += 1) {
    const cut = choose(3) === 0 ? choose(sound.length) : undefined;
    const page = Buffer.from(new Uint8Array(sound.subarray(0, cut)).buffer);
    for (let change = choose(3); change >= 0 && page.length > 0; change -= 1) {
      const digits = Buffer.from('0123456789,;-');
      const byte = choose(2) === 0 ? digits[choose(digits.length)]! : choose(256);
      page[choose(choose(2) === 0 ? Math.min(24, page.length) : page.length)] = byte;
    }
    if (open(t, page) === undefined) refused += 1;
  }
  t.true(refused > HOSTILE_RUNS / 2 && refused < HOSTILE_RUNS, `${refused}`);
  for (const head of [
    '',
    '1',
    '1,1',
    '9007199254740993,9007199254740993;',
    '4000000000,4000000000;',
  ]) {
    t.is(open(t, Buffer.from(head)), undefined, head);
  }
});

test('buffers that are too short are refused', (t) => {
  const { names, keys } = OWN;
  const page = pageOf([]);
  const call = (change: Readonly<Record<number, unknown>> = {}): string | undefined => {
    const args: unknown[] = [
      names,
      keys.entries,
      keys.places,
      PLACE,
      page,
      0,
      page.length,
      Buffer.alloc(32),
      true,
    ];
    for (const [index, value] of Object.entries(change)) args[Number(index)] = value;
    try {
      (native.openListing as (...given: unknown[]) => unknown)(...args);
      return undefined;
    } catch (error) {
      return systemCode(error);
    }
  };
  t.is(call(), undefined);
  const short = [Buffer.alloc(63), Buffer.alloc(63), Buffer.alloc(31), Buffer.alloc(15)];
  short.forEach((key, index) => t.is(call({ [index]: key }), 'EINVAL', `${index}`));
  t.is(call({ 5: 1 }), 'EINVAL');
  t.is(call({ 6: page.length + 1 }), 'EINVAL');
  t.is(call({ 5: 2 ** 40, 6: 0 }), 'EINVAL');
  t.is(call({ 7: Buffer.alloc(31) }), 'EINVAL');
  t.is(call({ 8: undefined }), 'EINVAL');
});

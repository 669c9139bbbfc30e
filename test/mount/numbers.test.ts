/** Node ids, attributes and the table of directories: the numbers that the kernel gets. */
import test from 'ava';
import type { HistoryEntry } from '../../src/history/index.js';
import { EntryType, packAttributes, RowFlag } from '../../src/model/index.js';
import { DirectoryTable, nodeHigh, nodeLow, packPage, placeOfNode } from '../../src/mount/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { historyEntryOf } from '../helpers/rows.js';

/** Offset of the attributes in a struct fuse_entry_out. */
const ATTRIBUTES_AT = 40;
/** Size of metadata besides a link's target and attributes. */
const METADATA_BYTES = 56;

const entryWith = (changes: Partial<HistoryEntry>): HistoryEntry =>
  historyEntryOf('a', { uid: 1, gid: 2, ...changes });

/** Returns the attributes of an entry as a page shows them. */
function attributeBytes(entry: HistoryEntry, storedBytes?: number): Buffer {
  const inode = { set: 1, directory: 1, bytes: undefined };
  const shown = { entry, inode, nodeLow: 1, nodeHigh: 0, storedBytes };
  const page = { entries: [shown], first: 1 };
  return packPage(nodeSystem().native, page, [inode, inode], 1)
    .plus()
    .packed.subarray(ATTRIBUTES_AT);
}

function timeIn(bytes: Buffer, secondsAt: number, restAt: number): bigint {
  return bytes.readBigInt64LE(secondsAt) * 1_000_000_000n + BigInt(bytes.readUInt32LE(restAt));
}

test('times are shown to the nanosecond, before 1970 and far in the future too', (t) => {
  const times = [0n, 1n, 999_999_999n, 1_500_000_000_123_456_789n, 2n ** 32n - 1n, 2n ** 32n];
  times.push(2n ** 48n + 12_345n, 2n ** 62n + 987_654_321n, 2n ** 63n - 2n, -1n, -(2n ** 62n));
  for (let seed = 1n; seed < 2000n; seed += 1n) {
    times.push((seed * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & (2n ** 62n - 1n));
  }
  for (const timeNs of times) {
    const bytes = attributeBytes(entryWith({ mtimeNs: timeNs, ctimeNs: timeNs }));
    t.is(timeIn(bytes, 32, 52), timeNs);
    t.is(timeIn(bytes, 40, 56), timeNs);
  }
});

test('devices, owners, sizes and modes are shown as they were', (t) => {
  const device = entryWith({ type: EntryType.characterDevice, device: (0x123n << 8n) | 0x45n });
  t.is(attributeBytes(device).readUInt32LE(76), (0x123 << 8) | 0x45);
  const large = attributeBytes(entryWith({ sizeBytes: 2 ** 52 + 1, permissions: 0o6755 }));
  t.is(large.readBigUInt64LE(8), 2n ** 52n + 1n);
  t.is(large.readUInt32LE(60), 0o106_755);
  t.deepEqual([large.readUInt32LE(68), large.readUInt32LE(72)], [1, 2]);
});

test('a node id names its tree, directory and entry, and whether there are attributes', (t) => {
  for (const place of [
    { tree: 1, directory: 0, entry: -1 },
    { tree: 4095, directory: 0x3ff_ffff, entry: 0xff_fffe },
    { tree: 77, directory: 255, entry: 0 },
    { tree: 77, directory: 256, entry: 2047 },
  ]) {
    const low = nodeLow(place);
    const [bare, full] = [true, false].map((isBare) => ({ low, high: nodeHigh(place, isBare) }));
    t.deepEqual(placeOfNode(bare!.low, bare!.high), place);
    t.deepEqual(placeOfNode(full!.low, full!.high), place);
    t.not(bare!.high, full!.high);
    t.true(bare!.high < 2 ** 31); // the kernel's own ids have the highest bit
  }
  t.deepEqual(placeOfNode(1, 0), { tree: 0, directory: 0, entry: -1 });
});

test('directories keep their numbers however many there are', (t) => {
  const table = new DirectoryTable();
  table.add(0, 0xffff_ffff, 1, 'device 1');
  for (let number = 1; number < 5000; number += 1) {
    t.is(
      table.add(Math.floor(number / 10), number % 10, number + 1, `device ${number % 3}`),
      number,
    );
  }
  for (let number = 1; number < 5000; number += 1) {
    t.is(table.find(Math.floor(number / 10), number % 10), number);
    t.is(table.id(number), number + 1);
    t.is(table.device(number), `device ${number % 3}`);
  }
  t.is(table.find(0, 11), undefined);
  t.true(table.isWithin(4321, 1));
  t.true(table.isWithin(4321, 433));
  t.false(table.isWithin(4321, 434));
});

test('a time beyond 64 bits, the length of a link and the data of a sparse file are shown', (t) => {
  const time = Buffer.alloc(12);
  time.writeBigInt64LE(-10_087_455_477n);
  time.writeUInt32LE(250_000_000, 8);
  const attributes = packAttributes([
    { name: Buffer.alloc(0), value: time },
    { name: Buffer.from('user.a'), value: Buffer.from('value') },
  ]);
  const kinds = { attributes, flags: RowFlag.hasAttributes, mtimeNs: -(2n ** 63n) };
  const linkTarget = Buffer.from('target');
  const link = attributeBytes(entryWith({ type: EntryType.symlink, linkTarget, ...kinds }));
  t.is(timeIn(link, 32, 52), -10_087_455_477n * 1_000_000_000n + 250_000_000n);
  t.deepEqual([link.readBigUInt64LE(8), link.readBigUInt64LE(16)], [6n, 0n]);
  const sparse = attributeBytes(entryWith({ sizeBytes: 1 << 20 }), 513);
  t.deepEqual([sparse.readBigUInt64LE(8), sparse.readBigUInt64LE(16)], [1n << 20n, 2n]);
});

test('metadata that is cut off, and an entry without room, are refused', (t) => {
  const { native } = nodeSystem();
  const { name, metadata } = entryWith({
    attributes: packAttributes([{ name: Buffer.from('user.a'), value: Buffer.from('v') }]),
    flags: RowFlag.hasAttributes,
    mtimeNs: -(2n ** 63n),
  });
  const pack = (bytes: number, node: number, room = 160): number => {
    const cut = metadata.subarray(0, bytes);
    const target = Buffer.alloc(room);
    return native.packEntry(target, 0, name, cut, node, 0, 1, 1, name, 1, undefined, 1);
  };
  t.is(pack(metadata.length, 1), 160);
  t.is(pack(0, 0), 160, 'only its name is shown');
  for (let bytes = 0; bytes < metadata.length; bytes += 1) {
    // All attributes are read, since the time may be among them; without any, the metadata is whole.
    if (bytes !== METADATA_BYTES + 2) t.throws(() => pack(bytes, 1), { code: 'EINVAL' });
  }
  t.throws(() => pack(metadata.length, 1, 159), { code: 'EINVAL' });
});

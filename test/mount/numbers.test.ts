/** Node ids, attributes and the table of directories: the numbers that the kernel gets. */
import test from 'ava';
import type { HistoryEntry } from '../../src/history/index.js';
import { EntryType } from '../../src/model/index.js';
import { DirectoryTable, nodeHigh, nodeLow, packPage, placeOfNode } from '../../src/mount/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { historyEntryOf } from '../helpers/rows.js';

/** Offset of the attributes in a struct fuse_entry_out. */
const ATTRIBUTES_AT = 40;

const entryWith = (changes: Partial<HistoryEntry>): HistoryEntry =>
  historyEntryOf('a', { uid: 1, gid: 2, ...changes });

/** Returns the attributes of an entry as a page shows them. */
function attributeBytes(entry: HistoryEntry): Buffer {
  const inode = { set: 1, directory: 1, bytes: undefined };
  const shown = { entry, inode, nodeLow: 1, nodeHigh: 0, storedBytes: undefined };
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

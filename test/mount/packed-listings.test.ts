/** Listings packed from rows, beside those of which each entry is described, and with hostile values. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { History, HistoryEntry } from '../../src/history/index.js';
import { contentIdOf, type Entry, EntryType, RowFlag, RowReader } from '../../src/model/index.js';
import {
  endAfter,
  fetchPages,
  inodeOf,
  inodeOfDirectory,
  type ListedDirectory,
  MOUNT_PAGE_ENTRIES,
  nodeHigh,
  nodeLow,
  PackedListings,
  packPage,
  partOf,
} from '../../src/mount/index.js';
import { Catalog, putRow } from '../../src/store/catalog/index.js';
import { nodeSystem, READY_LINKS_BYTES } from '../../src/system/index.js';
import { type Choose, chooser } from '../helpers/random-tree.js';
import { rowOf } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';

const SET = 3;
const DIRECTORY = 7;
const NOTHING = Buffer.alloc(0);
const DEVICE = 'root 1';
const FIRST = 3 * MOUNT_PAGE_ENTRIES;
const NUMBER = 70_000;
const TREE = 4095;
const SECONDS = 0x3fff_ffff;
const TIMES = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 1_700_000_000_123_456_789n];

const LISTED: ListedDirectory = {
  set: SET,
  tree: TREE,
  number: NUMBER,
  id: DIRECTORY,
  device: DEVICE,
  dots: [inodeOfDirectory(SET, DIRECTORY), inodeOfDirectory(0, 0)],
  first: FIRST,
  after: NOTHING,
  validSeconds: SECONDS,
  isPlus: true,
};

function timeFrom(choose: Choose): bigint {
  return TIMES[choose(8)] ?? BigInt(choose(2 ** 31)) * BigInt(choose(2 ** 31));
}

/** Returns the changes that make an entry one of any kind that the addon packs. */
function anyKind(choose: Choose): Partial<Entry> {
  const type = [1, 1, 1, 2, 3, 4, 5, 6, 7][choose(9)] as Entry['type'];
  const isLink = type === EntryType.symlink;
  const isDevice = type === EntryType.characterDevice || type === EntryType.blockDevice;
  return {
    type,
    permissions: choose(0o10_000),
    uid: choose(2 ** 32),
    gid: choose(2 ** 32),
    linkCount: choose(4),
    sizeBytes: type === EntryType.file ? choose(2 ** 31) * choose(2 ** 21) : choose(4),
    mtimeNs: timeFrom(choose),
    ctimeNs: timeFrom(choose),
    inode: BigInt(choose(5)),
    device: isDevice ? BigInt(choose(2 ** 32)) * 2n ** 16n : 0n,
    linkTarget: isLink ? Buffer.alloc(1 + choose(300), 0x74) : undefined,
    flags: choose(4) === 0 ? RowFlag.otherDevice : 0,
  };
}

function openCatalog(t: ExecutionContext): Catalog {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  return catalog;
}

function fill(catalog: Catalog, choose: Choose, entries: number, directory = DIRECTORY): void {
  for (let entry = 0; entry < entries; entry += 1) {
    const name = Buffer.from(
      Array.from({ length: 1 + choose(entry % 9 === 0 ? 250 : 12) }, () => 0x30 + choose(208)),
    );
    const kind = anyKind(choose);
    const isDirectory = kind.type === EntryType.directory;
    const childId = isDirectory ? 100 + entry + choose(3) * 2 ** 33 : undefined;
    const contentId =
      kind.type === EntryType.file && choose(3) > 0 ? contentIdOf(1 + choose(5)) : undefined;
    const version = { set: SET, directory, contentId, childId, isNew: false };
    putRow(catalog, version, new RowReader(rowOf(name, kind)), 0);
  }
}

/** Shows a directory under a number that follows from its position. */
function directoryNode(position: number) {
  const place = { tree: TREE, directory: position * 3, entry: -1 };
  return { number: position * 3, nodeLow: nodeLow(place), nodeHigh: nodeHigh(place, true) };
}

function shown(entry: HistoryEntry, position: number) {
  if (entry.childId !== undefined) {
    const node = directoryNode(position);
    const inode = inodeOfDirectory(SET, entry.childId);
    return { entry, inode, ...node, storedBytes: undefined };
  }
  const place = { tree: TREE, directory: NUMBER, entry: position };
  const inode = inodeOf(SET, DIRECTORY, entry, DEVICE);
  const node = { nodeLow: nodeLow(place), nodeHigh: nodeHigh(place, true) };
  return { entry, inode, ...node, storedBytes: undefined };
}

function historyWith(listPacked: History['listPacked']): History {
  return { listPacked } as unknown as History;
}

function make(history: History, isPlus: boolean, listings = newListings(), first = FIRST) {
  const listed = { ...LISTED, isPlus, first };
  return listings.make(1, history, listed, ({ position }) => directoryNode(position));
}

function newListings(): PackedListings {
  return new PackedListings(nodeSystem().native);
}

const PAGE = { directory: DIRECTORY, set: SET, after: NOTHING, limit: MOUNT_PAGE_ENTRIES };

test('a page of a catalog is packed as it is if each entry is described, also one with `.` and `..`', (t) => {
  const catalog = openCatalog(t);
  const { native } = nodeSystem();
  const history = historyWith((page) => catalog.entries.packedAsOf(page));
  for (const count of [0, 1, 40, 700]) {
    for (let seed = 1; seed <= 5; seed += 1) {
      catalog.begin();
      const choose = chooser(seed * 1000 + count);
      fill(catalog, choose, count);
      const entries = catalog.entries.listAsOf({ ...PAGE, withDigests: false });
      const first = choose(2) * FIRST;
      const all = entries.map((entry, index) => shown(entry, first + index));
      const page = packPage(native, { entries: all, first }, LISTED.dots, SECONDS);
      for (const isPlus of [true, false]) {
        const listing = make(history, isPlus, newListings(), first === 0 ? -2 : first)!;
        const wanted = isPlus ? page.plus() : page.plain();
        t.is(listing.first, page.first);
        t.deepEqual(listing.starts, wanted.starts);
        t.deepEqual(listing.packed, wanted.packed);
        t.is(listing.isLast, entries.length < MOUNT_PAGE_ENTRIES);
        t.deepEqual(listing.lastName, entries.at(-1)?.name ?? NOTHING);
        const directories = entries.flatMap(({ childId }, index) =>
          childId === undefined ? [] : [{ position: first + index, number: (first + index) * 3 }],
        );
        t.deepEqual(listing.children, directories);
      }
      catalog.rollback();
    }
  }
});

test('a page with anything unusual is left to be packed entry by entry', (t) => {
  const catalog = openCatalog(t);
  const history = historyWith((page) => catalog.entries.packedAsOf(page));
  const version = { set: SET, directory: DIRECTORY, contentId: undefined, isNew: false };
  const attributes = Buffer.from([1, 0, 1, 0, 0, 0, 0x61, 0x62]);
  const unusual: [string, Partial<Entry>, number | undefined][] = [
    ['attributes', { attributes }, undefined],
    ['holes', { flags: RowFlag.sparse }, undefined],
    ['a directory without an id', { type: EntryType.directory }, undefined],
    ['a file with an id', {}, 5],
    ['a link without a target', { type: EntryType.symlink, linkTarget: NOTHING }, undefined],
    ['an unknown type', { type: 9 as Entry['type'] }, undefined],
  ];
  for (const [what, kind, childId] of unusual) {
    catalog.begin();
    for (const name of ['a', 'c']) {
      const usual = { ...version, childId: undefined };
      putRow(catalog, usual, new RowReader(rowOf(name)), 0);
    }
    t.is(make(history, true)?.starts.length, 3);
    putRow(catalog, { ...version, childId }, new RowReader(rowOf('b', kind)), 0);
    t.is(make(history, true), undefined, what);
    catalog.rollback();
  }
});

/** Returns a value with one page, as the catalog makes it. */
function valueOf(names: readonly Buffer[]): Buffer {
  const metadata = rowOf('a').subarray(8, 64);
  const rows = names.map((name) =>
    Buffer.concat([Buffer.from(`${name.length},${metadata.length},1,,0,1,;`), name, metadata]),
  );
  const page = Buffer.concat([Buffer.from(`${names.length},${names.length};`), ...rows]);
  return Buffer.concat([Buffer.from(`${page.length};`), page]);
}

test('one value has the pages of several directories, each as it is alone', (t) => {
  const catalog = openCatalog(t);
  catalog.begin();
  const choose = chooser(5);
  for (const directory of [3, 4, 6]) fill(catalog, choose, 5 * directory, directory);
  const history = historyWith((pages) => catalog.entries.packedAsOf(pages));
  const wanted = { set: SET, after: NOTHING, limit: 20 };
  const fetched = (directories: number[]): Buffer[] =>
    fetchPages(history, { ...wanted, directories }).map(({ value, from, bytes }) =>
      value.subarray(from, from + bytes),
    );
  const all = [4, 3, 5, 6];
  t.deepEqual(
    fetched(all),
    all.flatMap((directory) => fetched([directory])),
  );
  t.is(fetched(all)[2]!.toString(), '0,0;');
  t.true(fetched(all)[3]!.toString().startsWith('20,20;'));
  catalog.rollback();
});

test('a value with lengths that do not fit has no pages', (t) => {
  const wanted = { directories: [1, 2], set: SET, after: NOTHING, limit: 20 };
  const count = (value: string | undefined): number =>
    fetchPages(
      historyWith(() => (value === undefined ? value : Buffer.from(value))),
      wanted,
    ).length;
  t.is(count('4;0,0;4;0,0;'), 2);
  const malformed = ['', '4;0,0;', '4;0,0;5;0,0;', '4;0,0;4;0,0;0;', '4;0,0;4', '-4;0,0;4;0,0;'];
  for (const value of [...malformed, '4;0,0;9999999999999999999;0,0;', undefined]) {
    t.is(count(value), 0, value);
  }
});

test('the targets of links are noted by their nodes, as far as there is room for them', (t) => {
  const catalog = openCatalog(t);
  const history = historyWith((pages) => catalog.entries.packedAsOf(pages));
  const version = { directory: DIRECTORY, contentId: undefined, childId: undefined, isNew: false };
  catalog.begin();
  const lengths = [1, 100, 244, 245, 4000];
  for (const length of lengths) {
    const linkTarget = Buffer.alloc(length, 0x61 + (length % 20));
    const row = rowOf(`link ${String(length).padStart(4)}`, {
      type: EntryType.symlink,
      linkTarget,
    });
    putRow(catalog, { ...version, set: SET }, new RowReader(row), 0);
  }
  const links = Buffer.alloc(READY_LINKS_BYTES);
  for (const isPlus of [false, true]) {
    t.not(make(history, isPlus, new PackedListings(nodeSystem().native, links)), undefined);
    const found = new Map<bigint, Buffer>();
    for (let at = 0; at < links.length; at += 256) {
      const bytes = links.readUInt32LE(at + 8);
      if (bytes > 0) found.set(links.readBigUInt64LE(at), links.subarray(at + 12, at + 12 + bytes));
    }
    const noted = lengths.slice(0, isPlus ? 3 : 0).map((length, index) => {
      const place = { tree: TREE, directory: NUMBER, entry: FIRST + index };
      const node = (BigInt(nodeHigh(place, true)) << 32n) | BigInt(nodeLow(place));
      return [node, Buffer.alloc(length, 0x61 + (length % 20))] as const;
    });
    t.deepEqual(found, new Map(noted));
  }
  catalog.rollback();
});

test('names that are unsorted, twice there, too long, or that no file has are not packed', (t) => {
  const of = (...names: string[]): Buffer => valueOf(names.map((name) => Buffer.from(name)));
  const packed = (value: Buffer) =>
    make(
      historyWith(() => value),
      true,
    );
  t.not(packed(of('a', 'b')), undefined);
  t.is(packed(of('b', 'a')), undefined);
  t.is(packed(of('a', 'a')), undefined);
  t.is(packed(of('', 'a')), undefined);
  t.is(packed(of('a'.repeat(1025))), undefined);
  for (const name of ['.', '..', 'a/b', 'a\0b']) t.is(packed(of(name)), undefined, name);
  for (const name of ['...', '.a', 'a.', 'a'.repeat(1024)])
    t.not(packed(of(name)), undefined, name);
  const many = Array.from({ length: MOUNT_PAGE_ENTRIES + 1 }, (_, n) => `${n + 1000}`);
  t.not(packed(of(...many.slice(1))), undefined);
  t.is(packed(of(...many)), undefined);
  const long = many.slice(1).map((name) => name.padEnd(1000, 'x'));
  t.is(packed(of(...long)), undefined); // more than the memory of a page
});

test('a page whose head says that it is unsorted is packed in its order', (t) => {
  const names = ['b', 'a', 'c'].map((name) => Buffer.from(name));
  const packed = (value: Buffer) =>
    make(
      historyWith(() => value),
      true,
    );
  const unsorted = (...of: Buffer[]): Buffer =>
    Buffer.from(
      valueOf(of)
        .toString('latin1')
        .replace(/^(\d+;\d+,\d+);/, '$1:'),
      'latin1',
    );
  t.is(packed(valueOf(names)), undefined);
  t.is(packed(unsorted(...names))?.lastName.toString(), 'c');
  t.is(packed(unsorted(...names, Buffer.alloc(0))), undefined);
  t.is(packed(unsorted(...names, Buffer.from('a/b'))), undefined);
});

test('values that are damaged in any way pack no more than they hold', (t) => {
  const choose = chooser(11);
  const sound = valueOf(['a', 'bb', 'ccc'].map((name) => Buffer.from(name)));
  const listings = newListings();
  let refused = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const value = Buffer.from(
      sound.subarray(0, choose(3) === 0 ? choose(sound.length) : undefined),
    );
    for (let change = choose(3); change >= 0 && value.length > 0; change -= 1) {
      const digits = Buffer.from('0123456789,;:-');
      const byte = choose(2) === 0 ? digits[choose(digits.length)]! : choose(256);
      value[choose(choose(2) === 0 ? Math.min(24, value.length) : value.length)] = byte;
    }
    const listing = make(
      historyWith(() => value),
      choose(2) === 0,
      listings,
    );
    if (listing === undefined) refused += 1;
    else t.true(listing.packed.length <= 3 * (128 + 24 + value.length));
  }
  t.true(refused > 5000 && refused < 20_000, `${refused}`);
});

test('an error of the catalog is left to the listing that reports it', (t) => {
  const history = historyWith(() => {
    throw new Error('disk I/O error');
  });
  t.is(make(history, true), undefined);
});

test('listings are kept within a bound, and dropped by their keys', (t) => {
  const listings = newListings();
  const names = Array.from({ length: 500 }, (_, n) => Buffer.from(String(n + 1000).padEnd(200)));
  const history = historyWith(() => valueOf(names));
  const none = () => undefined;
  for (let key = 0; key < 30; key += 1) listings.make(key, history, LISTED, none);
  const kept = Array.from({ length: 30 }, (_, key) => listings.get(key)?.packed.length ?? 0);
  const bytes = kept.reduce((sum, one) => sum + one, 0);
  t.true(bytes > 1 << 20 && bytes <= 2 << 20, `${bytes}`);
  t.is(kept[0], 0);
  t.true(kept[29]! > 0);
  t.is(listings.get(29, false), undefined);
  listings.drop(0, 30);
  t.is(listings.get(29), undefined);
  listings.make(29, history, LISTED, none);
  t.not(listings.get(29, true), undefined);
});

test('the end of a directory is known once its last entry is sent, and not before', (t) => {
  const names = Array.from({ length: 40 }, (_, n) => Buffer.from(`name ${n + 10}`));
  const page = make(
    historyWith(() => valueOf(names)),
    false,
  )!;
  for (const room of [100, 1000, 100_000]) {
    for (let begin = 0; begin < names.length; ) {
      const part = partOf(page, begin, room);
      begin = page.starts.indexOf(part.from + part.bytes);
      const end = begin === names.length ? FIRST + names.length + 2 : undefined;
      t.is(endAfter(page, false, part), end);
    }
  }
  const { isLast, ...more } = page;
  t.true(isLast);
  t.is(endAfter(more, false, partOf(page, 0, 100_000)), undefined); // more may follow
  const empty = make(
    historyWith(() => valueOf([])),
    false,
  )!;
  t.is(endAfter(empty, false, partOf(empty, 0, 100)), FIRST + 2);
});

/** Listings of a set that a walk needs next: their order, and the replies that are made ready. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BackupSet, History } from '../../src/history/index.js';
import { EntryType, RowFlag, RowReader } from '../../src/model/index.js';
import {
  DirectoryTable,
  PackedListings,
  PageCache,
  PageStarts,
  ReadyPages,
  SetListings,
} from '../../src/mount/index.js';
import { Catalog, putRow } from '../../src/store/catalog/index.js';
import { nodeSystem, READY_BYTES, READY_PAGES } from '../../src/system/index.js';
import { chooser } from '../helpers/random-tree.js';
import { rowOf } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';

const SET = 3;
const TREE = 9;
const TOP_ID = 1000;
const NO_PLACE = 0xffff_ffff;
const TABLE_WORDS = 6;
const ENTRIES_AT = READY_PAGES * TABLE_WORDS * 4 + 16;
/** A directory with more entries than a ready reply has room for, and one with an attribute. */
const [LARGE, UNUSUAL] = [5, 6];

/** A random tree in a catalog, of which directory 0 is the top. */
class Lab {
  /** Directories by the numbers of the table, each with those in it, in the order of their names. */
  readonly ready = new ReadyPages();
  readonly listings: SetListings;
  readonly table = new DirectoryTable();
  private readonly packed = new PackedListings(nodeSystem().native);
  private nextId = TOP_ID + 1;
  questions = 0;

  constructor(t: ExecutionContext, seed: number) {
    const file = path.join(scratchInMemory(t), 'tardis.db');
    const catalog = Catalog.openForWriting(nodeSystem(), file);
    t.teardown(() => catalog.close());
    catalog.begin();
    this.fill(catalog, TOP_ID, chooser(seed), 0);
    const history: Pick<History, 'listPacked'> = {
      listPacked: (pages) => {
        this.questions += 1;
        return catalog.entries.packedAsOf(pages);
      },
    };
    const set = { set: SET, state: 'complete' } as BackupSet;
    const owner = {
      set,
      validSeconds: 100,
      isGone: false,
      lookups: 0,
      wasListed: () => undefined,
      keyOf: (directory: number, page: number) => directory * 100 + page,
    };
    this.table.add(0, NO_PLACE, TOP_ID, 'root');
    const [{ table, ready, packed }, tree] = [this, TREE];
    this.listings = new SetListings({
      history: history as History,
      native: nodeSystem().native,
      ahead: undefined as never,
      set,
      tree,
      cache: new PageCache(),
      packed,
      ready,
      owner,
      table,
      starts: new PageStarts(),
      isAroundRoots: () => false,
    });
  }

  private fill(catalog: Catalog, id: number, choose: (below: number) => number, depth: number) {
    const put = (name: string, childId?: number, flags = 0): void => {
      const type = childId === undefined ? EntryType.file : EntryType.directory;
      const row = new RowReader(rowOf(name, { type, flags }));
      putRow(
        catalog,
        { set: SET, directory: id, contentId: undefined, childId, isNew: false },
        row,
        0,
      );
    };
    const files = id === TOP_ID + LARGE ? 101 : choose(6);
    for (let file = 0; file < files; file += 1) put(`f ${file}`);
    if (id === TOP_ID + UNUSUAL) put('sparse', undefined, RowFlag.sparse);
    const directories = depth === 0 ? 12 : depth < 4 ? choose(4) : 0;
    for (let child = 0; child < directories; child += 1) {
      const childId = this.nextId++;
      put(`d ${String.fromCodePoint(97 + choose(26))} ${child}`, childId);
      this.fill(catalog, childId, choose, depth + 1);
    }
  }

  /** Lists a directory as a request that was not expected does; returns the directories in it. */
  list(directory: number): readonly number[] {
    const listing = this.listings.listing(directory, 0, true);
    return listing?.children.map(({ number }) => number) ?? [];
  }

  /** Returns the entries of the replies that are ready, by their directories. */
  replies(): Map<number, Buffer> {
    const { memory } = this.ready;
    const found = new Map<number, Buffer>();
    for (let index = 0; index < READY_PAGES; index += 1) {
      const word = (at: number): number => memory.readUInt32LE((index * TABLE_WORDS + at) * 4);
      if (word(3) !== 1) continue;
      const from = ENTRIES_AT + index * READY_BYTES;
      const directory = ((word(1) & 0x3_ffff) << 8) | (word(0) >>> 24);
      found.set(directory, memory.subarray(from, from + word(2) - 16));
    }
    return found;
  }
}

/** Returns the directories below one in the order of a walk. */
function walked(lab: Lab, directory: number): number[] {
  return lab.list(directory).flatMap((child) => [child, ...walked(lab, child)]);
}

test('what is unread is returned in the order of a walk', (t) => {
  const lab = new Lab(t, 1);
  t.deepEqual(lab.listings.unreadAfter(0, 32, 8), { directories: [], distance: 32 });
  const top = lab.list(0);
  t.is(top.length, 12);
  t.deepEqual(lab.listings.unreadAfter(0, 32, 8).directories, top.slice(0, 8));
  t.deepEqual(lab.listings.unreadAfter(0, 3, 8).directories, top.slice(0, 3));
  t.deepEqual(lab.listings.unreadAfter(top[9]!, 32, 8).directories, top.slice(10));
  const inside = lab.list(top[2]!);
  t.true(inside.length > 0);
  const { directories, distance } = lab.listings.unreadAfter(top[1]!, 32, 4);
  t.deepEqual(directories, [...inside, ...top.slice(3)].slice(0, 4), 'not the one that is read');
  t.is(distance, 1);
});

test('a walk that is followed is made ready as a whole, and each reply is as it is packed alone', (t) => {
  const [lab, alone] = [new Lab(t, 2), new Lab(t, 2)];
  const order = walked(alone, 0);
  t.true(order.length > 60);
  const left: number[] = [];
  const packed = new Map<number, Buffer>();
  lab.list(0);
  const requested = lab.questions;
  const idOf = new Map(order.map((directory) => [alone.table.id(directory), directory]));
  for (let at = 0, rounds = 0; ; rounds += 1) {
    const { directories } = lab.listings.unreadAfter(at, 1000, 8);
    if (directories.length === 0) break;
    t.true(rounds < order.length);
    for (const directory of lab.listings.makeReady(directories)) {
      left.push(lab.table.id(directory));
      lab.listings.noteOther(directory);
      lab.list(directory);
    }
    for (const [directory, bytes] of lab.replies()) packed.set(directory, Buffer.from(bytes));
    at = 0;
  }
  t.true(lab.questions - requested < order.length / 2, 'several in one question');
  t.deepEqual(new Set(left), new Set([TOP_ID + LARGE, TOP_ID + UNUSUAL]));
  t.is(packed.size + left.length, idOf.size);
  for (const [directory, bytes] of packed) {
    const twin = idOf.get(lab.table.id(directory))!;
    const wanted = alone.listings.listing(twin, 0, true)!.packed;
    t.deepEqual(namesIn(bytes), namesIn(wanted));
    t.is(bytes.length, wanted.length);
  }
});

/** Returns the names and inode numbers in packed entries. */
function namesIn(packed: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < packed.length; ) {
    const bytes = packed.readUInt32LE(at + 128 + 16);
    const name = packed.subarray(at + 152, at + 152 + bytes).toString('latin1');
    names.push(`${packed.readBigUInt64LE(at + 128)} ${name}`);
    at += (152 + bytes + 7) & ~7;
  }
  return names;
}

test('directories of a set that is deleted are left', (t) => {
  const lab = new Lab(t, 3);
  const top = lab.list(0);
  Object.assign((lab.listings as unknown as { options: { owner: object } }).options.owner, {
    isGone: true,
  });
  t.deepEqual(lab.listings.makeReady(top.slice(0, 4)), top.slice(0, 4));
  t.is(lab.replies().size, 0);
});

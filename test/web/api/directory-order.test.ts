/** Orders of directories: what each page costs, and when an order is made anew. */
import test, { type ExecutionContext } from 'ava';
import type { History, HistoryEntry } from '../../../src/history/index.js';
import { EntryType } from '../../../src/model/index.js';
import { DirectoryOrders, type SortKey, type Sorted } from '../../../src/web/api/index.js';
import { rejectedCode } from '../../helpers/codes.js';

const COUNT = 10_000;
const LIMIT = 100;
/** Number of entries that are read at once to sort a directory. */
const WHOLE = 4096;
const PLENTY = { keptBytes: 1 << 20, sortedEntries: COUNT };

interface Listed {
  readonly entries: HistoryEntry[];
  readonly history: History;
  /** Number of entries that were read. */
  read: number;
  /** The set of each page of a directory that was read whole, after the first one. */
  readonly further: number[];
}

/** A directory in which neither order is that of the other. */
function listed(count = COUNT): Listed {
  const entries = Array.from({ length: count }, (_, index) => entryOf(index));
  entries.sort((one, other) => Buffer.compare(one.name, other.name));
  const made: Listed = {
    entries,
    read: 0,
    further: [],
    history: {
      contentKeys: undefined,
      list: async ({ after, limit, set }: { after: Buffer; limit: number; set: number }) => {
        const first = entries.findIndex(({ name }) => Buffer.compare(name, after) > 0);
        const page = first < 0 ? [] : entries.slice(first, first + limit);
        made.read += page.length;
        if (limit === WHOLE && after.length > 0) made.further.push(set);
        return page;
      },
    } as unknown as History,
  };
  return made;
}

function entryOf(index: number): HistoryEntry {
  return {
    name: Buffer.from(`f${index}`),
    type: index % 1000 === 0 ? EntryType.directory : EntryType.file,
    sizeBytes: (index * 7919) % 1009,
    mtimeNs: BigInt(index * 104_729) % 10_007n,
  } as unknown as HistoryEntry;
}

function sortedBy(sort: SortKey, isDescending = false): Sorted {
  return { directory: 1, set: 1, isFixed: true, sort, isDescending };
}

function numbersOf(entries: readonly HistoryEntry[]): number[] {
  return entries.map(({ name }) => Number(name.toString().slice(1)));
}

/** Returns the numbers of all entries in an order. */
function whole(sort: SortKey): number[] {
  const value = (index: number): number => {
    const { type, sizeBytes, mtimeNs } = entryOf(index);
    const isDirectory = type === EntryType.directory;
    if (sort === 'natural') return isDirectory ? 0 : 1;
    if (sort === 'name') return 0;
    return sort === 'modified' ? Number(mtimeNs) : isDirectory ? -1 : sizeBytes;
  };
  const byName = (one: number, other: number): number =>
    sort === 'natural' ? one - other : `f${one}` < `f${other}` ? -1 : 1;
  return Array.from({ length: COUNT }, (_, index) => index).sort(
    (one, other) => value(one) - value(other) || byName(one, other),
  );
}

for (const sort of ['name', 'natural', 'size', 'modified'] as const) {
  test(`by ${sort}, each page of an order is where it belongs, from the end too`, async (t) => {
    const { history } = listed();
    const orders = new DirectoryOrders(PLENTY);
    const wanted = whole(sort);
    for (const from of [COUNT - LIMIT, 0, 4095, COUNT - 1, COUNT]) {
      const { entries, total } = await orders.page(history, sortedBy(sort), { from, limit: LIMIT });
      t.is(total, COUNT);
      t.deepEqual(numbersOf(entries), wanted.slice(from, from + LIMIT), `from ${from}`);
    }
    const { entries } = await orders.page(history, sortedBy(sort, true), { from: 0, limit: 11 });
    // Directories are first in both directions.
    const last = sort === 'natural' ? wanted.slice(0, 10).reverse() : wanted.slice(-11).reverse();
    t.deepEqual(numbersOf(entries).slice(0, last.length), last);
  });
}

test('the directory is read once, and then only the parts that a page shows', async (t) => {
  const made = listed();
  const orders = new DirectoryOrders(PLENTY);
  const read = async (from: number, sorted = sortedBy('natural')): Promise<number> => {
    made.read = 0;
    await orders.page(made.history, sorted, { from, limit: LIMIT });
    return made.read;
  };
  t.true((await read(0)) >= COUNT);
  t.true((await read(COUNT - LIMIT)) <= 4 * 256);
  t.true((await read(COUNT / 2)) <= 4 * 256);
  // A set that is being written has no lasting order.
  const written = { ...sortedBy('natural'), set: 2, isFixed: false };
  t.true((await read(0, written)) >= COUNT);
  t.true((await read(0, written)) >= COUNT);
});

test('an order is made anew if a path was deleted from all sets', async (t) => {
  const made = listed();
  const orders = new DirectoryOrders(PLENTY);
  const page = async (t: ExecutionContext, total: number): Promise<number[]> => {
    const found = await orders.page(made.history, sortedBy('natural'), { from: 10, limit: 2 });
    t.is(found.total, total);
    return numbersOf(found.entries);
  };
  t.deepEqual(await page(t, COUNT), [1, 2]);
  made.entries.splice(
    made.entries.findIndex(({ name }) => name.toString() === 'f1'),
    1,
  );
  t.deepEqual(await page(t, COUNT - 1), [2, 3]);
});

test('orders are bounded: the oldest one is dropped, and a huge directory is not sorted', async (t) => {
  const made = listed();
  const small = new DirectoryOrders({ ...PLENTY, keptBytes: COUNT * 6 });
  const sorts = [sortedBy('natural'), sortedBy('size'), sortedBy('natural')];
  for (const sorted of sorts) {
    made.read = 0;
    await small.page(made.history, sorted, { from: 0, limit: 1 });
    t.true(made.read >= COUNT);
  }
  const few = new DirectoryOrders({ ...PLENTY, sortedEntries: COUNT - 1 });
  const range = { from: 2, limit: 1 };
  const refused = few.page(made.history, sortedBy('size'), range);
  t.is(await rejectedCode(refused), 'REQUEST_INVALID');
  for (const sort of ['natural', 'name'] as const) {
    const { entries, total } = await few.page(made.history, sortedBy(sort), range);
    t.is(total, COUNT);
    t.deepEqual(numbersOf(entries), [10]); // as listed: by the bytes of the names
  }
});

test('large directories of a history are in memory one after the other, and wait for no other history', async (t) => {
  const [made, other] = [listed(), listed()];
  const orders = new DirectoryOrders(PLENTY);
  const range = { from: 0, limit: 1 };
  const sets = [1, 2, 3].map((set) => ({ ...sortedBy('size'), set }));
  const list = other.history.list.bind(other.history);
  Object.assign(other.history, {
    list: (page: Parameters<typeof list>[0]) =>
      page.after.length > 0 ? new Promise(() => undefined) : list(page), // it never answers
  });
  void orders.page(other.history, sets[0]!, range);
  await Promise.all(sets.map((sorted) => orders.page(made.history, sorted, range)));
  t.deepEqual(made.further, [1, 1, 2, 2, 3, 3]);
});

test('a directory that cannot be read lets the next one be sorted', async (t) => {
  const made = listed();
  const orders = new DirectoryOrders({ ...PLENTY, sortedEntries: COUNT - 1 });
  const range = { from: 0, limit: 1 };
  const refused = [1, 2].map((set) =>
    rejectedCode(orders.page(made.history, { ...sortedBy('size'), set }, range)),
  );
  t.deepEqual(await Promise.all(refused), ['REQUEST_INVALID', 'REQUEST_INVALID']);
});

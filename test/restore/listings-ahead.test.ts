/** Listings that a walk requests ahead of time from a history on another machine. */
import test from 'ava';
import type { History, HistoryEntry } from '../../src/history/index.js';
import { ListingsAhead, PAGE_ENTRIES } from '../../src/restore/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { TardisError } from '../../src/errors/index.js';

const TOP_AHEAD = 256;
const MOST_OPEN = 512;
const NO_NAME = Buffer.alloc(0);

type ListingPage = Parameters<History['list']>[0];
type Directory = ListingPage['directory'];

/** A history that answers when `answer` is called; `children` has the directories in each directory. */
class SlowHistory {
  readonly requests: ListingPage[] = [];
  readonly isRemote: boolean;
  private readonly children: ReadonlyMap<number, readonly number[]>;
  private readonly waiting: (() => void)[] = [];

  constructor(isRemote: boolean, children: Readonly<Record<number, readonly number[]>> = {}) {
    this.isRemote = isRemote;
    this.children = new Map(Object.entries(children).map(([key, value]) => [Number(key), value]));
  }

  list(page: ListingPage): Promise<HistoryEntry[]> {
    this.requests.push(page);
    const inside = this.children.get(page.directory) ?? [];
    const entries = inside.map((childId) => ({ childId }) as unknown as HistoryEntry);
    return new Promise((resolve, reject) => {
      this.waiting.push(() => {
        if (page.directory === 13) reject(new TardisError('CONNECTION_LOST', 'lost'));
        else resolve(entries);
      });
    });
  }

  async answer(): Promise<void> {
    for (const one of this.waiting.splice(0)) one();
    await new Promise((resolve) => setImmediate(resolve));
  }

  get directories(): number[] {
    return this.requests.map(({ directory }) => directory);
  }
}

function aheadOf(history: SlowHistory, isWholeTree: boolean): ListingsAhead {
  return new ListingsAhead(history as unknown as History, 7, isWholeTree);
}

function stackOf(...directories: number[]): { entry: { childId: Directory } }[] {
  return directories.map((childId) => ({ entry: { childId: childId } }));
}

test('the directories at the top of the stack are requested once, the next one first', async (t) => {
  const history = new SlowHistory(true);
  const ahead = aheadOf(history, false);
  ahead.comeNext([...stackOf(1, 2, 3), { entry: undefined }]);
  ahead.comeNext(stackOf(2, 3));
  t.deepEqual(history.directories, [3, 2, 1]);
  const page = ahead.page(3, NO_NAME);
  t.is(history.requests.length, 3, 'the page is on its way');
  await history.answer();
  t.deepEqual(await page, []);
  void ahead.page(3, NO_NAME);
  t.is(history.requests.length, 4, 'a second visit gets a new listing');
  void ahead.page(2, Buffer.from('name'));
  t.is(history.requests.length, 5, 'only the first page was requested ahead');
  t.like(history.requests[4], { directory: 2, set: 7, limit: PAGE_ENTRIES, withDigests: false });
});

test('nothing is requested ahead from a history on this machine', (t) => {
  const history = new SlowHistory(false);
  aheadOf(history, true).comeNext(stackOf(1, 2, 3));
  t.deepEqual(history.requests, []);
});

test('a walk of the whole tree requests the directories that an answer shows, others do not', async (t) => {
  for (const isWholeTree of [true, false]) {
    const history = new SlowHistory(true, { 1: [11, 12], 11: [111] });
    aheadOf(history, isWholeTree).comeNext(stackOf(1));
    await history.answer();
    await history.answer();
    t.deepEqual(history.directories, isWholeTree ? [1, 11, 12, 111] : [1]);
  }
});

test('a stack and a listing without end do not make requests without end', async (t) => {
  const many = Array.from({ length: 5000 }, (_none, index) => 100 + index);
  const history = new SlowHistory(true, { [many.at(-1)!]: many });
  const ahead = aheadOf(history, true);
  ahead.comeNext(stackOf(...many));
  t.is(history.requests.length, TOP_AHEAD);
  t.is(history.requests[0]?.directory, many.at(-1));
  await history.answer();
  t.true(history.requests.length - TOP_AHEAD <= MOST_OPEN);
  t.true(history.requests.length > TOP_AHEAD, 'the listing was used');
});

test('what waits is bounded: no more is requested until the walk has taken its pages', async (t) => {
  const wide = Array.from({ length: 1 << 16 }, () => 1);
  const history = new SlowHistory(true, { 1: wide });
  const ahead = aheadOf(history, false);
  ahead.comeNext(stackOf(1));
  await history.answer();
  ahead.comeNext(stackOf(2));
  t.deepEqual(history.directories, [1]);
  t.is((await ahead.page(1, NO_NAME)).length, wide.length);
  ahead.comeNext(stackOf(2));
  t.deepEqual(history.directories, [1, 2]);
});

test('a failure is reported to the walk that requests the page, and to nobody before', async (t) => {
  const history = new SlowHistory(true);
  const ahead = aheadOf(history, true);
  ahead.comeNext(stackOf(13));
  await history.answer(); // an unhandled rejection would fail this test
  t.is(await rejectedCode(ahead.page(13, NO_NAME)), 'CONNECTION_LOST');
});

/** Which files are decoded ahead of a walk. */
import test from 'ava';
import { OpenContent, type DecodedBlocks } from '../../src/contents/index.js';
import type { HistoryEntry } from '../../src/history/index.js';
import { EntryType } from '../../src/model/index.js';
import {
  FilesAhead,
  type FileTree,
  inodeOfDirectory,
  type LoadedPage,
  nodeHigh,
  nodeLow,
} from '../../src/mount/index.js';

/** Files that are decoded ahead in a walk, and otherwise (as in src/mount/files-ahead.ts). */
const WALK_AHEAD = 64;
const LOOK_AHEAD = 16;

/** Upper half of the nodes of files. */
const HIGH = nodeHigh({ tree: 1, directory: 0, entry: 0 }, true);

interface Directory {
  /** A name for a file, a number for the directory with that number. */
  readonly names: readonly (string | number)[];
  readonly above?: { readonly directory: number; readonly position: number };
}

/** A tree of directories by their numbers, whose pages are loaded when they are requested. */
class Lab {
  /** Files that were decoded ahead, in their order. */
  readonly prefetched: string[] = [];
  /** Directories whose pages were loaded. */
  readonly loaded: number[] = [];
  isBusy = false;
  /** Files that the addon was offered, in their order. */
  readonly offered: string[] = [];
  /** Number of files for which the addon has room. */
  room = 0;
  /** Number of times when all offered files were taken back. */
  takenBack = 0;
  readonly ahead = new FilesAhead({
    locate: async () => undefined,
    offer: ({ shown }) => {
      if (this.offered.length >= this.room) return false;
      this.offered.push(shown.entry.name.toString());
      return true;
    },
    takeBack: () => {
      this.takenBack += 1;
    },
  });
  private readonly pages = new Map<number, LoadedPage>();
  private readonly directories: readonly Directory[];

  constructor(directories: readonly Directory[]) {
    this.directories = directories;
  }

  readonly tree = {
    pageOf: async (directory: number) => {
      this.loaded.push(directory);
      return this.page(directory);
    },
    loadedPage: (directory: number) => this.pages.get(directory),
    above: (directory: number) => this.directories[directory]!.above,
  } as unknown as FileTree;

  /** Returns the page of a directory, which counts as loaded from now on. */
  page(directory: number): LoadedPage {
    let page = this.pages.get(directory);
    if (page !== undefined) return page;
    const { names } = this.directories[directory]!;
    const entries = names.map((name, entry) => this.shown(name, directory, entry));
    const contents = names.map((name) => this.content(String(name)));
    page = { first: 0, entries, isLast: true, isSorted: true, packed: undefined, contents };
    this.pages.set(directory, page);
    return page;
  }

  private shown(name: string | number, directory: number, position: number) {
    const isFile = typeof name === 'string';
    const type = isFile ? EntryType.file : EntryType.directory;
    const place = { tree: 1, directory: isFile ? directory : name, entry: isFile ? position : -1 };
    const entry = { type, name: Buffer.from(String(name)), sizeBytes: 10 } as HistoryEntry;
    const node = { nodeLow: nodeLow(place), nodeHigh: nodeHigh(place, true) };
    return { entry, inode: inodeOfDirectory(1, directory), ...node, storedBytes: undefined };
  }

  private content(name: string): OpenContent {
    const blocks = {
      layout: () => undefined,
      decodedHolding: () => undefined,
      prefetchHolding: () => {
        if (!this.isBusy && !this.prefetched.includes(name)) this.prefetched.push(name);
        return !this.isBusy;
      },
    };
    const record = { object: 'packs/1', position: 0, recordBytes: 1000 };
    const piece = { ...record, offset: 0, sizeBytes: 10, digest: Buffer.alloc(32) };
    const how = { isSparse: false, isLone: false };
    return OpenContent.open([piece], how, blocks as unknown as DecodedBlocks) as OpenContent;
  }

  /** Reads a file from its beginning, and waits until what that begins is done. */
  async read(directory: number, entry: number): Promise<void> {
    this.ahead.follow(this.tree, { tree: 1, directory, entry }, this.page(directory));
    await new Promise(setImmediate);
  }
}

const files = (count: number, prefix = 'file '): string[] =>
  Array.from({ length: count }, (_, number) => `${prefix}${number}`);

test('the files behind the one that is read are decoded, up to a number, and each is requested once', async (t) => {
  const lab = new Lab([{ names: files(90) }]);
  await lab.read(0, 2);
  t.deepEqual(lab.prefetched, files(90).slice(3, 3 + LOOK_AHEAD));
  await lab.read(0, 3);
  await lab.read(0, 4);
  t.deepEqual(lab.prefetched, files(90).slice(3, 5 + WALK_AHEAD));
});

test('a walk looks into the next directory, back out of it, and behind it', async (t) => {
  const lab = new Lab([
    { names: ['a', 'b', 1, 'd', 2] },
    { names: ['c1', 'c2'], above: { directory: 0, position: 3 } },
    { names: ['e'], above: { directory: 0, position: 5 } },
  ]);
  await lab.read(0, 0);
  t.deepEqual([lab.prefetched, lab.loaded], [['b'], []], 'one file may be all that is read');
  await lab.read(0, 1);
  t.deepEqual(lab.loaded, [1, 2]);
  t.deepEqual(lab.prefetched, ['b', 'c1', 'c2', 'd', 'e']);
  await lab.read(1, 0);
  t.deepEqual(lab.loaded, [1, 2]);
  await lab.read(1, 1);
  await lab.read(0, 3);
  await lab.read(2, 0);
  t.deepEqual(lab.prefetched, ['b', 'c1', 'c2', 'd', 'e']);
});

test('what had to wait is decoded at the next request', async (t) => {
  const lab = new Lab([{ names: files(9) }]);
  lab.isBusy = true;
  await lab.read(0, 0);
  t.deepEqual(lab.prefetched, []);
  lab.isBusy = false;
  await lab.read(0, 1);
  t.deepEqual(lab.prefetched, files(9).slice(2));
});

test('files in any order load no other directory', async (t) => {
  const above = { directory: 0, position: 0 };
  const others = Array.from({ length: 8 }, () => ({ names: [...files(2), 0], above }));
  const lab = new Lab([{ names: files(3) }, ...others]);
  for (const directory of [5, 2, 8, 1, 3]) await lab.read(directory, 1);
  t.deepEqual(lab.loaded, []);
});

test('a look ahead ends at a large directory, until a file in it is read', async (t) => {
  const lab = new Lab([
    { names: ['a', 'b', 1] },
    { names: ['c', 'd', 'e'], above: { directory: 0, position: 3 } },
  ]);
  Object.assign(lab.tree, { isLarge: (directory: number) => directory === 1 });
  await lab.read(0, 0);
  await lab.read(0, 1);
  t.deepEqual([lab.prefetched, lab.loaded], [['b'], []]);
  await lab.read(1, 0);
  t.deepEqual(lab.prefetched, ['b', 'd', 'e']);
});

test('a tree without files for a long way, one that leads back to itself, and one that fails, end the look', async (t) => {
  const chain = Array.from({ length: 200 }, (_, number) => ({
    names: number === 0 ? ['a', 'b', 1] : [(number + 1) % 200],
    above: { directory: number - 1, position: number === 1 ? 3 : 1 },
  }));
  const lab = new Lab(chain);
  for (let directory = 0; directory < 200; directory += 1) lab.page(directory);
  await lab.read(0, 0);
  await lab.read(0, 1);
  t.deepEqual(lab.prefetched, ['b']);
  const broken = new Lab([{ names: ['a', 'b', 'c', 1] }, { names: [] }]);
  Object.assign(broken.tree, { pageOf: () => Promise.reject(new Error('damaged')) });
  for (const entry of [0, 1, 2, 0, 1]) await broken.read(0, entry);
  t.deepEqual(broken.prefetched, ['b', 'c']);
});

test('for one file that is read, only some directories are loaded', async (t) => {
  const chain = Array.from({ length: 200 }, (_, number) => ({
    names: number === 0 ? ['a', 'b', 1] : [number + 1],
    above: { directory: number - 1, position: number === 1 ? 3 : 1 },
  }));
  const lab = new Lab(chain);
  lab.page(0);
  await lab.read(0, 0);
  await lab.read(0, 1);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  t.true(lab.loaded.length > 1 && lab.loaded.length <= 8, String(lab.loaded.length));
});

test('decoded files are offered in the order of the walk, as far as there is room', async (t) => {
  const lab = new Lab([{ names: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] }]);
  lab.room = 2;
  await lab.read(0, 0);
  t.deepEqual(lab.offered, [], 'one file may be all that is read');
  await lab.read(0, 1);
  t.deepEqual(lab.offered, ['c', 'd']);
  lab.room = 3;
  lab.ahead.wasSent({ nodeLow: nodeLow({ tree: 1, directory: 0, entry: 2 }), nodeHigh: HIGH });
  lab.ahead.goOn();
  t.deepEqual(lab.offered, ['c', 'd', 'e']);
  lab.room = 9;
  await lab.read(0, 5);
  t.deepEqual(lab.offered, ['c', 'd', 'e', 'g'], 'a file that was passed over is not offered');
  t.is(lab.takenBack, 0);
  await lab.read(0, 0);
  t.is(lab.takenBack, 1, 'files in another order begin anew');
});

test('files of two programs that read in turns are not offered', async (t) => {
  const lab = new Lab([{ names: files(9, 'one ') }, { names: files(9, 'two ') }]);
  lab.room = 9;
  for (let entry = 0; entry < 9; entry += 1) {
    await lab.read(0, entry);
    await lab.read(1, entry);
  }
  t.deepEqual([lab.offered, lab.takenBack], [[], 0]);
});

test('a walk is forgotten, and files of another tree do not go on with it', async (t) => {
  const lab = new Lab([{ names: ['a', 'b', 'c', 'd', 'e', 'f'] }]);
  lab.room = 9;
  await lab.read(0, 0);
  await lab.read(0, 1);
  t.deepEqual(lab.offered.splice(0), ['c', 'd', 'e', 'f']);
  lab.ahead.forget();
  lab.ahead.wasSent({ nodeLow: nodeLow({ tree: 1, directory: 0, entry: 2 }), nodeHigh: HIGH });
  lab.ahead.goOn();
  t.deepEqual(lab.offered, []);
  await lab.read(0, 0);
  await lab.read(0, 1);
  t.deepEqual(lab.offered.splice(0), ['c', 'd', 'e', 'f']);
  const other = new Lab([{ names: ['a', 'b', 'c', 'd', 'e', 'f'] }]);
  const place = { tree: 1, directory: 0, entry: 2 };
  lab.ahead.follow(other.tree, place, other.page(0));
  t.deepEqual(lab.offered, [], 'the other tree has the nodes of the first one');
  t.is(lab.takenBack, 1);
});

// Pace: slow
/**
 * Directories of an encrypting client, as the file system shows them with pages that the addon opens, and as it shows them
 * without. Both must be equal to the byte, whatever was changed in the catalog.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  Access,
  type History,
  openLocalHistory,
  unsealedHistory,
} from '../../src/history/index.js';
import { asTardisError } from '../../src/errors/index.js';
import {
  DirectoriesAhead,
  MOUNT_PAGE_ENTRIES,
  PackedListings,
  PageCache,
  placeOfNode,
  ReadyPages,
  SetTree,
} from '../../src/mount/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { makeScratch, removeScratch, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, hardlink, makeTree, symlink, type TreeNode } from '../helpers/tree.js';

const SET = 1;
const TREE = 7;
const ENTRY_BYTES = 128;
const MANY = 1300;
/** More entries than are opened before they are requested. */
const LARGE = 2100;
/** More entries than an encrypting client's listings are sorted for. */
const UNSORTED = 17_000;

type Lab = Awaited<ReturnType<typeof savedTree>>;

async function savedTree(home: string, children: readonly TreeNode[]) {
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'source');
  makeTree(source, children);
  await backupInline(inlineSystem(), place, [source], { create: true, password: PASSWORD });
  return { place, source, keyring: (await keyringOfPlace(place))! };
}

/** Counts packed pages that a history returns, and those that it leaves to `list`. */
interface Counts {
  packed: number;
  left: number;
}

function openHistory({ place, keyring }: Lab, counts: Counts | undefined): History {
  const system = nodeSystem();
  const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
  const history = unsealedHistory(local, keyring, system.native);
  const listPacked: History['listPacked'] = (pages) => {
    const value = history.listPacked!(pages);
    // One directory at a time: its page has no bytes if it is left to `list`.
    if (value === undefined || value.equals(Buffer.from('0;'))) counts!.left += 1;
    else counts!.packed += 1;
    return value;
  };
  return Object.create(history, {
    listPacked: { value: counts === undefined ? undefined : listPacked },
  }) as History;
}

/** Returns what the kernel gets of each page of a set, or its error; the walk follows the directories in the pages. */
async function shownPages(lab: Lab, counts?: Counts): Promise<string[]> {
  const history = openHistory(lab, counts);
  try {
    const tree = await openTree(history);
    const shown: string[] = [];
    const left = [0];
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      left.push(...(await walk(tree, next, shown)));
    }
    return [...shown, ...history.doubts];
  } finally {
    history.close();
  }
}

/** Opens set 1 as a tree. */
async function openTree(history: History): Promise<SetTree> {
  const set = (await history.sets()).find((one) => one.set === SET)!;
  const [cache, ready] = [new PageCache(), new ReadyPages()];
  const { native } = nodeSystem();
  const packed = new PackedListings(native);
  const ahead = new DirectoriesAhead();
  const options = { history, native, set, tree: TREE, cache, packed, ready, ahead };
  const tree = new SetTree(options);
  await tree.entryAt(0, -1);
  return tree;
}

/** Returns the number of a directory by its path. */
async function directoryAt(tree: SetTree, where: string): Promise<number> {
  let directory = 0;
  for (const name of where.split('/').slice(1)) {
    const { nodeLow, nodeHigh } = (await tree.lookup(directory, Buffer.from(name)))!;
    ({ directory } = placeOfNode(nodeLow, nodeHigh));
  }
  return directory;
}

/** Appends the pages of a directory; returns the numbers of those in it. */
async function walk(tree: SetTree, directory: number, shown: string[]): Promise<number[]> {
  const below: number[] = [];
  for (let position = 0; ; position += MOUNT_PAGE_ENTRIES) {
    try {
      const page = await tree.page(directory, position, true);
      const plain = await tree.page(directory, position, false);
      if (page === undefined) return below;
      const { packed, starts } = page.plus();
      const names = plain!.plain();
      shown.push(`${directory}+${position}: ${packed.toString('hex')} ${starts.join()}`);
      shown.push(
        `${directory}-${position}: ${names.packed.toString('hex')} ${names.starts.join()}`,
      );
      for (let entry = 0; entry < starts.length - 1; entry += 1) {
        const at = starts[entry]!;
        const place = placeOfNode(packed.readUInt32LE(at), packed.readUInt32LE(at + 4));
        if (place.entry < 0 && place.tree === TREE) below.push(place.directory);
        if (packed.length < at + ENTRY_BYTES) throw new Error('a page is cut off');
      }
      if (page.first + starts.length - 1 < position + MOUNT_PAGE_ENTRIES) return below;
    } catch (error) {
      shown.push(`${directory} ${position}: ${asTardisError(error).code} ${String(error)}`);
      return below;
    }
  }
}

/** Compares both ways. Returns the counts of the pages, and what is shown. */
async function compare(t: ExecutionContext, lab: Lab, what = '') {
  const counts = { packed: 0, left: 0 };
  const shown = await shownPages(lab, counts);
  const usual = await shownPages(lab);
  t.is(shown.length, usual.length, what);
  shown.forEach((line, index) => {
    if (line !== usual[index]) t.fail(`${what}: ${line}\nis not ${usual[index]}`);
  });
  return { ...counts, shown };
}

test('random trees are shown alike, to the byte', async (t) => {
  let packed = 0;
  for (const seed of [1, 2, 3]) {
    const lab = await savedTree(scratchInMemory(t), randomTree(chooser(seed), 500));
    packed += (await compare(t, lab, `seed ${seed}`)).packed;
  }
  t.true(packed > 10, `${packed}`);
});

test('a directory of several pages is shown alike, and opened once', async (t) => {
  const files = Array.from({ length: MANY }, (_, n) =>
    file(`${(n * 7919) % MANY}`, 'x'.repeat(n % 3)),
  );
  const lab = await savedTree(scratchInMemory(t), [
    dir('many', files),
    dir('full', files.slice(0, MOUNT_PAGE_ENTRIES)),
  ]);
  const { packed, left } = await compare(t, lab);
  // In each form: the root, three pages of the first directory, and two of the other one, whose second one is empty.
  t.deepEqual({ packed, left }, { packed: 12, left: 0 });
});

test('a directory that is too large to be sorted is shown alike, also if an entry of it is missing', async (t) => {
  const files = Array.from({ length: UNSORTED }, (_, n) => file(`${n}`));
  const lab = await savedTree(scratchInMemory(t), [
    dir('huge', [dir('sub', [file('x')]), ...files]),
  ]);
  const { packed, left } = await compare(t, lab);
  const pages = Math.ceil((UNSORTED + 1) / MOUNT_PAGE_ENTRIES);
  // In each form: the root, the pages of the directory, and the directory in it.
  t.deepEqual({ packed, left }, { packed: 2 * (pages + 2), left: 0 });
  changeCatalog(lab.place.store, (catalog) => {
    catalog.exec(
      `DELETE FROM entries WHERE name = (SELECT max(name) FROM entries WHERE ${LARGEST})`,
    );
  });
  const { left: leftThen, shown } = await compare(t, lab);
  t.true(leftThen > 0);
  t.true(shown.some((line) => line.includes('NOT_AUTHENTIC')));
});

test('each name of a directory that is too large to be sorted is found, whatever was read before', async (t) => {
  const files = Array.from({ length: UNSORTED }, (_, n) => file(`${n}`));
  const lab = await savedTree(scratchInMemory(t), [dir('huge', files)]);
  const choose = chooser(4);
  for (const [isListed, orderOf] of [
    [false, true],
    [true, true],
    [true, false],
  ] as const) {
    const sealed = openHistory(lab, { packed: 0, left: 0 });
    t.teardown(() => sealed.close());
    const history = orderOf
      ? sealed
      : (Object.create(sealed, { orderOf: { value: undefined } }) as History);
    const tree = await openTree(history);
    const directory = await directoryAt(tree, `${lab.source}/huge`);
    const pages = isListed ? Math.ceil(UNSORTED / MOUNT_PAGE_ENTRIES) : 0;
    for (let page = 0; page < pages; page += 1) {
      t.not(await tree.page(directory, page * MOUNT_PAGE_ENTRIES, true), undefined);
    }
    for (let round = 0; round < (orderOf ? 40 : 4); round += 1) {
      const name = `${choose(UNSORTED)}`;
      const found = await tree.lookup(directory, Buffer.from(name));
      t.is(found?.entry.name.toString(), name);
      t.is(await tree.lookup(directory, Buffer.from(`${name}x`)), undefined);
    }
    if (orderOf)
      t.is(
        (await history.find(Buffer.from(`${lab.source}/huge/1234`), SET))?.name.toString(),
        '1234',
      );
    t.is(await history.find(Buffer.from(`${lab.source}/huge/none`), SET), undefined);
  }
});

test('a large directory is not opened before it is requested', async (t) => {
  const files = Array.from({ length: LARGE }, (_, n) => file(`${n}`));
  const lab = await savedTree(scratchInMemory(t), [
    dir('large', files),
    dir('middling', files.slice(0, MANY)),
  ]);
  const counts = { packed: 0, left: 0 };
  const history = openHistory(lab, counts);
  t.teardown(() => history.close());
  const tree = await openTree(history);
  const [large, middling] = await walk(tree, await directoryAt(tree, lab.source), []);
  t.deepEqual([tree.isLarge(large!), tree.isLarge(middling!)], [true, false]);
  const before = counts.packed;
  await tree.prepare([large!]);
  t.is(counts.packed, before + 1, 'the page whose length shows that it is large');
  await tree.prepare([middling!]);
  t.is(counts.packed, before + 3, 'and a page of the listing');
  t.true(tree.isLarge(large!));
  const pages: string[] = [];
  await walk(tree, large!, pages);
  t.is(pages.length, 2 * (Math.floor(LARGE / MOUNT_PAGE_ENTRIES) + 1));
  t.is(counts.left, 0);
});

const LARGEST = `directory_id = (SELECT directory_id FROM entries GROUP BY directory_id ORDER BY count(*) DESC LIMIT 1)`;

const TREE_OF_CASES: TreeNode[] = [
  dir('all', [
    dir('one', [
      file('a', 'first'),
      file('b', 'second'),
      dir('deep', [file('c', 'third')]),
      file('none'),
    ]),
    dir('two', [file('a', 'other'), dir('deep', [file('d', 'fourth'), symlink('link', 'a')])]),
    dir('linked', [file('x', 'linked'), hardlink('y', 'all', 'linked', 'x')]),
  ]),
];

let saved: Lab;
const home = makeScratch();
test.before(async () => {
  saved = await savedTree(home, TREE_OF_CASES);
});
test.after.always(() => removeScratch(home));

const IN = `directory_id IN (SELECT child_id FROM entries WHERE child_id IS NOT NULL)`;
const FILES = `content_id IS NOT NULL AND ${IN}`;
const first = (where: string): string =>
  `(directory_id, name, first_set) = (SELECT directory_id, name, first_set FROM entries WHERE ${where} ORDER BY directory_id DESC, name LIMIT 1)`;

/** Changes of the catalog. The pages of the directories that they touch are left to `list`. */
const TAMPERINGS: Readonly<Record<string, string>> = {
  'an entry is missing': `DELETE FROM entries WHERE ${first(FILES)}`,
  'an entry is there twice': `INSERT INTO entries SELECT directory_id, name, first_set - 1, NULL, type, flags, size_bytes, content_id, child_id, metadata FROM entries WHERE ${first(FILES)}`,
  'an entry has ended': `UPDATE entries SET first_set = 0, last_set = 0 WHERE ${first(FILES)}`,
  'an entry is in another directory': `UPDATE entries SET directory_id = (SELECT min(other.directory_id) FROM entries AS other WHERE other.directory_id > 2) WHERE ${first(FILES)}`,
  'a byte of a name': `UPDATE entries SET name = CAST(substr(name, 1, length(name) - 1) || x'41' AS BLOB) WHERE ${first(FILES)}`,
  'a name that is a text': `UPDATE entries SET name = CAST(name AS TEXT) WHERE ${first(FILES)}`,
  'metadata that is cut off': `UPDATE entries SET metadata = substr(metadata, 1, 50) WHERE ${first(FILES)}`,
  'metadata that is a text': `UPDATE entries SET metadata = 'text' WHERE ${first(FILES)}`,
  'other permissions': `UPDATE entries SET metadata = CAST(substr(metadata, 1, 2) || x'ff' || substr(metadata, 4) AS BLOB) WHERE ${first(FILES)}`,
  'a byte of a seal': `UPDATE entries SET metadata = CAST(substr(metadata, 1, 70) || x'0000' || substr(metadata, 73) AS BLOB) WHERE ${first(FILES)}`,
  'no seal': `UPDATE entries SET metadata = CAST(substr(metadata, 1, 1) || x'00' || substr(metadata, 3, 54) AS BLOB) WHERE ${first(FILES)}`,
  'no content': `UPDATE entries SET content_id = NULL WHERE ${first(FILES)}`,
  'a content that is none': `UPDATE entries SET content_id = 0 WHERE ${first(FILES)}`,
  'a content where none was': `UPDATE entries SET content_id = 1 WHERE ${first(`content_id IS NULL AND child_id IS NULL AND ${IN}`)}`,
  'a directory without an id': `UPDATE entries SET child_id = NULL WHERE ${first(`child_id IS NOT NULL AND ${IN}`)}`,
  'a directory of id 0': `UPDATE entries SET child_id = 0 WHERE ${first(`child_id IS NOT NULL AND ${IN}`)}`,
  'a file with a directory': `UPDATE entries SET child_id = 3 WHERE ${first(FILES)}`,
  'a file with directory 0': `UPDATE entries SET child_id = 0 WHERE ${first(FILES)}`,
  'a directory that leads to another one': `UPDATE entries SET child_id = 3 WHERE ${first(`child_id IS NOT NULL AND ${IN}`)}`,
  'flags that are a text': `UPDATE entries SET flags = 'text' WHERE ${first(FILES)}`,
  'a first set that is a fraction': `UPDATE entries SET first_set = 0.5 WHERE ${first(FILES)}`,
  'a last set that is a text': `UPDATE entries SET last_set = 'text' WHERE ${first(FILES)}`,
  'a last set that is no number': `UPDATE entries SET last_set = 9007199254740993 WHERE ${first(FILES)}`,
  'a content that is a text': `UPDATE entries SET content_id = 'text' WHERE ${first(FILES)}`,
};

/** Those that `list` repairs, or that only reading the content would show. */
const HARMLESS: ReadonlySet<string> = new Set(['a byte of a seal', 'a content that is none']);

test('a tree that nothing was changed in is shown alike', async (t) => {
  const { packed, left } = await compare(t, saved);
  t.deepEqual({ packed, left }, { packed: 14, left: 0 });
});

for (const [what, statement] of Object.entries(TAMPERINGS)) {
  test(`a changed catalog is shown alike: ${what}`, async (t) => {
    const store = path.join(scratchInMemory(t), 'store');
    fs.cpSync(saved.place.store, store, { recursive: true });
    changeCatalog(store, (catalog) => catalog.exec(statement));
    const lab = { ...saved, place: { ...saved.place, store } };
    const before = await shownPages(saved);
    const { left, shown } = await compare(t, lab);
    t.true(left > 0);
    t.is(shown.join('\n') === before.join('\n'), HARMLESS.has(what));
  });
}

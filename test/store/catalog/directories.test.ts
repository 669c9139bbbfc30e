/**
 * Directories keep their ids when they are renamed or moved, in whatever order a walk meets the old and the new place.
 * A directory without a place is closed only when a set completes.
 */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import {
  applySection,
  Catalog,
  closeDirectory,
  closeName,
  type DirectoryIdentity,
  identityOf,
  putRow,
} from '../../../src/store/catalog/index.js';
import { type Entry, EntryType, RowReader } from '../../../src/model/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { sectionOf } from '../../helpers/packed-store.js';
import { entryOf, rowOf } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

function openCatalog(t: ExecutionContext): Catalog {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  catalog.begin();
  catalog.directories.add(1, identity(0, 'root', 1n));
  return catalog;
}

function identity(parent: number, name: string, inode: bigint, birth = inode): DirectoryIdentity {
  return { root: 1, parent, name: Buffer.from(name), inode, birthTimeNs: birth };
}

function directoryEntry(name: string, inode: bigint, birthTimeNs = inode): Entry {
  return entryOf(name, { type: EntryType.directory, inode, birthTimeNs });
}

const NOWHERE = (): boolean => false;

test('a directory is known where it was, and where it was moved to', (t) => {
  const { directories } = openCatalog(t);
  directories.add(5, identity(1, 'a', 100n));
  t.deepEqual(directories.find(identity(1, 'a', 100n), NOWHERE), {
    directory: 5,
    isHere: true,
    skipHash: undefined,
  });
  for (const moved of [identity(1, 'b', 100n), identity(7, 'a', 100n)]) {
    t.deepEqual(directories.find(moved, NOWHERE), {
      directory: 5,
      isHere: false,
      skipHash: undefined,
    });
  }
  directories.place(5, identity(7, 'c', 100n));
  t.deepEqual(directories.find(identity(7, 'c', 100n), NOWHERE), {
    directory: 5,
    isHere: true,
    skipHash: undefined,
  });
  t.like(directories.location(5), { parent: 7, name: Buffer.from('c') });
});

test('an inode that was used again, or is of another root, is another directory', (t) => {
  const { directories } = openCatalog(t);
  directories.add(5, identity(1, 'a', 100n, 1000n));
  t.is(directories.find(identity(1, 'a', 100n, 1001n), NOWHERE), undefined);
  t.is(directories.find(identity(1, 'a', 101n, 1000n), NOWHERE), undefined);
  t.is(directories.find({ ...identity(1, 'a', 100n, 1000n), root: 2 }, NOWHERE), undefined);
});

test('a directory met in this set already is not taken for a second one', (t) => {
  const { directories } = openCatalog(t);
  directories.add(5, identity(1, 'a', 100n));
  t.is(
    directories.find(identity(1, 'copy', 100n), (directory) => directory === 5),
    undefined,
  );
  const here = directories.find(identity(1, 'a', 100n), () => true);
  t.deepEqual(here, { directory: 5, isHere: true, skipHash: undefined });
});

test('inodes of all 64 bits are distinguished', (t) => {
  const { directories } = openCatalog(t);
  const inodes = [2n ** 63n, 2n ** 64n - 1n, 2n ** 63n - 1n, 2n ** 53n, 2n ** 53n + 1n];
  inodes.forEach((inode, index) => {
    directories.add(10 + index, identity(1, `${index}`, inode, -1n));
  });
  inodes.forEach((inode, index) => {
    const found = directories.find(identity(1, 'moved', inode, -1n), NOWHERE);
    t.is(found?.directory, 10 + index);
  });
});

test('a skip hash is kept until it is cleared', (t) => {
  const { directories } = openCatalog(t);
  directories.add(5, identity(1, 'a', 100n));
  t.is(directories.skipHash(5), undefined);
  for (const directory of [1, 5]) directories.setSkipHash(directory, Buffer.alloc(32, directory));
  t.deepEqual(directories.skipHash(5), Buffer.alloc(32, 5));
  directories.setSkipHash(5, undefined);
  t.is(directories.skipHash(5), undefined);
  t.deepEqual(directories.skipHash(1), Buffer.alloc(32, 1));
});

/** Returns the tree of a set as paths, following the ids of directories from the root. */
function treeAsOf(catalog: Catalog, set: number, directory = 1, prefix = ''): string[] {
  const page = { directory, set, after: Buffer.alloc(0), limit: 999, withDigests: false };
  return catalog.entries.listAsOf(page).flatMap(({ name, type, childId, mtimeNs }) => {
    const at = `${prefix}/${name.toString()}`;
    if (type !== EntryType.directory) return [`${at} ${mtimeNs}`];
    return [`${at}/`, ...treeAsOf(catalog, set, childId, at)];
  });
}

/** Completes a set as a session does: closes every directory without a place. */
function complete(catalog: Catalog, set: number): void {
  for (;;) {
    const directory = catalog.directories.nextUnplaced(1);
    if (directory === undefined) break;
    closeDirectory(catalog, directory, set);
  }
  catalog.sets.complete(set, 0, {});
}

for (const order of ['old place first', 'new place first']) {
  test(`a directory that moved is not closed, ${order}`, (t) => {
    const catalog = openCatalog(t);
    applySection(
      catalog,
      sectionOf(1, 1, [directoryEntry('a', 10n), directoryEntry('b', 11n)], [], [2, 3]),
    );
    applySection(catalog, sectionOf(1, 2, [directoryEntry('moving', 12n)], [], [4]));
    applySection(catalog, sectionOf(1, 4, [entryOf('file', { mtimeNs: 1n })]));
    complete(catalog, 1);
    const old = sectionOf(2, 2, [], ['moving']);
    const fresh = sectionOf(2, 3, [directoryEntry('moved', 12n)], [], [4]);
    const sections = order === 'old place first' ? [old, fresh] : [fresh, old];
    for (const section of sections) applySection(catalog, section);
    complete(catalog, 2);
    t.deepEqual(treeAsOf(catalog, 2), ['/a/', '/b/', '/b/moved/', '/b/moved/file 1']);
    t.deepEqual(treeAsOf(catalog, 1), ['/a/', '/a/moving/', '/a/moving/file 1', '/b/']);
    t.is(catalog.entries.versions(4, Buffer.from('file')).length, 1, 'and nothing in it is new');
  });
}

test('two directories that changed places keep what is in them', (t) => {
  const catalog = openCatalog(t);
  const both = [directoryEntry('a', 10n), directoryEntry('b', 11n)];
  applySection(catalog, sectionOf(1, 1, both, [], [2, 3]));
  applySection(catalog, sectionOf(1, 2, [entryOf('in first', { mtimeNs: 1n })]));
  applySection(catalog, sectionOf(1, 3, [entryOf('in second', { mtimeNs: 1n })]));
  complete(catalog, 1);
  const swapped = [directoryEntry('a', 11n), directoryEntry('b', 10n)];
  applySection(catalog, sectionOf(2, 1, swapped, [], [3, 2]));
  complete(catalog, 2);
  t.deepEqual(treeAsOf(catalog, 2), ['/a/', '/a/in second 1', '/b/', '/b/in first 1']);
  t.deepEqual(treeAsOf(catalog, 1), ['/a/', '/a/in first 1', '/b/', '/b/in second 1']);
});

test('what is under a directory that is gone is closed when a set completes, not before', (t) => {
  const catalog = openCatalog(t);
  applySection(catalog, sectionOf(1, 1, [directoryEntry('a', 10n)], [], [2]));
  applySection(catalog, sectionOf(1, 2, [directoryEntry('b', 11n), entryOf('f')], [], [3]));
  applySection(catalog, sectionOf(1, 3, [entryOf('g'), entryOf('h')]));
  complete(catalog, 1);
  applySection(catalog, sectionOf(2, 1, [], ['a']));
  t.is(catalog.entries.headNames(3, 9).length, 2, 'an unfinished set closes nothing below');
  // The set is interrupted; the next one finds a part of the tree elsewhere.
  applySection(catalog, sectionOf(3, 1, [directoryEntry('rescued', 11n)], [], [3]));
  complete(catalog, 3);
  t.deepEqual(treeAsOf(catalog, 3), [
    '/rescued/',
    '/rescued/g 1700000000123456789',
    '/rescued/h 1700000000123456789',
  ]);
  t.is(catalog.entries.headNames(2, 9).length, 0);
  t.is(catalog.entries.headNames(3, 9).length, 2);
  t.is(catalog.directories.nextUnplaced(1), undefined);
  t.is(treeAsOf(catalog, 1).length, 5, 'the first set has it all');
});

test('a directory that only an interrupted set declared is closed by the next set', (t) => {
  const catalog = openCatalog(t);
  applySection(catalog, sectionOf(1, 1, [directoryEntry('a', 10n)], [], [2]));
  applySection(catalog, sectionOf(1, 2, [entryOf('f')]));
  complete(catalog, 1);
  // A new directory is announced before its parent, and then the set is interrupted.
  catalog.directories.add(3, identity(2, 'new', 11n));
  applySection(catalog, sectionOf(2, 3, [entryOf('g')]));
  catalog.directories.unplaceStranded();
  t.is(catalog.directories.nextUnplaced(1), 3);
  t.is(catalog.entries.headNames(3, 9).length, 1, 'it may still be met');
  complete(catalog, 3);
  t.is(catalog.entries.headNames(3, 9).length, 0);
  t.is(catalog.entries.headNames(2, 9).length, 1);
  catalog.directories.unplaceStranded();
  t.is(catalog.directories.nextUnplaced(1), undefined);
});

// --- random sequences of changes, walked in random order -----------------------------------------

interface Node {
  readonly inode: bigint;
  readonly birth: bigint;
  /** Children by name. A number stands for a file, and is its version. */
  readonly children: Map<string, Node | number>;
}

interface Step {
  readonly what: 'file' | 'make' | 'move' | 'remove' | 'replace';
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

interface Run {
  readonly steps: readonly Step[];
  /** Number of listings processed before the set is interrupted; undefined if the set completes. */
  readonly listings: number | undefined;
  readonly seed: number;
}

const anyRun: fc.Arbitrary<Run> = fc.record({
  steps: fc.array(
    fc.record({
      what: fc.constantFrom('file', 'make', 'make', 'move', 'move', 'remove', 'replace'),
      from: fc.nat(20),
      to: fc.nat(20),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
    }),
    { maxLength: 10, size: 'max' },
  ),
  listings: fc.option(fc.nat(6), { nil: undefined, freq: 2 }),
  seed: fc.nat(),
});

class Tree {
  readonly root: Node = { inode: 1n, birth: 1n, children: new Map() };
  private counter = 1;

  all(node = this.root): Node[] {
    const below = [...node.children.values()].filter((child) => typeof child !== 'number');
    return [node, ...below.flatMap((child) => this.all(child))];
  }

  step({ what, from, to, name }: Step): void {
    const nodes = this.all();
    const source = nodes[from % nodes.length]!;
    const target = nodes[to % nodes.length]!;
    this.counter += 1;
    const made = (inode: bigint): Node => ({
      inode,
      birth: BigInt(this.counter),
      children: new Map(),
    });
    if (what === 'remove') source.children.delete(name);
    else if (what === 'file') source.children.set(name, this.counter);
    else if (what === 'make') source.children.set(name, made(BigInt(this.counter)));
    else if (what === 'replace') {
      // The directory is removed, and a new one gets its inode number.
      const old = source.children.get(name);
      if (old === undefined || typeof old === 'number') return;
      source.children.delete(name);
      target.children.set(name, made(old.inode));
    } else {
      const moving = [...source.children.entries()][to % Math.max(1, source.children.size)];
      if (moving === undefined) return;
      const [oldName, child] = moving;
      if (typeof child !== 'number' && this.all(child).includes(target)) return;
      source.children.delete(oldName);
      target.children.set(name, child);
    }
  }

  shown(node = this.root, prefix = ''): string[] {
    return [...node.children.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, child]) => {
        const at = `${prefix}/${name}`;
        if (typeof child === 'number') return [`${at} ${child}`];
        return [`${at}/`, ...this.shown(child, at)];
      });
  }
}

/** Walks a tree into the catalog as a session does: a listing follows its head; otherwise the order is random. */
class Walk {
  private readonly placed = new Set<number>();
  private readonly catalog: Catalog;
  private readonly set: number;
  private readonly ids: Map<string, number>;

  constructor(catalog: Catalog, set: number, ids: Map<string, number>) {
    this.catalog = catalog;
    this.set = set;
    this.ids = ids;
  }

  run(root: Node, seed: number, listings: number | undefined): void {
    const random = seededRandom(seed);
    const pending: { node: Node; directory: number; isHead: boolean }[] = [
      { node: root, directory: 1, isHead: true },
    ];
    let left = listings ?? Number.POSITIVE_INFINITY;
    while (pending.length > 0) {
      const [task] = pending.splice(Math.floor(random.next() * pending.length), 1);
      const { node, directory, isHead } = task!;
      if (isHead) {
        pending.push({ node, directory, isHead: false });
        for (const [name, child] of node.children) {
          if (typeof child === 'number') continue;
          const found = this.resolve(identity(directory, name, child.inode, child.birth));
          pending.push({ node: child, directory: found, isHead: true });
        }
      } else {
        if (left === 0) return;
        left -= 1;
        this.listing(node, directory);
      }
    }
  }

  private resolve(where: DirectoryIdentity): number {
    const { directories } = this.catalog;
    const found = directories.find(where, (directory) => this.placed.has(directory));
    const key = `${where.inode} ${where.birthTimeNs}`;
    const directory = found?.directory ?? this.ids.size + 2;
    if (found === undefined) directories.add(directory, where);
    else if (found.isHere) directories.forgetUnplaced(directory);
    else directories.place(directory, where);
    this.placed.add(directory);
    const known = this.ids.get(key);
    if (known !== undefined && known !== directory) throw new Error(`${key} has a new id`);
    if (known === undefined && [...this.ids.values()].includes(directory)) {
      throw new Error(`${key} has the id of another`);
    }
    this.ids.set(key, directory);
    return directory;
  }

  private listing(node: Node, directory: number): void {
    const { catalog, set } = this;
    for (const { name } of catalog.entries.headNames(directory, 999)) {
      if (!node.children.has(name.toString())) closeName(catalog, directory, name, set);
    }
    for (const [name, child] of node.children) {
      const isFile = typeof child === 'number';
      const row = isFile
        ? rowOf(name, { mtimeNs: BigInt(child) })
        : rowOf(name, { type: EntryType.directory, inode: child.inode, birthTimeNs: child.birth });
      const rows = new RowReader(row);
      const childId = isFile ? undefined : this.resolve(identityOf(1, directory, rows, 0));
      const version = { set, directory, contentId: undefined, childId, isNew: false };
      putRow(catalog, version, rows, 0);
    }
  }
}

/** Returns the ids of directories that are no longer in the tree. */
function goneFrom(tree: Tree, ids: ReadonlyMap<string, number>): number[] {
  const there = new Set(tree.all().map(({ inode, birth }) => `${inode} ${birth}`));
  return [...ids].filter(([key]) => !there.has(key)).map(([, directory]) => directory);
}

function openOf(catalog: Catalog, directories: readonly number[]): string[] {
  return directories.flatMap((directory) =>
    catalog.entries.headNames(directory, 99).map(({ name }) => `${directory}/${name.toString()}`),
  );
}

test('complete sets show the tree as it was, however it changed and in whatever order it was walked', (t) => {
  const catalog = openCatalog(t);
  catalog.rollback();
  let completed = 0;
  fc.assert(
    fc.property(fc.array(anyRun, { minLength: 1, maxLength: 7, size: 'max' }), (runs) => {
      catalog.begin();
      try {
        catalog.directories.add(1, identity(0, 'root', 1n));
        const tree = new Tree();
        const ids = new Map<string, number>();
        const wanted = new Map<number, string[]>();
        runs.forEach(({ steps, listings, seed }, index) => {
          const set = index + 1;
          for (const step of steps) tree.step(step);
          if (runs[index - 1]?.listings !== undefined) catalog.directories.unplaceStranded();
          new Walk(catalog, set, ids).run(tree.root, seed, listings);
          if (listings !== undefined) return;
          complete(catalog, set);
          const left = openOf(catalog, goneFrom(tree, ids));
          if (left.length > 0) throw new Error(`left open: ${left.join(', ')}`);
          wanted.set(set, tree.shown());
          completed += 1;
        });
        for (const [set, paths] of wanted) t.deepEqual(treeAsOf(catalog, set), paths, `${set}`);
        return true;
      } finally {
        catalog.rollback();
      }
    }),
    { numRuns: 200 },
  );
  t.true(completed > 300, `${completed}`);
});

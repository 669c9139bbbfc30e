/** Directories that are loaded before a walk lists them. */
import test from 'ava';
import { DirectoriesAhead, type SetTree } from '../../src/mount/index.js';

const CHILDREN = 20;
/** How a load ends: at once, later, or with an error. */
type Outcome = 'now' | 'later' | 'error' | 'late error';

/** A tree of numbered directories: 0 has 1 to 20, and each of these has one (20 more). */
class TestTree {
  readonly number = 1;
  readonly prepared: number[][] = [];
  outcome: Outcome = 'now';
  /** The number of directories that are near ones of a walk and loaded. */
  distance = 0;

  parentOf(directory: number): number {
    return directory <= CHILDREN ? 0 : directory - CHILDREN;
  }

  unreadAfter(directory: number, window: number, limit: number) {
    const walk = Array.from({ length: 2 * CHILDREN }, (_, n) =>
      n % 2 === 0 ? 1 + n / 2 : CHILDREN + (n + 1) / 2,
    );
    const next = walk.slice(walk.indexOf(directory) + 1).slice(0, window);
    const done = new Set(this.prepared.flat());
    const directories = next.filter((one) => !done.has(one)).slice(0, limit);
    return { directories, distance: this.distance };
  }

  prepare(directories: number[]): undefined | Promise<void> {
    this.prepared.push(directories);
    if (this.outcome === 'error') throw new Error('damaged');
    if (this.outcome === 'late error') return Promise.reject(new Error('damaged'));
    return this.outcome === 'later' ? Promise.resolve() : undefined;
  }
}

function aheadOf(tree: TestTree, ...listed: readonly number[]): DirectoriesAhead {
  const ahead = new DirectoriesAhead();
  for (const directory of listed) ahead.follow(tree as unknown as SetTree, directory);
  return ahead;
}

async function preparedAfter(tree: TestTree, ...listed: readonly number[]): Promise<number[][]> {
  aheadOf(tree, ...listed).goOn();
  for (let turns = 0; turns < 2 * CHILDREN; turns += 1) await new Promise(setImmediate);
  return tree.prepared;
}

test('a walk gets what comes next, a few at once, up to a bound', async (t) => {
  const walk = [2, 22, 3, 23, 4, 24, 5, 25, 6, 26, 7, 27, 8, 28, 9, 29, 10, 30, 11, 31, 12, 32];
  const all = [21, ...walk, 13, 33, 14, 34, 15, 35, 16, 36, 17];
  const inEights = [0, 8, 16, 24].map((from) => all.slice(from, from + 8));
  t.deepEqual(await preparedAfter(new TestTree(), 0, 1), inEights);
  const later = Object.assign(new TestTree(), { outcome: 'later' as const });
  t.deepEqual(await preparedAfter(later, 0, 1), inEights);
  t.deepEqual(await preparedAfter(new TestTree(), 0, 18), [[38, 19, 39, 20, 40]]);
});

test('an error is left to the request that lists the directory', async (t) => {
  for (const outcome of ['error', 'late error'] as const) {
    const tree = Object.assign(new TestTree(), { outcome });
    const prepared = await preparedAfter(tree, 0, 18);
    t.deepEqual(prepared, [[38, 19, 39, 20, 40]], outcome);
  }
});

test('few directories that are far ahead wait for more', (t) => {
  const tree = Object.assign(new TestTree(), { distance: 12 });
  t.false(aheadOf(tree, 0, 18).step());
  t.deepEqual(tree.prepared, []);
  tree.distance = 11;
  aheadOf(tree, 0, 18).step();
  t.deepEqual(tree.prepared, [[38, 19, 39, 20, 40]]);
});

test('while one load is waited for there is no other one', (t) => {
  const tree = Object.assign(new TestTree(), { outcome: 'later' as const });
  const ahead = aheadOf(tree, 0, 1);
  t.true(ahead.hasStep);
  t.false(ahead.step());
  t.false(ahead.hasStep);
  t.false(ahead.step());
  t.is(tree.prepared.length, 1);
});

test('what is no walk gets nothing ahead', async (t) => {
  t.deepEqual(await preparedAfter(new TestTree(), 0), []);
  t.deepEqual(await preparedAfter(new TestTree(), 5), []);
  t.deepEqual(await preparedAfter(new TestTree(), 0, 21), [], 'not in a directory that was listed');
});

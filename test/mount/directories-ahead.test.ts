/** Directories that are loaded before a walk lists them. */
import test from 'ava';
import { DirectoriesAhead, type SetTree } from '../../src/mount/index.js';

const CHILDREN = 20;

/** A tree of numbered directories: 0 has 1 to 20, and each of these has one (20 more). */
class TestTree {
  readonly number = 1;
  readonly prepared: number[] = [];

  parentOf(directory: number): number {
    return directory <= CHILDREN ? 0 : directory - CHILDREN;
  }

  placeOf(directory: number): number {
    return directory <= CHILDREN ? directory : 0;
  }

  directoriesIn(directory: number, position: number, limit: number): number[] {
    const all = Array.from({ length: CHILDREN }, (_, n) => n + 1);
    const inside = directory === 0 ? all : directory <= CHILDREN ? [directory + CHILDREN] : [];
    const isAfter = (one: number): boolean => this.placeOf(one) > position;
    return inside.filter((one) => isAfter(one) && !this.prepared.includes(one)).slice(0, limit);
  }

  prepare(directory: number): undefined | Promise<void> {
    this.prepared.push(directory);
    if (directory === 3) throw new Error('damaged');
    if (directory === 4) return Promise.reject(new Error('damaged, as it is seen later'));
    return directory % 2 === 0 ? Promise.resolve() : undefined;
  }
}

async function preparedAfter(...listed: readonly number[]): Promise<number[]> {
  const tree = new TestTree();
  const ahead = new DirectoriesAhead();
  for (const directory of listed) ahead.follow(tree as unknown as SetTree, directory);
  ahead.goOn();
  for (let turns = 0; turns < 2 * CHILDREN; turns += 1) await new Promise(setImmediate);
  return tree.prepared;
}

test('a walk gets what is in a directory, and then what is beside it', async (t) => {
  t.deepEqual(await preparedAfter(0, 1), [21, 2, 3, 4, 5, 6, 7, 8], 'one that fails ends nothing');
  t.deepEqual(await preparedAfter(0, 18), [38, 19, 20]);
});

test('directories are loaded one in a step, until one must be waited for', (t) => {
  const tree = new TestTree();
  const ahead = new DirectoriesAhead();
  for (const directory of [0, 2]) ahead.follow(tree as unknown as SetTree, directory);
  t.true(ahead.hasStep);
  t.false(ahead.step(), 'of directory 22');
  t.deepEqual(tree.prepared, [22]);
  t.false(ahead.step(), 'it is still waited for');
  t.deepEqual(tree.prepared, [22]);
  const next = new DirectoriesAhead();
  for (const directory of [0, 1]) next.follow(tree as unknown as SetTree, directory);
  t.true(next.step(), 'of directory 21, which is loaded at once');
  t.deepEqual(tree.prepared, [22, 21]);
});

test('what is no walk gets nothing ahead', async (t) => {
  t.deepEqual(await preparedAfter(0), []);
  t.deepEqual(await preparedAfter(5), []);
  t.deepEqual(await preparedAfter(0, 21), [], 'not in a directory that was listed');
});

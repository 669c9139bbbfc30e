// Pace: slow
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EditedTree } from '../../bench/edits.js';
import { chooseTags } from '../../bench/history.js';
import { UsageError } from '../../bench/options.js';
import { scratch } from '../helpers/scratch.js';

const FILES = 200;
const RELEASES = 5;

/** Returns the digests of the files in a tree, by their paths. */
function digestsOf(root: string): Map<string, string> {
  const files = fs.readdirSync(root, { recursive: true, withFileTypes: true });
  return new Map(
    files
      .filter((file) => file.isFile())
      .map((file) => path.join(file.parentPath, file.name))
      .sort()
      .map((file) => [
        path.relative(root, file),
        createHash('sha256').update(fs.readFileSync(file)).digest('hex'),
      ]),
  );
}

/** Makes the releases of a seed; returns the files of each with their digests. */
function releasesOf(t: ExecutionContext, seed: number): Map<string, string>[] {
  const root = path.join(scratch(t), 'tree');
  const tree = new EditedTree(root, { seed, files: FILES });
  tree.write();
  const all = [digestsOf(root)];
  for (let release = 1; release < RELEASES; release++) {
    const reported = tree.edit(release);
    const [before, now] = [all.at(-1)!, digestsOf(root)];
    const names = [...now.keys()];
    const changed = names.filter((name) => before.has(name) && before.get(name) !== now.get(name));
    t.true(changed.length > 0.8 * reported.changed - reported.removed, `${changed.length}`);
    t.true(changed.length >= 0.04 * FILES && changed.length <= 0.16 * FILES, `${changed.length}`);
    t.is(names.filter((name) => !before.has(name)).length, reported.added);
    t.is([...before.keys()].filter((name) => !now.has(name)).length, reported.removed);
    all.push(now);
  }
  return all;
}

test('a seed always gives the same releases, another seed others', (t) => {
  const first = releasesOf(t, 1);
  t.deepEqual(releasesOf(t, 1), first);
  t.notDeepEqual(releasesOf(t, 2), first);
  t.is(first[0]?.size, FILES);
});

test('tags are chosen by their versions', (t) => {
  const tags = ['v1.0', 'v1.0.1', 'v1.1', 'v1.1.1', 'v1.2-rc1', 'v1.2', 'start', 'v1.3_beta'];
  t.deepEqual(chooseTags(tags, { count: 3 }), ['v1.0', 'v1.1', 'v1.2']);
  t.deepEqual(chooseTags(tags, { count: 4 }), ['v1.0.1', 'v1.1', 'v1.1.1', 'v1.2']);
  t.deepEqual(chooseTags(['a-1_0_0', 'a-1_0_1', 'a-1_1_0', 'b-2_0'], { count: 2 }), [
    'a-1_0_0',
    'a-1_1_0',
  ]);
  t.throws(() => chooseTags(tags, { count: 6 }), { instanceOf: UsageError });
});

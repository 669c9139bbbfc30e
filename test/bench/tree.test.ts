// Pace: slow
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import test from 'ava';
import { changeTree, sizeOfTree } from '../../bench/change.js';
import { ContentMaker } from '../../bench/content.js';
import { planTree, writeTree } from '../../bench/tree.js';

const FILES = 200;

/** Runs `use` with a generated tree, which is removed afterwards. */
function withTree<T>(seed: number, use: (root: string) => T): T {
  const parent = mkdtempSync(join(tmpdir(), 'bench-tree-'));
  try {
    const root = join(parent, 'tree');
    writeTree(planTree({ seed, files: FILES }), root);
    return use(root);
  } finally {
    rmSync(parent, { recursive: true });
  }
}

/** Returns everything that the generator decides, by path: kind, mode, time and content. */
function describe(root: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const stat = lstatSync(join(root, path));
    const body = stat.isFile()
      ? `${stat.mtimeMs} ${createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest('hex')}`
      : stat.isSymbolicLink()
        ? readlinkSync(join(root, path))
        : '';
    entries.set(path, `${stat.mode} ${stat.isDirectory() ? 0 : stat.size} ${body}`);
  }
  return entries;
}

test('a seed always gives the same tree, another seed another tree', (t) => {
  const first = withTree(1, describe);
  t.deepEqual(withTree(1, describe), first);
  t.notDeepEqual(withTree(2, describe), first);
});

test('a tree has the files requested, in directories of about ten, and links', (t) => {
  const size = withTree(1, sizeOfTree);
  t.is(size.files, FILES);
  t.true(size.directories > FILES / 30 && size.directories < FILES / 3, `${size.directories}`);
  const plan = planTree({ seed: 1, files: FILES });
  t.is(size.others, plan.links.length);
  t.is(size.bytes, plan.bytes);
});

test('text compresses well, binaries by half, noise not at all', (t) => {
  const maker = new ContentMaker(1);
  const ratio = (kind: 'text' | 'binary' | 'noise'): number => {
    const sizeBytes = 100_000;
    const contents = maker.make({ kind, sizeBytes, contentSeed: 5, themeSeed: 6 });
    t.is(contents.length, sizeBytes);
    return sizeBytes / deflateRawSync(contents, { level: 1 }).length;
  };
  const [text, binary, noise] = [ratio('text'), ratio('binary'), ratio('noise')];
  t.true(text > 3 && text < 6, `${text}`);
  t.true(binary > 1.6 && binary < 2.2, `${binary}`);
  t.true(noise > 0.98 && noise < 1.02, `${noise}`);
});

test('contents do not depend on what was made before', (t) => {
  const spec = { kind: 'text', sizeBytes: 5000, contentSeed: 7, themeSeed: 8 } as const;
  const alone = Buffer.from(new ContentMaker(1).make(spec));
  const maker = new ContentMaker(1);
  maker.make({ ...spec, sizeBytes: 70_000, contentSeed: 9, themeSeed: 10 });
  t.deepEqual(Buffer.from(maker.make(spec)), alone);
});

test('a change rewrites its share of the files, within their size class, and is the same for a seed', (t) => {
  const changed = (seed: number): Map<string, string> =>
    withTree(1, (root) => {
      const sizes = new Map(
        [...describe(root).keys()].map((path) => [path, lstatSync(join(root, path)).size]),
      );
      const before = describe(root);
      t.is(changeTree(root, { seed, share: 0.05 }), FILES * 0.05);
      const after = describe(root);
      t.deepEqual([...after.keys()], [...before.keys()]);
      const differing = [...after].filter(([path, what]) => before.get(path) !== what);
      t.is(differing.length, FILES * 0.05);
      for (const [path] of differing) {
        const sizeClass = Math.floor(Math.log2(sizes.get(path) ?? 0));
        t.is(Math.floor(Math.log2(lstatSync(join(root, path)).size)), sizeClass);
      }
      // The time is left out, because it is the present time.
      return new Map(differing.map(([path, what]) => [path, what.split(' ').at(-1) ?? '']));
    });
  const first = changed(3);
  t.deepEqual(changed(3), first);
  t.notDeepEqual(changed(4), first);
});

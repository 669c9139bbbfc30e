/** The roots of a backup: which of the named directories and files there are, and the paths under which they are stored. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  missingFailures,
  readRoots,
  rootFiles,
  rootTasks,
  sourcePaths,
} from '../../src/client/index.js';
import { shownRoot } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, symlink } from '../helpers/tree.js';

const system = nodeSystem();

type RootPaths = NonNullable<Parameters<typeof readRoots>[2]>;

interface Lab {
  readonly home: string;
  kept(names: readonly string[], paths?: RootPaths): string[];
}

function lab(t: ExecutionContext): Lab {
  const home = fs.realpathSync(scratchInMemory(t));
  makeTree(path.join(home, 'a'), [dir('b', [dir('c'), file('f', 'f')]), dir('d', [dir('c')])]);
  const named = (names: readonly string[]): Buffer[] =>
    names.map((name) => Buffer.from(path.join(home, name)));
  return {
    home,
    kept: (names, paths) => {
      const { roots, missing } = readRoots(system, named(names), paths);
      const shown = roots.map(({ keptPath }) => shownRoot(keptPath).toString());
      const plan = planned(named(names), paths); // before anything is opened
      t.is(plan.length, roots.length + missing.length);
      t.true(shown.every((one) => plan.includes(one)));
      return roots.map(({ keptPath }) => keptPath.toString());
    },
  };
}

function planned(directories: readonly Buffer[], paths?: RootPaths): string[] {
  const found = sourcePaths({ directories, ...paths, streams: [] });
  return found.map((one) => one.toString()).toSorted();
}

test('a directory that is missing has the path that it would be stored under', (t) => {
  const { home } = lab(t);
  const sources = [`${home}/a/b`, `${home}/gone/x`].map((one) => Buffer.from(one));
  t.deepEqual(planned(sources), [`${home}/a/b`, `${home}/gone/x`]);
  t.deepEqual(planned(sources, { basePath: 'common' }), ['/a/b', '/gone/x']);
  t.deepEqual(planned(sources, { basePath: 'none' }), ['/b', '/x']);
  t.deepEqual(planned(sources, asGiven('/data', '/more')), ['/data', '/more']);
  const streams = [{ name: Buffer.from('dump') }];
  t.deepEqual(sourcePaths({ directories: [], streams }).map(String), ['/dump']);
  t.throws(() => planned(sources, asGiven('/data')), { code: 'USAGE' });
  makeTree(`${home}/links`, [symlink('there', '../gone/x'), symlink('round', 'round')]);
  fs.symlinkSync('links/there', `${home}/twice`);
  const links = ['links/there', 'links/round', 'twice'].map((one) => Buffer.from(`${home}/${one}`));
  t.deepEqual(planned(links), [`${home}/gone/x`, `${home}/links/round`]);
});

const asGiven = (...paths: string[]): RootPaths => ({
  keptAs: paths.map((one) => Buffer.from(one)),
});

test('a directory is stored under its real path, and once', (t) => {
  const { home, kept } = lab(t);
  makeTree(path.join(home, 'links'), [symlink('to b', '../a/b')]);
  t.deepEqual(kept(['a/b', 'links/to b', 'a/d']), [`${home}/a/b`, `${home}/a/d`]);
});

test('a base path cuts what all roots share, or all but the last name', (t) => {
  const { kept } = lab(t);
  t.deepEqual(kept(['a/b', 'a/d/c'], { basePath: 'common' }), ['/b', '/d/c']);
  t.deepEqual(kept(['a/b', 'a/d/c'], { basePath: 'none' }), ['/b', '/c']);
  t.deepEqual(kept(['a/b'], { basePath: 'common' }), ['/b']);
});

test('the common part counts a directory that is not there', (t) => {
  const { home, kept } = lab(t);
  const gone = path.join('a', 'gone');
  t.deepEqual(kept(['a/d/c', 'a/b', gone], { basePath: 'common' }), ['/d/c', '/b']);
  t.deepEqual(kept(['a/d/c', gone], { basePath: 'common' }), ['/d/c']);
  const { missing } = readRoots(system, [Buffer.from(home), Buffer.from(path.join(home, gone))]);
  t.deepEqual(
    missingFailures(missing).map(({ path: at, reason }) => `${at.toString()}: ${reason}`),
    [`${path.join(home, gone)}: it cannot be opened: no such file or directory (ENOENT)`],
  );
});

test('two directories are not stored under one path', (t) => {
  const { kept } = lab(t);
  const usage = { code: 'USAGE' };
  t.throws(() => kept(['a/b/c', 'a/d/c'], { basePath: 'none' }), usage);
  t.throws(() => kept(['a/b', 'a/b'], asGiven('/x', '/y')), usage);
  t.throws(() => kept(['a/b', 'a/d'], asGiven('/x', '/x')), usage);
  t.throws(() => kept(['a/b', 'a/d'], asGiven('/x/y', '/x')), usage);
});

test('given paths are one for each directory, and have names', (t) => {
  const { kept } = lab(t);
  const usage = { code: 'USAGE' };
  t.deepEqual(kept(['a/b', 'a/d'], asGiven('/x', 'y/z')), ['/x', '/y/z']);
  t.throws(() => kept(['a/b', 'a/d'], asGiven('/x')), usage);
  t.deepEqual(kept(['a/b'], asGiven('/')), ['/']);
  t.throws(() => kept(['a/b', 'a/d'], asGiven('/', '/x')), usage);
  t.throws(() => kept(['a/b'], asGiven('/x/../y')), usage);
  t.throws(() => kept(['a/b'], { ...asGiven('/x'), basePath: 'common' }), usage);
});

test('a file is the only entry of its directory that is backed up, and keeps its name', (t) => {
  const { home, kept } = lab(t);
  const { roots } = readRoots(system, [Buffer.from(`${home}/a/b/f`), Buffer.from(`${home}/a/d`)]);
  t.deepEqual(rootFiles(roots), { 0: Buffer.from('f') });
  t.deepEqual(
    roots.map((root) => root.path.toString()),
    [`${home}/a/b`, `${home}/a/d`],
  );
  t.throws(() => kept(['a/b/f'], asGiven('/x/other')), { code: 'USAGE' });
  t.deepEqual([...rootTasks(roots).slots], [1, 0], 'the first root is on top of the stack');
});

test('an empty directory is known as such; where no root can be opened, the reason is reported', (t) => {
  const { home } = lab(t);
  const { roots } = readRoots(system, [Buffer.from(`${home}/a/b/c`), Buffer.from(`${home}/a/b`)]);
  t.deepEqual(
    roots.map(({ isEmpty }) => isEmpty),
    [true, false],
  );
  t.throws(() => readRoots(system, [Buffer.from(`${home}/none`)]), { code: 'SOURCE_MISSING' });
});

// Pace: slow
/** Commands keep Node's compiled code where only their user can write. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BIN, cleanEnvironment } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { folderIn, scratch } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';

const NOBODY = 65_534;

/** Runs a command with these variables, and returns what it printed to stderr. */
function run(t: ExecutionContext, [tool, ...args]: string[], more: NodeJS.ProcessEnv): string {
  const { NODE_COMPILE_CACHE: _, XDG_CACHE_HOME: __, ...clean } = cleanEnvironment();
  const env = { ...clean, ...more };
  const done = spawnSync(path.join(BIN, tool!), args, { env, encoding: 'utf8' });
  t.is(done.status, 0, done.stderr);
  return done.stderr;
}

/** Starts a command with this home; returns the directory for compiled code. */
function start(t: ExecutionContext, home: string, more: NodeJS.ProcessEnv = {}): string {
  t.is(run(t, ['lstardis', '--version'], { HOME: home, ...more }), '');
  return path.join(home, '.cache/tardis/compiled');
}

const isEmpty = (folder: string): boolean => fs.readdirSync(folder).length === 0;

test('compiled code is kept in the cache of the user, and used again', (t) => {
  const home = scratch(t);
  const compiled = start(t, home);
  t.false(isEmpty(compiled));
  for (const folder of [compiled, path.dirname(compiled), path.join(home, '.cache')]) {
    t.is(fs.statSync(folder).mode & 0o777, 0o700, folder);
  }
  const files = fs.readdirSync(compiled, { recursive: true });
  start(t, home);
  t.deepEqual(fs.readdirSync(compiled, { recursive: true }), files);
});

test('the worker thread of a small backup keeps its compiled code too', (t) => {
  const [home, tree] = [scratch(t), scratch(t)];
  fs.writeFileSync(path.join(tree, 'file'), 'content');
  const store = path.join(scratch(t), 'store');
  run(t, ['tardis', '--local', '--create', '-D', store, '-C', 'laptop', tree], { HOME: home });
  const files = fs.readdirSync(path.join(home, '.cache/tardis/compiled'), { recursive: true });
  t.true(files.some((file) => String(file).endsWith('/tardis-thread-entry/thread-entry')));
});

test('another place for caches is used if it is absolute', (t) => {
  const [home, caches] = [scratch(t), path.join(scratch(t), 'caches')];
  t.false(fs.existsSync(start(t, home, { XDG_CACHE_HOME: caches })));
  t.false(isEmpty(path.join(caches, 'tardis/compiled')));
  t.false(fs.existsSync(start(t, home, { XDG_CACHE_HOME: 'relative' })));
  t.false(fs.existsSync('relative'));
});

test('a symbolic link in place of the cache is not used', (t) => {
  const [home, elsewhere] = [scratch(t), scratch(t)];
  fs.mkdirSync(path.join(home, '.cache/tardis'), { recursive: true });
  fs.symlinkSync(elsewhere, path.join(home, '.cache/tardis/compiled'));
  start(t, home);
  t.true(isEmpty(elsewhere));
});

test('a home where nothing can be written, and none, are no failure', (t) => {
  t.false(fs.existsSync(start(t, '/proc')));
  t.false(fs.existsSync(start(t, path.join(scratch(t), 'none'))));
  t.false(fs.existsSync(start(t, scratch(t), { NODE_COMPILE_CACHE: scratch(t) })));
});

test('nothing is taken from the cache of another user', (t) => {
  if (!isRoot) return leaveOut(t, 'left out: only root can give a directory away');
  for (const owned of ['.', '.cache', '.cache/tardis', '.cache/tardis/compiled']) {
    const home = scratch(t);
    const compiled = folderIn(home, '.cache/tardis/compiled');
    fs.chownSync(path.join(home, owned), NOBODY, NOBODY);
    start(t, home);
    t.true(isEmpty(compiled), owned);
  }
  const [home, bobs] = [scratch(t), scratch(t)];
  fs.chownSync(bobs, NOBODY, NOBODY);
  fs.symlinkSync(home, path.join(bobs, 'home'));
  fs.lchownSync(path.join(bobs, 'home'), NOBODY, NOBODY);
  start(t, path.join(bobs, 'home'));
  t.deepEqual(fs.readdirSync(home), [], 'by a link of another user');
});

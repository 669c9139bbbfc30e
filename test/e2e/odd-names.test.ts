// Pace: long
/**
 * Restores a generated tree of thousands of odd names with every kind of entry, and a tree deeper than the longest
 * path. Independent tools compare the result with the source.
 *
 * TEST_SEED replays a run.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemCode } from '../../src/errors/index.js';
import { nodeSystem, OpenKind } from '../../src/system/index.js';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { everyKind, leftOut } from '../helpers/kinds.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { noise } from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';

backupsRunHere();

const ENTRIES = share < 1 ? 2500 : 10_000;
const PRINTED = '%T@ %m %U %G %y %n %l';
const MOST_OUTPUT_BYTES = 256 << 20;
const RSYNC_TIMEOUT_MS = 240_000;

/** Returns what `find` prints about each entry below a directory, sorted by path. */
function found(directory: string): string[] {
  // The size of a directory depends on the file system, so it is not printed.
  const print = [
    '-type',
    'd',
    '-printf',
    `${PRINTED}\\0%p\\0`,
    '-o',
    '-printf',
    `${PRINTED} %s\\0%p\\0`,
  ];
  const { status, stdout } = spawnSync('find', ['.', ...print], {
    cwd: directory,
    encoding: 'latin1',
    maxBuffer: MOST_OUTPUT_BYTES,
  });
  if (status !== 0) throw new Error(`find: ${status}`);
  const words = stdout.split('\0');
  const lines: string[] = [];
  for (let at = 0; at + 1 < words.length; at += 2) lines.push(`${words[at + 1]}: ${words[at]}`);
  return lines.sort();
}

/** Part of the name of a sparse file that rsync leaves out, because reading its holes would take hours. */
const TOO_SPARSE = 'of 2 TiB';

/**
 * Returns the exit status and the changes by which `rsync` would make the second directory equal the first; no change
 * if all was restored.
 */
function differencesByRsync(t: ExecutionContext, from: string, to: string): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(
    'rsync',
    ['-nHAXc', '--archive', '--delete', '-i', '--exclude', TOO_SPARSE, `${from}/`, `${to}/`],
    { encoding: 'latin1', maxBuffer: MOST_OUTPUT_BYTES, timeout: RSYNC_TIMEOUT_MS },
  );
  if (error !== undefined && systemCode(error) === 'ENOENT') {
    t.log('left out: no rsync here');
    return undefined;
  }
  return `${status}${stdout}${stderr}`;
}

test('thousands of odd names and every kind of entry come back to the last digit', async (t) => {
  t.log(`seed ${seed}`);
  for (const what of leftOut()) t.log(`left out: ${what}`);
  const { store, source, at } = lab(t, [
    ...randomTree(chooser(seed), ENTRIES),
    ...everyKind(false),
  ]);
  const before = found(source);
  t.true(before.length > ENTRIES);
  await rest();
  const place = ['-D', store, '-C', 'me'];
  const report = await backup([...place, '--local', '--create', source]);
  t.is(report.progress.entries, before.length - 1);
  const check = async (into: string): Promise<void> => {
    const out = at(into);
    await succeed('regenerate', [...place, '-o', out, source]);
    const restored = path.join(out, 'tree');
    const after = found(restored);
    t.deepEqual(after.filter((line, at) => line !== before[at]).slice(0, 5), []);
    t.is(after.length, before.length);
    t.is(differencesByRsync(t, source, restored) ?? '0', '0');
    fs.rmSync(out, { recursive: true });
  };
  await check('out');
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.sameDirectories, second.progress.directories);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  await check('rebuilt');
});

const DEPTH = 1000;
const MIB = 1 << 20;

/** Makes nested directories, with files in every hundredth. */
function makeDeep(top: string): void {
  const { native } = nodeSystem();
  fs.mkdirSync(top);
  let fd = native.openDirectory(Buffer.from(top));
  for (let depth = 1; depth <= DEPTH; depth += 1) {
    const name = Buffer.from(depth % 250 === 0 ? 'd'.repeat(255) : `deep ${depth}`);
    native.makeDirectoryAt(fd, name);
    const below = native.openBeneath(fd, name, OpenKind.directory);
    native.close(fd);
    fd = below;
    if (depth % 100 !== 0) continue;
    for (const [what, bytes] of [
      ['small', noise(depth, 100)],
      ['large', noise(depth, MIB + depth)],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      const made = native.createFileAt(fd, Buffer.from(what));
      fs.writeSync(made, bytes);
      native.close(made);
    }
    native.linkAt(fd, Buffer.from('small'), fd, Buffer.from('linked'));
  }
  native.close(fd);
}

test('directories a thousand deep, and paths longer than a path may be, come back', async (t) => {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'deep')];
  makeDeep(source);
  const before = found(source);
  t.true(before.some((line) => line.length > 8000));
  await rest();
  const place = ['-D', store, '-C', 'me'];
  const report = await backup([...place, '--local', '--create', source]);
  const { progress } = report;
  t.is(progress.unreadable + progress.vanished + progress.changed + progress.incomplete, 0);
  t.is(progress.entries, before.length - 1);
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.filesRead, 0);
  const out = path.join(home, 'out');
  await succeed('regenerate', [...place, '-o', out, source]);
  t.deepEqual(found(path.join(out, 'deep')), before);
});

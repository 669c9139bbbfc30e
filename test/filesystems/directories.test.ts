// Pace: slow
/** Roots and directories on file systems that report less than usual about their entries, or report it wrongly. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  type BackupReport,
  run,
  succeed,
  commandsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { differences, dir, file, look, makeTree, type Snapshot, symlink } from '../helpers/tree.js';
import { written } from '../helpers/scratch.js';

commandsRunHere();
poolsStayAway();

const TREE = [
  file('a', 'a'),
  dir('empty'),
  dir('below', [file('b', 'b'), symlink('link', 'b'), dir('deeper', [file('c', 'c')])]),
];

/** Returns a snapshot without the top directory, whose times differ at a mount point. */
function lookBelow(place: string): Snapshot {
  const seen = new Map(look(place));
  seen.delete('');
  seen.delete('lost+found');
  return seen;
}

async function thereAndBack(
  t: ExecutionContext,
  mounts: Mounts,
  source: string,
  client = 'me',
): Promise<void> {
  const { mountsOf, home } = mounts;
  const place = ['-D', path.join(home, 'store'), '-C', client];
  const report = await backup([...place, '--local', '--create', source], { mountsOf });
  t.deepEqual(report.failed, []);
  const again = await backup([...place, '--local', source], { mountsOf });
  t.deepEqual(again.failed, []);
  const out = path.join(home, `out ${client}`);
  await succeed('regenerate', [...place, '-o', out, source]);
  const restored = lookBelow(path.join(out, path.basename(source)));
  t.deepEqual(differences(lookBelow(mounts.view(source)), restored), []);
}

test('a root on ext4 without types in its directories is saved', (t) =>
  Mounts.during(t, async (mounts) => {
    const options = ['mkfs.ext4', '-q', '-O', '^filetype'] as const;
    const place = mounts.mountImage('plain', 16 << 20, options, 'ext4');
    makeTree(path.join(mounts.view(place), 'tree'), TREE);
    await thereAndBack(t, mounts, place);
    await thereAndBack(t, mounts, path.join(place, 'tree', 'empty'), 'empty');
  }));

const LIES: readonly Readonly<Record<string, string>>[] = [
  { types: 'unknown' },
  { types: 'wrong' },
  { names: 'twice' },
  { inodes: 'equal' },
  { links: 'none' },
];
for (const lies of LIES) {
  const [[what, how]] = Object.entries(lies) as [[string, string]];
  test(`a root whose file system gives ${what}: ${how} is saved`, (t) =>
    Mounts.during(t, async (mounts) => {
      const real = mounts.directory('real');
      makeTree(path.join(real, 'tree'), TREE);
      const place = await mounts.lie('lying', real, lies);
      await thereAndBack(t, mounts, place);
      await thereAndBack(t, mounts, path.join(place, 'tree', 'empty'), 'empty');
    }));
}

test('a root that is bind mounted below itself is another directory there', (t) =>
  Mounts.during(t, async (mounts) => {
    const tree = mounts.directory('tree');
    makeTree(path.join(tree, 'own'), TREE);
    fs.mkdirSync(path.join(tree, 'self'));
    mounts.run('mount', '--bind', tree, path.join(tree, 'self'));
    await thereAndBack(t, mounts, tree);
  }));

test('a directory that cannot be read and has no type stays what it was', (t) =>
  Mounts.during(t, async (mounts) => {
    const { home } = mounts;
    const real = mounts.directory('real');
    makeTree(path.join(real, 'tree'), [...TREE, dir('unreadable.d', [file('kept', 'kept')])]);
    const before = lookBelow(path.join(real, 'tree'));
    const place = ['-D', path.join(home, 'store'), '-C', 'me'];
    const args = [...place, '--local', '--kept-as', '/tree'];
    const rules = written(home, 'rules', 'file reject .*[.]d$\nany accept .*\n');
    const filters = ['--filter-file', rules];
    await backup([...args, ...filters, '--create', path.join(real, 'tree')]);
    const lying = await mounts.lie('lying', real, { types: 'unknown', names: 'unreadable' });
    const { mountsOf } = mounts;
    const root = path.join(lying, 'tree');
    const second = await run('tardis', ['--json', ...args, ...filters, '--trust-roots', root], {
      mountsOf,
    });
    t.is(second.status, 3, second.stderr);
    const { failed } = JSON.parse(second.stdout) as BackupReport;
    t.deepEqual(failed, [
      { name: path.join(root, 'unreadable.d'), what: 'unreadable', reason: 'EIO' },
    ]);
    const out = path.join(home, 'out');
    const restored = await run('regenerate', [...place, '-o', out, '/tree']);
    t.is(restored.status, 3, restored.stderr);
    t.regex(restored.stderr, /unreadable\.d: the backup could not read it: i\/o error \(EIO\);/);
    t.deepEqual(differences(before, lookBelow(path.join(out, 'tree'))), []);
  }));

test('entries that no backup can hold are named, and the others are saved', (t) =>
  Mounts.during(t, async (mounts) => {
    const { home, mountsOf } = mounts;
    const real = mounts.directory('real');
    makeTree(path.join(real, 'tree'), TREE);
    const lying = await mounts.lie('lying', real, { sizes: 'absurd', targets: 'empty' });
    const root = path.join(lying, 'tree');
    const place = ['-D', path.join(home, 'store'), '-C', 'me'];
    const first = await run('tardis', ['--json', ...place, '--local', '--create', root], {
      mountsOf,
    });
    t.is(first.status, 3, first.stderr);
    const { failed } = JSON.parse(first.stdout) as BackupReport;
    t.deepEqual(
      failed
        .map(({ name, what, reason }) => `${path.relative(root, name!)} ${what} ${reason}`)
        .sort(),
      [
        'a unreadable EOVERFLOW',
        'below/b unreadable EOVERFLOW',
        'below/deeper/c unreadable EOVERFLOW',
        'below/link unreadable EINVAL',
      ],
    );
    const listed = await run('lstardis', [...place, path.join(root, 'below')]);
    t.deepEqual([listed.status, listed.stdout], [3, 'deeper\n'], listed.stderr);
    t.regex(listed.stderr, /below\/b: the backup could not read it: .*\(EOVERFLOW\);/);
  }));

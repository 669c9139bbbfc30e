// Pace: long
/** Roots, and file systems below them, that disappear during a backup or before the next one. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  type BackupReport,
  run,
  Running,
  succeed,
  commandsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { ofThisRun } from '../helpers/share.js';
import { differences, dir, file, look, makeTree, noise, type Snapshot } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { written } from '../helpers/scratch.js';

commandsRunHere();
poolsStayAway();

const LARGE_BYTES = 3 << 20;

const TREE = [
  dir('a', [file('gate', noise('gate', 4096)), file('small', 'small')]),
  file('large 1', noise(1, LARGE_BYTES)),
  file('large 2', noise(2, LARGE_BYTES)),
  dir('z', [dir('deep', [file('last', 'last')])]),
];

function reportOf(stdout: string): BackupReport {
  return JSON.parse(stdout) as BackupReport;
}

/** Returns a snapshot without the top directory, which is a mount point in one of the trees. */
function lookBelow(place: string): Snapshot {
  const seen = new Map(look(place));
  seen.delete('');
  return seen;
}

/** Runs a backup that blocks at the file `gate`, and calls `happens` while it is blocked. */
async function backupThatStops(
  mounts: Mounts,
  args: readonly string[],
  gate: string,
  happens: () => void,
): Promise<{ status: number | null; report: BackupReport; stderr: string }> {
  const { mountsOf } = mounts;
  const running = new Running('tardis', ['--json', ...args], { mountsOf });
  await until(() => fs.existsSync(path.join(gate, 'reached')));
  happens();
  fs.writeFileSync(path.join(gate, 'open'), '');
  const { status, stdout, stderr } = await running.ended;
  fs.rmSync(path.join(gate, 'open'));
  fs.rmSync(path.join(gate, 'reached'));
  return { status, report: reportOf(stdout), stderr };
}

for (const how of ['first', 'later', 'later, encrypted'] as const) {
  test(`a root that is unmounted during a ${how} backup is held`, (t) =>
    Mounts.during(t, async (mounts) => {
      const { home, mountsOf } = mounts;
      const [real, gate] = [mounts.directory('real'), mounts.directory('gate')];
      makeTree(path.join(real, 'tree'), TREE);
      const source = path.join(real, 'tree');
      const root = await mounts.lie('root', source, { gate });
      const secret = written(home, 'secret', 'a password of the tests');
      const keys = how === 'later, encrypted' ? ['-F', secret] : [];
      const place = ['-D', path.join(home, 'store'), '-C', 'me', ...keys];
      const args = [...place, '--local', root];
      let before = look(source);
      if (how !== 'first') {
        const whole = await backupThatStops(mounts, [...args, '--create'], gate, () => undefined);
        t.is(whole.status, 0, whole.stderr);
        before = look(source);
        for (const name of ['a/gate', 'a/small', 'large 1', 'large 2', 'z/deep/last']) {
          fs.appendFileSync(path.join(source, name), 'more');
        }
      }
      const { status, report } = await backupThatStops(
        mounts,
        [...args, ...(how === 'first' ? ['--create'] : [])],
        gate,
        () => void mounts.run('umount', '-l', root),
      );
      t.is(status, 3);
      t.is(report.progress.protected, 1);
      t.is(report.progress.vanished, 0);
      const [held] = report.failed;
      t.like(held, { name: root, what: 'protected', reason: 'it went away during the backup' });
      if (how === 'first') return;
      const out = path.join(home, 'out');
      const { status: restoring, stderr } = await run('regenerate', [...place, '-o', out, root]);
      // Directories that were not read before the unmount have a listing that nothing proves.
      const isDoubted = stderr.includes('not read whole by this set');
      t.is(restoring, 3, stderr);
      t.regex(stderr, /root: the backup took nothing from it: .*\[UNREAD_AT_BACKUP\]/);
      t.true(!isDoubted || how === 'later, encrypted');
      const [after, restored] = [look(source), look(path.join(out, 'root'))];
      t.deepEqual([...restored.keys()], [...before.keys()]);
      for (const [name, words] of restored) {
        // A file may have been read before the unmount, and then has its new content.
        if (words.startsWith('file'))
          t.true([before, after].some((one) => one.get(name) === words));
      }
      // The next backup is complete again.
      const again = await mounts.lie('root', source, {});
      t.is(again, root);
      await succeed('tardis', ['--json', ...args], { mountsOf });
      await succeed('regenerate', [...place, '-o', `${out} 2`, root]);
      t.deepEqual(differences(lookBelow(source), lookBelow(path.join(`${out} 2`, 'root'))), []);
    }));
}

test('a file system below a root that is unmounted during a backup is held', (t) =>
  Mounts.during(t, async (mounts) => {
    const [real, gate] = [mounts.directory('real'), mounts.directory('gate')];
    makeTree(path.join(real, 'tree'), TREE);
    makeTree(path.join(mounts.home, 'root'), [dir('own', [file('file', 'own')]), dir('below')]);
    const root = path.join(mounts.home, 'root');
    const below = await mounts.lie('root/below', path.join(real, 'tree'), { gate });
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    const args = [...place, '--local', '--crossdevice', root];
    const first = await backupThatStops(mounts, [...args, '--create'], gate, () => undefined);
    t.is(first.status, 0, first.stderr);
    for (const name of ['a/gate', 'large 1', 'z/deep/last']) {
      fs.appendFileSync(path.join(real, 'tree', name), 'more');
    }
    fs.appendFileSync(path.join(root, 'own/file'), ' and more');
    const second = await backupThatStops(mounts, args, gate, () => {
      mounts.run('umount', '-l', below);
    });
    t.is(second.status, 3);
    t.is(second.report.progress.protected, 1);
    t.is(second.report.progress.vanished, 0);
    t.like(second.report.failed[0], { name: below, what: 'protected' });
    const out = path.join(mounts.home, 'out');
    const restored = await run('regenerate', [...place, '-o', out, root]);
    t.is(restored.status, 3);
    t.regex(restored.stderr, /\[UNREAD_AT_BACKUP\]/);
    t.is(fs.readFileSync(path.join(out, 'root/own/file'), 'utf8'), 'own and more');
    t.is(fs.readFileSync(path.join(out, 'root/below/z/deep/last'), 'utf8'), 'last');
    // It may have been read before the file system went away.
    const large = fs.readFileSync(path.join(out, 'root/below/large 1'));
    const older = noise(1, LARGE_BYTES);
    t.true(large.equals(older) || large.equals(Buffer.concat([older, Buffer.from('more')])));
  }));

const FAILURES = ['ESTALE', 'ENOTCONN', 'EIO'] as const;
for (const failure of ofThisRun(FAILURES)) {
  test(`a root that answers ${failure} for everything from some moment on is held`, (t) =>
    Mounts.during(t, async (mounts) => {
      const [real, gate] = [mounts.directory('real'), mounts.directory('gate')];
      makeTree(path.join(real, 'tree'), TREE);
      const broken = path.join(mounts.home, 'broken');
      const number = { ESTALE: 116, ENOTCONN: 107, EIO: 5 }[failure];
      const source = path.join(real, 'tree');
      const root = await mounts.lie('root', source, { gate, broken, failure: number });
      const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
      const args = [...place, '--local', '--create', root];
      const { status, report } = await backupThatStops(mounts, args, gate, () =>
        fs.writeFileSync(broken, ''),
      );
      t.is(status, 3);
      t.is(report.progress.protected, 1);
      t.is(report.progress.vanished, 0);
      const next = await run('tardis', [...place, '--local', root], { mountsOf: mounts.mountsOf });
      t.is(next.status, 1);
      t.regex(next.stderr, /IO_FAILED/);
    }));
}

interface Below {
  readonly what: string;
  /** Mounts the file system on the directory; the result is ignored. */
  readonly mount: (mounts: Mounts, at: string, real: string) => unknown;
  /** Makes the change because of which the earlier entries must be kept. */
  readonly change: (mounts: Mounts, at: string) => unknown;
}

const onFuse: Below['mount'] = (mounts, at, real) =>
  mounts.lie(path.relative(mounts.home, at), real, {});
const onBind: Below['mount'] = (mounts, at, real) => mounts.run('mount', '--bind', real, at);
const unmount: Below['change'] = (mounts, at) => mounts.run('umount', at);

const BELOW: readonly Below[] = [
  { what: 'is not mounted', mount: onFuse, change: unmount },
  { what: 'was a bind mount and is not mounted', mount: onBind, change: unmount },
  {
    what: 'is not mounted, and its directory is gone',
    mount: onFuse,
    change: (mounts, at) => {
      mounts.run('umount', at);
      fs.rmSync(at, { recursive: true });
    },
  },
  {
    what: 'is not mounted, and other files are beneath',
    mount: onBind,
    change: (mounts, at) => {
      mounts.run('umount', at);
      makeTree(path.join(at, 'beneath'), [file('other', 'other')]);
    },
  },
  {
    what: 'is mounted and empty',
    mount: onFuse,
    change: async (mounts, at) => {
      mounts.run('umount', at);
      await mounts.lie(path.relative(mounts.home, at), mounts.directory('nothing'), {});
    },
  },
  {
    what: 'is another one',
    mount: onFuse,
    change: async (mounts, at) => {
      mounts.run('umount', at);
      const another = path.join(mounts.home, 'another');
      makeTree(another, [file('other', 'other')]);
      await mounts.lie(path.relative(mounts.home, at), another, {});
    },
  },
];

const CLIENTS = BELOW.flatMap((below) =>
  ['', 'a password of the tests'].map((secret) => ({ ...below, secret })),
);

for (const { what, mount, change, secret } of ofThisRun(CLIENTS, (one) => [
  one.what,
  `secret: ${one.secret}`,
])) {
  const client = secret === '' ? '' : ', encrypted';
  test(`a file system below a root that ${what} stays as it was${client}`, (t) =>
    Mounts.during(t, async (mounts) => {
      const { home, mountsOf } = mounts;
      const real = path.join(mounts.directory('real'), 'tree');
      makeTree(real, [file('kept', 'kept'), dir('sub', [dir('deep', [file('too', 'too')])])]);
      const [root, below] = [path.join(home, 'root'), path.join(home, 'root/below')];
      makeTree(root, [file('own', 'own'), dir('below')]);
      await mount(mounts, below, real);
      const keys = written(home, 'secret', secret);
      const place = ['-D', path.join(home, 'store'), '-C', 'me'];
      if (secret !== '') place.push('-F', keys);
      const args = ['--json', ...place, '--local', '--crossdevice', root];
      await succeed('tardis', [...args, '--create'], { mountsOf });
      await change(mounts, below);
      fs.appendFileSync(path.join(root, 'own'), ' and more');
      for (const time of ['at once', 'as long as it is so']) {
        const held = await run('tardis', args, { mountsOf });
        t.is(held.status, 3, `${time}: ${held.stderr}${held.stdout}`);
        const { failed, progress } = reportOf(held.stdout);
        t.is(progress.protected, 1);
        t.like(failed[0], { name: below, what: 'protected' });
        const out = path.join(home, `out ${time}`);
        const restored = await run('regenerate', [...place, '-o', out, root]);
        t.is(restored.status, 3, restored.stderr);
        t.regex(restored.stderr, /root\/below: the backup took nothing from it/);
        // Only a set that has read a directory proves that its listing is whole.
        t.is(restored.stderr.includes('were not read whole by this set'), secret !== '');
        const at = path.join(out, 'root');
        t.is(fs.readFileSync(path.join(at, 'own'), 'utf8'), 'own and more');
        t.is(fs.readFileSync(path.join(at, 'below/sub/deep/too'), 'utf8'), 'too');
        t.deepEqual(fs.readdirSync(path.join(at, 'below')), ['kept', 'sub']);
      }
      await succeed('tardis', [...args, '--trust-roots'], { mountsOf });
      const after = await run('tardis', args, { mountsOf });
      t.is(after.status, 0, after.stderr);
      const out = path.join(home, 'out after');
      await succeed('regenerate', [...place, '-o', out, root]);
      t.false(fs.existsSync(path.join(out, 'root/below/kept')));
    }));
}

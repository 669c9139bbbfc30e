// Pace: long
/** Backups of subvolumes of btrfs in snapshots (`--snapshot auto`), by real commands. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, poolsStayAway, Running } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { lab } from '../helpers/lab.js';
import { ofThisRun, share } from '../helpers/share.js';
import { settle, Subvolumes } from '../helpers/subvolumes.js';
import { differences, look } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';
import { folderIn, written } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

const AUTO = ['--snapshot', 'auto'];
const PLACE = '.tardis-snapshots';

/** A loop of a shell that gives two files the same number, one after the other. */
const WRITER =
  'i=0; while :; do i=$((i+1)); echo $i > "$0/a.new"; mv "$0/a.new" "$0/a/first"; echo $i > "$0/z.new"; mv "$0/z.new" "$0/z/last"; sleep 0.01; done';
const PLAIN_BYTES = 16 << 20;
const FILES_BETWEEN = 4000;
/** One of so many steps is struck, and at least so many of these leave snapshots. TEST_SEED chooses the first one. */
const [STRIDE, LEAST_LEFT] = share < 1 ? [5, 1] : [1, 7];
/** Options of the backups of the whole tree; a run has one of them, and a soak run both. */
const DEPTHS = ofThisRun([[], ['--crossdevice']]);

test(
  'Snapshot=auto saves a subvolume as of one moment',
  Subvolumes.test(async (disk, t) => {
    const top = disk.view(disk.top);
    for (const name of ['z', 'm']) fs.mkdirSync(path.join(top, name));
    for (let each = 0; each < FILES_BETWEEN; each += 1) {
      fs.writeFileSync(path.join(top, 'm', `${each}`), `${each}`);
    }
    const writer = spawn('sh', ['-c', WRITER, top], { stdio: 'ignore' });
    t.teardown(() => writer.kill('SIGKILL'));
    while (!fs.existsSync(path.join(top, 'z', 'last'))) await pause(1);
    const config = written(disk.mounts.home, 'config', '[Tardis]\nSnapshot = auto\n');
    const report = await disk.save([...disk.place(), '--create', '--config', config]);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    t.deepEqual(report.snapshots, [{ name: disk.top, kind: 'btrfs' }]);
    t.deepEqual([report.failed, report.doubts], [[], []]);
    const out = await disk.restored('out');
    const numbers = ['a/first', 'z/last'].map((name) =>
      Number(fs.readFileSync(path.join(out, name), 'utf8')),
    );
    t.true(numbers[0]! - numbers[1]! <= 1 && numbers[0]! >= numbers[1]!, numbers.join(', '));
    t.deepEqual(disk.all(), ['sub']);
  }),
);

test(
  'a set from a snapshot is what a live one is, and the next run of either kind reads and lists nothing',
  Subvolumes.test(async (disk, t) => {
    const top = disk.view(disk.top);
    disk.create(path.join(disk.top, 'nested'));
    fs.writeFileSync(path.join(top, 'nested', 'three'), 'three');
    disk.mounts.run('setfattr', '-n', 'user.mark', '-v', 'nested', path.join(disk.top, 'nested'));
    const plain = disk.mounts.mountImage('plain', PLAIN_BYTES, ['mkfs.ext4', '-q'], 'ext4');
    disk.mounts.run('mount', '--bind', plain, path.join(disk.top, 'mount'));
    disk.mounts.run('mount', '--bind', path.join(disk.top, 'a'), path.join(disk.top, 'bound'));
    fs.writeFileSync(path.join(top, 'mount', 'four'), 'four');
    for (const more of DEPTHS) {
      const words = [...disk.place(`me${more.length}`), ...more];
      const first = await disk.save([...words, ...AUTO, '--create']); // makes the place of snapshots, which changes the top
      t.deepEqual(first.failed, []);
      await settle();
      const second = await disk.save([...words, ...AUTO]);
      for (const kind of [[], AUTO, []]) {
        const { progress, failed } = await disk.save([...words, ...kind]);
        const { filesRead, contentsSent, listings, directories, sameDirectories } = progress;
        t.deepEqual([filesRead, contentsSent, listings, failed], [0, 0, 0, []], kind.join(' '));
        t.is(sameDirectories, directories);
      }
      if (more.length === 0) continue;
      t.deepEqual(
        second.snapshots.map(({ name, kind, why }) => [
          path.relative(disk.disk, name),
          kind ?? why,
        ]),
        [
          ['sub', 'btrfs'],
          ['sub/mount', 'ext4'],
          ['sub/nested', 'btrfs'],
        ],
      );
      const restored = look(await disk.restored('out', ['-C', 'me1']));
      const live = new Map([...look(top)].filter(([name]) => !name.includes(PLACE)));
      t.deepEqual(differences(live, restored), []);
    }
    t.deepEqual(disk.all(), ['sub', 'sub/nested']);
  }),
);

test(
  'the place of snapshots is in no set, and a subvolume with nothing else counts as empty',
  Subvolumes.test(async (disk, t) => {
    const top = disk.view(disk.top);
    await disk.save([...disk.place(), ...AUTO, '--create']);
    const { mode, uid } = fs.lstatSync(path.join(top, PLACE));
    t.deepEqual([mode & 0o777, uid], [0o700, 0]);
    await disk.save(disk.place());
    t.false(fs.existsSync(path.join(await disk.restored('out'), PLACE)));
    for (const name of fs.readdirSync(top)) {
      if (name !== PLACE) fs.rmSync(path.join(top, name), { recursive: true });
    }
    const { status, stdout } = await disk.run([...disk.place(), ...AUTO, disk.top]);
    t.is(status, 3);
    t.regex(stdout, /1 directory was left as it was in the last set/);
  }),
);

test(
  'a run that is killed at any step leaves no snapshot after the next run',
  Subvolumes.test(async (disk, t) => {
    disk.create(path.join(disk.top, 'nested'));
    const subvolumes = ['sub', 'sub/nested'];
    const other = folderIn(disk.mounts.home, 'other');
    await disk.save([...disk.place(), '--create'], other);
    let steps = 1 + (seed % STRIDE);
    let left = 0;
    for (; disk.wasKilledAt(steps); steps += STRIDE) {
      if (disk.all().length > subvolumes.length) left += 1;
      await disk.save(disk.place(), other); // neither the directory nor the option is that of the killed run
      t.deepEqual(disk.all(), subvolumes, `killed before step ${steps}`);
    }
    t.true(steps > 20 && left >= LEAST_LEFT, `${steps} steps, ${left} of which left snapshots`);
  }),
);

test(
  'a backup that is killed leaves no snapshot after the next run, which lets that of a running one alone',
  Subvolumes.test(async (disk, t) => {
    const waiting = ['--source', 'slow=sh -c "echo begins; sleep 300"'];
    const options = { mountsOf: disk.mounts.mountsOf, env: disk.env };
    const words = (client: string): string[] => [...disk.place(client), ...AUTO, '--create'];
    const killed = new Running('tardis', [...words('one'), ...waiting, disk.top], options);
    const running = new Running('tardis', [...words('two'), ...waiting, disk.top], options);
    t.teardown(() => [killed, running].forEach((each) => each.signalGroup('SIGKILL')));
    await killed.until('two snapshots', () => disk.all().length === 3);
    killed.signalGroup('SIGKILL');
    await killed.ended;
    t.is(disk.all().length, 3);
    await disk.save([...disk.place('three'), '--create']);
    t.is(disk.all().length, 2, 'that of the running backup is still there');
    fs.renameSync(path.join(disk.view(disk.top), PLACE), path.join(disk.view(disk.top), 'moved'));
    running.signalGroup('SIGINT');
    t.is((await running.ended).status, 130);
    t.deepEqual(disk.all(), ['sub']);
  }),
);

test(
  'a place of snapshots that is not root alone has none, is named, and is read live',
  Subvolumes.test(async (disk, t) => {
    const top = disk.view(disk.top);
    const place = path.join(top, PLACE);
    const elsewhere = path.join(disk.view(disk.disk), 'elsewhere');
    fs.mkdirSync(elsewhere, { mode: 0o700 });
    await disk.save([...disk.place(), '--create']);
    const traps: readonly (readonly [why: RegExp, make: () => void])[] = [
      [/root's alone/, () => (fs.mkdirSync(place, 0o700), fs.chownSync(place, 1234, 1234))],
      [/root's alone/, () => (fs.mkdirSync(place), fs.chmodSync(place, 0o711))],
      [/ELOOP|ENOTDIR/, () => fs.symlinkSync('../elsewhere', place)],
      [/ENOTDIR/, () => fs.writeFileSync(place, '')],
      [/./, () => disk.create(path.join(disk.top, PLACE))],
    ];
    for (const [why, make] of traps) {
      make();
      const report = await disk.save([...disk.place(), ...AUTO]);
      t.regex(report.snapshots[0]?.why ?? '', why);
      t.regex(report.doubts[0] ?? '', /sub: no snapshot \(.*\); it is read live/);
      t.deepEqual(report.failed, []);
      t.deepEqual(fs.readdirSync(elsewhere), []);
      disk.mounts.run('rm', '-rf', path.join(disk.top, PLACE));
    }
  }),
);

test(
  'only snapshots of the subvolume itself, by names that backups give, are deleted from its place',
  Subvolumes.test(async (disk, t) => {
    const place = path.join(disk.top, PLACE);
    const make = (from: string, name: string, ...more: string[]): void => {
      disk.mounts.run('btrfs', 'subvolume', 'snapshot', ...more, from, path.join(place, name));
    };
    await disk.save([...disk.place(), '--create', ...AUTO]);
    disk.create(path.join(disk.disk, 'foreign'));
    const name = (digit: number): string => `20260101T000000Z-${`${digit}`.repeat(16)}`;
    make(disk.top, name(1), '-r');
    make(disk.top, name(2));
    make(path.join(disk.disk, 'foreign'), name(3), '-r');
    make(disk.top, 'mine', '-r');
    fs.mkdirSync(path.join(disk.view(place), name(4)));
    const { failed, doubts } = await disk.save([...disk.place(), ...AUTO]);
    t.deepEqual([failed, doubts], [[], []]);
    const left = fs.readdirSync(disk.view(place)).toSorted();
    t.deepEqual(left, [name(2), name(3), name(4), 'mine']);
  }),
);

test(
  'what has no snapshot is named and read live: another file system, a part of a subvolume, no root',
  Subvolumes.test(async (disk, t) => {
    const part = disk.mounts.directory('part');
    disk.mounts.run('mount', '--bind', path.join(disk.top, 'a'), part);
    const bound = await disk.save([...disk.place(), '--create', ...AUTO], part);
    t.regex(bound.snapshots[0]?.why ?? '', /the top of its subvolume is not mounted/);
    t.is(bound.progress.filesRead, 2);
    const { place, source } = lab(t);
    const live = await backup([...place, '--local', '--create', ...AUTO, source]);
    t.regex(
      (live as typeof bound).doubts[0] ?? '',
      /tree: no snapshot \([a-z0-9]+\); it is read live/,
    );
    t.is(live.progress.filesRead, 2);
    disk.mounts.run('mount', '-o', 'remount,ro', disk.disk);
    const fixed = await disk.save([...disk.place(), ...AUTO]);
    t.is(fixed.snapshots[0]?.why, 'EROFS');
  }),
);

test(
  'named directories get their snapshots before nested subvolumes, of which only some get one',
  Subvolumes.test(async (disk, t) => {
    const named = path.join(disk.disk, 'named');
    for (const place of [
      named,
      ...Array.from({ length: 70 }, (_, each) => path.join(disk.top, `nested${each}`)),
    ]) {
      disk.create(place);
      fs.writeFileSync(path.join(disk.view(place), 'file'), place);
    }
    const words = [...disk.place(), '--create', '--crossdevice', ...AUTO, disk.top];
    const { snapshots, failed, progress, doubts } = await disk.save(words, named);
    t.deepEqual([failed, progress.filesRead], [[], 73]);
    t.deepEqual(snapshots.slice(0, 2), [
      { name: disk.top, kind: 'btrfs' },
      { name: named, kind: 'btrfs' },
    ]);
    t.is(snapshots.filter(({ kind }) => kind === 'btrfs').length, 64);
    t.deepEqual([snapshots.length, doubts.length], [65, 1]);
    t.regex(doubts[0]!, /nested\d+: no snapshot \(64 others have one; nor have those after it\)/);
    t.is(disk.all().length, 72);
  }),
);

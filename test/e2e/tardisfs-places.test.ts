// Pace: slow
/** Mounts by /etc/fstab, by an ordinary user, and where there is no FUSE. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { among, BIN, backupsRunHere, poolsStayAway, run, Running } from '../helpers/commands.js';
import { type Lab, mounted } from '../helpers/mounted-sets.js';
import { LeftOut } from '../helpers/mounts.js';
import { dir, file, makeTree } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const NOBODY = 65_534;
const SETUID = 0o4000;
const FSTAB_GENERATOR = '/usr/lib/systemd/system-generators/systemd-fstab-generator';

/** Runs a program as an ordinary user among the mounts. */
function asNobody(lab: Lab, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const user = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
  const { PATH = '' } = process.env;
  return spawnSync('nsenter', [...among(lab.mounts.mountsOf), ...user, ...words], {
    encoding: 'utf8',
    env: { PATH, HOME: path.join(lab.home, 'nobody'), ...env },
  });
}

/** Gives store and mount point to the ordinary user, and lets every user open /dev/fuse. */
function giveAway(lab: Lab): void {
  const { mounts } = lab;
  mounts.run(
    'chown',
    '-R',
    `${NOBODY}:${NOBODY}`,
    lab.store,
    lab.point,
    mounts.directory('nobody'),
  );
  const devices = mounts.mount('devices', 'tmpfs', 'tmpfs', 'dev');
  mounts.run('mknod', '-m', '666', path.join(devices, 'fuse'), 'c', '10', '229');
  mounts.run('mount', '--bind', path.join(devices, 'fuse'), '/dev/fuse');
}

test.serial(
  'mount and umount know a mount from both kinds of lines in /etc/fstab, with their options',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const second = lab.mounts.directory('second');
    const table = path.join(lab.home, 'fstab');
    const options = `user,noauto,default_permissions,allow_other,database=${lab.store}/,client=me`;
    fs.writeFileSync(
      table,
      `tardisfs#0 ${lab.point} fuse ${options} 0 2\n` +
        `${lab.store} ${second} fuse.tardisfs ro,noauto,noexec,allow_other,client=me 0 0\n`,
    );
    lab.mounts.run('mount', '--bind', table, '/etc/fstab');
    // mount(8) looks for the program in these directories only.
    lab.mounts.run('mount', '-t', 'tmpfs', 'tmpfs', '/usr/local/sbin');
    lab.mounts.run('ln', '-s', path.join(BIN, 'tardisfs'), '/usr/local/sbin/tardisfs');
    for (const [point, option] of [
      [lab.point, ',.*allow_other'],
      [second, ',nosuid,nodev,noexec'],
    ] as const) {
      const { status, stderr } = lab.inside('mount', point);
      if (status !== 0 && stderr.includes('mount.fuse')) throw new LeftOut(stderr);
      t.is(status, 0, stderr);
      const mounts = lab.inside('cat', '/proc/mounts').stdout;
      t.regex(mounts, new RegExp(`${point} fuse\\.tardisfs ro${option}`));
      const shown = path.join(point, 'Current', lab.source, 'a');
      t.is(asNobody(lab, ['cat', shown]).stdout, 'content');
      t.is(lab.inside('umount', point).status, 0);
    }
    t.true(await lab.ended());
  }),
);

test.serial(
  'systemd makes a mount and an automount of a line of fstab, and mounts with its options',
  mounted(async (lab, t) => {
    if (!fs.existsSync(FSTAB_GENERATOR)) throw new LeftOut('there is no systemd');
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const units = lab.mounts.directory('units');
    const table = path.join(lab.home, 'fstab');
    const automount = 'noauto,x-systemd.automount,x-systemd.idle-timeout=600,_netdev';
    const line = `${lab.store} ${lab.point} fuse.tardisfs ${automount},allow_other,client=me 0 0`;
    fs.writeFileSync(table, `${line}\n`);
    const env = { ...process.env, SYSTEMD_FSTAB: table };
    const made = spawnSync(FSTAB_GENERATOR, [units, units, units], { env, encoding: 'utf8' });
    t.is(made.status, 0, made.stderr);
    const names = fs.readdirSync(units).filter((name) => /\.(auto)?mount$/.test(name));
    t.deepEqual(names.map((name) => path.extname(name)).sort(), ['.automount', '.mount']);
    const files = names.map((name) => path.join(units, name));
    const verified = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
    t.is(verified.status, 0, verified.stderr);
    const unit = fs.readFileSync(files.find((name) => name.endsWith('.mount'))!, 'utf8');
    const value = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)![1]!;
    lab.mounts.run('mount', '-t', 'tmpfs', 'tmpfs', '/usr/local/sbin');
    lab.mounts.run('ln', '-s', path.join(BIN, 'tardisfs'), '/usr/local/sbin/tardisfs');
    const [what, where] = [value('What'), value('Where')];
    const words = [what, where, '-t', value('Type'), '-o', value('Options')]; // as systemd does
    const { status, stderr } = lab.inside('mount', ...words);
    if (status !== 0 && stderr.includes('mount.fuse')) throw new LeftOut(stderr);
    t.is(status, 0, stderr);
    t.is(fs.readFileSync(lab.view('Current', lab.source, 'a'), 'utf8'), 'content');
    t.is(lab.inside('umount', where).status, 0); // after the idle time
    t.true(await lab.ended());
  }),
);

test.serial(
  'an ordinary user mounts by fusermount3, and sees what he could see in the source',
  mounted(async (lab, t) => {
    const program = ['/usr/bin/fusermount3', '/bin/fusermount3'].find((one) => fs.existsSync(one));
    if (program === undefined || (fs.statSync(program).mode & SETUID) === 0) {
      throw new LeftOut('fusermount3 is not installed');
    }
    if (!fs.existsSync('/etc/mtab')) throw new LeftOut('fusermount3 lacks /etc/mtab to unmount');
    makeTree(lab.source, [
      file('open', 'for all', { mode: 0o644 }),
      file('closed', 'for root', { mode: 0o600 }),
      dir('private', [file('in', 'x')], { mode: 0o700 }),
    ]);
    fs.chmodSync(lab.source, 0o755);
    await lab.save();
    giveAway(lab);
    const options = `database=${lab.store},client=me`;
    const made = asNobody(lab, [path.join(BIN, 'tardisfs'), '-o', options, lab.point]);
    t.is(made.status, 0, made.stderr);
    t.is(asNobody(lab, ['cat', path.join(lab.shown, 'open')]).stdout, 'for all');
    t.regex(asNobody(lab, ['cat', path.join(lab.shown, 'closed')]).stderr, /Permission denied/);
    t.regex(asNobody(lab, ['ls', path.join(lab.shown, 'private')]).stderr, /Permission denied/);
    t.regex(lab.inside('ls', lab.point).stderr, /Permission denied/); // not even root, without allow_other
    t.regex(lab.inside('cat', '/proc/mounts').stdout, /mount fuse\.tardisfs ro,nosuid,nodev/);
    t.is(asNobody(lab, ['fusermount3', '-u', lab.point]).status, 0);
    t.true(await lab.ended());
  }),
);

/** Returns the fields of /proc/PID/stat after the name. */
function statOf(pid: number): string[] {
  return fs
    .readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
}

test.serial(
  'a mount stays in the group of its starter, as automounters need, until it is mounted',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    // The program for the password runs before the directory is mounted.
    const seen = path.join(lab.home, 'seen');
    const password = lab.password('secret words');
    await lab.save(['-C', 'sealed', '--create', '-F', password]);
    const program = path.join(lab.home, 'program');
    const script = `#!/bin/sh\ncut -d' ' -f5 /proc/$PPID/stat > '${seen}'\ncat '${password}'\n`;
    fs.writeFileSync(program, script, { mode: 0o755 });
    const starter = `echo $$; exec '${path.join(BIN, 'tardisfs')}' -o "$0" '${lab.point}'`;
    const options = `database=${lab.store},client=sealed,pwprog=${program}`;
    const words = ['setsid', '-w', 'sh', '-c', starter, options];
    const { status, stdout, stderr } = lab.inside(words[0]!, ...words.slice(1));
    t.is(status, 0, stderr);
    t.is(fs.readFileSync(seen, 'utf8').trim(), stdout.trim());
    const [pid] = lab.servers();
    t.is(statOf(pid!)[2], String(pid)); // it leads a group of its own once it is mounted
    await lab.unmount();
  }),
);

test.serial(
  'a mount in the background keeps neither the terminal nor the directory in which it was started',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    const password = lab.password('secret words');
    await lab.save(['-F', password]);
    const [store, there] = [path.basename(lab.store), path.join(path.dirname(lab.store), 'there')];
    fs.mkdirSync(there);
    const options = `database=../${store},client=me,password,log=log`;
    const command = `cd '${there}' && exec '${path.join(BIN, 'tardisfs')}' -o ${options} '${lab.point}'`;
    const words = ['script', '-qefc', command, '/dev/null'];
    const child = spawn('nsenter', [...among(lab.mounts.mountsOf), ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdout.once('data', () => child.stdin.write('secret words\n')); // the prompt
    // `script` ends when no process has its terminal open.
    const [status] = (await once(child, 'exit')) as [number | null];
    t.is(status, 0);
    const [pid] = lab.servers();
    // In a changed root, both links show its path.
    t.is(fs.readlinkSync(`/proc/${pid}/cwd`), fs.readlinkSync(`/proc/${pid}/root`));
    const descriptors = fs
      .readdirSync(`/proc/${pid}/fd`)
      .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
    t.deepEqual(
      descriptors.filter((to) => /^\/dev\/(tty|pts)/.test(to)),
      [],
    );
    t.true(descriptors.some((to) => to.endsWith('/there/log')));
    fs.rmSync(there, { recursive: true });
    t.is(lab.inside('cat', path.join(lab.shown, 'a')).stdout, 'content');
    await lab.unmount();
  }),
);

/** Returns the target of a link; empty if the link is gone. */
function linkOf(link: string): string {
  try {
    return fs.readlinkSync(link);
  } catch {
    return ''; // a descriptor that was closed meanwhile
  }
}

test.serial(
  'without FUSE the error names what to load or to install',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a')]);
    await lab.save();
    giveAway(lab);
    const options = `database=${lab.store},client=me`;
    const programs = lab.mounts.directory('programs');
    for (const name of fs.readdirSync('/usr/bin')) {
      if (!name.startsWith('fusermount'))
        fs.symlinkSync(`/usr/bin/${name}`, path.join(programs, name));
    }
    const words = [path.join(BIN, 'tardisfs'), '-o', options, lab.point];
    const asUser = asNobody(lab, words, { PATH: programs });
    t.is(asUser.status, 1);
    t.regex(asUser.stderr, /fusermount3 is not installed \[FUSE_MISSING\]/);
    t.regex(asUser.stderr, /apt-get install fuse3/);

    lab.mounts.run('mount', '--bind', '/dev/shm', '/mnt');
    lab.mounts.run('mount', '-t', 'tmpfs', 'tmpfs', '/dev');
    lab.mounts.run('mkdir', '/dev/shm');
    lab.mounts.run('mount', '--move', '/mnt', '/dev/shm');
    lab.mounts.run('mknod', '-m', '666', '/dev/null', 'c', '1', '3');
    const { status, stderr } = await lab.mount(options);
    t.is(status, 1);
    t.regex(stderr, /\/dev\/fuse is not there \[FUSE_MISSING\]/);
    t.regex(stderr, /modprobe fuse/);
    t.deepEqual(fs.readdirSync(lab.view()), []);
  }),
);

test.serial(
  'the end of a mount unmounts nothing else that its path leads to by then',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const { mounts, home } = lab;
    const [user, other] = [mounts.directory('user'), mounts.directory('other')];
    const point = path.join(user, 'above', 'point');
    for (const each of [point, path.join(other, 'point')]) fs.mkdirSync(each, { recursive: true });
    mounts.run('mount', '-t', 'tmpfs', 'tmpfs', path.join(other, 'point'));
    const mountsAt = (): string[] =>
      lab
        .inside('findmnt', '-rno', 'TARGET')
        .stdout.split('\n')
        .filter((at) => at.startsWith(home));
    const before = mountsAt();
    const words = ['-f', ...lab.place, point];
    const mount = (): Running => new Running('tardisfs', words, { mountsOf: mounts.mountsOf });
    const led = mount();
    await led.until('mount', () => mountsAt().includes(point));
    // Its owner may rename a directory above the mount.
    fs.renameSync(path.join(user, 'above'), path.join(user, 'away'));
    fs.symlinkSync(other, path.join(user, 'above'));
    await led.endedBy('SIGTERM');
    const moved = path.join(user, 'away', 'point');
    t.deepEqual(mountsAt(), [...before, moved]);
    mounts.run('umount', moved);
    fs.rmSync(path.join(user, 'above'));
    fs.renameSync(path.join(user, 'away'), path.join(user, 'above'));
    const straight = mount();
    await straight.until('mount', () => mountsAt().includes(point));
    await straight.endedBy('SIGTERM');
    t.deepEqual(mountsAt(), before);
  }),
);

test.serial(
  'a mount over its own store, above it or in it is refused',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const linked = path.join(lab.home, 'link');
    fs.symlinkSync(lab.store, linked);
    const bound = lab.mounts.directory('bound');
    lab.mounts.run('mount', '--bind', lab.store, bound);
    const points = [lab.home, lab.store, path.join(lab.store, 'me', 'packs'), linked, bound];
    for (const point of points) {
      const words = [...lab.place, point];
      const { status, stderr } = await run('tardisfs', words, { mountsOf: lab.mounts.mountsOf });
      t.is(status, 1, point);
      t.regex(stderr, /it (contains|is inside) the store .* \[MOUNT_FAILED\]/);
    }
    t.is(lab.servers().length, 0);
    await lab.mountStore();
    await lab.unmount();
  }),
);

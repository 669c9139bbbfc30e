// Pace: long
/** Mounts that outlast what they read from: servers that go away, new keys, rebuilt catalogs. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { run, succeed, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { everything, type Lab, mounted, outputOf } from '../helpers/mounted-sets.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const GONE_MS = 1500;
const RECONNECT_SECONDS = 4;

function blocksOf(place: string): [number, number] {
  const { bsize, blocks } = fs.statfsSync(place);
  return [bsize, blocks];
}

test.serial(
  'a plain client is mounted through a server, with the size of the file system of its store',
  mounted(async (lab, t) => {
    makeTree(lab.source, everything());
    await lab.save();
    await lab.serve(t);
    const { status, stderr } = await lab.mount(`server=${lab.socket},client=me`);
    t.is(status, 0, stderr);
    t.is(lab.differences(), '');
    t.deepEqual(blocksOf(lab.view()), blocksOf(lab.store));
    const { bavail, blocks } = fs.statfsSync(lab.view());
    t.true(bavail > 0 && bavail <= blocks);
    await lab.unmount();
    await lab.mountStore();
    t.deepEqual(blocksOf(lab.view()), blocksOf(lab.store));
    t.is(fs.statfsSync(lab.view()).bavail > 0, true);
  }),
);

async function stopped(lab: Lab, server: Awaited<ReturnType<Lab['serve']>>): Promise<void> {
  await server.endedBy('SIGTERM');
  fs.rmSync(lab.socket, { force: true });
}

test.serial(
  'reads wait for a server that is away, fail after a time, and go on when it is back',
  mounted(async (lab, t) => {
    const names = Array.from({ length: 5 }, (_, n) => `d${n}`);
    makeTree(
      lab.source,
      names.map((name, n) => dir(name, [file('a', text(n, 900))])),
    );
    await lab.save();
    let server = await lab.serve(t);
    const place = `server=${lab.socket},client=me`;
    t.is((await lab.mount(place)).status, 0);
    const wanted = (n: number): string => text(n, 900).toString();
    const read = (n: number): Promise<string> =>
      outputOf(lab, 'cat', path.join(lab.shown, `d${n}/a`));
    t.is(await read(0), wanted(0));
    await stopped(lab, server);
    const reading = read(1);
    await pause(GONE_MS);
    server = await lab.serve(t);
    t.is(await reading, wanted(1));
    await lab.unmount();

    const log = path.join(lab.home, 'log');
    t.is((await lab.mount(`${place},reconnect=1,log=${log}`)).status, 0);
    t.is(await read(0), wanted(0));
    await stopped(lab, server);
    t.regex(await read(2), /Input.output error/);
    await until(() => /cannot be read: .*SERVER_UNREACHABLE/.test(fs.readFileSync(log, 'utf8')));
    await lab.serve(t);
    await until(() => lab.inside('cat', path.join(lab.shown, 'd3/a')).stdout === wanted(3));
    t.is(lab.differences(), '');
    t.regex(fs.readFileSync(log, 'utf8'), /the store can be read again/);
  }),
);

test.serial(
  'a program that waits for a server that is away can be interrupted',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'content')]);
    await lab.save();
    const server = await lab.serve(t);
    t.is((await lab.mount(`server=${lab.socket},client=me`)).status, 0);
    await stopped(lab, server);
    // It would wait for ten minutes, which is the default.
    t.is(await outputOf(lab, 'timeout', '-s', 'INT', '1', 'cat', path.join(lab.shown, 'a')), '');
    await lab.serve(t);
    t.is(await outputOf(lab, 'cat', path.join(lab.shown, 'a')), 'content');
  }),
);

/** Changes the catalog of an encrypting client by a command while it is mounted. */
async function replaced(
  lab: Lab,
  t: ExecutionContext,
  command: readonly string[],
  isRemote: boolean,
): Promise<void> {
  makeTree(lab.source, [
    dir('d', [file('large', noise(1, 3 << 20)), file('small', 'small')]),
    file('other', 'other'),
  ]);
  const password = lab.password('secret words');
  await lab.save(['-F', password]);
  const log = path.join(lab.home, 'log');
  const login = `client=me,pwfile=${password},log=${log}`;
  const server = isRemote ? await lab.serve(t) : undefined;
  const at = isRemote
    ? `server=${lab.socket},reconnect=${RECONNECT_SECONDS}`
    : `database=${lab.store}`;
  t.is((await lab.mount(`${at},${login}`)).status, 0);
  const inside = lab.view('Current', lab.source, 'd');
  const fd = fs.openSync(path.join(inside, 'large'), 'r');
  t.teardown(() => fs.closeSync(fd));
  if (server !== undefined) await stopped(lab, server);
  await succeed('sonic', [...command, '-D', lab.store, '-C', 'me', '-F', password]);
  if (server !== undefined) await lab.serve(t);
  await until(() => {
    lab.inside('ls', '-l', lab.shown);
    return fs.readFileSync(log, 'utf8').includes('the catalog was replaced');
  });
  t.throws(() => fs.readSync(fd, Buffer.alloc(10), 0, 10, 1 << 20), { message: /-116\b/ });
  t.is(lab.differences(), '');
  await lab.save(['-F', password, '--name', 'later']);
  await until(() => lab.inside('ls', lab.point).stdout.includes('later'));
}

for (const isRemote of [false, true]) {
  const where = isRemote ? ' through a server' : '';
  test.serial(
    `after new keys a mount${where} goes on, and what was open is stale`,
    mounted((lab, t) => replaced(lab, t, ['rekey', '--yes'], isRemote)),
  );
  test.serial(
    `after a rebuild a mount${where} goes on, and what was open is stale`,
    mounted((lab, t) => replaced(lab, t, ['rebuild'], isRemote)),
  );
}

test.serial(
  'beside new keys a mount reads on, also a file that is being read',
  mounted(async (lab, t) => {
    const names = Array.from({ length: 400 }, (_, index) => `${index}`);
    const small = names.map((name) => file(name, noise(name, 3000)));
    const large = noise(1, 3 << 20);
    makeTree(lab.source, [dir('d', [...small, file('large', large)])]);
    const password = lab.password('secret words');
    await lab.save(['-F', password]);
    const log = path.join(lab.home, 'log');
    await lab.mountStore(`,pwfile=${password},log=${log}`);
    const inside = lab.view('Current', lab.source, 'd');
    const rekey = ['rekey', '--yes', ...lab.place, '-F', password];
    let isOver = false;
    const rekeyed = succeed('sonic', rekey).then(() => (isOver = true));
    for (const [at, name] of names.entries()) {
      if (at === names.length / 2) await rekeyed;
      const read = await fs.promises.readFile(path.join(inside, name));
      t.true(read.equals(noise(name, 3000)), name);
      if (!isOver) await pause(20); // the keys are replaced between two of the reads
    }
    const part = (fd: number, from: number): Buffer => {
      const read = Buffer.alloc(1 << 20);
      return read.subarray(0, fs.readSync(fd, read, 0, read.length, from));
    };
    // Stale if the mount looks at its sets between the exchange and the next read.
    for (let isMet = false; !isMet; ) {
      const fd = fs.openSync(path.join(inside, 'large'), 'r');
      t.teardown(() => fs.closeSync(fd));
      part(fd, 0);
      await succeed('sonic', rekey);
      try {
        part(fd, 1 << 20);
        isMet = true;
      } catch (error) {
        t.regex(String(error), /-116\b/);
        continue;
      }
      for (const from of [1 << 20, 2 << 20])
        t.true(part(fd, from).equals(large.subarray(from, from + (1 << 20))), `${from}`);
    }
    await until(() => lab.differences() === ''); // the kernel forgets the old names a moment later
    const logged = fs.readFileSync(log, 'utf8');
    t.notRegex(logged, /RECORD_DAMAGED|CLIENT_BUSY|IO_FAILED/);
    t.regex(logged, /the catalog was replaced/);
  }),
);

test.serial(
  'mounts of two clients with different passwords see nothing of each other',
  mounted(async (lab, t) => {
    makeTree(lab.source, [file('a', 'of one')]);
    const [one, two] = [lab.password('first words'), lab.password('second words')];
    await lab.save(['-F', one]);
    const other = path.join(lab.home, 'other');
    makeTree(other, [file('b', 'of two')]);
    const place = ['-D', lab.store, '-C', 'two'];
    await succeed('tardis', [...place, '--local', '--create', '-F', two, '--name', 'hers', other]);
    const point = lab.mounts.directory('second');
    const { mountsOf } = lab.mounts;
    const mountTwo = (password: string): ReturnType<typeof run> =>
      run('tardisfs', ['-o', `database=${lab.store},client=two,pwfile=${password}`, point], {
        mountsOf,
      });
    await lab.mountStore(`,pwfile=${one}`);
    t.is((await mountTwo(one)).status, 12);
    t.is((await mountTwo(two)).status, 0);
    const find = (at: string): string => lab.inside('find', '-L', at, '-name', '[ab]').stdout;
    t.true(find(lab.point).includes('/a\n'));
    t.false(find(lab.point).includes('/b\n'));
    t.true(find(point).includes('/b\n'));
    t.false(find(point).includes('/a\n'));
    t.true(lab.inside('ls', point).stdout.includes('hers'));
    t.false(lab.inside('ls', lab.point).stdout.includes('hers'));
    t.is(lab.inside('umount', point).status, 0);
  }),
);

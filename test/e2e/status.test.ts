// Pace: slow
/** `tardis status`, and the configuration that commands take if they name no store. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BucketLab, STORE } from '../helpers/bucket-lab.js';
import { BIN, commandsAreProcesses, run, Running, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { explained, lab } from '../helpers/lab.js';
import { file, makeTree } from '../helpers/tree.js';
import { S3Server } from '../support/s3-server.js';

commandsAreProcesses(); // the launcher knows `tardis` alone

interface Status {
  readonly state: string;
  readonly reason: string;
  readonly sets: number;
  readonly isEncrypted: boolean;
  readonly sources: readonly { name: string }[];
  readonly lastGood?: { readonly set: number; readonly unread: number };
  readonly timer?: string;
  readonly nextAtMs?: number;
}

/** A lab with a home of its own, in which a fake `systemctl` shows the timer that `timer` describes. */
function home(t: ExecutionContext) {
  const its = lab(t);
  const env = {
    HOME: its.at('home'),
    XDG_CONFIG_HOME: its.at('home', '.config'),
    PATH: `${its.at('bin')}:${process.env['PATH']}`,
  };
  fs.mkdirSync(its.at('home', '.config', 'tardis'), { recursive: true });
  fs.mkdirSync(its.at('bin'));
  const timer = (next: number): void =>
    fs.writeFileSync(
      its.at('bin', 'systemctl'),
      `#!/bin/sh\ncase "$*" in *list-timers*tardis-backup.timer) echo '[{"next":${next}}]' ;; esac\n`,
      { mode: 0o755 },
    );
  fs.writeFileSync(its.at('bin', 'systemctl'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const configure = (more = '', directories = its.source): void => {
    const file = its.at('home', '.config', 'tardis', 'backup.cfg');
    const text = `[Tardis]\nDatabase = ${its.store}\nClient = me\nLocal = yes\nDirectories = ${directories}\n`;
    fs.writeFileSync(file, text + more);
  };
  const status = async (...words: string[]): Promise<Status & { exit: number | null }> => {
    const {
      status: exit,
      stdout,
      stderr,
    } = await run('tardis', ['status', '--json', ...words], { env });
    t.is(stderr, '');
    return { ...(JSON.parse(stdout) as Status), exit };
  };
  return { ...its, env, timer, configure, status };
}

const NOTHING_SET_UP = /tardis setup .*tardis -D .* --create .*tardis restore /s;

test('tardis alone shows the first steps, and makes nothing', async (t) => {
  const { env, at } = home(t);
  if (fs.existsSync('/srv/tardis')) {
    return leaveOut(t, 'left out: this machine has a store in /srv/tardis');
  }
  const { status, stdout, stderr } = await run('tardis', [], { env, cwd: at('tree') });
  t.deepEqual([status, stderr], [6, '']);
  t.regex(stdout, NOTHING_SET_UP);
  t.deepEqual(fs.readdirSync(at('home', '.config', 'tardis')), []);
});

test("tardis alone shows the first steps to a user who may not read the machine's store", (t) => {
  const { env } = home(t);
  const script = `mount -t tmpfs none /srv && mkdir -m 700 /srv/tardis &&
    exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0"`;
  const words = ['-m', 'sh', '-c', script, path.join(BIN, 'tardis')];
  const canMount = spawnSync('unshare', ['-m', 'true']).status === 0;
  const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env });
  if (!canMount || /Permission denied/.test(stderr)) {
    return leaveOut(
      t,
      'left out: only root can mount, and the checkout must be readable to others',
    );
  }
  t.deepEqual([status, stderr], [6, '']);
  t.regex(stdout, NOTHING_SET_UP);
});

test('the state is shown with an exit status of its own', async (t) => {
  const { env, configure, status, store, source, at } = home(t);
  configure('OverdueAfter = 93600\n');
  t.like(await status(), { state: 'unknown', exit: 10 });
  await succeed('sonic', ['create', '-D', store, '-C', 'other']);
  t.like(await status(), { state: 'never', exit: 6 });
  await succeed('tardis', ['backup', '--create'], { env });
  const good = await status();
  t.like(good, { state: 'good', exit: 0, sets: 1, isEncrypted: false });
  t.deepEqual(good.sources, [{ name: source }]);
  t.is(good.lastGood?.set, 1);
  t.is(good.nextAtMs, undefined, 'nothing plans one');
  t.like(await status('--overdue-after', '0.001'), { state: 'late', exit: 4 });
  const text = await succeed('tardis', [], { env });
  t.regex(text, /^good: .*last good .* set 1, .*what .*where .*"me", not encrypted.*sets +1\n/s);
  // A source that is gone is an error of the run, which is complete without it.
  configure('OverdueAfter = 93600\n', `${source} ${at('nothing')}`);
  t.like(await status(), { state: 'late', exit: 4 }, 'a directory is in no set yet');
  const listed = JSON.parse(await succeed('tardis', ['clients', '--json'], { env })) as {
    clients: { client: string; state: string }[];
  };
  t.is(listed.clients.find(({ client }) => client === 'me')?.state, 'late');
  const partly = await run('tardis', ['backup'], { env });
  configure('OverdueAfter = 93600\n');
  t.is(partly.status, 3, partly.stderr);
  t.like(await status(), { state: 'warned', exit: 3, lastGood: { unread: 1 } });
  fs.renameSync(store, at('unplugged'));
  t.like(await status(), { state: 'unknown', exit: 10 });
});

test('a running backup and one that was cut off are told apart', async (t) => {
  const { env, configure, status, at } = home(t);
  configure();
  await succeed('tardis', ['backup', '--create'], { env });
  // Nothing ends the command of a run that was killed, so it ends itself when the test removes its files.
  const source = `slow=sh -c 'echo begun; while [ -d ${at('tree')} ]; do sleep 0.05; done'`;
  const cut = new Running('tardis', ['backup', '--source', source, at('tree')], { env });
  for (let tries = 0; (await status()).state !== 'running'; tries += 1) t.true(tries < 200);
  cut.signalGroup('SIGKILL');
  await cut.ended;
  t.like(await status(), { state: 'failed', exit: 5, sets: 1 });
});

test('the timer of systemd has the next run', async (t) => {
  const { env, configure, status, timer } = home(t);
  configure();
  await succeed('tardis', ['backup', '--create'], { env });
  const nextMs = Date.now() + 3_600_000;
  timer(nextMs * 1000);
  t.like(await status(), { state: 'good', nextAtMs: nextMs, timer: 'tardis-backup.timer' });
});

test('the state of a client that encrypts needs no password', async (t) => {
  const { env, configure, status, written, source } = home(t);
  configure(`PasswordFile = ${written('password', 'gravel-Otter9-lamp\n')}\n`);
  await succeed('tardis', ['backup', '--create'], { env });
  configure();
  t.like(await status(), { state: 'good', isEncrypted: true, sources: [{ name: source }] });
});

test('the file of setup counts for commands that name no store and no server', async (t) => {
  const { env, configure, status, store, at } = home(t);
  configure();
  const settings = async (...words: string[]) =>
    explained(await succeed('lstardis', [...words, '--explain-config', '--json'], { env }));
  t.is((await settings()).get('client')?.value, 'me');
  t.like((await settings()).get('database'), { source: 'configuration file' });
  for (const words of [
    ['-D', store],
    ['--server', 'h'],
  ]) {
    t.like((await settings(...words)).get('client'), { source: 'built-in' });
  }
  const other = ['-D', store, '-C', 'other'];
  const local = ['backup', ...other, '--local', '--create', at('bin')];
  await succeed('tardis', local, { env: { ...env, TARDIS_PORT: '7421' } }); // a variable names no sources
  t.like(await status(...other), { state: 'good', sources: [{ name: at('bin') }] });
  fs.writeFileSync(
    at('home', '.config', 'tardis', 'backup.cfg'),
    '[Tardis]\nServer = nas.example\n',
  );
  const sonic = ['info', '--explain-config', '--json'];
  const through = explained(await succeed('sonic', sonic, { env }));
  t.like(through.get('throughServer'), { value: 'nas.example' });
  fs.appendFileSync(at('home', '.config', 'tardis', 'backup.cfg'), `Database = ${store}\n`);
  const here = explained(await succeed('sonic', sonic, { env }));
  t.not(here.get('throughServer')?.value, 'nas.example');
});

test('the only client of a store is taken without -C, and no other', async (t) => {
  const { store, source, place } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  t.regex(await succeed('lstardis', ['-D', store, source]), /two/);
  t.regex(await succeed('sonic', ['list', '-D', store]), /complete/);
  t.is((await run('lstardis', ['-D', store, '-C', 'vm'])).status, 10);
  await succeed('sonic', ['create', '-D', store, '-C', 'other']);
  t.is((await run('lstardis', ['-D', store])).status, 10);
});

test('the state of a store in a bucket is shown, and unknown while the bucket is away', async (t) => {
  const server = await S3Server.during(t);
  const its = new BucketLab(scratchInMemory(t), server.url);
  makeTree(its.source, [file('letter', 'dear Otto')]);
  await its.backUp('one', ['--create']);
  const state = async (...words: string[]) => {
    const { status, stdout } = await its.run('one', 'sonic', ['status', '--json', ...words]);
    return { ...(JSON.parse(stdout) as Status & { readonly store: string }), exit: status };
  };
  t.like(await state(), { state: 'good', exit: 0, sets: 1, store: STORE });
  server.close();
  t.like(await state(), { state: 'unknown', exit: 10 });
});

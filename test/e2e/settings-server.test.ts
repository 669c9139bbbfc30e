// Pace: slow
/** Effects of the server's settings, given by option, key and variable. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { decodeMessage } from '../../src/transport/index.js';
import { exited } from '../helpers/codes.js';
import { helloBytes } from '../helpers/greetings.js';
import {
  makeEmptyStore,
  backup,
  backupsRunHere,
  type CommandOptions,
  run,
  Running,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/lab.js';
import { addTo, dir, file, isRoot, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const NOBODY = 65_534;

/** Starts a server that is killed at the end of the test; returns once it listens. */
async function started(
  t: ExecutionContext,
  args: readonly string[],
  isListening: (running: Running) => boolean,
  options: CommandOptions = {},
): Promise<Running> {
  const running = new Running('tardisd', args, { timeoutMs: 280_000, ...options });
  t.teardown(() => running.signalGroup('SIGKILL'));
  await running.until('listening server', () => isListening(running));
  return running;
}

const isServing = (running: Running): boolean => running.stderr.includes('listening');

function portIn(log: string): string {
  return /"address":"127\.0\.0\.1:(\d+)"/.exec(log)![1]!;
}

const to = (port: string, client = 'me'): string[] => [
  '-C',
  client,
  '--insecure-tcp',
  '--port',
  port,
];

test('the daemon reads the file of --config or TARDIS_DAEMON_CONFIG', async (t) => {
  const { at, source, written } = lab(t);
  for (const [name, how] of [
    ['by option', (config: string) => [['--config', config], {}] as const],
    ['by variable', (config: string) => [[], { TARDIS_DAEMON_CONFIG: config }] as const],
  ] as const) {
    makeEmptyStore(at(name));
    const text = `[Tardis]\nBaseDir = ${at(name)}\nPort = 0\nAllowNewHosts = yes\nVerbose = 1\n`;
    const [args, env] = how(written(`config ${name}`, text));
    const running = await started(t, ['--insecure-tcp', ...args], isServing, { env });
    await backup(['--create', ...to(portIn(running.stderr)), source]);
    t.true(fs.existsSync(at(name, 'me', 'tardis.db')));
  }
});

test('a server of one client refuses others', async (t) => {
  const { store, source } = lab(t);
  const server = await Server.during(t, store, ['-C', 'me']);
  const { status, stderr } = await run('tardis', [
    '--create',
    ...to(String(server.port), 'you'),
    source,
  ]);
  t.is(status, 10);
  t.regex(stderr, /serves "me" only/);
  await backup(['--create', ...to(String(server.port)), source]);
});

/** Sends a greeting over a WebSocket; returns the credit in the welcome. */
async function creditOf(port: string): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(socket, 'open');
  socket.send(helloBytes('me'));
  const [bytes] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return decodeMessage('welcome', bytes).head.creditBytes;
}

test('Local listens on a unix socket instead of the port', async (t) => {
  const { at, store, written } = lab(t);
  makeEmptyStore(store);
  const config = written('cfg', `[Tardis]\nLocal = ${at('by key')}\nPort = 1\n`);
  for (const [socket, args] of [
    ['by key', ['--config', config]],
    ['by option', ['--local', at('by option')]],
  ] as const) {
    const running = await started(t, ['-D', store, '-v', ...args], isServing);
    t.regex(running.stderr, new RegExp(`"unix:${at(socket)}"`));
    t.is(fs.statSync(at(socket)).mode & 0o777, 0o600);
    t.is((await running.endedBy('SIGTERM')).status, 0);
  }
});

test('Single serves one session and ends', async (t) => {
  const { store, source, written } = lab(t);
  for (const [client, args] of [
    ['one', ['--single']],
    ['two', ['--config', written('cfg', '[Tardis]\nSingle = yes\n')]],
  ] as const) {
    const server = await Server.start(store, args);
    await backup(['--create', ...to(String(server.port), client), source]);
    t.is((await server.running.ended).status, 0);
  }
});

test('a new client is refused unless AllowNewHosts', async (t) => {
  const { store, source, written } = lab(t);
  makeEmptyStore(store);
  const args = ['-D', store, '--insecure-tcp', '--port', '0', '-v'];
  const strict = await started(t, args, isServing);
  const refused = await run('tardis', ['--create', ...to(portIn(strict.stderr)), source]);
  t.regex(refused.stderr, /lets no session create a client.*NOT_PERMITTED/);
  const config = written('cfg', '[Tardis]\nAllowNewHosts = True\n');
  const open = await started(t, [...args, '--config', config], isServing);
  await backup(['--create', ...to(portIn(open.stderr)), source]);
  const option = await started(t, [...args, '--allow-new-hosts'], isServing);
  await backup(['--create', ...to(portIn(option.stderr), 'you'), source]);
});

test('LogFile receives the log', async (t) => {
  const { at, store, written } = lab(t);
  makeEmptyStore(store);
  const args = ['-D', store, '--insecure-tcp', '--port', '0', '-v'];
  for (const [name, more] of [
    ['by option', ['--logfile', at('by option')]],
    ['by key', ['--config', written('cfg', `[Tardis]\nLogFile = ${at('by key')}\n`)]],
  ] as const) {
    const isListed = (): boolean =>
      fs.existsSync(at(name)) && fs.readFileSync(at(name), 'utf8').includes('listening');
    const running = await started(t, [...args, ...more], isListed);
    t.is((await running.endedBy('SIGTERM')).stderr, '');
    t.regex(fs.readFileSync(at(name), 'utf8'), /"stopped"/);
  }
  const { stderr } = await run('tardisd', [...args, '--logfile', at('no', 'log')]);
  t.regex(stderr, /cannot log to .*\(ENOENT\) \[CONFIG_INVALID\]/);
});

test('Verbose chooses what is logged', async (t) => {
  const { at, store, source, written } = lab(t);
  const log = async (verbose: string): Promise<string> => {
    const socket = at(`socket${verbose}`);
    const config = written(`cfg ${verbose}`, `[Tardis]\nVerbose = ${verbose}\n`);
    const args = ['-D', store, '--local', socket, '--single', '--config', config];
    const running = await started(t, args, () => fs.existsSync(socket));
    // With --single the server ends after one session, and a refused one counts.
    const client = new WebSocket(`ws+unix://${socket}:/`);
    await once(client, 'open');
    client.send(helloBytes('nobody'));
    return (await running.ended).stderr;
  };
  await backup(['-D', store, '-C', 'me', '--local', '--create', source]);
  t.is(await log('0'), '');
  const more = await log('1');
  t.regex(more, /"listening"/);
  t.regex(more, /"session refused"/);
});

test('LogExceptions logs the stack of a refusal', async (t) => {
  const { store, source, written } = lab(t);
  const config = written('cfg', '[Tardis]\nLogExceptions = yes\n');
  await backup(['-D', store, '-C', 'me', '--local', '--create', source]);
  for (const [args, hasChain] of [
    [[], false],
    [['--log-exceptions'], true],
    [['--config', config], true],
  ] as const) {
    const server = await Server.during(t, store, args);
    await run('tardis', ['--create', ...to(String(server.port)), source]);
    const { stderr } = await server.stop();
    t.regex(stderr, /"code":"CLIENT_EXISTS"/);
    t.is(/"stack":".*\\n +at /.test(stderr), hasChain);
  }
});

/** Returns the modes of all files and directories in a store, without repetitions. */
function modesIn(store: string): { files: string[]; directories: string[] } {
  const [files, directories] = [new Set<string>(), new Set<string>()];
  const add = (at: string): void => {
    const stat = fs.statSync(at);
    const mode = (stat.mode & 0o7777).toString(8);
    if (!stat.isDirectory()) return void files.add(mode);
    directories.add(mode);
    for (const name of fs.readdirSync(at)) add(path.join(at, name));
  };
  add(store);
  return { files: [...files], directories: [...directories] };
}

test('Umask limits the permissions of a store', async (t) => {
  const { at, source, written } = lab(t);
  const alone = { isProcess: true } as const; // a command in this process has no umask of its own
  addTo(source, file('large', noise(1, 9 * MIB)));
  for (const [umask, files, directories] of [
    ['002', '664', '775'],
    ['077', '600', '700'],
  ] as const) {
    const text = `[Tardis]\nUmask = ${umask}\n`;
    const config = ['--local-config', written(umask, text)];
    await backup(
      ['-D', at(`s ${umask}`), '-C', 'me', '--local', '--create', ...config, source],
      alone,
    );
    t.deepEqual(modesIn(at(`s ${umask}`)), { files: [files], directories: [directories] });
  }
  await succeed('sonic', ['create', '-D', at('made'), '-C', 'me', '--umask', '007'], alone);
  t.deepEqual(modesIn(at('made')), { files: ['660'], directories: ['770'] });
  await succeed('sonic', ['create', '-D', at('usual'), '-C', 'me'], alone);
  await backup(['-D', at('usual'), '-C', 'me', '--local', source], alone);
  const { files, directories } = modesIn(at('usual'));
  // If the process that runs the tests has a stricter umask, the modes have fewer bits.
  const own = process.umask();
  t.deepEqual(files, [(0o640 & ~own).toString(8)]);
  t.deepEqual(directories, [(0o750 & ~own).toString(8)]);
});

test('a new client is created with the name of SkipFileName', async (t) => {
  const { at, store, source, written } = lab(t);
  const has = (client: string, name: string): boolean => fs.existsSync(at('store', client, name));
  await succeed('sonic', ['create', '-D', store, '-C', 'usual']);
  t.true(has('usual', '.tardis-skip'));
  const env = { TARDIS_SKIP: '.by-variable' };
  await succeed('sonic', ['create', '-D', store, '-C', 'variable'], { env });
  t.true(has('variable', '.by-variable') && !has('variable', '.tardis-skip'));
  const config = written('cfg', '[Tardis]\nSkipFileName = .by-key\n');
  const args = ['-D', store, '-C', 'key', '--local', '--create', '--local-config', config];
  await backup([...args, source]);
  t.true(has('key', '.by-key'));
  t.regex(await succeed('lstardis', ['-D', store, '-C', 'key']), /complete/);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // no such process
  }
}

async function ended(pid: number): Promise<void> {
  await until(() => !isAlive(pid));
}

/** Starts a server in the background; returns its process id and port. */
async function inBackground(
  t: ExecutionContext,
  { at, store }: Lab,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ pid: number; port: string }> {
  const own = ['-D', store, '--port', '0', '--insecure-tcp', '-v', '--logfile', at('log')];
  await succeed('tardisd', [...own, ...args], { env });
  const pid = Number(fs.readFileSync(at('pid'), 'utf8'));
  t.teardown(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  t.true(isAlive(pid));
  return { pid, port: portIn(fs.readFileSync(at('log'), 'utf8').split('\n').at(-2)!) };
}

test('Daemon runs the server in the background, with a PidFile, and reports why it cannot start', async (t) => {
  const its = lab(t);
  const { at, store, source, written } = its;
  await backup(['-D', store, '-C', 'me', '--local', '--create', source]);
  const config = written('cfg', `[Tardis]\nDaemon = yes\nPidFile = ${at('pid')}\n`);
  for (const [args, env] of [
    [['--daemon', '--pidfile', at('pid')], {}],
    [['--daemon'], { TARDIS_PIDFILE: at('pid') }],
    [['--config', config], {}],
  ] as const) {
    const { pid, port } = await inBackground(t, its, args, env);
    await backup([...to(port), source]);
    const second = await run('tardisd', ['-D', store, '--insecure-tcp', '--pidfile', at('pid')]);
    t.regex(second.stderr, new RegExp(`contains the id of process ${pid}, .*\\[SERVER_RUNS\\]`));
    process.kill(pid, 'SIGTERM');
    await ended(pid);
    t.false(fs.existsSync(at('pid')));
  }
  const daemon = ['-D', store, '--daemon', '--pidfile', at('pid'), '--logfile', at('log')];
  const failed = exited(t, 1, await run('tardisd', [...daemon, '--local', at('no', 'socket')]));
  t.regex(failed.stderr, /cannot listen on .*\[LISTEN_FAILED\]/);
  t.false(fs.existsSync(at('pid')));
  for (const lacking of [
    ['--pidfile', at('pid')],
    ['--logfile', at('log')],
  ]) {
    const { stderr } = await run('tardisd', [
      '-D',
      store,
      '--insecure-tcp',
      '--daemon',
      ...lacking,
    ]);
    t.regex(stderr, /Daemon needs a (PidFile|LogFile).*CONFIG_INVALID/);
  }
});

if (isRoot) {
  test('the server runs as User and Group', async (t) => {
    const its = lab(t);
    const { at, store, source, home, written } = its;
    fs.chmodSync(home, 0o755);
    makeEmptyStore(store);
    fs.chownSync(store, NOBODY, NOBODY);
    if (spawnSync('id', ['-g', String(NOBODY)]).status !== 0) return t.pass();
    const config = written('cfg', `[Tardis]\nUser = ${NOBODY}\nAllowNewHosts = yes\n`);
    const args = ['--daemon', '--pidfile', at('pid'), '--config', config];
    const { pid, port } = await inBackground(t, its, args);
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    t.regex(status, new RegExp(`^Uid:\\s+${NOBODY}\\s+${NOBODY}\\s+${NOBODY}`, 'm'));
    t.regex(status, /^Gid:\s+(?!0\s)\d+/m);
    await backup(['--create', ...to(port), source]);
    t.is(fs.statSync(at('store', 'me', 'tardis.db')).uid, NOBODY);
    process.kill(pid, 'SIGTERM');
    await ended(pid);
    const group = await started(
      t,
      ['-D', store, '--port', '0', '--insecure-tcp', '-v', '--group', '12345'],
      isServing,
    );
    t.regex(fs.readFileSync(`/proc/${group.pid}/status`, 'utf8'), /^Gid:\s+12345\s/m);
    const nobody = await run('tardisd', ['-D', store, '--insecure-tcp', '--user', 'no such user']);
    t.regex(nobody.stderr, /cannot run as no such user: .*CONFIG_INVALID/);
  });
}

test('Reserve limits the space that each client reserves', async (t) => {
  const { at, store, source, written } = lab(t);
  const reserve = at('store', 'me', 'reserve');
  const kept = async (text: string): Promise<number | undefined> => {
    const config = ['--local-config', written(`cfg ${text.length}`, `[Pipeline]\n${text}`)];
    await backup(['-D', store, '-C', 'me', '--local', '--create', ...config, source]).catch(() =>
      backup(['-D', store, '-C', 'me', '--local', ...config, source]),
    );
    return fs.statSync(reserve, { throwIfNoEntry: false })?.size;
  };
  const small = (await kept(''))!;
  t.true(small >= MIB / 2 && small <= 1.25 * MIB, `${small}`);
  fs.writeFileSync(path.join(source, 'large'), noise(1, 4 * MIB));
  t.is(await kept('Reserve = 3M\n'), 3 * MIB);
  // The contents of the file do not compress, so it takes its full size on a compressing file system too.
  t.true(deflateSync(fs.readFileSync(reserve)).length > 3 * MIB);
  t.is(await kept('Reserve = 0M  \n'), undefined);
  fs.writeFileSync(path.join(source, 'larger'), noise(2, 16 * MIB));
  t.is(await kept('LeastFree = 33M\n'), 16 * MIB);
});

test('no backup begins with less free space than LeastFree', async (t) => {
  const { store, source, written } = lab(t);
  const config = ['--local-config', written('cfg', '[Pipeline]\nLeastFree = 1000T\n')];
  const place = ['-D', store, '-C', 'me', '--local'];
  const { stderr } = exited(t, 1, await run('tardis', [...place, '--create', ...config, source]));
  t.regex(
    stderr,
    /is full: [\d.]+ [kMGT]?B are free, and a backup leaves [\d.]+ [kMGTP]?B free \(LeastFree\).*\[DISK_FULL\]/,
  );
  await backup([...place, source]);
});

interface Tuned {
  readonly packs: number;
  readonly objects: number;
  readonly commits: number;
}

test('server tuning reaches the store it is named for', async (t) => {
  const { at, source, written } = lab(t);
  addTo(
    source,
    dir(
      'many',
      Array.from({ length: 300 }, (_, index) => file(`${index}`, `${index}`.padEnd(128))),
    ),
  );
  addTo(source, file('large', noise(1, 3 * MIB)));
  addTo(source, file('larger', noise(2, 9 * MIB)));
  const tuned = async (text: string, args: string[] = []): Promise<Tuned> => {
    const name = `store ${text.replaceAll(/[^A-Za-z0-9]/g, ' ')}`;
    const config = ['--local-config', written(`cfg ${name}`, `[Pipeline]\n${text}`)];
    const place = ['-D', at(name), '-C', 'me'];
    await backup([...place, '--local', '--create', ...config, ...args, source]);
    const within = fs.readdirSync(at(name, 'me'));
    const objects = within.filter((entry) => /^[0-9a-f]{2}$/.test(entry)).length;
    const rebuilt = JSON.parse(await succeed('sonic', ['rebuild', ...place, '--json'])) as Tuned;
    const packs = fs.readdirSync(at(name, 'me', 'packs')).length;
    return { packs, objects, commits: rebuilt.commits };
  };
  const usual = await tuned('');
  t.is(usual.objects, 1, 'the larger file');
  t.true((await tuned('PackSize = 1M\n')).packs > usual.packs);
  t.true((await tuned('CheckpointSize = 1M\n')).commits > usual.commits);
  const slowly = ['--parcel-size', '4K'];
  const few = await tuned('CheckpointEntries = 64\n', slowly);
  t.true(few.commits > usual.commits, `${few.commits} checkpoints`);
  const server = async (text: string): Promise<{ pid: number; port: string }> => {
    const config = written(`server ${text.length}`, `[Pipeline]\n${text}`);
    const running = await Server.during(t, at('store '), ['--config', config], { isProcess: true });
    return { pid: running.running.pid, port: String(running.port) };
  };
  const threads = ({ pid }: { pid: number }): number => fs.readdirSync(`/proc/${pid}/task`).length;
  const one = await server('');
  const four = await server('StorageThreads = 4\nCredit = 20M\n');
  t.is(threads(four) - threads(one), 3);
  t.is(await creditOf(four.port), 20 * MIB);
  t.is(await creditOf(one.port), 17 * MIB);
});

// Pace: slow
/**
 * Connections between client and server: unix sockets with too long paths, addresses with colons, and leftovers of a
 * killed run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  BIN,
  cleanEnvironment,
  listedSets,
  makeEmptyStore,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { SEPARATE_SERVER } from '../helpers/separate-server.js';
import { lab } from '../helpers/lab.js';
import { dir, file, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();

type Place = ReturnType<typeof place>;

function place(t: ExecutionContext) {
  const { home, store, source, at } = lab(t, [dir('d', [file('large', noise(1, 4 << 20))])]);
  const temporary = at('tmp');
  fs.mkdirSync(temporary);
  return { home, source, temporary, store: ['-D', store, '-C', 'me'] };
}

test('a socket whose path is too long is refused before anything is made', async (t) => {
  const { home, store } = place(t);
  const socket = path.join(home, 'x'.repeat(120));
  const pidFile = path.join(home, 'pid');
  const before = fs.readdirSync(home);
  fs.mkdirSync(store[1]!);
  const args = ['-D', store[1]!, '--pidfile', pidFile, '--local', socket];
  const { stderr } = exited(t, 1, await run('tardisd', args));
  t.regex(stderr, /has \d+ bytes, and may have 107.*\[CONFIG_INVALID\]/);
  t.notRegex(stderr, /^\s+at /m);
  t.deepEqual(fs.readdirSync(home).sort(), [...before, 'store'].sort());
});

test('a local server has no socket, and needs no TMPDIR', async (t) => {
  const { home, source, store } = place(t);
  const missing = { TMPDIR: path.join(home, 'missing') };
  for (const more of [['--create'], SEPARATE_SERVER]) {
    await succeed('tardis', [...store, '--local', ...more, source], { env: missing });
  }
  t.is((await listedSets(store[1]!, 'me')).length, 2);
});

test('an address with colons is an address', async (t) => {
  const { source, store } = place(t);
  for (const host of ['::1', '[::1]']) {
    const args = ['--server', host, '--port', '1', '--insecure-tcp', ...store.slice(2), source];
    const { stderr } = exited(t, 1, await run('tardis', [...args, '--reconnect', '0']));
    t.regex(stderr, /cannot reach the server at \[::1\]:1: .*\[SERVER_UNREACHABLE\]/);
  }
});

/** Starts a backup that stays for a long time in the middle of its large file. Its server is a process. */
async function slowBackup(t: ExecutionContext, { source, store, temporary }: Place) {
  const slowly = ['--bandwidth-limit', '16K', '--progress'];
  const args = [...store, '--local', ...SEPARATE_SERVER, '--create', ...slowly, source];
  const running = new Running('tardis', args, { env: { TMPDIR: temporary } });
  t.teardown(() => running.signalGroup('SIGKILL'));
  await running.until('reading', () => /sent [1-9]/.test(running.stderr));
  return running;
}

test('a terminal that closes ends a backup in order', async (t) => {
  const its = place(t);
  const running = await slowBackup(t, its);
  const { status, stderr } = await running.endedBy('SIGHUP');
  t.is(status, 130, stderr);
  t.regex(stderr, /\[INTERRUPTED\]/);
  t.deepEqual(
    (await listedSets(its.store[1]!, 'me')).map(({ state }) => state),
    ['unfinished'],
  );
  t.deepEqual(fs.readdirSync(its.temporary), []);
});

test('a killed backup leaves no directory of its socket', async (t) => {
  const its = place(t);
  const running = await slowBackup(t, its);
  await running.endedBy('SIGKILL');
  await until(() => fs.readdirSync(its.temporary).length === 0); // its server has noticed
  t.pass();
});

test('every tool reaches a server by the path of its unix socket', async (t) => {
  const { home, source } = place(t);
  const [store, socket] = [path.join(home, 'store'), path.join(home, 'sock')];
  await succeed('sonic', ['create', '-D', store, '-C', 'first']);
  const server = new Running('tardisd', ['-D', store, '--local', socket, '--allow-new-hosts']);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its socket', () => fs.existsSync(socket));
  const to = ['--server', socket, '-C', 'me'];
  await succeed('tardis', [...to, '--create', '--password=of a test', source]);
  const own = [...to, '--password=of a test'];
  const large = path.join(source, 'd', 'large');
  await succeed('lstardis', [...own, '-l', source]);
  await succeed('tardiff', [...own, large]);
  await succeed('regenerate', [...own, '-o', path.join(home, 'out'), large]);
  t.true(fs.readFileSync(path.join(home, 'out', 'large')).equals(fs.readFileSync(large)));
  await succeed('sonic', ['info', ...own]);
  await succeed('sonic', ['create', '--server', socket, '-C', 'third']);
  // The path may come from a configuration file too. TLS does not apply to a unix socket.
  const config = written(home, 'config', `[Tardis]\nServer = ${socket}\nSSL = yes\n`);
  await succeed('lstardis', ['--config', config, '-C', 'me', '--password=of a test']);
  const gone = await run('lstardis', [
    '--server',
    `${socket}.none`,
    '-C',
    'me',
    '--reconnect',
    '0',
  ]);
  t.is(gone.status, 1);
  t.regex(gone.stderr, /sock\.none: .*\[SERVER_UNREACHABLE\]/);
});

/** Starts a command as nohup does, with SIGHUP ignored. */
function withoutHangup(tool: string, args: readonly string[]): ChildProcess {
  const words = ['-c', `trap '' HUP; exec "$0" "$@"`, path.join(BIN, tool), ...args];
  return spawn('sh', words, { stdio: ['ignore', 'ignore', 'pipe'], env: cleanEnvironment() });
}

test('a SIGHUP that was ignored at the start stays ignored, by a server and by a backup', async (t) => {
  const { home, source, store } = place(t);
  const socket = path.join(home, 'sock');
  makeEmptyStore(store[1]!);
  const server = withoutHangup('tardisd', [...store.slice(0, 2), '--local', socket]);
  t.teardown(() => server.kill('SIGKILL'));
  await until(() => fs.existsSync(socket));
  server.kill('SIGHUP');
  const mark = path.join(home, 'begun');
  const hook = ['--hook-before', `sh -c "touch ${mark}; sleep 2"`];
  const to = ['--server', socket, '-C', 'me', '--create'];
  const backup = withoutHangup('tardis', [...to, ...hook, source]);
  t.teardown(() => backup.kill('SIGKILL'));
  await until(() => fs.existsSync(mark));
  backup.kill('SIGHUP');
  t.is(await statusOf(backup), 0);
  t.is((await listedSets(store[1]!, 'me')).length, 1);
  server.kill('SIGHUP');
  server.kill('SIGTERM');
  t.is(await statusOf(server), 0);
});

function statusOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', (status) => resolve(status));
  });
}

// Pace: slow
/** A server that root starts and that switches to another user creates its files with that user's rights. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Running } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratch } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';

const NOBODY = 65_534;
const canSwitch = isRoot && spawnSync('id', ['-g', String(NOBODY)]).status === 0;

interface Lab {
  /** A directory that belongs to the user. */
  readonly own: string;
  readonly precious: string;
  start(...args: string[]): Running;
}

function lab(t: ExecutionContext): Lab | undefined {
  if (!canSwitch) return leaveOut(t, 'left out: a server cannot become somebody else here');
  const top = scratch(t);
  fs.chmodSync(top, 0o755);
  const [own, store] = ['own', 'store'].map((name) => path.join(top, name)) as [string, string];
  for (const directory of [own, store]) {
    fs.mkdirSync(directory);
    fs.chownSync(directory, NOBODY, NOBODY);
  }
  fs.writeFileSync(path.join(store, '.tardis-store'), '');
  const precious = path.join(top, 'precious');
  fs.writeFileSync(precious, 'of root', { mode: 0o600 });
  return {
    own,
    precious,
    start: (...args) => {
      const user = ['--user', String(NOBODY), '-v', '-v'];
      const running = new Running('tardisd', ['-D', store, '--port', '0', ...user, ...args]);
      t.teardown(() => running.signalGroup('SIGKILL'));
      return running;
    },
  };
}

test('a log file of the user leads root to no other file', async (t) => {
  const here = lab(t);
  if (here === undefined) return;
  const log = path.join(here.own, 'log');
  fs.symlinkSync(here.precious, log);
  const { status, stderr } = await here.start('--insecure-tcp', '--logfile', log).ended;
  t.is(status, 1);
  t.regex(stderr, /cannot log to .*EACCES.*CONFIG_INVALID/s);
  t.is(fs.readFileSync(here.precious, 'utf8'), 'of root');
  fs.rmSync(log);
  fs.symlinkSync(path.dirname(here.precious), path.join(here.own, 'way'));
  const led = path.join(here.own, 'way', 'precious');
  t.is((await here.start('--insecure-tcp', '--logfile', led).ended).status, 1);
  t.is(fs.readFileSync(here.precious, 'utf8'), 'of root');
});

test('log, key and certificate in a directory of the user belong to him', async (t) => {
  const here = lab(t);
  if (here === undefined) return;
  const at = (name: string): string => path.join(here.own, name);
  const tls = [
    '--ssl',
    '--certfile',
    at('cert.pem'),
    '--keyfile',
    at('key.pem'),
    '--make-certificate',
  ];
  const server = here.start('--logfile', at('log'), ...tls);
  const printed = (): string =>
    fs.existsSync(at('log')) ? fs.readFileSync(at('log'), 'utf8') : '';
  await server.until('listening server', () => printed().includes('"address"'));
  t.is((await server.endedBy('SIGTERM')).status, 0);
  for (const name of ['log', 'cert.pem', 'key.pem']) t.is(fs.statSync(at(name)).uid, NOBODY, name);
});

test("a store that root's server makes belongs to the user it becomes, with the mode of its umask", async (t) => {
  const here = lab(t);
  if (here === undefined) return;
  for (const directory of [path.dirname(here.own), here.own]) {
    const store = path.join(directory, 'new');
    const server = here.start('--insecure-tcp', '-D', store, '--create', '--umask', '027');
    await server.until('its lines', () => server.stdout.includes('The store is new: '));
    const { uid, gid, mode } = fs.statSync(store);
    t.deepEqual([uid, gid, mode & 0o777], [NOBODY, NOBODY, 0o750]);
    t.is((await server.endedBy('SIGTERM')).status, 0);
  }
});

test('a server that has left root cannot write to its PidFile, and starts again over the id of one that has ended', async (t) => {
  const here = lab(t);
  if (here === undefined) return;
  const top = path.dirname(here.own);
  for (const directory of [top, top, here.own]) {
    const pidFile = path.join(directory, 'pid');
    const server = here.start('--insecure-tcp', '--pidfile', pidFile);
    await server.until('listening server', () =>
      /127\.0\.0\.1/.test(server.stderr + server.stdout),
    );
    const pid = fs.readFileSync(pidFile, 'utf8').trim();
    const open = `/proc/${pid}/fd`;
    const files = fs.readdirSync(open).map((fd) => fs.readlinkSync(path.join(open, fd)));
    t.false(files.includes(pidFile));
    t.is((await server.endedBy('SIGTERM')).status, 0);
    t.is(
      fs.existsSync(pidFile) ? fs.readFileSync(pidFile, 'utf8').trim() : undefined,
      directory === top ? pid : undefined,
    );
  }
});

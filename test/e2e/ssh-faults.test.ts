// Pace: slow
/** Messages for a user whose ssh, account on the other machine, or server there is not as it should be. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { BIN, type Outcome, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { processesLike, RUNS_IT, sshProgram } from '../helpers/ssh.js';
import { file } from '../helpers/tree.js';

poolsStayAway();

const THERE = ['-C', 'me', '--reconnect', '0'];

/** Lists a store through a stub of ssh with these lines. */
function listBy(
  t: ExecutionContext,
  lines: string,
  more: readonly string[] = [],
): Promise<Outcome> {
  const env = sshProgram(t, lines);
  return run('lstardis', ['--server', 'ssh://nas/srv', ...THERE, ...more], { env });
}

const prints = (text: string, status = 255): string => `echo '${text}' >&2\nexit ${status}`;

/** Faults of stubs of ssh, each with its code and a part of the message. */
const FAULTS: readonly (readonly [what: string, lines: string, code: string, part: RegExp])[] = [
  ['no tardisd', 'exec sh -c nosuchprogram', 'SSH_FAILED', /not found there.*install Tardis/],
  ['a greeting', `echo 'Welcome to NAS'\n${RUNS_IT}`, 'SSH_FAILED', /printed "Welcome to NAS"/],
  ['nothing else', 'exec yes Welcome', 'SSH_FAILED', /printed "Welcome"/],
  ['no login', 'echo not available\nexit 1', 'SSH_FAILED', /printed "not available"/],
  ['a silent end', 'exit 3', 'SSH_FAILED', /status 3\): it gave no reason/],
  [
    'an unknown host key',
    prints('Host key verification failed.'),
    'SSH_FAILED',
    /Host key verification failed.*compare the key/,
  ],
  [
    'a changed host key',
    `${prints('@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @', 0).split('\n')[0]}\n${prints('Host key verification failed.')}`,
    'SSH_FAILED',
    /another machine answers/,
  ],
  [
    'no key',
    prints('me@nas: Permission denied (publickey).'),
    'SSH_FAILED',
    /Permission denied.*ssh-copy-id/,
  ],
  [
    'a network that fails',
    prints('ssh: connect to host nas port 22: Connection refused'),
    'SERVER_UNREACHABLE',
    /Connection refused/,
  ],
  ['an ssh that is killed', 'kill -9 $$', 'SERVER_UNREACHABLE', /it gave no reason/],
  ['a store that is away', RUNS_IT, 'NO_SUCH_STORE', /no store at/],
  [
    'a release without it',
    prints('error: unknown option --stdio', 1),
    'SSH_FAILED',
    /unknown option/,
  ],
  [
    'escape sequences',
    "printf '\\033]0;owned\\007bad\\n' >&2\nexit 255",
    'SSH_FAILED',
    /\\x1b\]0;owned\\x07bad/,
  ],
];

for (const [what, lines, code, part] of FAULTS) {
  test(`it is told what is wrong: ${what}`, async (t) => {
    const { status, stderr } = await listBy(t, lines);
    t.is(status, code === 'NO_SUCH_STORE' ? 10 : 1, stderr);
    t.true(stderr.includes(`[${code}]`), stderr);
    t.regex(stderr, part);
    t.false(stderr.includes('\u001b'));
  });
}

test('without ssh on this machine, that is the error', async (t) => {
  const folder = folderIn(scratchInMemory(t), 'bin');
  for (const name of ['sh', 'dirname', 'readlink', 'uname']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    fs.symlinkSync(stdout.trim(), path.join(folder, name));
  }
  const env = { PATH: folder, TARDIS_NODE: process.execPath };
  const { stderr } = await run('lstardis', ['--server', 'ssh://nas/srv', ...THERE], { env });
  t.regex(stderr, /`ssh` was not started: there is none on this machine \[SSH_FAILED\]/);
});

test('an ssh that never ends is killed in time, before an answer and after it', async (t) => {
  const mark = `mark-${process.pid}`;
  const forever = `trap '' TERM HUP INT\nexec sh -c 'while :; do sleep 1; done' ${mark}`;
  const startMs = performance.now();
  const silent = await listBy(t, forever, ['--timeout', '2']);
  t.regex(silent.stderr, /no answer from ssh:\/\/nas\/srv in 2 s \[TIMED_OUT\]/);
  const { store, source } = lab(t, [file('a', 'a')]);
  const env = sshProgram(t, `for last; do :; done\nPATH='${BIN}':$PATH sh -c "$last"\n${forever}`);
  await succeed('tardis', ['--create', '-C', 'me', '--server', `ssh://nas${store}`, source], {
    env,
  });
  t.true(performance.now() - startMs < 60_000);
  t.deepEqual(processesLike(new RegExp(mark)), []);
});

test('what ssh and the server print is passed on, but neither without bound nor with control characters', async (t) => {
  const { store, source } = lab(t, [file('a', 'a')]);
  const flood = 'head -c 4000000 /dev/zero | tr "\\000" x | fold -w 100 >&2';
  const env = sshProgram(t, `printf 'a word\\033[2J\\n' >&2\n${flood}\n${RUNS_IT}`);
  const there = ['-C', 'me', '--server', `ssh://nas${store}`];
  const { status, stderr } = await run('tardis', ['--create', ...there, source], { env });
  t.is(status, 0);
  t.true(stderr.length < 200_000, `${stderr.length} characters`);
  const quiet = sshProgram(t, `printf 'a word\\033[2J\\n' >&2\n${RUNS_IT}`);
  const heard = await run('lstardis', there, { env: quiet });
  t.regex(heard.stderr, /^lstardis: ssh:\/\/nas\S+: a word\\x1b\[2J$/m);
});

test('an output that ends in the middle is a lost connection', async (t) => {
  const { store, source } = lab(t, [file('a', 'a'.repeat(100_000))]);
  await succeed('tardis', ['--local', '--create', '-D', store, '-C', 'me', source]);
  const env = sshProgram(
    t,
    `exec 3<&0\nfor last; do :; done\nPATH='${BIN}':$PATH sh -c "$last" <&3 | head -c 600 &\nexec 0<&- 1>&- 3<&-; wait`,
  );
  const { status, stderr } = await run(
    'lstardis',
    ['--server', `ssh://nas${store}`, ...THERE, '--timeout', '5'],
    { env },
  );
  t.is(status, 1, stderr);
  t.regex(stderr, /\[(CONNECTION_LOST|SSH_FAILED|TIMED_OUT)\]/);
});

test('ssh gets no option from an address, and without a terminal it may not prompt', async (t) => {
  const seen = path.join(scratchInMemory(t), 'seen');
  const env = sshProgram(t, `for word; do echo "[$word]"; done > '${seen}'\nexit 255`);
  const address = 'ssh://me@nas:2222/srv/a $(id);b';
  await run('lstardis', ['--server', address, ...THERE], { env });
  t.deepEqual(fs.readFileSync(seen, 'utf8').trim().split('\n'), [
    '[-T]',
    '[-a]',
    '[-x]',
    '[-o]',
    '[ClearAllForwardings=yes]',
    '[-o]',
    '[RemoteCommand=none]',
    '[-o]',
    '[PermitLocalCommand=no]',
    '[-o]',
    '[BatchMode=yes]',
    '[-l]',
    '[me]',
    '[-p]',
    '[2222]',
    '[--]',
    '[nas]',
    "[tardisd --stdio --database '/srv/a $(id);b']",
  ]);
  const { status, stderr } = await run(
    'lstardis',
    ['--server', 'ssh://-oProxyCommand=id/srv', ...THERE],
    { env },
  );
  t.is(status, 1);
  t.regex(stderr, /\[CONFIG_INVALID\]/);
});

test('tardisd --stdio by hand, and with what only a service can have, is refused or ignored', async (t) => {
  const home = scratchInMemory(t);
  t.regex((await run('tardisd', ['--stdio'])).stderr, /--stdio is for ssh.*\[USAGE\]/);
  const both = await run('tardisd', ['--stdio', '--local', path.join(home, 's')], { input: '' });
  t.regex(both.stderr, /excludes --local.*\[USAGE\]/);
  const wrong = await run('tardisd', ['--stdio', '--restrict', 'append'], { input: '' });
  t.regex(wrong.stderr, /Restrict: "append" is no right.*\[CONFIG_INVALID\]/);
  const config = path.join(home, 'tardisd.cfg');
  fs.writeFileSync(
    config,
    `[Tardis]\nPidFile = /nowhere/pid\nLogFile = /nowhere/log\nSSL = yes\nBaseDir = ${home}/store\n`,
  );
  const ended = await succeed('tardisd', ['--stdio', '--config', config], { input: '' });
  t.is(ended, '', 'a peer that says nothing gets nothing');
  await succeed('tardisd', ['--stdio', '--config', config], { input: 'garbage\n\n' });
});

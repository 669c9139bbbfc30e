// Pace: slow
/** `tardis setup`: by answers, by questions on a terminal, run again, and undone. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { STORE } from '../helpers/bucket-lab.js';
import { KEY_VARIABLES } from '../helpers/buckets.js';
import { commandsAreProcesses, run, Running, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { sshStub } from '../helpers/ssh.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { S3Server } from '../support/s3-server.js';

commandsAreProcesses(); // setup starts other commands

const SECRET = 'gravel-Otter9-lamp';
/** Setup by root removes a timer of the system, which a test must not do to the machine that runs it. */
const HAS_REAL_TIMER = fs.existsSync('/etc/systemd/system/tardis-backup.timer');

/** A lab with a home, and a fake `systemctl` that records its words. */
function home(t: ExecutionContext) {
  const its = lab(t);
  const env = {
    HOME: its.at('home'),
    XDG_CONFIG_HOME: its.at('home', '.config'),
    XDG_STATE_HOME: its.at('state'),
    PATH: `${its.at('bin')}:${process.env['PATH']}`,
  };
  for (const name of ['home', 'bin', 'disk']) fs.mkdirSync(its.at(name));
  fs.writeFileSync(its.at('home', 'letter'), 'dear Otto');
  fs.mkdirSync(its.at('home', '.cache'));
  fs.writeFileSync(its.at('home', '.cache', 'big'), Buffer.alloc(2 << 20, 1));
  const log = its.at('systemctl.log');
  fs.writeFileSync(its.at('bin', 'systemctl'), `#!/bin/sh\necho "$@" >> ${log}\n`, { mode: 0o755 });
  const answers = (lines: Readonly<Record<string, string>>): string => {
    const text = Object.entries(lines).map(([key, value]) => `${key} = ${value}\n`);
    return its.written('answers', `[Setup]\n${text.join('')}`);
  };
  return {
    ...its,
    env,
    answers,
    config: its.at('home', '.config', 'tardis', 'backup.cfg'),
    unit: (kind: string) => its.at('home', '.config', 'systemd', 'user', `tardis-backup.${kind}`),
    systemd: () => fs.readFileSync(log, 'utf8'),
    usual: {
      Sources: 'home',
      Place: its.at('disk', 'store'),
      Client: 'ann',
      PasswordFile: its.written('pw', `${SECRET}\n`),
      Timer: 'user',
      Report: 'nobody',
      SameDisk: 'yes',
    },
  };
}

const modeOf = (file: string): number => fs.statSync(file).mode & 0o777;

test('setup by answers writes a configuration, a timer and a first backup; again, it changes them', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, answers, usual, config, unit, systemd, at } = home(t);
  const shown = await succeed('tardis', ['setup', '--answers', answers(usual)], { env });
  t.regex(shown, /look: .*tardis web.*restore: .*tardis restore .*state: .*tardis status\n$/s);
  t.is(shown.match(/^(look|restore): /gm)?.length, 2, shown);
  t.is(modeOf(config), 0o600);
  t.false(fs.readFileSync(config, 'utf8').includes(SECRET));
  t.regex(systemd(), /--user enable --now tardis-backup\.timer/);
  t.regex(
    fs.readFileSync(unit('service'), 'utf8'),
    /ExecStart=".*bin\/tardis" backup --if-due --config "/,
  );
  t.regex(fs.readFileSync(unit('timer'), 'utf8'), /OnCalendar=\*:0\/15\n/);
  const verified = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', unit('service'), unit('timer')],
    { encoding: 'utf8' },
  );
  if (verified.error === undefined)
    t.false(verified.stderr.includes('tardis-backup'), verified.stderr);
  else t.log('left out: systemd-analyze is not installed');
  t.true(
    fs.readFileSync(at('home', 'tardis-keys-ann.pdf')).subarray(0, 5).equals(Buffer.from('%PDF-')),
  );
  // The commands need neither -D nor -C nor a password, and the cache is left out.
  const listed = await succeed('tardis', ['list', at('home')], { env });
  t.true(listed.includes('letter') && !listed.includes('.cache'), listed);
  const kept = JSON.parse(await succeed('sonic', ['getconfig', '--json'], { env }));
  t.like(kept.settings, { KeepWithin: '2d', KeepDaily: '14', KeepMonthly: '12' });
  const status = JSON.parse(await succeed('tardis', ['status', '--json'], { env }));
  t.like(status, { state: 'good', client: 'ann', isEncrypted: true, sets: 1 });
  // The command of the unit works, and deletes no set of this hour, which may have a file that was just lost.
  await succeed('tardis', ['backup', '--config', config], { env });
  t.is(JSON.parse(await succeed('tardis', ['status', '--json'], { env })).sets, 2);

  fs.appendFileSync(config, 'MaxFileSize = 1G\n[Sources]\nnames = echo Otto\n');
  const changes = answers({
    When: 'weekly',
    Keep: 'all of 12 hours, 3 daily',
    Sources: `${at('home')}, ${at('tree')}`,
  });
  await succeed('tardis', ['setup', '--answers', changes], { env });
  t.regex(fs.readFileSync(config, 'utf8'), /^Schedule = weekly$/m);
  const changed = fs.readFileSync(config, 'utf8');
  t.regex(changed, /Directories = \S+\/home \S+\/tree\n/);
  t.regex(changed, /MaxFileSize = 1G\n\n\[Sources\]\nnames = echo Otto\n$/);
  const after = JSON.parse(await succeed('sonic', ['getconfig', '--json'], { env }));
  t.deepEqual(after.settings, { KeepWithin: '12h', KeepDaily: '3' });
  // With nothing but --yes, nothing changes but for a new set.
  const before = fs.readFileSync(config);
  const last = await succeed('tardis', ['setup', '--yes', '--json'], { env });
  t.like(JSON.parse(last), { config, client: 'ann', isEncrypted: true });
  t.true(fs.readFileSync(config).equals(before));
  await succeed('tardis', ['setup', '--answers', answers({ When: 'never' })], { env });
  t.false(fs.existsSync(unit('timer')));
});

test('setup --undo removes what it wrote, and leaves the store and the password', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, answers, usual, config, unit, systemd, at, store } = home(t);
  await succeed('tardis', ['setup', '--answers', answers({ ...usual, Encrypt: 'no' })], { env });
  const password = path.join(path.dirname(config), 'password');
  fs.writeFileSync(password, SECRET);
  const shown = await succeed('tardis', ['setup', '--undo', '--json'], { env });
  const { removed } = JSON.parse(shown) as { removed: string[] };
  t.deepEqual(removed, [unit('timer'), unit('service'), config]);
  t.regex(systemd(), /--user disable --now tardis-backup\.timer/);
  t.deepEqual(
    [config, unit('timer'), unit('service')].filter((file) => fs.existsSync(file)),
    [],
  );
  t.true(fs.existsSync(password));
  t.true(fs.existsSync(at('disk', 'store', 'ann', 'tardis.db')));
  t.false(fs.existsSync(store));
  t.regex(await succeed('tardis', ['setup', '--undo'], { env }), /nothing to remove/);
});

test('setup refuses what would be no backup, and writes nothing then', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, answers, usual, config, at } = home(t);
  const refused = async (lines: Readonly<Record<string, string>>, why: RegExp): Promise<void> => {
    const given = Object.fromEntries(
      Object.entries({ ...usual, ...lines }).filter(([, text]) => text !== ''),
    );
    const { status, stderr } = await run('tardis', ['setup', '--answers', answers(given)], { env });
    t.deepEqual([status, why.test(stderr)], [1, true], stderr);
    t.false(fs.existsSync(config));
  };
  await refused({ SameDisk: 'no' }, /on the disk of .*SameDisk = yes/);
  await refused({ Place: at('disk', 'missing', 'store') }, /mount its disk/);
  await refused({ Place: 'rest:http://host/' }, /Place/);
  await refused({ Place: '' }, /no place for the backups/);
  await refused({ PasswordFile: at('none') }, /no password in .*Encrypt = no/);
  await refused({ Sources: at('none') }, /Sources: there is no/);
  await refused({ Keep: 'some' }, /Keep must be like/);
  await refused({ Keep: 'all of 2x' }, /Keep: all of is "2x", but must be a time such as 12h/);
  await refused({ Wen: 'daily' }, /nearest one is "When"/);
  // A path with a line feed would begin a line of its own in the unit or the configuration.
  const file = answers({ ...usual, Sources: at('disk') });
  for (const HOME of [at('x\nOnFailure=evil.service'), at('x\nHookBefore=evil')]) {
    fs.mkdirSync(HOME);
    const odd = { ...env, HOME, XDG_CONFIG_HOME: '' };
    const { status, stderr } = await run('tardis', ['setup', '--answers', file], { env: odd });
    t.deepEqual([status, /control character/.test(stderr)], [1, true], stderr);
    t.deepEqual(fs.readdirSync(HOME), []);
  }
  const missing = await run('tardis', ['setup', '--answers', at('none')], { env });
  t.regex(missing.stderr, /cannot read the file of answers .*none: no such file or directory/);
  const { status, stderr } = await run('tardis', ['setup'], { env });
  t.deepEqual([status, /no terminal/.test(stderr)], [1, true], stderr);
});

test('setup does not replace a configuration that it did not write', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, answers, usual, config } = home(t);
  fs.mkdirSync(path.dirname(config), { recursive: true });
  fs.writeFileSync(config, '[Tardis]\nClient = mine\n');
  const { status, stderr } = await run('tardis', ['setup', '--answers', answers(usual)], { env });
  t.deepEqual([status, stderr.includes('[CONFIRMATION_NEEDED]')], [1, true], stderr);
  t.is(fs.readFileSync(config, 'utf8'), '[Tardis]\nClient = mine\n');
});

test('mail that cannot be sent, and a timer that systemd does not start, are named', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, answers, usual, at } = home(t);
  fs.writeFileSync(at('bin', 'systemctl'), '#!/bin/sh\nexit 1\n');
  const given = answers({ ...usual, Encrypt: 'no', Report: 'nobody@example.invalid' });
  const { status, stderr } = await run('tardis', ['setup', '--answers', given], { env });
  t.regex(stderr, /systemd did not start the timer/);
  t.is(status, 3);
});

test('on a terminal, six answers are enough, and lines of the summary can be changed', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const { env, config, at, store } = home(t);
  const place = at('disk', 'a store');
  const first = await runOnTerminal(
    'tardis',
    ['setup'],
    // The disk of the sources needs a yes; a timer of the system is not for a test.
    ['\n', `${place}\n`, 'y\n', '\n', `${SECRET}\n`, `${SECRET}\n`, '6\n', 'never\n', '\n'],
    env,
  );
  t.is(first.status, 0, first.shown);
  t.regex(first.shown, /its loss would take both.*Use it all the same\?/s);
  t.regex(first.shown, /The password is good: about/);
  t.false(first.shown.includes(SECRET), 'a password is not shown');
  const password = path.join(path.dirname(config), 'password');
  t.deepEqual([fs.readFileSync(password, 'utf8'), modeOf(password)], [`${SECRET}\n`, 0o600]);
  t.true(fs.readFileSync(config, 'utf8').includes(`Database = ${place}\n`));
  t.regex(await succeed('tardis', ['status'], { env }), /^good: /);
  // Again: the plan is shown, and can be left as it is.
  const left = await runOnTerminal('tardis', ['setup'], ['q\n'], env);
  t.deepEqual([left.status, /Nothing was changed/.test(left.shown)], [0, true], left.shown);
  const undone = await runOnTerminal('tardis', ['setup', '--undo'], ['y\n'], env);
  t.is(undone.status, 0, undone.shown);
  t.false(fs.existsSync(password));
  t.false(fs.existsSync(store));
});

test('a server, another machine by ssh and a bucket take the first backup, and give it back', async (t) => {
  if (HAS_REAL_TIMER) return leaveOut(t, 'left out: this machine is backed up by a timer of setup');
  const its = home(t);
  const { env, answers, usual, at } = its;
  const { PATH: sshPath = '' } = sshStub(t).env;
  const bucket = await S3Server.during(t);
  fs.writeFileSync(at('pw'), `${SECRET}\n`);
  const created = ['-C', 'ann', '-F', at('pw')];
  const [served, far] = [at('served'), at('far')];
  for (const store of [served, far]) await succeed('sonic', ['create', '-D', store, ...created]);
  const words = ['-D', served, '--address', '127.0.0.1', '--port', '0', '--json'];
  const server = new Running('tardisd', words, { env: { XDG_CONFIG_HOME: at('tls') } });
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its line', () => server.stdout.includes('\n'));
  const { ready } = JSON.parse(server.stdout) as { ready: string };
  const places = {
    [`server ${ready}`]: [],
    [`ssh://nas${far}`]: [],
    [STORE]: ['--endpoint', bucket.url],
  };
  for (const [index, [place, options]] of Object.entries(places).entries()) {
    const home = at(`home${index}`);
    fs.mkdirSync(home);
    fs.writeFileSync(path.join(home, 'letter'), `dear ${place}`);
    const own = {
      ...env,
      ...KEY_VARIABLES,
      HOME: home,
      XDG_CONFIG_HOME: path.join(home, '.config'),
      PATH: `${sshPath}:${env.PATH}`,
    };
    const file = answers({ ...usual, PasswordFile: at('pw'), When: 'never', Place: place });
    const first = await run('tardis', ['setup', '--answers', file, ...options], { env: own });
    t.is(first.status, 0, `${place}: ${first.stderr}`);
    t.regex(first.stdout, /Backup set 1 .* is complete/);
    t.notRegex(first.stderr, /\[[A-Z_]+\]/, place);
    const out = at(`out${index}`);
    await succeed('tardis', ['restore', '-o', out, path.join(home, 'letter')], { env: own });
    t.is(fs.readFileSync(path.join(out, 'letter'), 'utf8'), `dear ${place}`);
    const again = await run('tardis', ['setup', '--answers', file, ...options], { env: own });
    t.is(again.status, 0, `${place}: ${again.stderr}`);
    t.regex(again.stdout, /Backup set 2 .* is complete/);
    t.notRegex(again.stderr, /\[[A-Z_]+\]/, place);
  }
});

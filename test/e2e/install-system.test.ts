// Pace: slow
/** Installation into a system and its removal; systemd units, scripts and sample files. */
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { succeed } from '../helpers/commands.js';
import { folderIn, scratch } from '../helpers/scratch.js';

type Result = SpawnSyncReturns<string>;

function runHere(command: string, args: readonly string[], env = {}, input = ''): Result {
  return spawnSync(command, args, { encoding: 'utf8', input, env: { ...process.env, ...env } });
}

function installer(t: ExecutionContext) {
  const top = scratch(t);
  const env = { DESTDIR: path.join(top, 'root'), PREFIX: '/usr', SYSCONFDIR: '' };
  return {
    top,
    at: (...names: string[]): string => path.join(env.DESTDIR, ...names),
    run: (mode: string, more = {}): Result =>
      runHere(process.execPath, ['scripts/install-system.mjs', mode], { ...env, ...more }),
  };
}

/** True for SQLite and our own addon, which every backup needs. */
function isOfThisSystem(file: string): boolean {
  return (
    file.endsWith('tardis_native.node') || file.endsWith(`prebuilds/linux-${process.arch}.node`)
  );
}

/** Returns the relative paths of everything in a folder except directories. */
function filesIn(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

test.serial('what is installed works by itself, and all of it goes again', (t) => {
  const { at, run, top } = installer(t);
  const installed = run('install');
  t.is(installed.status, 0, installed.stderr);
  const source = folderIn(top, 'source');
  fs.writeFileSync(path.join(source, 'file'), 'content');
  // The installed commands are far from any checkout, so they cannot use its files.
  const place = ['-D', path.join(top, 'store'), '-C', 'me'];
  const backup = runHere(at('usr/bin/tardis'), [...place, '--local', '--create', '--json', source]);
  t.is(backup.status, 0, backup.stderr);
  t.is(JSON.parse(backup.stdout).set, 1);
  t.is(runHere(at('usr/bin/sonic'), ['check', ...place]).status, 0);
  const password = path.join(top, 'password');
  fs.writeFileSync(password, 'four quiet otters juggle turnips\n', { mode: 0o600 });
  const other = ['-D', path.join(top, 'store'), '-C', 'other', '--password-file', password];
  t.is(runHere(at('usr/bin/sonic'), ['create', ...other]).status, 0);
  const paper = path.join(top, 'keys.pdf');
  const printed = runHere(at('usr/bin/sonic'), ['keys', ...other, '--pdf', paper]);
  t.is(printed.status, 0, printed.stderr);
  fs.rmSync(paper);
  fs.rmSync(password);
  t.is(fs.readlinkSync(at('usr/bin/tardis')), '../lib/tardis/bin/tardis');
  t.is(fs.statSync(at('etc/tardis/tardis.cfg')).mode & 0o777, 0o600);
  t.regex(
    fs.readFileSync(at('usr/lib/systemd/system/tardisd.service'), 'utf8'),
    /^ExecStart=\/usr\/bin\/tardisd /m,
  );
  for (const file of filesIn(at('etc')).concat(
    filesIn(at('usr/lib/systemd')).map((name) => `../usr/lib/systemd/${name}`),
  )) {
    t.notRegex(fs.readFileSync(at('etc', file), 'utf8'), /@PREFIX@/, file);
  }
  for (const native of filesIn(at('usr/lib/tardis')).filter(isOfThisSystem)) {
    const file = at('usr/lib/tardis', native);
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, 'of another system');
    const failed = runHere(at('usr/bin/tardis'), [...place, '--local', source]);
    t.is(failed.status, 1);
    t.regex(failed.stderr, /cannot be loaded.*\[NATIVE_MISSING\]\ntardis: Run `npm run setup`/);
    t.notRegex(failed.stderr, /bug/);
    fs.writeFileSync(file, bytes);
  }
  t.is(run('uninstall').status, 0);
  t.deepEqual(fs.readdirSync(top).sort(), ['source', 'store']); // the installer had made the rest
  t.regex(run('uninstall').stderr, /nothing is installed here/);
});

test.serial('an installed tardis-web sends its page', async (t) => {
  const { at, run, top } = installer(t);
  t.is(run('install').status, 0);
  const store = path.join(top, 'store');
  const source = folderIn(top, 'source');
  const place = ['-D', store, '-C', 'me'];
  t.is(runHere(at('usr/bin/tardis'), [...place, '--local', '--create', source]).status, 0);
  const words = [...place, '--json', '--no-browser', '--idle-end', '60'];
  const door = spawn(at('usr/bin/tardis-web'), words, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => door.kill('SIGKILL'));
  const [line] = (await once(door.stdout, 'data')) as [Buffer];
  const { port } = JSON.parse(line.toString()) as { port: number };
  for (const [file, type] of Object.entries({ '': 'text/html', 'page.js': 'text/javascript' })) {
    const answer = await fetch(`http://127.0.0.1:${port}/${file}`);
    t.is(answer.status, 200, file);
    t.true(answer.headers.get('content-type')!.startsWith(type));
    await answer.arrayBuffer();
  }
  const ended = once(door, 'exit');
  door.kill('SIGTERM');
  await ended;

  fs.rmSync(at('usr/lib/tardis/dist/bundle/page'), { recursive: true });
  const without = runHere(at('usr/bin/tardis-web'), [...place, '--no-browser']);
  t.is(without.status, 1);
  t.regex(without.stderr, /page.*\[IO_FAILED\]/);
});

test.serial('configuration that was changed is kept, and what is not ours is not touched', (t) => {
  const { at, run } = installer(t);
  fs.mkdirSync(at('usr/bin'), { recursive: true });
  fs.writeFileSync(at('usr/bin/sonic'), 'something else');
  const refused = run('install');
  t.is(refused.status, 1);
  t.regex(refused.stderr, /nothing was done:\n {2}\S+usr\/bin\/sonic$/m);
  t.deepEqual(filesIn(at()), ['usr/bin/sonic']);
  fs.rmSync(at('usr/bin/sonic'));

  fs.mkdirSync(at('etc/tardis'), { recursive: true });
  fs.writeFileSync(at('etc/tardis/tardis.cfg'), 'mine, of before');
  t.is(run('install').status, 0);
  fs.writeFileSync(at('etc/tardis/tardisd.cfg'), 'mine');
  fs.writeFileSync(at('usr/lib/tardis/bin/launch.sh'), 'broken');
  fs.writeFileSync(at('usr/share/doc/tardis/note'), 'of somebody');
  const again = run('install');
  t.is(again.status, 0);
  t.regex(again.stdout, /^kept .*tardis\.cfg \(it was changed\)$/m);
  t.regex(again.stdout, /^kept .*tardisd\.cfg \(it was changed\)$/m);
  t.regex(again.stdout, /^replaced .*launch\.sh$/m);
  t.notRegex(again.stdout, /^put /m);
  t.is(fs.readFileSync(at('etc/tardis/tardisd.cfg'), 'utf8'), 'mine');
  t.is(run('uninstall').status, 0);
  const left = ['etc/tardis/tardis.cfg', 'etc/tardis/tardisd.cfg', 'usr/share/doc/tardis/note'];
  t.deepEqual(filesIn(at()), left);
});

test.serial('places that cannot be meant so are refused', (t) => {
  const { run, top } = installer(t);
  for (const PREFIX of ['usr', '/usr/my programs', '/usr;reboot', '/$HOME']) {
    t.regex(run('install', { PREFIX }).stderr, /PREFIX must be an absolute path/, PREFIX);
  }
  t.is(run('remove').status, 1);
  t.deepEqual(fs.readdirSync(top), []);
});

test.serial('units and scripts are what their readers understand', (t) => {
  const { run, top } = installer(t);
  const place = { DESTDIR: '', PREFIX: path.join(top, 'usr'), SYSCONFDIR: path.join(top, 'etc') };
  t.is(run('install', place).status, 0);
  for (const name of ['tardisd', 'tardisremote']) {
    const init = path.join(top, 'etc/init.d', name);
    t.is(runHere('sh', ['-n', init]).status, 0);
    const { status, stdout } = runHere(init, ['status'], { PATH: '/usr/bin:/bin' });
    t.deepEqual([status, stdout], [3, `${name} does not run\n`]);
    t.is(runHere(init, ['frobnicate']).status, 2);
    t.regex(fs.readFileSync(init, 'utf8'), new RegExp(`^CONFIG=/etc/tardis/${name}.cfg$`, 'm'));
  }
  const units = filesIn(path.join(top, 'usr/lib/systemd/system'));
  t.deepEqual(units, ['tardis.service', 'tardis.timer', 'tardisd.service', 'tardisremote.service']);
  const backup = path.join(top, 'usr/lib/systemd/system', 'tardis.service');
  t.notRegex(fs.readFileSync(backup, 'utf8'), /^SuccessExitStatus/m, 'a partial backup shows');
  for (const unit of units) {
    const args = ['verify', '--man=no', path.join(top, 'usr/lib/systemd/system', unit)];
    const verified = runHere('systemd-analyze', args);
    if (verified.error !== undefined) continue; // not on every machine
    t.is(verified.stderr.replaceAll(/^.*(?:sysctl|unit file|cgroup).*\n/gim, ''), '', unit);
    t.is(verified.status, 0, unit);
  }
});

test('the sample files are configurations', async (t) => {
  const server = await succeed('tardisd', [
    '--explain-config',
    '--config',
    'system/etc/tardisd.cfg',
  ]);
  t.regex(server, /overdueSeconds +93600 /);
  const remote = ['--explain-config', '--config', 'system/etc/tardisremote.cfg'];
  t.regex(await succeed('tardisremote', remote), /ssl +yes /);
  const client = ['--explain-config', '--config', 'system/etc/tardis.cfg'];
  t.regex(await succeed('tardis', client), /passwordFile +\/etc\/tardis\/password /);
  // Settings that are commented out in the samples must be valid too.
  const folder = scratch(t);
  for (const [tool, file] of [
    ['tardisd', 'tardisd.cfg'],
    ['tardisremote', 'tardisremote.cfg'],
    ['tardis', 'tardis.cfg'],
  ] as const) {
    const text = fs.readFileSync(path.join('system/etc', file), 'utf8');
    const open = text.replaceAll(/^# (\w+ = )/gm, '$1').replace(/^Client = .*$/m, 'Client = me');
    fs.writeFileSync(path.join(folder, file), open);
    await succeed(tool, ['--explain-config', '--config', path.join(folder, file)]);
  }
});

test('logwatch lists the results of sessions, and what needs attention', (t) => {
  const script = 'system/logwatch/scripts/tardisd';
  if (runHere('perl', ['-MJSON::PP', '-e', '1']).status !== 0) return t.pass(); // not on every machine
  const now = Date.now();
  const line = (fields: object): string =>
    `${JSON.stringify({ level: 30, time: now, ...fields })}\n`;
  const refused = {
    level: 40,
    client: 'b',
    code: 'DISK_FULL',
    reason: 'full\u001b[2J',
    msg: 'session refused',
  };
  const log =
    line({ client: 'a', outcome: 'complete', msg: 'session over' }) +
    line({ client: 'a', outcome: 'complete', msg: 'session over' }) +
    line({ client: 'b', outcome: 'failed', msg: 'session abandoned' }) +
    line({ client: 'b', msg: 'session over' }) +
    line(refused) +
    line(refused) +
    line({ client: 'old', time: now - 5 * 86_400_000, outcome: 'complete', msg: 'session over' }) +
    'no JSON\n[1]\n{"time":"x"}\n';
  const reported = runHere('perl', [script], { LOGWATCH_DATE_RANGE: 'today', TZ: 'UTC' }, log);
  t.is(reported.status, 0, reported.stderr);
  t.is(reported.stderr, '');
  t.is(
    reported.stdout,
    'Sessions of clients:\n   a: 2 complete\n   b: 1 failed, 1 read\n\n' +
      'To be looked at:\n   b: session refused (full\\x1b[2J [DISK_FULL]): 2 times\n\n' +
      '3 lines could not be read.\n',
  );
  const yesterday = runHere('perl', [script], { LOGWATCH_DATE_RANGE: 'yesterday' }, log);
  t.is(yesterday.stdout, '3 lines could not be read.\n');
});

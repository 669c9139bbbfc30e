// Pace: slow
/** Commands that users of other programs type, dry runs, and passwords from the environment. */
import fs from 'node:fs';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { isRoot, makeTree, file, dir } from '../helpers/tree.js';
import { freePort } from '../support/free-port.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';

test('a password comes from the file or program that the environment or system.defaults names', async (t) => {
  const { place, source, written } = lab(t);
  const right = written('right', `${SECRET}\n`);
  const wrong = written('wrong', 'wrong\n');
  const byFile = { env: { TARDIS_PASSWORD_FILE: right } };
  await backup([...place, '--local', '--create', source], byFile);
  t.is((await run('lstardis', [...place, source])).status, 12, 'it has a password');
  await succeed('lstardis', place, byFile);
  await succeed('sonic', ['info', ...place], byFile);
  await succeed('lstardis', place, { env: { TARDIS_PASSWORD_PROG: `echo ${SECRET}` } });
  const defaults = written('defaults', `[Tardis]\nTARDIS_PASSWORD_FILE = ${right}\n`);
  await succeed('lstardis', place, { env: { TARDIS_DEFAULTS: defaults } });
  // The command line and a configuration file take precedence.
  const byWrong = { env: { TARDIS_PASSWORD_FILE: wrong } };
  t.is((await run('lstardis', place, byWrong)).status, 12);
  await succeed('lstardis', [...place, '-F', right], byWrong);
  const config = written('config', `[Tardis]\nPasswordFile = ${right}\n`);
  await succeed('lstardis', [...place, '--config', config], byWrong);
  const both = { TARDIS_PASSWORD_FILE: right, TARDIS_PASSWORD_PROG: 'echo x' };
  t.regex(
    (await run('lstardis', place, { env: both })).stderr,
    /more than one password .*CONFIG_INVALID/,
  );
});

test('tardis --dry-run reports what a backup would save, uses no server and changes nothing', async (t) => {
  const { at, written } = lab(t);
  makeTree(at('home'), [
    file('one', 'one'),
    file('two.o', 'x'.repeat(1000)),
    dir('sub', [file('three', 'three'), dir('deep', [])]),
  ]);
  const notes = written('notes.txt', 'notes');
  const options = ['--dry-run', '-D', at('none'), '--local', '--create', '-x', '*.o'];
  const reported = await succeed('tardis', [...options, at('home'), notes]);
  t.regex(reported, /would save 5 entries in 4 directories, 13 B;/);
  t.regex(reported, /1 left out by exclude rules/);
  t.false(fs.existsSync(at('none')));
  const named = await succeed('tardis', [...options, '-vv', at('home')]);
  t.true(named.includes(`+ ${at('home', 'sub', 'deep')}\n`), named);
  t.true(named.includes(`x ${at('home', 'two.o')} (`), named);
  // A real run saves the same; a dry run needs no server even if the real one does.
  const real = await backup([
    '-D',
    at('store'),
    '--local',
    '--create',
    '-x',
    '*.o',
    at('home'),
    notes,
  ]);
  const { progress } = JSON.parse(
    await succeed('tardis', ['-n', '--json', '-x', '*.o', at('home'), notes]),
  ) as { progress: Record<string, number> };
  for (const name of ['entries', 'directories', 'scannedBytes', 'leftOut'] as const) {
    t.is(progress[name], real.progress[name as 'entries'], name);
  }
  const lines = `[Tardis]\nDirectories = ${at('home')} ${at('nothing')}\n`;
  const partly = exited(t, 3, await run('tardis', ['-n', '--config', written('cfg', lines)]));
  t.regex(
    partly.stderr,
    /nothing: unreadable \(it cannot be opened: no such file or directory \(ENOENT\)\)/,
  );
  if (isRoot) {
    t.log('left out: a directory that root may not read');
    return;
  }
  fs.chmodSync(at('home', 'sub'), 0);
  t.is((await run('tardis', ['-n', at('home')])).status, 3);
  fs.chmodSync(at('home', 'sub'), 0o755);
});

test('commands of other programs get a hint, and nothing is done', async (t) => {
  const { at, source, home } = lab(t);
  for (const [words, line] of [
    [['backup', source], /use: tardis backup \[options\] DIRECTORY/],
    [['restore', source], /use: tardis restore /],
    [['init'], /use: tardis --create/],
    [['snapshots'], /use: tardis list/],
  ] as const) {
    const outcome = await run('tardis', ['-D', at('store'), '--local', '--create', ...words], {
      cwd: home,
    });
    t.is(outcome.status, 1, words.join(' '));
    t.regex(outcome.stderr, line);
    t.regex(outcome.stderr, /\[USAGE\]/);
  }
  t.false(fs.existsSync(at('store')));
  // An existing directory of that name is backed up.
  fs.mkdirSync(at('backup'));
  await backup(['-D', at('store'), '--local', '--create', 'backup', source], { cwd: home });
});

test('where nobody named a server and there is none, the hint names --local', async (t) => {
  const { at, source } = lab(t);
  const free = await freePort();
  const args = ['-D', at('store'), '--create', '--port', String(free), '--reconnect', '0'];
  const unnamed = exited(t, 1, await run('tardis', [...args, source]));
  t.regex(
    unnamed.stderr,
    /cannot reach .*use --local .*--server for another machine.*`tardis setup` \[SERVER_UNREACHABLE\]/,
  );
  const named = await run('tardis', [...args, '--server', 'localhost', source]);
  t.notRegex(named.stderr, /--local/);
});

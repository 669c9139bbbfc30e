// Pace: slow
/** `tardis COMMAND`: the programs by the names that a newcomer looks for. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { PROGRAM_OF } from '../../src/tools/index.js';
import {
  backupsRunHere,
  BIN,
  commandsAreProcesses,
  run,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { scratch } from '../helpers/scratch.js';

backupsRunHere();

commandsAreProcesses(); // the launcher knows the names

const MISSING = '--no-such-option';

for (const [command, program] of Object.entries(PROGRAM_OF)) {
  test(`tardis ${command} runs ${program} with the words that follow`, async (t) => {
    const [tool, ...words] = program.split(' ') as [Tool, ...string[]];
    const { stderr } = await run(tool, [...words, MISSING]);
    t.true(stderr.includes(MISSING), stderr);
    const named = command === 'backup' ? 'tardis' : `tardis ${command}`;
    const shown = stderr.replaceAll(new RegExp(`^${tool}: `, 'gm'), `${named}: `);
    t.is((await run('tardis', [command, MISSING])).stderr, shown);
  });
}

test('the launcher knows these commands and no others', (t) => {
  const launcher = fs.readFileSync(path.join(BIN, 'launch.sh'), 'utf8');
  const known = [...launcher.matchAll(/^ {2}([a-z |]+)\) name=/gm)].flatMap(([, names]) =>
    names!.split(' | '),
  );
  t.deepEqual(['backup', ...known].sort(), Object.keys(PROGRAM_OF).sort());
});

test('help lists all commands, and has that of each', async (t) => {
  const all = await succeed('tardis', ['--help']);
  for (const command of Object.keys(PROGRAM_OF)) t.true(all.includes(`\n  ${command} `), command);
  t.is(await succeed('tardis', ['help']), all);
  const ofOne = await succeed('tardis', ['help', 'restore']);
  t.is(ofOne, await succeed('tardis', ['restore', '--help']));
  t.regex(ofOne, /^Usage: tardis restore \[options\] .*\btardis restore -D /s);
  t.notRegex(ofOne, /regenerate|lstardis/);
  t.regex(
    await succeed('tardis', ['find', '--help']),
    /^Usage: tardis find .*`tardis find --help-all`/s,
  );
  const whole = await succeed('tardis', ['backup', '--help-all']);
  t.true(whole.includes('--budget-items') && !ofOne.includes('--bucket-ca'));
  t.is(await succeed('tardis', ['--help-all']), whole);
});

test('a day with the commands, and directories that have their names', async (t) => {
  const [home, out] = [scratch(t), scratch(t)];
  const store = ['-D', path.join(scratch(t), 'store'), '-C', 'me'];
  for (const name of ['restore', 'backup']) {
    fs.mkdirSync(path.join(home, name));
    fs.writeFileSync(path.join(home, name, 'letter.txt'), `of ${name}`);
  }
  const options = { cwd: home };
  await succeed('tardis', ['backup', ...store, '--local', '--create', './restore'], options);
  await succeed('tardis', [...store, '--local', 'backup'], options);
  const listed = await succeed('tardis', ['list', ...store, '-b', '1', path.join(home, 'restore')]);
  t.regex(listed, /letter\.txt/);
  const found = await succeed('tardis', ['find', ...store, 'let*', home]);
  t.true(found.includes('restore/letter.txt') && found.includes('backup/letter.txt'), found);
  await succeed('tardis', ['restore', ...store, '-o', out, path.join(home, 'backup')]);
  t.is(fs.readFileSync(path.join(out, 'backup/letter.txt'), 'utf8'), 'of backup');
  const { status, stderr } = await run('tardis', ['find', ...store]);
  t.deepEqual([status, stderr.includes('give a pattern of names')], [1, true], stderr);
  const missing = ['-b', '1', path.join(home, 'lost')];
  const { stderr: advice } = await run('tardis', ['restore', ...store, ...missing]);
  t.regex(advice, /^tardis restore: .*`tardis list -l`.*`tardis find` looks/ms);
  t.regex(
    (await run('regenerate', [...store, ...missing])).stderr,
    /^regenerate: .*`lstardis -l`/ms,
  );
});

test('a mistyped command is named, and a path of its name is backed up', async (t) => {
  const cwd = scratch(t);
  const store = ['-D', path.join(scratch(t), 'store'), '-C', 'me', '--local', '--create'];
  const refusal = async (...words: string[]): Promise<string> => {
    const { status, stderr } = await run('tardis', words, { cwd });
    t.is(status, 1, stderr);
    return stderr;
  };
  for (const [word, meant] of [
    ['restor', 'tardis restore'],
    ['statsu', 'tardis status'],
    ['lst', 'tardis list'],
    ['imprt', 'tardis import'],
    ['delete', 'sonic delete'],
  ] as const) {
    t.true((await refusal(word, '/etc', ...store)).includes(`use: ${meant} `), word);
    t.true((await refusal('help', word)).includes(`no command "${word}"; use: ${meant} `), word);
  }
  t.regex(await refusal('letters'), /SOURCE_MISSING.*`tardis --help` lists the commands/s);
  t.regex(await refusal('help', 'letters'), /no command "letters"; `tardis --help` lists them/);
  fs.mkdirSync(path.join(cwd, 'restor'));
  await succeed('tardis', ['restor', ...store], { cwd });
});

test('a source that is named but not there is refused before anything is made, whatever else is saved', async (t) => {
  const [cwd, store] = [scratch(t), path.join(scratch(t), 'store')];
  fs.mkdirSync(path.join(cwd, 'letters'));
  const configured = '[Tardis]\nLocal = yes\nDirectories = letters\n[Sources]\nx = echo hi\n';
  fs.writeFileSync(path.join(cwd, 'cfg'), configured);
  const config = ['--config', 'cfg', '-D', store, '-C', 'me', '--create'];
  for (const [words, hint] of [
    [['config'], ''],
    [['lettres', 'letters'], ' (the nearest one is "letters")'],
    [['letters', 'letters/lettres'], ''],
    [['chek'], ' (if you meant a command, use: tardis check [options])'],
    [
      ['--dry-run', 'confg', 'letters'],
      ' (the nearest one is "cfg") (-n is --dry-run here; a name of the set is given by --name)',
    ],
    [['--source', 'x=echo hi', 'letter'], ' (the nearest one is "letters")'],
  ] as const) {
    const { status, stdout, stderr } = await run('tardis', [...config, ...words], { cwd });
    t.deepEqual([status, stdout], [1, ''], words.join(' '));
    t.true(stderr.includes(`no such file or directory (ENOENT)${hint} [SOURCE_MISSING]`), stderr);
  }
  t.false(fs.existsSync(store));
});

test('a command without a store, and without a set-up, names what to give', async (t) => {
  const [home, store] = [scratch(t), path.join(scratch(t), 'store')];
  const env = { HOME: home, XDG_CONFIG_HOME: home, TARDIS_CLIENT: 'nobody-here' };
  for (const words of [['list'], ['restore', '/etc'], ['check'], ['backup', '--local', '/etc']]) {
    const { stderr } = await run('tardis', words, { env });
    t.regex(stderr, /no store was named: give -D or --server, or set up backups by `tardis setup`/);
  }
  const { stderr } = await run('tardis', ['list', '-D', store], { env });
  t.regex(stderr, /NO_SUCH_STORE/);
  t.notRegex(stderr, /no store was named/);
});

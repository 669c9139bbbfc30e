// Pace: slow
/** Settings and options of older releases: each works, or the error message names the replacement. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ABSENT, rowsOf, type SettingRow } from '../../src/config/index.js';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  BIN,
  run,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

test('keys and options of older releases are answered with what to write', async (t) => {
  const { source, place, written } = lab(t);
  for (const [key, instead] of [
    ['MonthFmt', /use Formats/],
    ['WeekFmt', /use Formats/],
    ['DayFmt', /use Formats/],
    ['MonthKeep', /use KeepPeriods/],
    ['WeekKeep', /use KeepPeriods/],
    ['DayKeep', /use KeepPeriods/],
  ] as const) {
    const config = written('server.cfg', `[Tardis]\n${key} = 1\n`);
    t.regex(exited(t, 1, await run('tardisd', ['--config', config])).stderr, instead, key);
  }
  const off = written('off.cfg', '[Tardis]\nForce = False\n');
  await backup([...place, '--local', '--create', '--config', off, source]);
  const on = written('on.cfg', '[Tardis]\nForce = True\n');
  t.regex((await run('tardis', [...place, '--config', on, source])).stderr, /CAPABILITY_MISSING/);

  const dated = exited(t, 10, await run('regenerate', ['-D', '3 days ago', source]));
  t.regex(dated.stderr, /-D is the store: to give a date, use -d "3 days ago" \[NO_SUCH_STORE\]/);
  t.notRegex((await run('regenerate', ['-D', '/no/store', source])).stderr, /to give a date/);
});

test('each option of the predecessor that is spelled otherwise is answered with what to write', async (t) => {
  const { source } = lab(t);
  const rows = ABSENT.filter(({ kind, tools }) => kind === 'option' && tools !== undefined);
  t.true(rows.length > 30);
  for (const { name, tools, instead } of rows) {
    for (const tool of tools!) {
      const [command, ...sub] = tool.split(' ') as [Tool, ...string[]];
      for (const words of [[name, 'x'], [`${name}=x`]]) {
        if (name.length === 2 && words.length === 1) continue; // -s=x is no form of an option
        const { status, stderr } = await run(command, [...sub, ...words, source]);
        t.is(status, 1, `${tool} ${words.join(' ')}`);
        t.true(stderr.includes(`"${name}" ${instead} [CAPABILITY_MISSING]`), stderr);
      }
      for (const [flag] of instead.matchAll(/--[a-z-]+/g)) {
        if (instead.includes(`\`lstardis -d DATE\``)) continue;
        const others = [...instead.matchAll(/`(sonic [a-z]+)/g)].map(([, other]) => other!);
        const isThere = [tool, ...others].some((one) =>
          rowsOf(one as typeof tool).some(([, row]) => flagsOf(row).includes(flag)),
        );
        const isOfRestores = rowsOf('regenerate').some(([, row]) => flagsOf(row).includes(flag));
        t.true(isThere || isOfRestores, `${tool} has no ${flag}`);
      }
    }
  }
  t.notRegex((await run('sonic', ['files', '-A'])).stderr, /older Tardis/);
});

function flagsOf({ flags = '', negatable }: SettingRow): string[] {
  const found = [...flags.matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
  return negatable === true ? found.flatMap((flag) => [flag, `--no-${flag.slice(2)}`]) : found;
}

test('each mount option of the predecessor that is no option here is answered with what to do', async (t) => {
  const rows = ABSENT.filter(({ kind }) => kind === 'mount option');
  for (const { name, instead } of rows) {
    for (const option of [name, `${name}=1`]) {
      const { status, stderr } = await run('tardisfs', ['-o', `${option},ro`, '/nowhere']);
      t.is(status, 1, option);
      t.true(stderr.includes(`-o: "${name}" ${instead} [CAPABILITY_MISSING]`), stderr);
    }
  }
  t.true((await succeed('tardisfs', ['-help'])).startsWith('Usage: tardisfs'));
});

test('an option that takes no value refuses one by its name', async (t) => {
  const { stderr } = await run('tardis', ['--crypt=2', '/']);
  t.regex(stderr, /--crypt takes no value \[USAGE\]/);
  t.notRegex(stderr, /Did you mean/);
});

test('a dry run of something missing says that -n gives no name', async (t) => {
  const { source, place } = lab(t);
  const { stderr } = await run('tardis', [...place, '-n', 'Daily', source]);
  t.regex(stderr, /-n is --dry-run here; a name of the set is given by --name/);
});

test('LocalServerCmd may end in --config, as the default of older releases does', async (t) => {
  const { source, place, written } = lab(t);
  const command = `LocalServerCmd = ${path.join(BIN, 'tardisd')} --config`;
  const config = written('cfg', `[Tardis]\nLocal = yes\n${command}\n`);
  await backup([...place, '--create', '--config', config, source]);
  const local = written('local.cfg', '[Tardis]\nUmask = 077\n');
  const second = await backup([...place, '--config', config, '--local-config', local, source]);
  t.is(second.set, 2);
});

test('another name of the catalog is a matter of the setting, not damage', async (t) => {
  const { source, place, store } = lab(t);
  await backup([...place, '--local', '--create', source]);
  const env = { TARDIS_DBNAME: 'other.db' };
  const { stderr } = exited(t, 1, await run('lstardis', place, { env }));
  t.regex(
    stderr,
    /no catalog "other\.db" in .*, but "tardis\.db": look at DBName .*\[CONFIG_INVALID\]/,
  );
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  t.regex((await run('lstardis', place)).stderr, /is missing \[CATALOG_DAMAGED\]/);
});

test('lists of sets have no head with --noheaders', async (t) => {
  const { source, place } = lab(t);
  await backup([...place, '--local', '--create', source]);
  t.regex(await succeed('lstardis', place), /^set +name/);
  const [line, ...rest] = (await succeed('lstardis', [...place, '--noheaders'])).split('\n');
  t.regex(line!, /^ *1 /);
  t.deepEqual(rest, ['']);
});

test('an account without the right to list learns that changing settings takes it, too', async (t) => {
  const { source, place, store } = lab(t);
  const word = '--password=of a test';
  await backup([...place, '--local', '--create', word, source]);
  const account = ['account', ...place, word, '--newpassword=of an account', '--add', 'ops'];
  await succeed('sonic', [...account, '--rights', 'admin']);
  const server = await Server.during(t, store);
  const as = ['-C', 'me', '--account', 'ops', '--password=of an account'];
  const set = ['setconfig', ...server.clientArgs, ...as, 'KeepDaily', '7'];
  const { stderr } = await run('sonic', set);
  t.regex(stderr, /right "list", which every session takes that reads or changes sets/);
  t.regex(
    await succeed('sonic', ['setconfig', '--help-all']),
    /the\s+right\s+`list`\s+to\s+show\s+settings,\s+and\s+`admin`\s+to\s+change/,
  );
});

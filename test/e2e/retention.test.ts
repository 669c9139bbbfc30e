// Pace: slow
/** Retention rules that delete old sets (by command, on the server's schedule, after a backup), and names by format. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { plainPackr } from '../../src/system/msgpack/index.js';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { lab } from '../helpers/lab.js';
import { file, makeTree } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();

const DAY_MS = 86_400_000;

interface ListedSet {
  readonly set: number;
  readonly name: string;
  readonly priority: number;
}

function prepared(t: ExecutionContext) {
  const { store, source, place, at } = lab(t, [file('stays', 'the same')]);
  const config = at('config');
  let made = 0;
  const make = async (args: readonly string[] = [], way = [...place, '--local']): Promise<void> => {
    made += 1;
    fs.writeFileSync(path.join(source, 'changes'), `${made}`);
    await backup([...way, ...(made === 1 ? ['--create'] : []), ...args, source]);
  };
  const reported = async (): Promise<ListedSet[]> => {
    const [list] = jsonLines(await succeed('sonic', ['list', ...place, '--json']));
    return (list as { sets: ListedSet[] }).sets;
  };
  const numbers = async (): Promise<number[]> => (await reported()).map(({ set }) => set);
  /** Makes sets older by the given numbers of days, counted from the newest set. */
  const age = (days: readonly number[]): void => {
    changeCatalog(store, (catalog) => {
      const newest = catalog.prepare('SELECT max(opened_at_ms) FROM backup_sets').pluck().get();
      days.forEach((back, index) => {
        const atMs = (newest as number) - back * DAY_MS;
        const monotonicAge = plainPackr().pack({ countedMs: atMs, clockStretch: 0, stretchMs: 0 });
        catalog
          .prepare('UPDATE backup_sets SET opened_at_ms = ?, stats = ? WHERE set_number = ?')
          .run(atMs, monotonicAge, index + 1);
      });
    });
  };
  return { store: store, source: source, config: config, place, make, reported, numbers, age };
}

test('sonic purge keeps sets by its rules, gives the reasons, and prompts before it deletes', async (t) => {
  const { place, make, numbers, age } = prepared(t);
  for (let set = 1; set <= 6; set += 1) await make(set === 2 ? ['--tag', 'keep'] : []);
  age([70, 50, 35, 12, 1.1, 0]);
  const sonic = (...args: string[]) => run('sonic', ['purge', ...place, ...args]);
  t.regex((await sonic()).stderr, /\[USAGE\]/, 'without any rule it does nothing');
  const preview = await succeed('sonic', ['purge', ...place, '--preview', '--keep-last', '2']);
  t.regex(preview, /1 .* delete\s*$/m);
  t.regex(preview, /6 .* keep +newest complete set of its roots and machine, one of the last$/m);
  t.regex(preview, /4 backup sets of 6 would be deleted\./);
  const rules = ['--keep-within', '20d', '--keep-tag', 'keep', '--keep-monthly', '1'];
  const [reported] = jsonLines(
    await succeed('sonic', ['purge', ...place, ...rules, '-n', '--json']),
  );
  const { sets } = reported as { sets: { set: number; reasons: { why: string }[] }[] };
  const why = (set: number): string[] =>
    sets.find((one) => one.set === set)!.reasons.map((reason) => reason.why);
  t.deepEqual([why(1), why(2), why(3)], [[], ['tag'], []]);
  t.true(why(5).includes('within'));
  t.true([...why(4), ...why(5), ...why(6)].includes('month'));
  t.regex((await sonic(...rules)).stderr, /CONFIRMATION_NEEDED/);
  t.deepEqual(await numbers(), [1, 2, 3, 4, 5, 6]);
  t.regex(
    await succeed('sonic', ['purge', ...place, ...rules, '--yes']),
    /2 backup sets .* purged/,
  );
  t.deepEqual(await numbers(), [2, 4, 5, 6]);
  await succeed('sonic', ['lock', ...place, '4']);
  const periods = ['--priorities', '9,0', '--keep-periods', '0 13'];
  await succeed('sonic', ['priority', ...place, '--to', '9', '2']);
  await succeed('sonic', ['purge', ...place, '--yes', ...periods]);
  t.deepEqual(await numbers(), [2, 4, 5, 6], 'for ever, locked, young');
  await succeed('sonic', ['purge', ...place, '--yes', '--keep-daily', '1', '--keep-yearly', '1']);
  t.deepEqual((await numbers()).at(-1), 6);
  for (const bad of [
    ['--keep-within', 'long'],
    ['--keep-periods', '1,2'],
    ['--keep-periods', 'a,b,c'],
  ]) {
    t.regex((await sonic(...bad)).stderr, /CONFIG_INVALID/, bad.join(' '));
  }
});

test('series that have ended count as one, and a preview names the series of a newest set', async (t) => {
  const { store, source, place, numbers, age } = prepared(t);
  const days = [1, 2, 3, 4, 5];
  for (const day of days) {
    const root = path.join(source, `day${day}`);
    makeTree(root, [file('one', `${day}`)]);
    await backup([...place, '--local', ...(day === 1 ? ['--create'] : []), root]);
  }
  age([4, 3, 2, 1, 0]);
  const purge = ['purge', ...place, '--keep-last', '2'];
  const kept = await succeed('sonic', [...purge, '--preview']);
  t.regex(kept, /1 .* keep +newest complete set of its roots and machine, one of the last$/m);
  t.regex(kept, /0 backup sets of 5 would be deleted/);
  const ended = await succeed('sonic', [...purge, '--ended-after', '24h', '--preview']);
  t.regex(ended, /4 .* keep +newest complete set of the series that have ended, one of the last$/m);
  t.regex(ended, /2 backup sets of 5 would be deleted/);
  t.regex(
    (await run('sonic', [...purge, '--ended-after', 'soon'])).stderr,
    /--ended-after.*CONFIG_INVALID/s,
  );
  await succeed('sonic', ['setconfig', ...place, 'EndedAfter', '24h']);
  await succeed('sonic', ['setconfig', ...place, 'KeepLast', '1']);
  await succeed('sonic', ['purge', ...place, '--yes']);
  t.deepEqual(await numbers(), [4, 5], store);
});

test('sonic purge by date and priority deletes older sets up to that priority', async (t) => {
  const { place, make, numbers, age } = prepared(t);
  for (const priority of ['5', '40', '5', '5']) await make(['--priority', priority]);
  age([40, 30, 20, 0]);
  const args = ['purge', ...place, '--yes', '--priority', '10', '--before', '25 days ago'];
  await succeed('sonic', args);
  t.deepEqual(await numbers(), [2, 3, 4]);
  await succeed('sonic', ['purge', ...place, '--yes', '--before', 'tomorrow', '--keep-last', '2']);
  t.deepEqual(await numbers(), [3, 4]);
});

test('while the clock is in doubt no set is deleted, unless the user trusts the clock', async (t) => {
  const { place, make, numbers, age } = prepared(t);
  for (let set = 1; set <= 4; set += 1) await make();
  age([4000, 3999, 3998, 3997]);
  const purge = ['purge', ...place, '--yes', '--keep-last', '1'];
  const { status, stderr } = await run('sonic', purge);
  t.is(status, 0);
  t.regex(stderr, /warning: nothing is purged, since the clock has jumped/);
  t.deepEqual(await numbers(), [1, 2, 3, 4]);
  await make(); // this set begins a new stretch of the clock
  t.regex((await run('sonic', purge)).stderr, /warning: nothing is purged/);
  await succeed('sonic', [...purge, '--trust-clock']);
  t.deepEqual(await numbers(), [5]);
});

test('sets without a name are named by Formats, with the priorities that belong to them', async (t) => {
  const { place, make, reported, config } = prepared(t);
  fs.writeFileSync(config, '[Tardis]\nFormats = Year-%Y, Month-%Y-%m\nPriorities = 7 3\n');
  const local = [...place, '--local', '--local-config', config];
  await make([], local);
  await make(['--name', 'mine'], local);
  await make(['--priority', '9'], local);
  await make([], local);
  const now = new Date();
  const month = String(now.getMonth() + 1).padStart(2, '0');
  const [one, two, three, four] = await reported();
  t.like(one, { name: `Year-${now.getFullYear()}`, priority: 7 });
  t.like(two, { name: 'mine', priority: 0 });
  t.like(three, { name: `Month-${now.getFullYear()}-${month}`, priority: 9 });
  t.like(four, { priority: 0 });
  const byTime = /^\d{4}-\d\d-\d\d_\d{6}(?:\.2)?$/;
  t.regex(four!.name, byTime);
  await make();
  const five = (await reported())[4]!;
  t.regex(five.name, byTime);
  t.is(five.priority, 40, 'the first of its month that has the usual priority of one');
  for (const bad of [
    'Formats = one two',
    'Formats = a b 5',
    'Priorities = x y z',
    'Formats = %Y',
  ]) {
    fs.writeFileSync(config, `[Tardis]\n${bad}\n`);
    const { stderr, status } = await run('tardisd', [
      '--config',
      config,
      '-D',
      place[1]!,
      '--insecure-tcp',
    ]);
    t.is(status, 1, bad);
    t.regex(stderr, /CONFIG_INVALID/, bad);
  }
});

test('a weekly set by Formats has the name of the week that purge prints', async (t) => {
  const { place, make, reported, config } = prepared(t);
  fs.writeFileSync(config, '[Tardis]\nFormats = Monthly-%Y-%m, Weekly-%G-W%V, Daily-%Y-%m-%d\n');
  for (let set = 1; set <= 2; set += 1) {
    await make([], [...place, '--local', '--local-config', config]);
  }
  const [, weekly] = await reported();
  const preview = await succeed('sonic', ['purge', ...place, '--keep-weekly', '2', '--preview']);
  const week = /newest of the week (\d{4}-W\d\d)$/m.exec(preview)?.[1];
  t.is(weekly!.name, `Weekly-${week}`);
});

test('a server purges by its rules: every PurgeInterval, after a backup with --purge, and on request', async (t) => {
  const { place, make, numbers, config, store } = prepared(t);
  const rules = '[Tardis]\nKeepLast = 1\nLeastAge = 0\nGcInterval = 0\n';
  fs.writeFileSync(config, rules);
  for (let set = 1; set <= 3; set += 1) await make();
  await make(['--purge', '--local-config', config], [...place, '--local']);
  t.deepEqual(await numbers(), [4]);
  const server = await Server.during(t, store, ['--config', config]);
  const far = ['--server', '127.0.0.1', '--port', String(server.port)];
  const { stderr } = await run('sonic', [
    'purge',
    ...far,
    '--insecure-tcp',
    '-C',
    'me',
    '--preview',
  ]);
  t.regex(stderr, /NOT_PERMITTED/, 'without a password nobody reads over a network');
  await server.kill();
  await server.running.ended;
  fs.writeFileSync(config, '[Tardis]\nKeepWithin = 0h\nKeepHourly = 1\nLeastAge = 0\n');
  await make(['--purge', '--local-config', config], [...place, '--local']);
  const left = await numbers();
  t.true(left.length <= 2, `the newest of the hour: ${left.join()}`);
  t.is(left.at(-1), 5);
  for (let set = 6; set <= 7; set += 1) await make();
  fs.writeFileSync(
    config,
    '[Tardis]\nKeepHourly = 1\nLeastAge = 0\nGcInterval = 0\nPurgeInterval = 0.3\n',
  );
  const second = await Server.during(t, store, ['--config', config]);
  await until(() => second.running.stderr.includes('sets were purged by the rules'));
  t.is((await numbers()).at(-1), 7);
  t.true((await numbers()).length <= 3);
});

test('an account with the right to purge makes a server follow its own rules, and no others', async (t) => {
  const { place, make, config, store } = prepared(t);
  const secret = written(path.dirname(store), 'secret', 'the words of the owner');
  const mine = [...place, '-F', secret];
  for (let set = 1; set <= 4; set += 1) await make([], [...mine, '--local']);
  const own = ['--newpassword-file', secret];
  await succeed('sonic', ['account', ...mine, '--add', 'boss', '--rights', 'list,purge', ...own]);
  fs.writeFileSync(config, '[Tardis]\nKeepYearly = 1\nLeastAge = 0\n');
  const server = await Server.during(t, store, ['--config', config]);
  const far = [...server.clientArgs, '-C', 'me', '-F', secret];
  const boss = [...far, '--account', 'boss'];
  t.regex((await run('sonic', ['purge', ...far, '--yes'])).stderr, /NOT_PERMITTED/);
  t.regex((await run('sonic', ['purge', ...boss, '--keep-last', '1'])).stderr, /USAGE/);
  const preview = await succeed('sonic', ['purge', ...far, '--preview']); // a preview needs no right to purge
  t.regex(preview, /1 .* keep +oldest of the year \d{4}$/m);
  t.regex(preview, /2 backup sets of 4 would be deleted/);
  await succeed('sonic', ['purge', ...boss, '--yes']);
  await server.kill();
  const [list] = jsonLines(await succeed('sonic', ['list', ...mine, '--json']));
  t.deepEqual(
    (list as { sets: ListedSet[] }).sets.map(({ set }) => set),
    [4],
    'the newest of the year, for an account that may purge',
  );
});

test("rules and formats that are kept with a client hold for it in place of the server's", async (t) => {
  const { place, make, reported, numbers, config } = prepared(t);
  fs.writeFileSync(config, '[Tardis]\nKeepLast = 100\nLeastAge = 0\n');
  const local = [...place, '--local', '--local-config', config];
  for (let set = 1; set <= 3; set += 1) await make(['--name', `set-${set}`], local);
  await make(['--purge'], local);
  t.deepEqual(await numbers(), [1, 2, 3, 4]);
  for (const [key, value] of [
    ['KeepLast', '0'],
    ['KeepYearly', '1'],
    ['Formats', 'Own-%Y'],
    ['Priorities', '8'],
  ] as const) {
    await succeed('sonic', ['setconfig', ...place, key, value]);
  }
  await make(['--purge'], local);
  t.deepEqual(
    (await reported()).map(({ set, priority }) => [set, priority]),
    [[5, 8]],
  );
  t.regex((await reported())[0]!.name, /^Own-\d{4}$/);
  // With contradictory rules, nothing is purged.
  await succeed('sonic', ['setconfig', ...place, 'KeepPeriods', '1 2 3']);
  await make(['--purge', '--name', 'last'], local);
  t.deepEqual(await numbers(), [5, 6]);
});

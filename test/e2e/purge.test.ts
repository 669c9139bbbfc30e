// Pace: slow
/** Backup sets are deleted by commands, on the machine of the store and through a server. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  jsonLines,
  run,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { readersAgree } from '../helpers/second-reader.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { file, noise, sizeOf } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;

async function withSets(t: ExecutionContext, sets: number, args: readonly string[] = []) {
  const { at, store, source, place: own } = lab(t, [file('stays', noise('stays', 400_000))]);
  const place = [...own, ...args];
  for (let set = 1; set <= sets; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), noise(set, MIB / 2));
    const name = ['--name', `set-${set}`];
    await backup([...place, ...name, '--local', ...(set === 1 ? ['--create'] : []), source]);
  }
  const numbers = (): Promise<number[]> => setsOf(place);
  return { at, store, source, place, numbers };
}

/** Checks that the newest set restores the present tree. */
async function restores(
  t: ExecutionContext,
  { place, at, source }: Awaited<ReturnType<typeof withSets>>,
): Promise<void> {
  t.deepEqual(await restoredBy(place, source, at(`out ${fs.readdirSync(at('.')).length}`)), []);
  await readersAgree(t, source, place);
}

const PURGE = ['purge', '--keep-last', '2'];
const FINISH = ['forget-path', '--finish', '--now'];
/** Commands that wait at their prompt while others run to their end, and the sets that are left after both. */
const AT_ONCE = [
  { first: PURGE, second: [...PURGE, '--yes'], left: [5, 6] },
  { first: PURGE, second: ['delete', '1', '5', '--yes'], left: [4, 6] },
  { first: PURGE, second: ['lock', '2'], left: [2, 5, 6] },
  { first: ['delete', '1-3'], second: ['delete', '2-4', '--yes'], left: [5, 6] },
  { first: ['delete', '1-3'], second: undefined, left: [4, 5, 6, 7] },
  { first: FINISH, second: [...FINISH, '--yes'], left: [1, 2, 3, 4, 5, 6] },
] as const;

test('two commands that delete at once end well, both', async (t) => {
  const { at, place, store, source } = await withSets(t, 6);
  for (const [index, { first, second, left }] of AT_ONCE.entries()) {
    const label = `${first.join(' ')}, ${second?.join(' ')}`;
    const copy = at(`copy ${index}`);
    fs.cpSync(store, copy, { recursive: true });
    const here = ['-D', copy, ...place.slice(2)];
    if (first === FINISH) {
      await succeed('sonic', ['forget-path', ...here, '--yes', `${source}/changes`]);
    }
    const [command, ...words] = second ?? [];
    const other = async (): Promise<string> => {
      if (command === undefined) await succeed('tardis', [...here, '--local', source]);
      else await succeed('sonic', [command, ...here, ...words]);
      return 'y\r';
    };
    const both = await runOnTerminal('sonic', [first[0], ...here, ...first.slice(1)], [other]);
    t.is(both.status, 0, `${label}: ${both.shown}`);
    t.deepEqual(await setsOf(here), left, label);
    t.regex(await succeed('sonic', ['check', '--read-data', ...here]), /No damage found/, label);
  }
});

test('sets are deleted by number, name and range, after confirmation', async (t) => {
  const lab = await withSets(t, 8);
  const { place, numbers } = lab;
  const refused = await run('sonic', ['delete', ...place, '2']);
  t.not(refused.status, 0);
  t.regex(refused.stderr, /CONFIRMATION_NEEDED/);
  t.regex(await succeed('sonic', ['delete', ...place, '2', '--dry-run']), /would delete 2 set-2/);
  const rehearsed = jsonLines(await succeed('sonic', ['delete', ...place, '2-3', '-n', '--json']));
  t.like(rehearsed[0], { client: 'me', wouldDelete: [2, 3] });
  t.deepEqual(await numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
  const no = await runOnTerminal('sonic', ['delete', ...place, '2'], ['n\r']);
  t.not(no.status, 0);
  const yes = await runOnTerminal('sonic', ['delete', ...place, '2'], ['y\r']);
  t.is(yes.status, 0, yes.shown);
  await succeed('sonic', ['delete', ...place, 'set-4', '6-7', '--yes']);
  t.deepEqual(await numbers(), [1, 3, 5, 8]);
  t.regex(await succeed('sonic', ['stats', ...place]), /freed by .* where it is 25 % of a pack/);
  const kept = await succeed('sonic', ['orphans', ...place, '--dry-run', '--waste', '30']);
  t.regex(kept, /in packs of which they are at least 30 % would be deleted/);
  for (const [args, code] of [
    [['8'], 'SET_IS_NEWEST'],
    [['1', '8'], 'SET_IS_NEWEST'],
    [['2'], 'NO_SUCH_SET'],
    [['6-7'], 'NO_SUCH_SET'],
    [['set-4'], 'NO_SUCH_SET'],
  ] as const) {
    for (const way of ['--yes', '--dry-run']) {
      t.regex((await run('sonic', ['delete', ...place, ...args, way])).stderr, new RegExp(code));
    }
  }
  await succeed('sonic', ['rename', '--to', 'set-5', ...place, '3']);
  const two = await run('sonic', ['delete', ...place, 'set-5', '--yes']);
  t.regex(two.stderr, /several backup sets have this name or tag: give one of 3, 5 \[USAGE\]/);
  const read = await run('lstardis', [...place, '-b', 'set-5']);
  t.regex(read.stderr, /give one of 3, 5 \[USAGE\]/);
  await succeed('sonic', ['tag', '--add', 'before-move', ...place, '3']);
  t.regex(await succeed('lstardis', [...place, '-b', 'before-move', '--json']), /"set":\s?3\b/);
  await succeed('sonic', ['tag', '--add', 'before-move', ...place, '8']);
  const tagged = await run('sonic', ['delete', ...place, 'before-move', '--yes']);
  t.regex(tagged.stderr, /give one of 3, 8 \[USAGE\]/);
  t.deepEqual(await numbers(), [1, 3, 5, 8]);
  await restores(t, lab);
});

test('the space of deleted sets is freed at once, or later by sonic orphans', async (t) => {
  const lab = await withSets(t, 6);
  const { place, store } = lab;
  const packs = path.join(store, 'me', 'packs');
  const all = sizeOf(packs);
  await succeed('sonic', ['delete', ...place, '1-2', '--yes']);
  const once = sizeOf(packs);
  t.true(all - once > MIB / 2, `${once} of ${all} bytes`);
  await succeed('sonic', ['delete', ...place, '3-5', '--yes', '--no-clear-up']);
  t.true(sizeOf(packs) >= once);
  const checked = ['check', ...place, '--read-data=all'];
  await succeed('sonic', checked);
  const [reported] = jsonLines(await succeed('sonic', ['orphans', ...place, '--json']));
  t.like(reported, { client: 'me', isDone: true });
  await succeed('sonic', checked);
  t.true(sizeOf(packs) < 1.3 * MIB, `${sizeOf(packs)} bytes`);
  await restores(t, lab);
  t.regex(await succeed('sonic', ['rebuild', ...place]), /was rebuilt/);
  await restores(t, lab);
  await succeed('sonic', checked);
});

test('a pack is rewritten when CompactPercent of it is not needed', async (t) => {
  for (const [percent, isAnew] of [
    [80, false],
    [20, true],
  ] as const) {
    const lab = await withSets(t, 2);
    const { place, store, at } = lab;
    // The first pack contains a file that is still needed and one that is not. The latter takes a little more than half
    // of it.
    const first = path.join(store, 'me', 'packs', '00000001.pack');
    await succeed('sonic', ['delete', ...place, '1', '--yes', '--no-clear-up']);
    const config = at('config');
    const lines = `CompactPercent = ${percent}\nGcInterval = 0.2\nRemoveAfter = 0\n`;
    fs.writeFileSync(config, `[Tardis]\n${lines}`);
    const server = await Server.during(t, store, ['--config', config]);
    await until(() => server.running.stderr.includes('garbage was collected'));
    t.is(fs.existsSync(first), !isAnew);
    await restores(t, lab);
  }
});

test('a server collects garbage after each session, and deletes replaced packs after RemoveAfter', async (t) => {
  const lab = await withSets(t, 4);
  const { place, store, source, at } = lab;
  const first = path.join(store, 'me', 'packs', '00000001.pack');
  await succeed('sonic', ['delete', ...place, '1-3', '--yes', '--no-clear-up']);
  const config = at('config');
  fs.writeFileSync(config, '[Tardis]\nGcInterval = 3600\nRemoveAfter = 3600\nVerbose = 1\n');
  const server = await Server.during(t, store, ['--config', config]);
  await backup([...server.clientArgs, '-C', 'me', source]);
  await until(() => fs.readdirSync(path.dirname(first)).length > 5);
  t.true(fs.existsSync(first), 'somebody may be reading it');
  await server.stop();
  fs.writeFileSync(config, '[Tardis]\nGcInterval = 0.2\nRemoveAfter = 0\n');
  await Server.during(t, store, ['--config', config]);
  await until(() => !fs.existsSync(first));
  await restores(t, lab);
});

test('through a server only an account with the right to purge deletes', async (t) => {
  const home = scratchInMemory(t);
  const secret = written(home, 'secret', 'the words of the owner');
  const lab = await withSets(t, 4, ['-F', secret]);
  const { place, store, numbers } = lab;
  for (const [name, rights] of [
    ['pruner', 'list,purge'],
    ['looker', 'list,read'],
  ] as const) {
    const own = ['--newpassword-file', secret];
    await succeed('sonic', ['account', ...place, '--add', name, '--rights', rights, ...own]);
  }
  const config = written(home, 'config', '[Tardis]\nLeastAge = 0\n');
  const server = await Server.during(t, store, ['--config', config]);
  const [host, ...rest] = server.clientArgs.slice(1);
  const as = (login: readonly string[], ...sets: string[]): string[] => [
    'delete',
    '--server',
    host!,
    ...rest,
    '-C',
    'me',
    '-F',
    secret,
    ...login,
    '--yes',
    ...sets,
  ];
  t.regex((await run('sonic', as([], '1'))).stderr, /NOT_PERMITTED/, 'not even the owner');
  t.regex((await run('sonic', as(['--account', 'looker'], '1'))).stderr, /NOT_PERMITTED/);
  await succeed('sonic', as(['--account', 'pruner'], '1', 'set-2'));
  t.deepEqual(await numbers(), [3, 4]);
  t.regex((await run('sonic', as(['--account', 'pruner'], '4'))).stderr, /SET_IS_NEWEST/);
  t.deepEqual(await numbers(), [3, 4]);
});

test('no set is deleted over the network before LeastAge', async (t) => {
  const home = scratchInMemory(t);
  const secret = written(home, 'secret', 'the words of the owner');
  const { place, store, numbers } = await withSets(t, 3, ['-F', secret]);
  const own = ['--newpassword-file', secret];
  await succeed('sonic', [
    'account',
    ...place,
    '--add',
    'pruner',
    '--rights',
    'list,purge',
    ...own,
  ]);
  const config = path.join(home, 'config');
  const purge = async (set: string, leastAge: string): Promise<string> => {
    fs.writeFileSync(config, leastAge === '' ? '' : `[Tardis]\nLeastAge = ${leastAge}\n`);
    const server = await Server.start(store, ['--config', config]);
    try {
      const way = [...server.clientArgs, '-C', 'me', '-F', secret, '--account', 'pruner'];
      return (await run('sonic', ['delete', ...way, '--yes', set])).stderr;
    } finally {
      await server.kill();
    }
  };
  t.regex(await purge('1', ''), /SET_TOO_YOUNG/, 'a day, if nothing is said');
  t.regex(await purge('1', '600'), /SET_TOO_YOUNG/);
  t.deepEqual(await numbers(), [1, 2, 3]);
  t.notRegex(await purge('1', '0.001'), /\[[A-Z_]+\]/);
  t.deepEqual(await numbers(), [2, 3]);
  await succeed('sonic', ['delete', ...place, '--yes', '2']);
  t.deepEqual(await numbers(), [3], 'where the store is, it may be any');
});

test('only expendable sets of the client that has grown are deleted early', async (t) => {
  const home = scratchInMemory(t);
  const lab = await withSets(t, 4);
  const { place, store, source, numbers } = lab;
  await succeed('sonic', ['expendable', ...place, '1-3']);
  await succeed('sonic', ['lock', ...place, '2']);
  const config = path.join(home, 'config');
  fs.writeFileSync(config, '[Tardis]\nLeastAge = 0\nEarlyPurgeBelow = 1000T\nGcInterval = 0.2\n');
  const server = await Server.during(t, store, ['--config', config]);
  const other = [...server.clientArgs, '-C', 'other'];
  await backup([...other, '--create', '--expendable', source]);
  await backup([...other, source]);
  const there = ['-D', store, '-C', 'other'];
  await until(() => server.running.stderr.includes('expendable sets were deleted early'));
  t.deepEqual(await setsOf(there), [2]);
  t.deepEqual(await numbers(), [1, 2, 3, 4], 'of a client that stored nothing none goes');
  fs.writeFileSync(path.join(source, 'changes'), noise('more', MIB / 2));
  await backup([...server.clientArgs, '-C', 'me', source]);
  await until(() => /"client":"me"[^\n]*deleted early/.test(server.running.stderr));
  t.deepEqual(await numbers(), [2, 4, 5], 'neither what is locked nor what is not expendable');
  await restores(t, lab);
});

test('expendable sets go early with tardis --local too, and the run prints which', async (t) => {
  const { place, source, numbers, at } = await withSets(t, 4);
  await succeed('sonic', ['expendable', ...place, '1-3']);
  await succeed('sonic', ['lock', ...place, '2']);
  const config = at('config');
  fs.writeFileSync(config, '[Tardis]\nLeastAge = 0\nEarlyPurgeBelow = 1000T\n');
  fs.writeFileSync(path.join(source, 'changes'), noise('more', MIB / 2));
  const args = [...place, '--local', '--local-config', config, source];
  const printed = await run('tardis', args);
  t.regex(
    printed.stdout,
    /^Space was low: 2 expendable backup sets deleted early \(1, 3\)\.$/m,
    printed.stderr,
  );
  t.deepEqual(await numbers(), [2, 4, 5]);
  fs.writeFileSync(config, '[Tardis]\nLeastAge = 0\nEarlyPurgeBelow = 1\n');
  await succeed('sonic', ['expendable', ...place, '4']);
  t.notRegex(await succeed('tardis', args), /Space was low/);
  t.deepEqual(await numbers(), [2, 4, 5, 6], 'with space enough none goes');
});

async function setsOf(place: readonly string[]): Promise<number[]> {
  const [reported] = jsonLines(await succeed('lstardis', [...place, '--json']));
  return (reported as { sets: { set: number }[] }).sets.map(({ set }) => set);
}

// Pace: slow
/** Reports on backup sets: their roots, the sets that contain a path, and the names that sets may have. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';

backupsRunHere();

/** Makes two sets of one client: set 1 has the root `home`, set 2 has two other roots. */
async function twoJobs(t: ExecutionContext) {
  const { at, place } = lab(t, []);
  makeTree(at('home'), [file('letter', 'a')]);
  makeTree(at('etc'), [dir('ssh', [file('config', 'b')])]);
  makeTree(at('usr'), [file('c', 'c')]);
  await backup([...place, '--local', '--create', at('home')]);
  await backup([...place, '--local', at('etc'), at('usr')]);
  return { at, place };
}

test('lists of sets show their roots', async (t) => {
  const { at, place } = await twoJobs(t);
  for (const command of [['lstardis'], ['sonic', 'list']] as const) {
    const [tool, ...more] = command;
    const reported = await succeed(tool, [...more, ...place, '--json']);
    const { sets } = JSON.parse(reported) as { sets: { roots: { name: string }[] }[] };
    t.deepEqual(
      sets.map(({ roots }) => roots.map(({ name }) => name)),
      [[at('home')], [at('etc'), at('usr')]],
    );
  }
  const lines = (await succeed('lstardis', [...place, '-l'])).split('\n');
  t.regex(lines[0]!, /roots$/);
  t.true(lines[1]!.endsWith(at('home')));
  t.true(lines[2]!.endsWith(`${at('etc')} ${at('usr')}`));
});

test('above its roots a set shows them', async (t) => {
  const { at, place } = await twoJobs(t);
  for (const above of ['/', at(), path.dirname(at())]) {
    t.is(await succeed('lstardis', [...place, above]), `${at('etc')}\n${at('usr')}\n`);
  }
  t.is(await succeed('lstardis', [...place, '-b', '1', '/']), `${at('home')}\n`);
  const reported = jsonLines<{ name: string; type: string }>(
    await succeed('lstardis', [...place, '--json', '/']),
  );
  t.deepEqual(
    reported.map(({ name, type }) => [name, type]),
    [at('etc'), at('usr')].map((name) => [name, 'directory']),
  );
});

test('what a set has not is answered with its roots, and the set that has it', async (t) => {
  const { at, place } = await twoJobs(t);
  const roots = `its roots: ${at('etc')}, ${at('usr')}`;
  for (const [tool, args] of [
    ['lstardis', ['-b', '2']],
    ['regenerate', ['-o', at('out')]],
    ['regenerate', ['--stdout']],
  ] as const) {
    const { stderr } = exited(t, 1, await run(tool, [...place, ...args, at('home', 'letter')]));
    t.true(stderr.includes(roots), stderr);
    t.regex(stderr, /; set 1 has it: -b 1 \[NO_SUCH_PATH\]/);
  }
  const never = await run('lstardis', [...place, at('home', 'never')]);
  t.true(never.stderr.includes(roots), never.stderr);
  t.notRegex(never.stderr, /has it/);
});

test('a set has a name that can be shown and given', async (t) => {
  const { store, source, place: own } = lab(t, [file('a')]);
  const place = [...own, '--local', '--create'];
  for (const [name, why] of [
    ['a\nb', /control characters/],
    ['\u001b[31mred', /control characters/],
    ['x'.repeat(256), /longer than 255 bytes/],
    ['3', /is a number/],
    [' \t', /control characters|blank/],
    ['  ', /blank/],
    ['Current', /stands for the newest set/],
  ] as const) {
    const { status, stderr } = await run('tardis', [...place, '--name', name, source]);
    t.is(status, 1, name);
    t.regex(stderr, why);
    t.regex(stderr, /\[USAGE\]/);
    t.true(stderr.length < 1000);
  }
  const env = { TARDIS_RECENT_SET: 'Newest' };
  const other = await run('tardis', [...place, '--name', 'Newest', source], { env });
  t.regex(other.stderr, /"Newest" stands for the newest set \[USAGE\]/);
  t.false(fs.existsSync(store), 'refused before anything is made');
  await backup([...place, '--name', 'Freitag, 3. März', source]);
});

test('a server does not start on what is no store', async (t) => {
  const home = scratchInMemory(t);
  const [missing, plain] = [path.join(home, 'missing', 'store'), path.join(home, 'file')];
  fs.writeFileSync(plain, '');
  const tcp = ['--port', '0', '--insecure-tcp'];
  for (const args of [
    ['-D', missing, ...tcp],
    ['-D', plain, ...tcp, '--allow-new-hosts'],
    ['-D', plain, '--local', path.join(home, 'socket')],
  ]) {
    t.regex(exited(t, 10, await run('tardisd', args)).stderr, /\[NO_SUCH_STORE\]/);
  }
  t.deepEqual(fs.readdirSync(home), ['file']);
});

// Pace: slow
/** Acts of the owner of a store's disk without the passwords of its clients: as a server does. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { formatSeconds } from '../../src/tools/index.js';
import { backup, backupsRunHere, listedSets, run, succeed } from '../helpers/commands.js';
import { dir, differences, file, look } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

test('sets of a client that encrypts are listed, counted, kept, locked, purged and deleted without its password', async (t) => {
  const { at, place, source, store, written } = lab(t, [
    file('changing'),
    dir('gone', [file('a')]),
  ]);
  fs.writeFileSync(path.join(source, 'gone', 'a'), 'older');
  const key = ['--password-file', written('password', 'nine loud herons paint fences')];
  const names = [['--create', '--name', 'my secret', '--tag', 'blue'], [], [], []];
  let last: Awaited<ReturnType<typeof backup>>;
  for (const [index, more] of names.entries()) {
    fs.writeFileSync(path.join(source, 'changing'), `version ${index}`);
    if (index === 3) fs.rmSync(path.join(source, 'gone'), { recursive: true });
    last = await backup([...place, ...key, '--local', ...more, source]);
  }
  const before = look(source);
  // Each face shows one time and one duration of a set, with the keys and without.
  const rowIn = (text: string): string[] => /^ +4 .*$/m.exec(text)![0].trim().split(/ {2,}/);
  const known = rowIn(await succeed('lstardis', [...place, ...key]));
  t.is(known[3], formatSeconds(last!.elapsedMs));
  t.deepEqual(rowIn((await run('lstardis', place)).stdout), known);
  const rehearsed = await succeed('sonic', ['purge', ...place, '--keep-last', '1', '--preview']);
  t.is(rowIn(rehearsed)[2], known[2]);
  const { stdout: listed, stderr } = await run('sonic', ['list', ...place]);
  t.regex(stderr, /no password was given: names and tags that begin with ~ are sealed/);
  t.regex(listed, /^ +1 +~\S+ .*~\S+$/m);
  t.notRegex(listed, /my secret|blue/);
  t.regex(await succeed('sonic', ['list', ...place, ...key]), /^ +1 +my secret .*blue$/m);
  const places = [`${path.join(source, 'gone')} (no longer exists)`, source];
  for (const [words, names] of [
    [key, places],
    [[], ['(encrypted) (no longer exists)', '(encrypted)']],
  ] as const) {
    const printed = await succeed('sonic', ['stats', ...place, ...words]);
    t.regex(printed, /^sets +4$/m);
    for (const name of names) t.true(printed.includes(` ${name}\n`), printed);
  }
  t.regex((await run('sonic', ['list', '-l', ...place])).stdout, /^ +1 .* \(encrypted\)$/m);
  const shown = async (words: readonly string[]): Promise<string> => {
    const done = await run('sonic', [...words, ...place]);
    t.is(done.status, 0, done.stderr);
    t.is(done.stderr, '', 'a command that shows no names says nothing about sealed ones');
    return done.stdout;
  };
  await shown(['setconfig', 'KeepDaily', '14']);
  t.regex(await shown(['getconfig']), /^KeepDaily +14$/m);
  await succeed('sonic', ['lock', ...place, '2']);
  await succeed('sonic', ['priority', '--to', '7', ...place, '1']);
  await succeed('sonic', ['delete', ...place, '--yes', '3']);
  const preview = await succeed('sonic', ['purge', ...place, '--keep-last', '1', '--preview']);
  t.regex(preview, /^ +1 +~\S+ .*delete$/m);
  t.regex(preview, /^ +2 .*locked$/m);
  await shown(['orphans']);
  const sets = await listedSets(store, 'me', key);
  t.deepEqual(
    sets.map(({ set, name, priority }) => [set, set === 1 ? name : '', priority]),
    [
      [1, 'my secret', 7],
      [2, '', 40],
      [4, '', 10],
    ],
  );
  await succeed('sonic', ['purge', ...place, '--keep-last', '1', '--yes']);
  const out = at('out');
  await succeed('regenerate', [...place, ...key, '-o', out, source]);
  t.deepEqual(differences(before, look(path.join(out, 'tree'))), []);
  await succeed('sonic', ['check', '--read-data', ...place, ...key]);
  for (const words of [
    ['tag', '--add', 'red', ...place, '2'],
    ['rename', '--to', 'mine', ...place, '2'],
    ['purge', ...place, '--keep-tag', 'blue', '--preview'],
  ]) {
    t.regex((await run('sonic', words)).stderr, /\[PASSWORD_NEEDED\]/, words.join(' '));
  }
});

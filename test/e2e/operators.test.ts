// Pace: slow
/** Acts of the owner of a store's disk without the passwords of its clients: as a server does. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, listedSets, run, succeed } from '../helpers/commands.js';
import { differences, file, look } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

test('sets of a client that encrypts are listed, counted, kept, locked, purged and deleted without its password', async (t) => {
  const { at, place, source, store, written } = lab(t, [file('changing')]);
  const key = ['--password-file', written('password', 'nine loud herons paint fences')];
  const names = [['--create', '--name', 'my secret', '--tag', 'blue'], [], [], []];
  for (const [index, more] of names.entries()) {
    fs.writeFileSync(path.join(source, 'changing'), `version ${index}`);
    await backup([...place, ...key, '--local', ...more, source]);
  }
  const before = look(source);
  const { stdout: listed, stderr } = await run('sonic', ['list', ...place]);
  t.regex(stderr, /no password was given: names and tags that begin with ~ are sealed/);
  t.regex(listed, /^ +1 +~\S+ .*~\S+$/m);
  t.notRegex(listed, /my secret|blue/);
  t.regex(await succeed('sonic', ['list', ...place, ...key]), /^ +1 +my secret .*blue$/m);
  t.regex(await succeed('sonic', ['stats', ...place]), /^sets +4$/m);
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

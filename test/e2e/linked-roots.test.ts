// Pace: slow
/** Files with hard links in several roots of a backup are restored as one file. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, Server, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, symlink } from '../helpers/tree.js';

backupsRunHere();

const PASSWORD = '--password=of these links';

function lab(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  makeTree(at('one'), [
    file('a', 'content of a'),
    dir('deep', [file('b', 'content of b'), file('empty')]),
    symlink('link', 'a'),
  ]);
  makeTree(at('two'), [dir('d', [file('alike', 'content of a')])]);
  fs.linkSync(at('one', 'a'), at('two', 'd', 'a'));
  fs.linkSync(at('one', 'deep', 'b'), at('two', 'b'));
  fs.linkSync(at('one', 'deep', 'empty'), at('two', 'empty'));
  fs.linkSync(at('one', 'link'), at('two', 'link'));
  return { at, roots: [at('one'), at('two')] };
}

const LINKED = [
  ['one/a', 'two/d/a'],
  ['one/deep/b', 'two/b'],
  ['one/deep/empty', 'two/empty'],
  ['one/link', 'two/link'],
] as const;

function inodeOf(...names: string[]): bigint {
  return fs.lstatSync(path.join(...names), { bigint: true }).ino;
}

function checkLinks(
  t: ExecutionContext,
  out: string,
  names: readonly (readonly string[])[] = LINKED,
) {
  for (const [one, two] of names) t.is(inodeOf(out, one!), inodeOf(out, two!), `${one} ${two}`);
  t.not(inodeOf(out, 'two/d/alike'), inodeOf(out, 'two/d/a'), 'equal files are no links');
}

test('hard links between roots are restored from a store and as an archive', async (t) => {
  const { at, roots } = lab(t);
  const place = ['-D', at('store'), '-C', 'me'];
  await succeed('tardis', [...place, '--local', '--create', ...roots]);
  await succeed('regenerate', [...place, '-o', at('out'), ...roots]);
  checkLinks(t, at('out'));
  await succeed('regenerate', [...place, '--tar', at('tar'), ...roots]);
  fs.mkdirSync(at('untarred'));
  execFileSync('tar', ['-xf', at('tar'), '-C', at('untarred')]);
  checkLinks(t, at('untarred'), LINKED.slice(0, 3)); // an archive has no hard links of symbolic links
  // Restores parts of the roots, under their full paths.
  const parts = [at('one', 'deep'), at('two'), at('one', 'a')];
  await succeed('regenerate', [...place, '-o', at('parts'), '--hierarchy', ...parts]);
  checkLinks(t, path.join(at('parts'), at()), LINKED.slice(0, 3));
  await succeed('regenerate', [...place, '-o', at('apart'), '--no-hardlinks', ...roots]);
  t.not(inodeOf(at('apart'), 'one/a'), inodeOf(at('apart'), 'two/d/a'));
});

test('hard links between roots are restored from a server, of a client that encrypts', async (t) => {
  const { at, roots } = lab(t);
  const server = await Server.during(t, at('store'));
  const far = [...server.clientArgs, '-C', 'me', PASSWORD];
  await succeed('tardis', [...far, '--create', ...roots]);
  await succeed('regenerate', [...far, '-o', at('out'), ...roots]);
  checkLinks(t, at('out'));
});

// Pace: slow
/** Single files as roots of a backup: `tardis … notes.txt`. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  jsonLines,
  listedSets,
  rest,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { dumpHistory } from '../helpers/inline.js';
import { lab, type Lab } from '../helpers/lab.js';
import { dir, differences, file, look, makeTree } from '../helpers/tree.js';

backupsRunHere();

const WORD = '--password=of a test';

function home(t: ExecutionContext): Lab & { in(...names: string[]): string } {
  const made = lab(t);
  makeTree(made.at('home'), [
    file('notes.txt', 'first notes'),
    file('todo', 'to do'),
    file('other', 'never named'),
    file('.tardis-excludes', '*.txt\n'),
    dir('docs', [file('a', 'a'), file('b', 'b')]),
  ]);
  return { ...made, in: (...names) => made.at('home', ...names) };
}

async function names(args: readonly string[]): Promise<string[]> {
  const shown = await succeed('lstardis', ['--json', ...args]);
  return jsonLines<{ name: string }>(shown).map(({ name }) => name);
}

for (const [kind, word] of [
  ['plain', []],
  ['encrypting', [WORD]],
] as const) {
  test(`single files are backed up, listed and restored beside directories, by a client that is ${kind}`, async (t) => {
    const { place, at, in: within, store } = home(t);
    const own = [...place, ...word];
    const wanted = [within('notes.txt'), within('todo'), within('docs')];
    await rest();
    const first = await backup([...own, '--local', '--create', ...wanted]);
    t.is(first.progress.filesRead, 4);
    const again = await backup([...own, '--local', ...wanted]);
    t.is(again.progress.filesRead, 0, 'an unchanged file is not read again');
    fs.writeFileSync(within('notes.txt'), 'second notes, which are longer');
    await backup([...own, '--local', ...wanted]);

    const [newest] = (await listedSets(store, 'me', [...word])).slice(-1);
    t.deepEqual((newest as unknown as { roots: unknown }).roots, [
      { name: within('docs') },
      { name: within('notes.txt') },
      { name: within('todo') },
    ]);
    // The directory above the roots lists only the roots.
    t.deepEqual(await names([...own, within()]), wanted.toSorted());
    t.deepEqual(await names([...own, '-d', 'now', within('docs')]), ['a', 'b']);
    const versions = await succeed('lstardis', [...own, '--json', within('notes.txt')]);
    t.deepEqual(
      jsonLines<{ sizeBytes: number }>(versions).map(({ sizeBytes }) => sizeBytes),
      [11, 30],
    );
    t.is((await run('lstardis', [...own, within('other')])).status, 1);

    await succeed('regenerate', [...own, '-b', '1', '-o', at('one'), within('notes.txt')]);
    t.is(fs.readFileSync(at('one', 'notes.txt'), 'utf8'), 'first notes');
    await succeed('regenerate', [...own, '--all', '-o', at('all')]);
    t.deepEqual(fs.readdirSync(path.join(at('all'), within())).sort(), [
      'docs',
      'notes.txt',
      'todo',
    ]);
    t.deepEqual(differences(look(within('docs')), look(path.join(at('all'), within('docs')))), []);
    await succeed('regenerate', [...own, '--hierarchy', '-o', at('deep'), within('todo')]);
    t.is(fs.readFileSync(path.join(at('deep'), within('todo')), 'utf8'), 'to do');

    // The other tools accept its path too.
    const differing = await run('sonic', ['diff', ...own, '1', '3']);
    t.true(differing.stdout.includes(within('notes.txt')), differing.stdout);
    t.false(differing.stdout.includes(within('todo')));
    const listed = await succeed('sonic', ['files', ...own, '--fullpath', '3']);
    t.true(listed.includes(within('notes.txt')), listed);
    t.true((await succeed('sonic', ['info', ...own, '3'])).includes(within('notes.txt')));
    await succeed('tardiff', [...own, within('notes.txt')]);
    await succeed('sonic', ['check', '--read-data', ...own]);
    await succeed('sonic', ['check', '--against-source', ...own]);
    const reported = await dumpHistory({ store, client: 'me' });
    fs.rmSync(path.join(store, 'me', 'tardis.db'));
    await succeed('sonic', ['rebuild', ...own]);
    t.deepEqual(await dumpHistory({ store, client: 'me' }), reported);
    t.deepEqual(await names([...own, within()]), wanted.toSorted());
  });
}

test('a file is a root through a server, encrypted and with new keys', async (t) => {
  const { store, place, at, in: within } = home(t);
  const server = await Server.during(t, store);
  const to = [...server.clientArgs, '-C', 'me', WORD];
  await succeed('sonic', ['create', ...place, WORD]);
  await rest(); // a file that has just changed would be read again
  await backup([...to, within('notes.txt')]);
  t.deepEqual(await names([...to, within()]), [within('notes.txt')]);
  await succeed('regenerate', [...to, '-o', at('out'), within('notes.txt')]);
  t.is(fs.readFileSync(at('out', 'notes.txt'), 'utf8'), 'first notes');
  await server.stop();
  await succeed('sonic', ['rekey', ...place, WORD, '--yes']);
  const next = await backup([...place, WORD, '--local', within('notes.txt')]);
  t.is(next.progress.filesRead, 0, 'the file is known under the new keys');
  await succeed('regenerate', [...place, WORD, '-o', at('next'), within('notes.txt')]);
  t.is(fs.readFileSync(at('next', 'notes.txt'), 'utf8'), 'first notes');
});

test('a file that was a root vanishes, or becomes a directory, and its versions stay', async (t) => {
  const { place, at, in: within, written } = home(t);
  const local = [...place, '--local'];
  const both = `[Tardis]\nDirectories = "${within('notes.txt')}" "${within('todo')}"\n`;
  await backup([...local, '--create', within('notes.txt'), within('todo')]);
  fs.rmSync(within('notes.txt'));
  const gone = await run('tardis', [...local, '--json', '--config', written('cfg', both)]);
  t.is(gone.status, 3);
  const { failed } = JSON.parse(gone.stdout) as { failed: unknown };
  t.deepEqual(failed, [
    {
      name: within('notes.txt'),
      what: 'unreadable',
      reason: 'it cannot be opened: no such file or directory (ENOENT)',
    },
  ]);
  const alone = await run('tardis', [...local, within('notes.txt')]);
  t.is(alone.status, 1);
  t.regex(
    alone.stderr,
    /cannot open .*notes\.txt: no such file or directory \(ENOENT\) \[SOURCE_MISSING\]/,
  );

  makeTree(within('notes.txt'), [file('inside', 'inside')]);
  await backup([...local, within('notes.txt'), within('todo')]);
  t.deepEqual(await names([...place, '-d', 'now', within('notes.txt')]), ['inside']);
  await succeed('regenerate', [...place, '-b', '1', '-o', at('one'), within('notes.txt')]);
  t.is(fs.readFileSync(at('one', 'notes.txt'), 'utf8'), 'first notes');
  await succeed('regenerate', [...place, '-o', at('now'), within('notes.txt')]);
  t.is(fs.readFileSync(at('now', 'notes.txt', 'inside'), 'utf8'), 'inside');
});

test('a file is kept under a path of its own, by its name, and is named by --explain', async (t) => {
  const { place, at, in: within } = home(t);
  const local = [...place, '--local'];
  const wrong = await run('tardis', [
    ...local,
    '--create',
    '--kept-as',
    '/mine/x',
    within('notes.txt'),
  ]);
  t.is(wrong.status, 1);
  t.regex(wrong.stderr, /keeps its name: give a path that ends in \/notes\.txt \[USAGE\]/);
  const kept = ['--kept-as', '/mine/notes.txt', '--kept-as', '/mine/todo'];
  await backup([...local, '--create', ...kept, within('notes.txt'), within('todo')]);
  t.deepEqual(await names([...place, '/mine']), ['/mine/notes.txt', '/mine/todo']);
  await backup([...local, '--basepath', 'none', within('notes.txt'), within('docs')]);
  t.deepEqual(await names([...place, '/']), ['/docs', '/notes.txt']);

  const explain = (requested: string): Promise<string> =>
    succeed('tardis', ['--explain', requested, within('notes.txt')]);
  t.regex(await explain(within('notes.txt')), /notes\.txt: kept/);
  t.regex(await explain(within('todo')), /todo: not in any of the directories/);
  // If a root is a link, the file that it points to is backed up.
  fs.symlinkSync(within('todo'), at('link'));
  await backup([...local, at('link')]);
  t.deepEqual(await names([...place, within()]), [within('todo')]);

  await succeed('sonic', ['forget-path', ...place, '--yes', '/mine/todo']);
  await succeed('sonic', ['forget-path', ...place, '--finish', '--now', '--yes']);
  t.is((await run('lstardis', [...place, '/mine/todo'])).status, 1);
});

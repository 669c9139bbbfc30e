// Pace: slow
/** `lstardis --find`: finds files if the user has forgotten their directory or set. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree } from '../helpers/tree.js';

backupsRunHere();

const WORD = '--password=of a test';

interface Found {
  readonly name: string;
  readonly firstSet: number;
  readonly lastSet?: number;
  readonly sizeBytes: number;
  readonly goneSince?: number;
}

async function found(args: readonly string[]): Promise<[string, number, number?, number?][]> {
  const shown = jsonLines<Found>(await succeed('lstardis', ['--json', ...args]));
  return shown.map(({ name, firstSet, lastSet, goneSince }) => [
    name,
    firstSet,
    lastSet ?? undefined,
    goneSince ?? undefined,
  ]);
}

async function finds(t: ExecutionContext, how: readonly string[]): Promise<void> {
  const { store, place, at } = lab(t);
  makeTree(at('home'), [
    dir('letters', [file('draft one.txt', '1'), file('other', 'o'), dir('deep', [])]),
    file('draft.txt', 'top'),
  ]);
  makeTree(at('work'), [dir('letters', [file('draft two.txt', '2')])]);
  const own = [...place, WORD];
  const [home, letters] = [at('home'), at('home', 'letters')];
  await backup([...own, '--local', '--create', ...how, home]);
  await backup([...own, '--local', at('work')]); // another job with other roots
  fs.rmSync(at('home', 'draft.txt'));
  fs.writeFileSync(at('home', 'letters', 'draft one.txt'), 'longer');
  await backup([...own, '--local', home]);
  fs.renameSync(letters, at('home', 'old letters'));
  await backup([...own, '--local', home]);

  const server = await Server.during(t, store);
  const one = (directory: string): string => at('home', directory, 'draft one.txt');
  for (const way of [own, [...server.clientArgs, '-C', 'me', WORD]]) {
    t.deepEqual(await found([...way, '--find', 'draft*.txt']), [
      [one('old letters'), 4, undefined, undefined],
      [one('letters'), 3, 3, 4],
      [one('letters'), 1, 1, 4],
      [at('work', 'letters', 'draft two.txt'), 2, 2, undefined],
      [at('home', 'draft.txt'), 1, 1, 3],
    ]);
    // A word matches anywhere in names; directories and roots are found as well.
    t.deepEqual(
      (await found([...way, '--find', 'letters'])).map(([name]) => name),
      [at('home', 'old letters'), at('work', 'letters'), letters],
    );
    t.deepEqual(
      (await found([...way, '--find', 'hom?'])).map(([name]) => name),
      [home, home, home],
    );
    // A pattern with a slash matches the directories above too; paths and sets limit the search.
    t.is((await found([...way, '--find', 'l*/draft*'])).length, 3);
    t.is((await found([...way, '--find', 'draft', at('work')])).length, 1);
    t.is((await found([...way, '-b', '1', '--find', 'draft'])).length, 2);
    t.is((await found([...way, '--no-deletions', '--find', 'draft.txt'])).length, 0);
    const none = await run('lstardis', [...way, '--find', 'nothing like it']);
    t.is(none.status, 1);
    t.regex(none.stderr, /no set has a name that matches "nothing like it" \[NO_SUCH_PATH\]/);
  }
  const text = await succeed('lstardis', [...own, '--find', 'draft.txt']);
  t.regex(text, /^sets +modified +size +path\n1 +.* 3 .*draft\.txt {2}\(gone since 3\)\n$/);
}

test('names are found in all sets, the newest version first, deleted files too', (t) =>
  finds(t, ['--nocrypt']));

test('names are found of a client that encrypts', (t) => finds(t, []));

// Pace: slow
/** `tardis-import --sets`: the states of a directory that another tool has kept become sets of their dates. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, rest, run, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, noise } from '../helpers/tree.js';

backupsRunHere();

const DAYS = ['2024-02-27', '2024-02-28', '2024-02-29'] as const;
const SHARED_BYTES = 300_000;

/** Makes three states in which `same` is one file, as rsync --link-dest does, and `note` differs. */
function lab(t: ExecutionContext) {
  const home = scratchInMemory(t);
  fs.mkdirSync(path.join(home, 'kept'));
  const at = (...names: string[]): string => path.join(home, ...names);
  for (const [index, day] of DAYS.entries()) {
    makeTree(at('kept', day), [
      dir('me', [file('note', `of ${day}`), file('only', day), dir('deep')]),
    ]);
    const same = at('kept', day, 'me', 'deep', 'same');
    if (index === 0) fs.writeFileSync(same, noise('same', SHARED_BYTES));
    else fs.linkSync(at('kept', DAYS[0], 'me', 'deep', 'same'), same);
  }
  fs.symlinkSync(DAYS[2], at('kept', 'current'));
  fs.rmSync(at('kept', DAYS[2], 'me', 'only'));
  const client = ['-D', at('store'), '-C', 'me'];
  const place = [...client, '--kept-as', '/home/me', '--json'];
  const words = [...place, '--create', '--sets', at('kept', '%Y-%m-%d', 'me')];
  return { at, client, place, words };
}

interface Imported {
  readonly setName: string;
  readonly storedBytes: number;
  readonly progress: { readonly readBytes: number };
}

/** Runs an import, and returns its report of each set. */
async function imported(words: readonly string[]): Promise<Imported[]> {
  const text = await succeed('tardis-import', words);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Imported);
}

function nameOf(day: string): string {
  const date = new Date(`${day}T00:00:00`).toISOString().replace('.000Z', 'Z');
  return `/home/me ${date}`;
}

test('each dated directory becomes a set of its date, and a later run goes on with what is missing', async (t) => {
  const { at, client, words } = lab(t);
  fs.renameSync(at('kept', DAYS[2]), at('later'));
  const first = await imported(words);
  fs.renameSync(at('later'), at('kept', DAYS[2]));
  const second = await imported(words);
  t.deepEqual(
    [...first, ...second].map(({ setName }) => setName),
    DAYS.map(nameOf),
  );
  t.deepEqual(await imported(words), []);
  for (const day of DAYS) {
    const out = at(`out ${day}`);
    await succeed('regenerate', [...client, '-d', `${day} 12:00`, '-o', out, '/home/me']);
    // Names in other states are no names of the set.
    const kept = [...look(at('kept', day, 'me'))].map(
      ([name, text]) => [name, text.replace(/ linked to .*/, '')] as const,
    );
    t.deepEqual(differences(new Map(kept), look(path.join(out, 'me'))), []);
  }
});

for (const kind of ['in clear', 'encrypting']) {
  test(`a file that all states share is read and stored once, ${kind}`, async (t) => {
    const { words } = lab(t);
    await rest(); // a file that has just changed is read again
    const secret = kind === 'encrypting' ? ['--password=gravel-Otter9-lamp'] : [];
    const sets = await imported([...words, ...secret]);
    t.true(sets[0]!.storedBytes >= SHARED_BYTES);
    for (const { storedBytes, progress } of sets.slice(1)) {
      t.true(storedBytes < SHARED_BYTES && progress.readBytes < SHARED_BYTES);
    }
  });
}

interface Verified {
  readonly verified?: {
    readonly files: number;
    readonly known: number;
    readonly differing: number;
  };
  readonly name?: string;
  readonly kind?: string;
  readonly aspects?: readonly string[];
}

test('--verify compares every set with its state by digest, reads a shared file once, and names what differs', async (t) => {
  const { at, client, words } = lab(t);
  const note = at('kept', DAYS[1], 'me', 'note');
  fs.utimesSync(note, 1e9, 1e9);
  await imported(words);
  const compared = async (expected: number): Promise<Verified[]> => {
    const { stdout } = exited(t, expected, await run('tardis-import', [...words, '--verify']));
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Verified);
  };
  t.deepEqual(
    (await compared(0)).map(({ verified }) => [verified!.files, verified!.known]),
    [
      [3, 0],
      [2, 1],
      [1, 1],
    ],
  );
  fs.writeFileSync(note, 'of 2024-02-99');
  fs.utimesSync(note, 1e9, 1e9);
  fs.rmSync(at('kept', DAYS[2], 'me', 'deep', 'same'));
  fs.writeFileSync(at('kept', DAYS[2], 'me', 'more'), '');
  await succeed('sonic', ['delete', ...client, '--yes', '1']);
  const found = await compared(3);
  t.deepEqual(
    found.flatMap(({ name, kind, aspects }) => (name ? [[name, kind, aspects]] : [])),
    [
      ['/home/me/note', 'changed', ['content']],
      ['/home/me/more', 'added', []],
      ['/home/me/deep/same', 'removed', []],
    ],
  );
  t.deepEqual(
    found.flatMap(({ verified }) => (verified === undefined ? [] : [verified.differing])),
    [undefined, 1, 2],
  );
});

test('messages name the program of the import', async (t) => {
  const { at } = lab(t);
  const words = ['-D', at('store'), '-C', 'me', '--create', '--kept-as', '/home/me'];
  const sets = ['--sets', at('kept', '%Y-%m-%d', 'me')];
  const { stderr } = exited(t, 0, await run('tardis-import', [...words, ...sets]));
  t.regex(stderr, /^tardis-import: the client "me" is new/m);
  t.notRegex(stderr, /^tardis: /m);
});

test('without a date in its name, a state has the time of the directory that matched', async (t) => {
  const { at, place } = lab(t);
  for (const [index, day] of DAYS.entries()) {
    const moved = at('kept', `daily.${DAYS.length - index}`);
    fs.renameSync(at('kept', day), moved);
    const date = new Date(`${day}T00:00:00`);
    fs.utimesSync(moved, date, date);
  }
  const words = [...place, '--create', '--sets', at('kept', 'daily.*', 'me')];
  t.deepEqual(
    (await imported(words)).map(({ setName }) => setName),
    DAYS.map(nameOf),
  );
});

test('a dry run lists the states, and changes nothing', async (t) => {
  const { at, words } = lab(t);
  const { states } = JSON.parse(await succeed('tardis-import', [...words, '--dry-run'])) as {
    states: { setName: string; isThere: boolean }[];
  };
  t.deepEqual(
    states.map(({ setName, isThere }) => [setName, isThere]),
    DAYS.map((day) => [nameOf(day), false]),
  );
  t.false(fs.existsSync(at('store')));
});

test('names of one file within a state stay names of one file', async (t) => {
  const { at, client, words } = lab(t);
  const state = at('kept', DAYS[1], 'me');
  fs.linkSync(path.join(state, 'note'), path.join(state, 'other name'));
  await imported(words);
  const out = at('out');
  await succeed('regenerate', [...client, '-d', `${DAYS[1]} 12:00`, '-o', out, '/home/me']);
  const inode = (name: string): number => fs.statSync(path.join(out, 'me', name)).ino;
  t.is(inode('note'), inode('other name'));
  t.is(fs.statSync(path.join(out, 'me', 'deep', 'same')).nlink, 1);
});

test('a state that no set can have in its place is refused, and so is a wrong pattern', async (t) => {
  const { at, words } = lab(t);
  await imported(words);
  const tried = async (pattern: string): Promise<string> => {
    const { status, stdout } = await run('tardis-import', [
      ...words.slice(0, -1),
      at('kept', pattern),
    ]);
    t.is(status, 1);
    return stdout;
  };
  const late = async (): Promise<string> => {
    const { status, stderr } = await run('tardis-import', words);
    t.is(status, 3);
    return stderr;
  };
  t.regex(await tried('%Y-%m/me'), /a date needs %Y, %m and %d/);
  t.regex(await tried('%Y-%m-%q/me'), /%q.* is none of/);
  t.regex(await tried('%Y%m%d'), /no directory and no tar file matches/);
  fs.mkdirSync(at('kept', '2023-01-01', 'me'), { recursive: true });
  t.regex(await late(), /2023-01-01.*: it is older than sets that are there/);
  fs.mkdirSync(at('other', '2022-01-01', 'me'), { recursive: true });
  t.regex(await tried('../other/%Y-%m-%d/me'), /2022-01-01.* is not newer than the newest set/);
  for (const name of ['a', 'b'])
    fs.mkdirSync(at('both', `${name}-2022-01-01`), { recursive: true });
  t.regex(await tried('../both/*-%Y-%m-%d'), /a-2022.* and .*b-2022.* the same date; set TZ=UTC/);
  fs.mkdirSync(at('kept', '9999-01-01', 'me'), { recursive: true });
  t.regex(await tried('%Y-%m-%d/me'), /9999-01-01.* is in the future/);
});

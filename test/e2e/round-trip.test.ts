// Pace: slow
/** Backup and restore of odd trees with the real commands, with every codec, locally and over TCP. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
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
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  addTo,
  differences,
  dir,
  file,
  hardlink,
  isRoot,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
  text,
  type TreeNode,
} from '../helpers/tree.js';

backupsRunHere();

const KIB = 1 << 10;
const MIB = 1 << 20;
const LONG_AGO_NS = -1_234_567_890_123_456_789n;

/** Makes one file for every byte that a name may contain. */
function byteNames(): TreeNode[] {
  const bytes = Array.from({ length: 255 }, (_, index) => index + 1);
  return bytes
    .filter((byte) => byte !== 0x2f && byte !== 0x2e)
    .map((byte) => file(Buffer.from([byte]), `byte ${byte}`));
}

/** Makes entries that only root can create or read. */
function rootOnly(): TreeNode[] {
  if (!isRoot) return [];
  return [
    dir('closed', [file('inside', 'closed')], { mode: 0o000 }),
    file('unreadable', 'nobody may read this', { mode: 0o000 }),
    file('of somebody else', 'theirs', { uid: 1234, gid: 4321, mode: 0o6751 }),
    dir('theirs', [symlink('link', 'x', { uid: 77, gid: 88 })], { uid: 1234, gid: 4321 }),
  ];
}

/** Makes small entries of every odd kind. */
function oddTree(): TreeNode[] {
  return [
    dir('empty'),
    file('empty file'),
    dir('bytes', byteNames()),
    dir(Buffer.from([0xff, 0xfe, 0x80]), [file(Buffer.from([0xc3, 0x28]), 'no UTF-8')]),
    dir('names', [
      file('n'.repeat(255), 'as long as names can be'),
      file('two\nlines', 'newline'),
      file(' leading and trailing ', 'blanks'),
      file('-rf', 'like an option'),
      file('\\x41 "quoted" $HOME `id` *', 'shell'),
      file('naïve ☃ 𝄞', 'UTF-8'),
      dir('d'.repeat(255), [dir('e'.repeat(255), [file('deep', 'deep')])]),
    ]),
    dir('links', [
      symlink('dangling', 'nowhere/at/all'),
      symlink('absolute', '/etc/passwd'),
      symlink('up', '../names/two\nlines'),
      symlink('of bytes', Buffer.from([0xff, 0x0a, 0x80]), { mtimeNs: LONG_AGO_NS }),
      symlink('long', 'x'.repeat(4000)),
    ]),
    dir('hard', [
      file('first', 'one inode, three names', { mode: 0o640, mtimeNs: 1_000_000_001n }),
      hardlink('second', 'hard', 'first'),
      file('empty too'),
      hardlink('empty again', 'hard', 'empty too'),
      dir('below', [hardlink('third', 'hard', 'first')]),
    ]),
    dir('modes', [
      file('setuid', 'u', { mode: 0o4755 }),
      file('setgid', 'g', { mode: 0o2755 }),
      dir('sticky', [], { mode: 0o1777 }),
      file('none but owner', 'o', { mode: 0o600 }),
      file('read-only', 'r', { mode: 0o444 }),
      dir('read-only directory', [file('in it', 'r')], { mode: 0o555 }),
    ]),
    dir(
      'times',
      [
        file('before 1970', 'old', { mtimeNs: LONG_AGO_NS }),
        file('one ns before', 'old', { mtimeNs: -1n }),
        file('1970', 'zero', { mtimeNs: 0n }),
        file('future', 'new', { mtimeNs: 4_000_000_000_999_999_999n }),
      ],
      { mtimeNs: 999_999_999n },
    ),
    dir('sizes', [
      file('one byte', 'x'),
      ...[-1, 0, 1].map((more) => file(`128K${more}`, text(more, 128 * KIB + more))),
      ...[-1, 0, 1].map((more) => file(`1M${more}`, text(10 + more, MIB + more))),
      file('picture.jpg', noise(1, 300 * KIB)),
      file('shrinks.jpg', Buffer.alloc(200 * KIB, 'a')),
      file('zeros', Buffer.alloc(2 * MIB)),
      file('twin of 1M0', text(10, MIB)),
    ]),
    ...rootOnly(),
  ];
}

/** Returns the directories of a snapshot whose paths are valid UTF-8, so that a command can get them as arguments. */
function directoriesIn(root: string, snapshot: Snapshot): string[] {
  return [...snapshot]
    .filter(([, words]) => words.startsWith('directory'))
    .map(([name]) => Buffer.from(name, 'latin1'))
    .filter((name) => Buffer.from(name.toString()).equals(name))
    .map((name) => path.join(root, name.toString()));
}

/** Returns everything that `lstardis` prints about a set, as one text. */
async function listing(
  place: readonly string[],
  set: number,
  directories: readonly string[],
): Promise<string> {
  const args = [...place, '-b', String(set), '-l', '--json', '--', ...directories];
  return succeed('lstardis', args);
}

function removeCatalog(store: string, client: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    fs.rmSync(path.join(store, client, `tardis.db${suffix}`), { force: true });
  }
}

test('an odd tree with large files comes back, also from a rebuilt catalog', async (t) => {
  const { store, source, place, at } = lab(t, [
    ...oddTree(),
    file('5M', noise(2, 5 * MIB)),
    file('70M in parts', noise(3, 70 * MIB)),
    file('12M of text', text(4, 12 * MIB)),
  ]);
  const before = look(source);
  const report = await backup([...place, '--local', '--create', source]);
  t.is(report.progress.unreadable + report.progress.vanished + report.progress.changed, 0);
  t.is(report.progress.entries, before.size - 1);
  t.deepEqual(differences(before, look(source)), [], 'the source was touched');

  await succeed('regenerate', [...place, '-o', at('out'), source]);
  t.deepEqual(differences(before, look(at('out', 'tree'))), []);

  const directories = directoriesIn(source, before);
  const listed = await listing(place, 1, directories);
  t.is(jsonLines(listed).length > 300, true);
  const sets = await succeed('lstardis', [...place, '--json']);
  removeCatalog(store, 'me');
  const lost = exited(t, 1, await run('lstardis', place));
  t.regex(lost.stderr, /\[CATALOG_DAMAGED\]\n.*sonic rebuild/);
  t.regex(await succeed('sonic', ['rebuild', ...place]), /rebuilt from \d+ checkpoints/);
  t.is(await listing(place, 1, directories), listed);
  t.is(await succeed('lstardis', [...place, '--json']), sets);
  await succeed('regenerate', [...place, '-o', at('again'), source]);
  t.deepEqual(differences(before, look(at('again', 'tree'))), []);
});

for (const codec of ['none', 'zlib', 'snappy']) {
  test(`an odd tree comes back by the codec ${codec}`, async (t) => {
    const { source, place, at } = lab(t, oddTree());
    const before = look(source);
    const codecs = ['--compress-data', codec, '--compress-msgs', 'snappy'];
    await backup([...place, '--local', '--create', ...codecs, source]);
    await succeed('regenerate', [...place, '-o', at('out'), source]);
    t.deepEqual(differences(before, look(at('out', 'tree'))), []);
  });
}

test('the smallest budgets are enough', async (t) => {
  const { source, place, at } = lab(t, [
    ...oddTree(),
    dir(
      'many',
      Array.from({ length: 3000 }, (_, index) => file(`${index}`, `${index}`)),
    ),
  ]);
  const before = look(source);
  const small = ['--budget', '1M', '--budget-items', '64', '--parcel-size', '4K'];
  const one = ['--workers', '1', '--stream-concurrency', '1', '--frame-size', '4K'];
  await backup([...place, '--local', '--create', ...small, ...one, source]);
  await succeed('regenerate', [...place, '--workers', '1', '-o', at('out'), source]);
  t.deepEqual(differences(before, look(at('out', 'tree'))), []);
});

test('over TCP, with several roots; a file and a directory by themselves', async (t) => {
  const home = scratchInMemory(t);
  const store = path.join(home, 'store');
  const [first, second] = [path.join(home, 'first'), path.join(home, 'second')];
  makeTree(first, oddTree());
  makeTree(second, [
    file('letter', 'dear me'),
    dir('box', [file('thing', text(9, 3 * MIB)), symlink('to letter', '../letter')]),
  ]);
  const server = await Server.during(t, store);
  const place = ['-D', store, '-C', 'laptop'];
  const report = await backup([
    '-C',
    'laptop',
    '--create',
    ...server.clientArgs,
    first,
    `${second}/`,
    path.join(second, '..', 'second'),
  ]);
  const wanted = { first: look(first), second: look(second) };
  t.is(report.progress.entries, wanted.first.size + wanted.second.size - 2);

  const out = path.join(home, 'out');
  await succeed('regenerate', [...place, '-o', out, first, second]);
  t.deepEqual(differences(wanted.first, look(path.join(out, 'first'))), []);
  t.deepEqual(differences(wanted.second, look(path.join(out, 'second'))), []);

  const alone = path.join(home, 'alone');
  const chosen = [path.join(second, 'box', 'thing'), path.join(first, 'names', 'two\nlines')];
  await succeed('regenerate', [...place, '-o', alone, ...chosen]);
  t.deepEqual(fs.readdirSync(alone).sort(), ['thing', 'two\nlines']);
  t.deepEqual(
    look(path.join(alone, 'thing')).get(''),
    look(path.join(second, 'box', 'thing')).get(''),
  );
  const box = path.join(home, 'one directory');
  await succeed('regenerate', [...place, '-o', box, path.join(second, 'box')]);
  t.deepEqual(differences(look(path.join(second, 'box')), look(path.join(box, 'box'))), []);

  // An existing file is not changed without --overwrite.
  fs.writeFileSync(path.join(alone, 'thing'), 'mine');
  const refused = exited(t, 1, await run('regenerate', [...place, '-o', alone, chosen[0]!]));
  t.regex(refused.stderr, /\[TARGET_EXISTS\]/);
  t.is(fs.readFileSync(path.join(alone, 'thing'), 'utf8'), 'mine');
  await succeed('regenerate', [...place, '--overwrite', '-o', alone, chosen[0]!]);
  t.is(fs.statSync(path.join(alone, 'thing')).size, 3 * MIB);
  t.is((await server.stop()).status, 0);
});

/** Changes a tree in every way that is possible between two sets. */
function changeTree(source: string): void {
  const at = (...names: string[]): string => path.join(source, ...names);
  fs.rmSync(at('goes away'));
  fs.rmSync(at('directory goes'), { recursive: true });
  fs.writeFileSync(at('kept', 'changes'), 'changed');
  fs.appendFileSync(at('kept', 'grows'), noise(7, 2 * MIB));
  fs.renameSync(at('old name'), at('kept', 'new name'));
  fs.renameSync(at('moves'), at('moved'));
  fs.rmSync(at('file becomes directory'));
  addTo(source, dir('file becomes directory', [file('now inside', 'new')]));
  fs.rmSync(at('directory becomes file'), { recursive: true });
  addTo(source, file('directory becomes file', 'was a directory'));
  fs.rmSync(at('link becomes file'));
  addTo(source, file('link becomes file', 'was a link'));
  fs.chmodSync(at('kept', 'mode changes'), 0o600);
  fs.utimesSync(at('kept', 'time changes'), 1, 1);
  fs.linkSync(at('kept', 'same'), at('kept', 'second name'));
  addTo(at('kept'), dir('new directory', [file('new file', 'new'), dir('new and empty')]));
}

test('every set shows the tree as it was, whatever changes later', async (t) => {
  const { store, source, place, at } = lab(t, [
    file('goes away', 'gone soon'),
    dir('directory goes', [file('with this', 'gone'), dir('and', [file('this', 'gone too')])]),
    file('old name', text(5, 50_000)),
    dir('moves', [file('along', text(6, 9000)), dir('deeper', [file('too', 'along')])]),
    file('file becomes directory', 'a file'),
    dir('directory becomes file', [file('inside', 'lost'), dir('more', [file('x', 'y')])]),
    symlink('link becomes file', 'anywhere'),
    dir('kept', [
      file('same', 'same'),
      file('changes', 'before'),
      file('grows', noise(8, MIB)),
      file('mode changes', 'm'),
      file('time changes', 't'),
    ]),
  ]);
  const local = [...place, '--local'];
  const wanted = [look(source)];
  await rest();
  await backup([...local, '--create', '--name', 'monday', source]);
  changeTree(source);
  wanted.push(look(source));
  const second = await backup([...local, '--name', 'tuesday', source]);
  t.true(second.progress.contentsSent < 12, 'unchanged contents were sent again');
  fs.rmSync(path.join(source, 'kept'), { recursive: true });
  fs.renameSync(path.join(source, 'moved'), path.join(source, 'moves'));
  wanted.push(look(source));
  await backup([...local, source]);
  t.deepEqual(
    (await listedSets(store, 'me')).map(({ set, state }) => [set, state]),
    [1, 2, 3].map((set) => [set, 'complete']),
  );

  const restoreAll = async (into: string): Promise<void> => {
    for (const [index, snapshot] of wanted.entries()) {
      const out = at(into, String(index));
      const set = ['monday', 'tuesday', '3'][index]!;
      await succeed('regenerate', [...place, '-b', set, '-o', out, source]);
      t.deepEqual(differences(snapshot, look(path.join(out, 'tree'))), [], `set ${set}`);
    }
  };
  await restoreAll('out');
  const newest = at('newest');
  await succeed('regenerate', [...place, '-o', newest, source]);
  t.deepEqual(differences(wanted[2]!, look(path.join(newest, 'tree'))), []);

  const versions = jsonLines<{ firstSet: number; lastSet?: number; sizeBytes: number }>(
    await succeed('lstardis', [...place, '--json', path.join(source, 'kept', 'changes')]),
  );
  t.deepEqual(
    versions.map(({ firstSet, lastSet, sizeBytes }) => [firstSet, lastSet, sizeBytes]),
    [
      [1, 1, 6],
      [2, 2, 7],
      [3, undefined, undefined], // deleted in set 3
    ],
  );
  const everything = async (): Promise<string[]> =>
    Promise.all(
      wanted.map((snapshot, index) => listing(place, index + 1, directoriesIn(source, snapshot))),
    );
  const listed = await everything();
  removeCatalog(store, 'me');
  await succeed('sonic', ['rebuild', ...place]);
  t.deepEqual(await everything(), listed);
  await restoreAll('rebuilt');

  const after = await backup([...local, source]);
  t.is(after.progress.contentsSent, 0, 'a rebuilt catalog knows what the store holds');
});

test('sonic makes clients and lists them and their sets', async (t) => {
  const { store, source } = lab(t, [file('a', 'a')]);
  t.regex(await succeed('sonic', ['create', '-D', store, '-C', 'one']), /"one" is ready/);
  const made = JSON.parse(await succeed('sonic', ['create', '-D', store, '-C', 'two', '--json']));
  t.like(made, { version: 1, client: 'two', path: path.join(store, 'two') });
  const twice = exited(t, 1, await run('sonic', ['create', '-D', store, '-C', 'one']));
  t.regex(twice.stderr, /\[CLIENT_EXISTS\]/);
  const clients = await succeed('sonic', ['clients', '-D', store, '--json']);
  t.like(JSON.parse(clients), { version: 1, clients: [{ client: 'one' }, { client: 'two' }] });
  t.regex(await succeed('sonic', ['list', '-D', store, '-C', 'one']), /No backup sets yet/);
  await backup(['-D', store, '-C', 'one', '--local', '--name', 'first', source]);
  t.regex(await succeed('sonic', ['list', '-D', store, '-C', 'one']), /first .*complete/);
  t.regex(await succeed('sonic', ['list', '-D', store, '-C', 'two']), /No backup sets yet/);
});

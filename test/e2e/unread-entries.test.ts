// Pace: slow
/** Sets whose backup could not read everything: a restore or a listing of such an entry reports it, and no other does. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ByteSink, newRestoreProgress, writeTar } from '../../src/restore/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { withHistory } from '../helpers/inline.js';
import { dir, file, isRoot } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

const NOBODY = 65_534;
const UNREAD = 'UNREAD_AT_BACKUP';

/** Returns how to run commands as an ordinary user; undefined, with a pass, if that user cannot run them here. */
async function ordinary(t: ExecutionContext): Promise<{ readonly uid?: number } | undefined> {
  const user = isRoot ? { uid: NOBODY } : {};
  if ((await run('lstardis', ['--version'], user)).status === 0) return user;
  t.log('left out: the checkout cannot be read by others');
  t.pass();
  return undefined;
}

/** Makes two sets. In the second, an old file and directory and a new file of `tree` could not be read. */
async function made(t: ExecutionContext, password?: string) {
  const user = await ordinary(t);
  if (user === undefined) return undefined;
  const {
    at,
    home,
    place,
    source: tree,
  } = lab(t, [
    file('sound', 'sound'),
    file('old', 'first'),
    dir('closed', [file('inside', 'inside')]),
    dir('open', [file('also sound', 'sound')]),
  ]);
  const secret = at('secret');
  if (password !== undefined) fs.writeFileSync(secret, password);
  const own = [...place, ...(password === undefined ? [] : ['-F', secret])];
  if (isRoot) {
    for (const name of ['', 'tree/old', 'tree/closed', 'tree', ...(password ? ['secret'] : [])]) {
      fs.chownSync(at(name), NOBODY, NOBODY);
    }
  }
  const env = { HOME: home };
  await succeed('tardis', [...own, '--local', '--create', tree], { ...user, env });
  fs.writeFileSync(path.join(tree, 'old'), 'second');
  fs.writeFileSync(path.join(tree, 'new'), 'new', { mode: 0 });
  for (const name of ['old', 'closed']) fs.chmodSync(path.join(tree, name), 0);
  exited(t, 3, await run('tardis', [...own, '--local', tree], { ...user, env }));
  fs.chmodSync(path.join(tree, 'closed'), 0o700);
  return { own: [...own], tree, at };
}

/** Returns the paths that the messages name as unread, sorted. */
function unreadIn(stderr: string): string[] {
  const lines = stderr.split('\n').filter((line) => line.includes(`[${UNREAD}]`));
  return lines.map((line) => /^\w+: (.*?): /.exec(line)![1]!).sort();
}

test('a restore names what its backup could not read, and ends with status 3', async (t) => {
  const place = await made(t);
  if (place === undefined) return;
  const { own, tree, at } = place;
  const within = (...names: string[]): string[] => names.map((name) => path.join(tree, name));
  const cases: readonly [what: string, args: readonly string[], unread: readonly string[]][] = [
    ['all', [tree], ['tree/closed', 'tree/new', 'tree/old']],
    ['an older version', within('old', 'sound'), ['old']],
    ['a file below an unread directory', within('closed/inside'), ['inside']],
    ['a trial', ['-n', tree], ['tree/closed', 'tree/new', 'tree/old']],
    ['no recursion', ['--no-recurse', tree], []],
    ['sound files', within('sound', 'open'), []],
    [
      'all but the unread',
      ['--exclude', 'old', '--exclude', 'new', '--exclude', 'closed', tree],
      [],
    ],
    ['only sound ones', ['--include', '/**/open/', '--exclude', 'closed', tree], []],
    ['the set before', ['-b', '1', tree], []],
  ];
  for (const [index, [what, args, unread]] of cases.entries()) {
    const output = at(`out ${index}`);
    const { status, stderr } = await run('regenerate', [...own, '-o', output, ...args]);
    t.is(status, unread.length > 0 ? 3 : 0, `${what}: ${stderr}`);
    t.deepEqual(unreadIn(stderr), [...unread], what);
  }
  t.is(fs.readFileSync(at('out 0/tree/old'), 'utf8'), 'first');
  t.false(fs.existsSync(at('out 0/tree/new')));

  for (const form of ['--tar', '--zip']) {
    const { stderr } = exited(t, 3, await run('regenerate', [...own, form, at(`a${form}`), tree]));
    t.deepEqual(unreadIn(stderr), ['tree/closed', 'tree/new', 'tree/old']);
  }
  const stream = await run('regenerate', [...own, '--stdout', path.join(tree, 'old')]);
  t.like(stream, { status: 3, stdout: 'first' });
  t.deepEqual(unreadIn(stream.stderr), [path.join(tree, 'old')]);
  t.like(await run('regenerate', [...own, '--stdout', path.join(tree, 'sound')]), { status: 0 });

  const lacking = await run('regenerate', [...own, '-o', at('lacking'), path.join(tree, 'new')]);
  t.regex(
    lacking.stderr,
    /the backup could not read it: permission denied \(EACCES\);.*\[NO_SUCH_PATH\]/,
  );
});

test('the note at the end of an archive names what its backup could not read', async (t) => {
  const place = await made(t);
  if (place === undefined) return;
  const { tree, at } = place;
  const parts: Buffer[] = [];
  const sink = new ByteSink(async (bytes) => {
    parts.push(Buffer.from(bytes));
  });
  const request = { set: 2, paths: [Buffer.from(tree)], listsMissing: true, endsAtDamage: true };
  await withHistory({ store: at('store'), client: 'me' }, (history) =>
    writeTar(nodeSystem(), { history, progress: newRestoreProgress() }, request, sink),
  );
  const archive = Buffer.concat(parts).toString('latin1');
  t.regex(archive, /MISSING-FROM-THIS-ARCHIVE/);
  t.regex(archive, /3 entries are missing from this archive, or are of an earlier backup/);
  t.regex(
    archive,
    /tree\/new: the backup could not read it: permission denied \(EACCES\); the set has nothing/,
  );
});

test('a restore of an encrypting client names it too, and a listing as well', async (t) => {
  const place = await made(t, 'a password of the tests');
  if (place === undefined) return;
  const { own, tree, at } = place;
  const env = { HOME: at('') };
  const all = exited(t, 3, await run('regenerate', [...own, '-o', at('out'), tree], { env }));
  t.deepEqual(unreadIn(all.stderr), ['tree/closed', 'tree/new', 'tree/old']);
  const listed = exited(t, 3, await run('lstardis', [...own, tree], { env }));
  const unread = ['closed', 'new', 'old'].map((name) => path.join(tree, name));
  t.deepEqual(unreadIn(listed.stderr), unread);
});

test('a listing names what the backup could not read there, and ends with status 3', async (t) => {
  const place = await made(t);
  if (place === undefined) return;
  const { own, tree } = place;
  const cases: readonly [args: readonly string[], unread: readonly string[]][] = [
    [[tree], ['closed', 'new', 'old']],
    [['-b', '2', path.join(tree, 'old')], ['old']],
    [['-b', '2', path.join(tree, 'closed', 'inside')], ['closed/inside']],
    [[path.join(tree, 'open')], []],
    [['-b', '2', path.join(tree, 'sound')], []],
    [['-b', '1', tree], []],
    [[], []],
  ];
  for (const [args, unread] of cases) {
    const { status, stderr } = await run('lstardis', [...own, ...args]);
    t.is(status, unread.length > 0 ? 3 : 0, `${args.join(' ')}: ${stderr}`);
    t.deepEqual(
      unreadIn(stderr),
      unread.map((name) => path.join(tree, name)),
    );
  }
});

for (const [what, password] of [
  ['a plain', []],
  ['an encrypting', ['--password=a password of the tests']],
] as const) {
  test(`to its owner, a closed directory that no backup of ${what} client could list is named once, and nothing earlier is promised`, async (t) => {
    const user = await ordinary(t);
    if (user === undefined) return;
    const made = lab(t, [file('sound', 'sound'), dir('closed', [file('inside', 'inside')])]);
    const { at, source: tree } = made;
    const env = { HOME: made.home };
    fs.chmodSync(path.join(tree, 'closed'), 0);
    if (isRoot)
      for (const name of ['', 'tree', 'tree/closed']) fs.chownSync(at(name), NOBODY, NOBODY);
    const own = [...made.place, ...password];
    const cases: readonly (readonly ['tardis' | 'regenerate' | 'lstardis', ...string[]])[] = [
      ['tardis', '--local', '--create', tree],
      ['regenerate', '-o', at('out'), tree],
      ['regenerate', '--tar', at('tar'), tree],
      ['lstardis', tree],
      ['lstardis', '--recurse', tree],
      ['lstardis', path.join(tree, 'closed')],
    ];
    for (const [command, ...args] of cases) {
      const { stderr } = exited(t, 3, await run(command, [...own, ...args], { ...user, env }));
      const about = stderr.split('\n').filter((line) => line.includes('tree/closed'));
      t.is(about.length, 1, `${command} ${args.join(' ')}: ${stderr}`);
      t.regex(
        about[0]!,
        command === 'tardis' ? /unreadable: permission denied \(EACCES\)/ : /\[UNREAD_AT_BACKUP\]/,
      );
      t.notRegex(stderr, /has what an earlier backup found of it/);
    }
  });
}

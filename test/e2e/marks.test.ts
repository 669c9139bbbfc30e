// Pace: slow
/**
 * Marks of backup sets (tags, locks, priorities, new names), set in the store and through a server, and kept by a
 * rebuild.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { bytesOfFile, filesBelow } from '../helpers/plaintext.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { file } from '../helpers/tree.js';

backupsRunHere();

interface ListedSet {
  readonly set: number;
  readonly name: string;
  readonly firstName?: string;
  readonly tags: string[];
  readonly priority: number;
  readonly isLocked: boolean;
  readonly isExpendable: boolean;
}

async function prepared(t: ExecutionContext, sets: number, args: readonly string[] = []) {
  const { home, store, source, place: own } = lab(t, [file('stays', 'the same')]);
  const place = [...own, ...args];
  for (let set = 1; set <= sets; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), `${set}`);
    const create = set === 1 ? ['--create'] : [];
    await backup([...place, '--name', `set-${set}`, '--local', ...create, source]);
  }
  const reported = async (): Promise<ListedSet[]> => {
    const [list] = jsonLines(await succeed('sonic', ['list', ...place, '--json']));
    return (list as { sets: ListedSet[] }).sets;
  };
  return { home, store, source, place, reported };
}

test('sets get tags, locks, priorities and new names, in a store and through a server', async (t) => {
  const home = scratchInMemory(t);
  const secret = written(home, 'secret', 'the words of the owner');
  const { place, reported, store, source } = await prepared(t, 4, ['-F', secret]);
  const own = ['--newpassword-file', secret];
  await succeed('sonic', ['account', ...place, '--add', 'boss', '--rights', 'list,purge', ...own]);
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', '-F', secret];
  const boss = [...far, '--account', 'boss'];
  for (const [way, first, second] of [
    [place, '1', 'set-2'],
    [boss, '3', 'Current'],
  ] as const) {
    await succeed('sonic', ['tag', ...way, '--add', 'b', '--add', 'a/1', first, second]);
    await succeed('sonic', ['tag', ...way, '--remove', 'b', '--add', 'c', second]);
    await succeed('sonic', ['lock', ...way, first, second]);
    await succeed('sonic', ['lock', ...way, '--unlock', second]);
    await succeed('sonic', ['priority', ...way, '--to', '40', second]);
    await succeed('sonic', ['rename', ...way, '--to', `better ${first}`, first]);
    await succeed('sonic', ['expendable', ...way, first, second]);
    await succeed('sonic', ['expendable', ...way, '--not', first]);
  }
  const check = async (what: string): Promise<void> => {
    const [one, two, three, four] = await reported();
    t.like(one, { name: 'better 1', firstName: 'set-1', tags: ['a/1', 'b'], isLocked: true }, what);
    t.like(two, { name: 'set-2', tags: ['a/1', 'c'], isLocked: false, priority: 40 }, what);
    t.like(three, { name: 'better 3', firstName: 'set-3', isLocked: true, isExpendable: false });
    t.like(four, { name: 'set-4', tags: ['a/1', 'c'], priority: 40, isExpendable: true }, what);
  };
  await check('as they were said');
  t.regex(await succeed('sonic', ['list', ...place]), /better 1 .*complete, locked.*a\/1 b/);
  t.regex((await run('sonic', ['lock', ...far, '1'])).stderr, /NOT_PERMITTED/);
  t.regex((await run('sonic', ['delete', ...place, '--yes', '1'])).stderr, /SET_LOCKED/);
  await succeed('sonic', ['tag', ...place, '--add', 'Zaunkoenig-17', '1']);
  await backup([...place, '--local', '--name', 'five', '--tag', 'Zaunkoenig-17', source]);
  t.deepEqual((await reported())[4]?.tags, ['Zaunkoenig-17']);
  t.false(holds(store, 'Zaunkoenig'), 'tags are sealed as names are');
  await succeed('sonic', ['tag', ...place, '--remove', 'Zaunkoenig-17', '1']);
  // A renamed set can still be proven, and its new name finds it.
  const out = path.join(home, 'out');
  await succeed('regenerate', [...place, '-b', 'better 1', '-o', out, source]);
  t.is(fs.readFileSync(path.join(out, 'tree', 'changes'), 'utf8'), '1');
  await server.kill();
  const catalog = path.join(store, 'me', 'tardis.db');
  fs.rmSync(catalog);
  await succeed('sonic', ['rebuild', ...place]);
  await check('of a catalog that was made anew');
  await succeed('sonic', ['delete', ...place, '--yes', 'set-2']);
  await succeed('sonic', ['orphans', ...place]);
  fs.rmSync(catalog);
  await succeed('sonic', ['rebuild', ...place]);
  t.like((await reported())[0], { name: 'better 1', tags: ['a/1', 'b'], isLocked: true });
  const [keys, next] = [path.join(home, 'next'), '--newpassword-file'];
  fs.writeFileSync(keys, 'other words than those');
  await succeed('sonic', ['rekey', ...place, next, keys, '--yes']);
  const after = ['-D', store, '-C', 'me', '-F', keys];
  const [list] = jsonLines(await succeed('sonic', ['list', ...after, '--json']));
  const [one, three] = (list as { sets: ListedSet[] }).sets;
  t.like(one, { name: 'better 1', firstName: 'set-1', tags: ['a/1', 'b'], isLocked: true });
  t.like(three, { name: 'better 3', isLocked: true });
  await succeed('sonic', ['rename', ...after, '--to', '', '1']);
  const again = path.join(home, 'again');
  await succeed('regenerate', [...after, '-b', 'set-1', '-o', again, source]);
  t.is(fs.readFileSync(path.join(again, 'tree', 'changes'), 'utf8'), '1');
});

function holds(store: string, word: string): boolean {
  return filesBelow(store).some((stored) => bytesOfFile(stored).includes(word));
}

test('a backup gives its set tags, a priority, and the mark that it may be deleted early', async (t) => {
  const { home, place, reported, source } = await prepared(t, 1);
  const more = ['--tag', 'x', '--tag', 'y', '--priority', '-3', '--expendable'];
  await backup([...place, '--local', ...more, source]);
  const config = path.join(home, 'config');
  fs.writeFileSync(config, '[Tardis]\nTags = nightly "z"\nPriority = 7\nExpendable = yes\n');
  await backup([...place, '--local', '--config', config, '--noexpendable', source]);
  const [one, two, three] = await reported();
  t.like(one, { tags: [], priority: 0, isExpendable: false, isLocked: false });
  t.like(two, { tags: ['x', 'y'], priority: -3, isExpendable: true });
  t.like(three, { tags: ['nightly', 'z'], priority: 7, isExpendable: false });
});

test('what no set can have is refused, and nothing is changed', async (t) => {
  const { place, reported } = await prepared(t, 2);
  for (const [args, code] of [
    [['tag', '1'], 'USAGE'],
    [['tag', '--add', 'two words', '1'], 'USAGE'],
    [['tag', '--add', '-', '1'], 'USAGE'],
    [['tag', '--add', 'x'.repeat(101), '1'], 'USAGE'],
    [
      ['tag', ...Array.from({ length: 65 }, (_, n) => ['--add', `t${n}`]).flat(), '1'],
      'MARKS_INVALID',
    ],
    [['tag', '--add', 'x', '1', '9'], 'NO_SUCH_SET'],
    [['rename', '--to', 'x', '1-2'], 'USAGE'],
    [['rename', '--to', '17', '1'], 'USAGE'],
    [['rename', '--to', 'Current', '1'], 'USAGE'],
    [['rename', '1'], 'USAGE'],
    [['priority', '1'], 'USAGE'],
    [['priority', '--to', '1.5', '1'], 'CONFIG_INVALID'],
    [['lock'], 'USAGE'],
  ] as const) {
    const [name, ...rest] = args;
    const { status, stderr } = await run('sonic', [name, ...place, ...rest]);
    t.is(status, 1, args.join(' '));
    t.regex(stderr, new RegExp(`\\[${code}\\]`), args.join(' '));
    const rehearsed = await run('sonic', [name, ...place, '--dry-run', ...rest]);
    t.is(rehearsed.stderr, stderr, 'a rehearsal says the same');
  }
  for (const one of await reported()) t.like(one, { tags: [], priority: 0, isLocked: false });
});

test('marks that a set has already are reported as such', async (t) => {
  const { place } = await prepared(t, 2);
  t.is(
    await succeed('sonic', ['tag', ...place, '--add', 'x', '1']),
    '1 backup set of "me" tagged: 1\n',
  );
  t.is(
    await succeed('sonic', ['tag', ...place, '--add', 'x', '1', '2']),
    '1 backup set of "me" tagged: 2\n1 backup set of "me" unchanged: 1\n',
  );
  const json = await succeed('sonic', ['tag', ...place, '--remove', 'y', '--json', '1-2']);
  t.like(jsonLines(json)[0], { changed: [], unchanged: [1, 2] });
});

test('--dry-run shows what would be done, and changes nothing', async (t) => {
  const { place, reported } = await prepared(t, 2);
  const before = await reported();
  for (const [command, ...args] of [
    ['tag', '--add', 'x', '1'],
    ['lock', '1'],
    ['priority', '--to', '9', '1'],
    ['rename', '--to', 'other', '1'],
    ['expendable', '1'],
  ] as const) {
    t.regex(await succeed('sonic', [command, ...place, '-n', ...args]), /would be .*: 1$/m);
    const json = await succeed('sonic', [command, ...place, '--dry-run', '--json', ...args]);
    t.deepEqual(jsonLines(json)[0]!['wouldChange'], [1], command);
  }
  t.regex(
    await succeed('sonic', ['setconfig', ...place, '-n', 'KeepDaily', '3']),
    /KeepDaily .* would be 3/,
  );
  t.is(await succeed('sonic', ['getconfig', ...place]), '');
  t.regex(await succeed('sonic', ['orphans', ...place, '-n']), /about .* would be deleted/);
  t.deepEqual(await reported(), before);
});

// Pace: slow
/** Reports on backup sets of a local store, and of an encrypting client through a server. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  jsonLines,
  rest,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';

backupsRunHere();

/** Makes two sets of a tree. Every command gets `args`. */
async function twoSets(t: ExecutionContext, args: readonly string[] = []) {
  const {
    home,
    store,
    source,
    place: own,
  } = lab(t, [file('stays', 'same'), file('changes', 'one'), dir('old', [file('goes', 'x')])]);
  const place = [...own, ...args];
  await rest();
  await backup([...place, '--local', '--create', '--name', 'first', source]);
  fs.writeFileSync(path.join(source, 'changes'), 'one and two');
  fs.rmSync(path.join(source, 'old'), { recursive: true });
  makeTree(path.join(source, 'new'), [file('comes', 'here')]);
  await rest();
  await backup([...place, '--local', '--name', 'second', '--tag', 'x', source]);
  return { home, store, source, place };
}

interface ReportedChange {
  readonly what: string;
  readonly name: string;
  readonly now?: { readonly sizeBytes: number };
  readonly before?: { readonly sizeBytes: number };
}

async function checkFiles(
  t: ExecutionContext,
  way: readonly string[],
  source: string,
): Promise<void> {
  const at = (...names: string[]): string => path.join(source, ...names);
  const lines = jsonLines(await succeed('sonic', ['files', ...way, '--json', 'second']));
  const changes = lines.slice(0, -1) as unknown as ReportedChange[];
  const reported = changes.map(({ what, name, now, before }) => [
    what,
    name,
    before?.sizeBytes,
    now?.sizeBytes,
  ]);
  t.deepEqual(
    reported.sort(([one], [other]) => (String(one) < String(other) ? -1 : 1)),
    [
      ['added', at('new', 'comes'), undefined, 4],
      ['changed', at('changes'), 3, 11],
      ['gone', at('old', 'goes'), 1, undefined],
    ],
  );
  t.like(lines.at(-1), { totals: { set: 2, since: 1, counts: { added: 1, changed: 1, gone: 1 } } });
  const text = await succeed('sonic', ['files', ...way, '--fullpath', '--long', '--bytes']);
  t.regex(text, new RegExp(`^~ +3 → +11 0644 \\d+:\\d+ +20\\d\\d-.* ${at('changes')}$`, 'm'));
  t.regex(
    text,
    /set 2, since set 1: 3 changes: 1 added \(4 B\), 1 changed \(11 B\), 1 gone \(1 B\)/,
  );
  const grouped = await succeed('sonic', ['files', ...way, '--dirs', '-c', '-i', '2']);
  t.regex(grouped, new RegExp(`^${at('new')}:\n\\+ .* \\d+ [0-9a-f]{64} comes$`, 'm'));
  t.regex(grouped, /^- .* old$/m);
  const first = await succeed('sonic', ['files', ...way, 'first']);
  t.regex(first, /set 1, the first set: 3 changes: 3 added/);
  t.notRegex(first, /^~|^-/m);
  const { stderr } = await run('sonic', ['files', ...way, '--since', '2', '1']);
  t.regex(stderr, /not before set 1.*USAGE/);
  t.regex(await succeed('sonic', ['files', ...way, '1-2']), /\nset 1, .*\n\n[^]*\nset 2, since/);
  const both = jsonLines(await succeed('sonic', ['files', ...way, '1-2', '--json']));
  t.deepEqual([...new Set(both.map(({ set }) => set))], [1, undefined, 2]);
}

test('sonic files lists what one set has and another lacks, and the reverse', async (t) => {
  const { place, source } = await twoSets(t);
  await checkFiles(t, place, source);
  fs.writeFileSync(path.join(source, 'later'), '3');
  await backup([...place, '--local', source]);
  const since = await succeed('sonic', ['files', ...place, '--since', 'first', 'Current']);
  t.regex(since, /set 3, since set 1: 4 changes/);
});

test('sonic files lists sealed names in the order of their plain text', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `f${index + 10}`);
  const { source, written, ...made } = lab(
    t,
    names.map((name) => file(name)),
  );
  const place = [...made.place, '-F', written('secret', 'the words of the owner')];
  await backup([...place, '--local', '--create', source]);
  const reported = jsonLines(await succeed('sonic', ['files', ...place, '--json'])).slice(0, -1);
  t.deepEqual(
    reported.map(({ name }) => path.basename(name as string)),
    names,
  );
});

test('sonic list, files, info and stats report the same through a server as here', async (t) => {
  const secret = path.join(scratchInMemory(t), 'secret');
  fs.writeFileSync(secret, 'the words of the owner');
  const { store, source, place } = await twoSets(t, ['-F', secret]);
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', '-F', secret];
  await checkFiles(t, far, source);
  for (const args of [
    ['list'],
    ['list', '-l'],
    ['list', '--json'],
    ['info', '1-2', '--json'],
    ['info'],
  ]) {
    t.is(await succeed('sonic', [...args, ...far]), await succeed('sonic', [...args, ...place]));
  }
  const [here, there] = [place, far].map((way) => succeed('sonic', ['stats', ...way, '--json']));
  t.deepEqual(JSON.parse(await there!), JSON.parse(await here!));
  t.like(JSON.parse(await here!), { client: 'me', sets: 2, packs: 2 });
  const [listed] = jsonLines(await succeed('sonic', ['list', ...far, '--json']));
  t.deepEqual((listed as { sets: { roots: unknown }[] }).sets[0]!.roots, [{ name: source }]);
});

test('sonic info shows all details of sets', async (t) => {
  const { place, source, store } = await twoSets(t);
  fs.mkdirSync(path.join(source, 'closed'));
  await succeed('sonic', ['lock', ...place, '2']);
  const text = await succeed('sonic', ['info', ...place]);
  for (const line of [
    /^set +2$/m,
    /^name +second$/m,
    /^state +complete$/m,
    /^begun +20.* \(server\)\n +20.* \(client\)\nended +20.*took/m,
    /^marks +locked$/m,
    /^tags +x$/m,
    new RegExp(`^roots +${source}$`, 'm'),
    /^files read +2$/m,
    /^stored +/m,
    /^software +tardis /m,
  ]) {
    t.regex(text, line);
  }
  const [reported] = jsonLines(await succeed('sonic', ['info', ...place, '--json', '1-2']));
  const [one, two] = (reported as { sets: Record<string, unknown>[] }).sets;
  t.like(one, { set: 1, name: 'first', state: 'complete', seal: 'none', notes: [] });
  t.like(two, { set: 2, isLocked: true, tags: ['x'], roots: [{ name: source }] });
  // Notes are shown with the paths of the entries that could not be saved.
  const database = new (await import('better-sqlite3')).default(
    path.join(store, 'me', 'tardis.db'),
  );
  const root = database.prepare('SELECT directory_id FROM roots').pluck().get();
  database
    .prepare('INSERT INTO set_notes VALUES (2, ?, ?, ?, ?)')
    .run(root, Buffer.from('no'), 'unreadable', 'EACCES');
  database.close();
  const noted = await succeed('sonic', ['info', ...place, '2']);
  t.true(noted.includes(`${path.join(source, 'no')} (unreadable, EACCES)`), noted);
  t.regex((await run('sonic', ['info', ...place, '9'])).stderr, /NO_SUCH_SET/);
});

test('a client that was never backed up has nothing to report', async (t) => {
  const place = ['-D', path.join(scratchInMemory(t), 'store'), '-C', 'me'];
  await succeed('sonic', ['create', ...place]);
  t.regex(await succeed('sonic', ['list', ...place]), /No backup sets yet/);
  t.regex(await succeed('sonic', ['stats', ...place]), /No backup sets yet/);
  t.is(await succeed('sonic', ['getconfig', ...place]), '');
  for (const tool of ['info', 'files']) {
    t.regex((await run('sonic', [tool, ...place])).stderr, /NO_SUCH_SET/);
  }
});

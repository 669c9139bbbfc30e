// Pace: slow
/** Selection of what to restore: by date, by name, by pattern, by digest. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, symlink, text } from '../helpers/tree.js';

backupsRunHere();

interface Set {
  readonly set: number;
  readonly openedAtMs: number;
}

class Lab {
  readonly home: string;
  readonly source: string;
  readonly place: readonly string[];
  private outputs = 0;
  private readonly t: ExecutionContext;

  private constructor(t: ExecutionContext) {
    this.t = t;
    this.home = scratchInMemory(t);
    this.source = path.join(this.home, 'tree');
    this.place = ['-D', path.join(this.home, 'store'), '-C', 'me'];
  }

  static async begin(t: ExecutionContext): Promise<Lab> {
    const lab = new Lab(t);
    makeTree(lab.source, [
      dir('src', [file('a.c', 'a'), file('b.h', 'b'), dir('deep', [file('c.c', 'c')])]),
      dir('doc', [file('a.txt', 'text'), symlink('link.c', 'nowhere')]),
      dir('empty'),
      file('top.c', 'top'),
    ]);
    await lab.backup('--create');
    return lab;
  }

  at(...names: string[]): string {
    return path.join(this.source, ...names);
  }

  async backup(...args: string[]): Promise<void> {
    await backup([...this.place, '--local', ...args, this.source]);
  }

  async sets(): Promise<Set[]> {
    const { sets } = JSON.parse(await succeed('lstardis', [...this.place, '--json'])) as {
      sets: Set[];
    };
    return sets;
  }

  /** Restores to a new directory. Returns the names found there, sorted. */
  async names(...args: string[]): Promise<string[]> {
    this.outputs += 1;
    const out = path.join(this.home, `out ${this.outputs}`);
    await succeed('regenerate', [...this.place, '-o', out, ...args]);
    return [...look(out).keys()].filter((name) => name !== '').sort();
  }

  async refused(code: string, ...args: string[]): Promise<void> {
    const out = path.join(this.home, 'never');
    const { status, stderr } = await run('regenerate', [...this.place, '-o', out, ...args]);
    this.t.is(status, 1, stderr);
    this.t.regex(stderr, new RegExp(`\\[${code}\\]`), args.join(' '));
    this.t.false(fs.existsSync(out), 'something was made');
  }
}

test('a date chooses the newest complete set that began by then', async (t) => {
  const lab = await Lab.begin(t);
  fs.writeFileSync(lab.at('top.c'), 'second');
  await lab.backup();
  const [first, second] = await lab.sets();
  const iso = (ms: number): string => new Date(ms).toISOString();
  const content = (...args: string[]): Promise<string> =>
    succeed('regenerate', [...lab.place, ...args, '--stdout', lab.at('top.c')]);
  t.is(await content('-d', iso(second!.openedAtMs)), 'second');
  t.is(await content('-d', iso(second!.openedAtMs - 1)), 'top');
  t.is(await content('-d', iso(first!.openedAtMs)), 'top');
  t.is(await content('--date', 'tomorrow'), 'second');
  t.is(await content('-d', 'now'), 'second');
  const then = ['-d', iso(second!.openedAtMs - 1)];
  const listed = await succeed('lstardis', [...lab.place, '--json', ...then, lab.source]);
  const top = jsonLines<{ name: string; sizeBytes: number }>(listed).find(
    ({ name }) => name === 'top.c',
  );
  t.is(top?.sizeBytes, 3);
  const shown = await succeed('lstardis', [...lab.place, '--json', '-d', 'tomorrow']);
  t.deepEqual(
    (JSON.parse(shown) as { sets: Set[] }).sets.map(({ set }) => set),
    [2],
  );
  await lab.refused('NO_SUCH_SET', '-d', iso(first!.openedAtMs - 1), lab.source);
  await lab.refused('BAD_DATE', '-d', 'the twelfth of never', lab.source);
  await lab.refused('USAGE', '-d', 'now', '-b', '1', lab.source);
});

test('the last version of a path is restored, even if the newest set lacks the path', async (t) => {
  const lab = await Lab.begin(t);
  fs.rmSync(lab.at('doc'), { recursive: true });
  fs.writeFileSync(lab.at('top.c'), 'second');
  await lab.backup();
  await lab.refused('NO_SUCH_PATH', lab.at('doc'));
  t.deepEqual(await lab.names('--last', lab.at('doc'), lab.at('top.c')), [
    'doc',
    'doc/a.txt',
    'doc/link.c',
    'top.c',
  ]);
  const top = await succeed('regenerate', [...lab.place, '-l', '--stdout', lab.at('top.c')]);
  t.is(top, 'second');
  await lab.refused('NO_SUCH_PATH', '--last', lab.at('never was'));
  await lab.refused('USAGE', '--last', '-b', '1', lab.at('doc'));
});

test('a restore of all names the configured roots that the set lacks, and --last takes them from the sets that have them', async (t) => {
  const lab = await Lab.begin(t);
  const gone = path.join(lab.home, 'gone');
  const config = path.join(lab.home, 'config');
  const store = path.join(lab.home, 'store');
  const lines = `Database = ${store}\nClient = me\nDirectories = ${lab.source} ${gone}`;
  fs.writeFileSync(config, `[Tardis]\n${lines}\n[Sources]\ndump = echo dumped\n`);
  await backup([...lab.place, '--local', '--source', 'dump=echo dumped']);
  fs.writeFileSync(lab.at('src', 'a.c'), 'new');
  await backup([...lab.place, '--local', lab.at('src')]);
  const restored = async (...args: string[]): Promise<{ files: string[]; stderr: string }> => {
    const out = path.join(lab.home, `all ${args.join(' ')}`);
    const words = [...lab.place, '--all', '-o', out, ...args];
    const { status, stderr } = await run('regenerate', words);
    t.is(status, 0, stderr);
    const own = path.join(out, lab.source);
    const files = fs.existsSync(own) ? [...look(own).keys()].filter((name) => name !== '') : [];
    if (fs.existsSync(path.join(out, 'dump'))) files.push('dump');
    return { files: files.sort(), stderr };
  };
  const whole = [...look(lab.source).keys()]
    .filter((name) => name !== '')
    .concat('dump')
    .sort();
  const some = await restored('--config', config);
  t.deepEqual(some.files, ['src', 'src/a.c', 'src/b.h', 'src/deep', 'src/deep/c.c']);
  t.regex(some.stderr, new RegExp(`set 3 lacks ${lab.source}, which set 1 has: add --last`));
  t.regex(some.stderr, /set 3 lacks \/dump, which set 2 has: add --last/);
  t.regex(some.stderr, new RegExp(`set 3 lacks ${gone}, and so does each other complete set`));
  const all = await restored('--config', config, '--last');
  t.deepEqual(all.files, whole);
  const { stderr } = await restored('--config', config, '-b', '2');
  t.regex(stderr, new RegExp(`set 2 lacks ${lab.source}, which set 1 has\n`));
  const { stderr: unset } = await restored();
  t.regex(unset, /set 3 lacks .*, which set 1 has: add --last/, 'each root of any set');
  t.notRegex(unset, /and so does each/);
  t.deepEqual((await restored('--last')).files, whole, 'each root of any set');
  const top = path.join(lab.home, 'all --last', lab.source, 'src', 'a.c');
  t.is(fs.readFileSync(top, 'utf8'), 'new', 'a root is in its own newest set');
});

test('the root of all directories is restored into the output, with the dumps in it', async (t) => {
  const lab = await Lab.begin(t);
  const rules = ['/*', '!/etc', '/etc/*', '!/etc/passwd'].flatMap((rule) => ['--exclude', rule]);
  const dump = ['--source', 'dump of it=echo dumped'];
  await backup([...lab.place, '--local', ...rules, ...dump, '/']);
  for (const words of [['--all'], ['/']]) {
    const out = path.join(lab.home, `whole ${words[0]!.replace('/', 'root')}`);
    await succeed('regenerate', [...lab.place, ...words, '-o', out]);
    t.deepEqual(fs.readdirSync(path.join(out, 'etc')), ['passwd']);
    t.is(fs.readFileSync(path.join(out, 'dump of it'), 'utf8'), 'dumped\n');
  }
});

test('include and exclude choose what is restored', async (t) => {
  const lab = await Lab.begin(t);
  const { source } = lab;
  t.deepEqual(await lab.names('--include', '*.c', source), [
    'tree',
    'tree/doc',
    'tree/doc/link.c',
    'tree/src',
    'tree/src/a.c',
    'tree/src/deep',
    'tree/src/deep/c.c',
    'tree/top.c',
  ]);
  t.deepEqual(await lab.names('--include', 'src/', '--exclude', '*.h', source), [
    'tree',
    'tree/src',
    'tree/src/a.c',
    'tree/src/deep',
    'tree/src/deep/c.c',
  ]);
  t.deepEqual(await lab.names('--exclude', `${source}/src`, '--exclude', 'doc/*.c', source), [
    'tree',
    'tree/doc',
    'tree/doc/a.txt',
    'tree/empty',
    'tree/top.c',
  ]);
  t.deepEqual(await lab.names('--include', 'src/deep', '--include', 'a.txt', source), [
    'tree',
    'tree/doc',
    'tree/doc/a.txt',
    'tree/src',
    'tree/src/deep',
    'tree/src/deep/c.c',
  ]);
  t.deepEqual(await lab.names('--include', 'nothing like it', source), []);
  const dry = [...lab.place, '-n', '--json', '-o', path.join(lab.home, 'no')];
  const without = ['--exclude', 'src', '--exclude', 'top.c'];
  const reported = await succeed('regenerate', [...dry, ...without, source]);
  t.like(JSON.parse(reported), { leftOut: 2, files: 1, directories: 3, links: 1 });
});

test('whole paths are kept by --hierarchy and --all', async (t) => {
  const lab = await Lab.begin(t);
  fs.chmodSync(lab.at('src'), 0o711);
  await lab.backup();
  const above = lab.source.slice(1).split('/');
  const way = above.map((_, index) => above.slice(0, index + 1).join('/'));
  const whole = way.at(-1)!;
  t.deepEqual(
    await lab.names('-H', lab.at('src', 'deep'), lab.at('src', 'deep', 'c.c'), lab.at('top.c')),
    [...way, `${whole}/src`, `${whole}/src/deep`, `${whole}/src/deep/c.c`, `${whole}/top.c`].sort(),
  );
  const parent = path.join(lab.home, 'out 1', whole, 'src');
  t.is(fs.statSync(parent).mode & 0o777, 0o711, 'a directory on the way has lost its permissions');
  const all = await lab.names('--all');
  t.is(all.length, way.length + look(lab.source).size - 1);
  await lab.refused('USAGE', '--all', lab.source);
  await lab.refused(
    'USAGE',
    lab.at('src', 'a.c'),
    lab.at('doc'),
    path.join(lab.source, 'x', 'doc'),
  );
});

test('a restore in place brings each path back to where it was, replaces what differs, and says where it wrote', async (t) => {
  const lab = await Lab.begin(t);
  const before = look(lab.source);
  fs.rmSync(lab.at('src', 'deep'), { recursive: true });
  fs.writeFileSync(lab.at('top.c'), 'another');
  const inPlace = [...lab.place, '--in-place'];
  const dry = await succeed('regenerate', [...inPlace, '--dry-run', lab.source]);
  t.regex(dry, /^Would restore 2 files.* to where they were/m);
  t.is(fs.readFileSync(lab.at('top.c'), 'utf8'), 'another');
  const kept = await run('regenerate', [...inPlace, '-O', 'never', lab.at('top.c')]);
  t.is(fs.readFileSync(lab.at('top.c'), 'utf8'), 'another', kept.stderr);
  t.regex(
    await succeed('regenerate', [...inPlace, lab.source]),
    /^Restored 2 files.* to where they were, in/m,
  );
  t.deepEqual(differences(before, look(lab.source)), []);
  const out = path.join(lab.home, 'some where');
  const elsewhere = await succeed('regenerate', [...lab.place, '-o', out, lab.at('top.c')]);
  t.true(elsewhere.includes(` to ${out}, in `), elsewhere);
  await lab.refused('USAGE', '--in-place', lab.at('top.c')); // the helper gives --output
});

test('--no-recurse restores directories without their contents', async (t) => {
  const lab = await Lab.begin(t);
  t.deepEqual(await lab.names('--no-recurse', lab.at('src'), lab.at('top.c')), ['src', 'top.c']);
});

test('contents are restored by their digests', async (t) => {
  const lab = await Lab.begin(t);
  fs.writeFileSync(lab.at('top.c'), text(7, 5000));
  await lab.backup();
  const shown = await succeed('lstardis', [...lab.place, '--json', lab.at('top.c')]);
  const digest = jsonLines<{ digest: string }>(shown).at(-1)!.digest;
  t.deepEqual(await lab.names('-c', digest), [digest]);
  const content = await succeed('regenerate', [
    ...lab.place,
    '-c',
    '--stdout',
    digest.slice(0, 16),
  ]);
  t.is(content, text(7, 5000).toString());
  await lab.refused('NO_SUCH_PATH', '-c', '0'.repeat(64));
  for (const bad of ['abc', `${digest}00`, digest.slice(0, 17), 'g'.repeat(64)]) {
    await lab.refused('USAGE', '-c', bad);
  }
});

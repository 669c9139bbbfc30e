// Pace: slow
/** Exclusion of files, by every option, key and variable for it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  type CommandOptions,
  jsonLines,
  run,
  succeed,
} from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { savedPaths } from '../helpers/saved.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';
import { fill } from '../helpers/jobs.js';

backupsRunHere();

const OTHER_USER = 65_534;

interface Bench {
  readonly home: string;
  readonly tree: string;
  /** Backs up the tree into a new client, and returns the saved paths. */
  save(args?: readonly string[], options?: CommandOptions): Promise<string[]>;
  /** Returns the same paths as `save` by `--explain`, which takes far less time. */
  kept(args?: readonly string[], options?: CommandOptions): Promise<string[]>;
  /** Writes a configuration file with these lines in its section, and returns the arguments that name it. */
  config(...lines: string[]): string[];
}

function bench(t: ExecutionContext, files: Readonly<Record<string, string>>): Bench {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = folderIn(home, 'tree');
  fs.chmodSync(home, 0o777);
  fill(tree, files);
  let count = 0;
  return {
    home,
    tree,
    async save(args = [], options = {}) {
      count += 1;
      const place = { store: path.join(home, 'store'), client: `c${count}` };
      const where = ['-D', place.store, '-C', place.client, '--local', '--create'];
      await backup([...where, ...args, tree], options);
      return savedPaths(place, tree);
    },
    async kept(args = [], options = {}) {
      const paths = fs.readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort();
      const requested = paths.flatMap((each) => ['--explain', path.join(tree, each)]);
      const printed = await succeed('tardis', ['--json', ...requested, ...args, tree], options);
      const { explanations } = JSON.parse(printed) as { explanations: { outcome: string }[] };
      return paths.filter((_path, index) => explanations[index]!.outcome === 'kept');
    },
    config(...lines) {
      count += 1;
      const file = written(home, `config${count}`, ['[Tardis]', ...lines, ''].join('\n'));
      return ['--config', file];
    },
  };
}

test('patterns come from option and key, and may contain any byte', async (t) => {
  const { tree, save, config } = bench(t, { 'a.o': '', 'sub/b.o': '', 'sub/keep.o': '', c: '' });
  fs.writeFileSync(Buffer.from(`${tree}/\u00ff\u00e9`, 'latin1'), '');
  const all = ['a.o', 'c', 'sub', 'sub/b.o', 'sub/keep.o', '\u00ff\u00e9'];
  t.deepEqual(await save(), all);
  const without = (...names: string[]): string[] => all.filter((each) => !names.includes(each));
  t.deepEqual(await save(['-x', '*.o']), without('a.o', 'sub/b.o', 'sub/keep.o'));
  t.deepEqual(await save(['-x', '*.o', '--exclude', '!keep.o']), without('a.o', 'sub/b.o'));
  t.deepEqual(await save(['-x', 'sub/b.o']), without('sub/b.o'));
  t.deepEqual(await save(['-x', `${tree}/a.o`, '-x', '/sub/b.o']), without('a.o'));
  t.deepEqual(await save(['-x', '/*']), all, 'a directory that is named is not left out');
  t.deepEqual(
    await save(config('ExcludePatterns = *.o "!keep.o"', '  c')),
    without('a.o', 'sub/b.o', 'c'),
  );
  const byByte = config('ExcludePatterns = \u00ff?');
  fs.writeFileSync(byByte[1]!, fs.readFileSync(byByte[1]!, 'utf8'), 'latin1');
  t.deepEqual(await save(byByte), without('\u00ff\u00e9'));
});

test('lists in configuration files have commas or blanks between their items', async (t) => {
  const files = { 'a.o': '', 'b.tmp': '', 'c,d': '', e: '', 'f.log': '', 'sub/g': '', 'two/h': '' };
  const { home, tree, save, config } = bench(t, files);
  const kept = (line: string): Promise<string[]> => save(config(...line.split('\n')));
  t.deepEqual(await kept('ExcludePatterns = *.o, *.tmp,*.log,\n  "c,d"'), [
    'e',
    'sub',
    'sub/g',
    'two',
    'two/h',
  ]);
  t.true((await kept('ExcludePatterns = c\\,?, e')).includes('a.o'));
  t.false((await kept('ExcludePatterns = c\\,?, e')).includes('c,d'));
  const dirs = await kept(`ExcludeDirs = ${tree}/sub, ${tree}/two`);
  t.false(dirs.some((name) => /^(sub|two)/.test(name)));
  const [one, two] = [path.join(home, 'one'), path.join(home, 'two')];
  fs.writeFileSync(one, '*.o\n');
  fs.writeFileSync(two, '*.tmp\n');
  const byFiles = await kept(`ExcludeFiles = ${one}, ${two}`);
  t.false(byFiles.some((name) => /\.(o|tmp)$/.test(name)));
  const logs = [path.join(home, 'log 1'), path.join(home, 'log2')];
  await kept(`LogFiles = "${logs[0]}", ${logs[1]}`);
  for (const log of logs) t.true(fs.existsSync(log), log);
  const place = ['-D', path.join(home, 'apart'), '-C', 'me'];
  const both = config(`Directories = ${tree}/sub, ${tree}/two`);
  await succeed('tardis', [...place, '--local', '--create', ...both]);
  const listed = await succeed('lstardis', [...place, '--json', tree]);
  t.is(jsonLines(listed).length, 2);
});

test('patterns come from the files of --exclude-file and ExcludeFiles', async (t) => {
  const { home, save, kept, config } = bench(t, { 'a.o': '', 'sub/b.o': '', 'c d': '' });
  const [one, two] = [path.join(home, 'one'), path.join(home, 'two')];
  fs.writeFileSync(one, '# objects\n*.o\n!b.o\n');
  fs.writeFileSync(two, 'sub/*.o\nc\\ d  \n');
  t.deepEqual(await save(['--exclude-file', one]), ['c d', 'sub', 'sub/b.o']);
  t.deepEqual(await kept(['-X', one, '-X', two]), ['sub']);
  t.deepEqual(await kept(config(`ExcludeFiles = ${one} ${two}`)), ['sub']);
  const missing = await run('tardis', ['-D', home, '--local', '-X', path.join(home, 'none'), home]);
  t.is(missing.status, 1);
  t.regex(
    missing.stderr,
    /cannot read the patterns in .*none: no such file or directory \(ENOENT\) \[CONFIG_INVALID\]/,
  );
});

test('--exclude-dir and ExcludeDirs exclude directories', async (t) => {
  const { home, tree, save, kept, config } = bench(t, {
    'a/tmp/x': '',
    'b/tmp/y': '',
    tmp: '',
    '.tardis-excludes': '!tmp\n',
  });
  const rest = ['.tardis-excludes', 'a', 'b', 'b/tmp', 'b/tmp/y', 'tmp'];
  t.deepEqual(await save(['--exclude-dir', `${tree}/a/tmp`, '--exclude-dir', `${tree}/tmp`]), rest);
  t.deepEqual(await kept(['--exclude-dir', 'tree/a/../a/tmp/'], { cwd: home }), rest);
  fs.symlinkSync('tree', path.join(home, 'link'));
  t.deepEqual(await kept(config(`ExcludeDirs = "${home}/link/a/tmp"`)), rest);
});

test('the global file comes from option, key and variable, and can be ignored', async (t) => {
  const { home, save, kept, config } = bench(t, {
    'a.o': '',
    b: '',
    '.tardis-excludes': 'b\n!c.o\n',
    'c.o': '',
  });
  const file = written(home, 'everywhere', '*.o\n!b\n');
  const [left, all] = [
    ['.tardis-excludes', 'c.o'],
    ['.tardis-excludes', 'a.o', 'c.o'],
  ];
  const env = { TARDIS_GLOBAL_EXCLUDES: file };
  t.deepEqual(await save(['--global-exclude-file', file]), left);
  t.deepEqual(await kept([], { env }), left);
  t.deepEqual(await kept(config(`GlobalExcludeFileName = ${file}`)), left);
  t.deepEqual(await kept(['--ignore-global-excludes'], { env }), all);
  t.deepEqual(await kept(['--global-exclude-file', '/dev/null'], { env }), all);
  const missing = await run('tardis', ['--explain', file, home], {
    env: { TARDIS_GLOBAL_EXCLUDES: path.join(home, 'none') },
  });
  t.is(missing.status, 1);
  t.regex(missing.stderr, /CONFIG_INVALID/);
});

test('the names of rule files come from options, keys and variables', async (t) => {
  const { save, kept, config } = bench(t, {
    mine: 'a\n',
    ours: 'b\n',
    '.tardis-excludes': 'c\n',
    '.tardis-exclude': 'd\n!c\n',
    '.tardis-local-excludes': 'e\n',
    '.tardis-local-exclude': 'f\n',
    'sub/a': '',
    'sub/b': '',
    'sub/c': '',
    'sub/d': '',
    'sub/e': '',
    'sub/f': '',
    a: '',
    b: '',
    c: '',
    d: '',
    e: '',
    f: '',
  });
  const letters = async (args: readonly string[], options: CommandOptions = {}): Promise<string> =>
    (await (args.length === 0 ? save : kept)(args, options))
      .filter((each) => /^(sub\/)?[a-f]$/.test(each))
      .map((each) => each.replace('sub/', '.'))
      .join(' ');
  const names = ['mine', 'ours'] as const;
  const local = 'b c d e f .b .c .d .e .f';
  t.is(await letters([]), 'a b .a .b .e .f');
  const byOption = ['--exclude-file-name', names[0], '--local-exclude-file-name', names[1]];
  const byBoth = 'c d e f .b .c .d .e .f';
  t.is(await letters(byOption), byBoth);
  t.is(await letters(config('ExcludeFileName = mine', 'LocalExcludeFileName = ours')), byBoth);
  const env = { TARDIS_EXCLUDES: names[0], TARDIS_LOCAL_EXCLUDES: names[1] };
  t.is(await letters([], { env }), byBoth);
  t.is(await letters(['--exclude-file-name', 'mine', '--local-exclude-file-name', 'none']), local);
});

test('the name of skip files comes from option, key and both variables', async (t) => {
  const { home, save, kept, config } = bench(t, {
    'a/.tardis-skip': '',
    'a/x/y': '',
    'b/mine': '',
    'b/x': '',
    '.tardis-skip': '',
  });
  const a = ['.tardis-skip', 'a', 'b', 'b/mine', 'b/x'];
  const b = ['.tardis-skip', 'a', 'a/.tardis-skip', 'a/x', 'a/x/y', 'b'];
  t.deepEqual(
    await save(),
    a,
    'the directory is there, nothing that is in it; a root is not skipped',
  );
  t.deepEqual(await kept(['--skip-file', 'mine']), b);
  t.deepEqual(await kept(['--skip-file-name', 'mine']), b);
  t.deepEqual(await kept(config('SkipFileName = mine')), b);
  t.deepEqual(await kept([], { env: { TARDIS_SKIP: 'mine' } }), b);
  t.deepEqual(await kept([], { env: { TARDIS_SKIPFILE: 'mine' } }), b);
  const defaults = written(home, 'defaults', '[Tardis]\nTARDIS_SKIP = mine\n');
  t.deepEqual(await save([], { env: { TARDIS_DEFAULTS: defaults } }), b, 'the server has it too');
  const store = path.join(home, 'store');
  t.true(fs.readdirSync(store).some((client) => fs.existsSync(path.join(store, client, 'mine'))));
});

test('in a sticky directory, nobody excludes what belongs to others', async (t) => {
  const kinds = ['.tardis-skip', '.tardis-excludes', '.tardis-local-excludes'];
  const directories = ['root', 'user', 'both'];
  const files = directories.flatMap((directory) =>
    kinds.flatMap((kind) => [`${directory}/of${kind}/${kind}`, `${directory}/of${kind}/x`]),
  );
  const { tree, save } = bench(t, Object.fromEntries(files.map((name) => [name, '*\n'])));
  if (!isRoot) return leaveOut(t, 'this needs root');
  const all = await save();
  const lost = (saved: readonly string[]): string[] =>
    files.filter((name) => !saved.includes(name) && name.endsWith('/x'));
  t.is(lost(all).length, files.length / 2, 'all of them exclude x');
  for (const name of directories.flatMap((each) => kinds.map((kind) => `${each}/of${kind}`))) {
    const [directory, kind] = [path.join(tree, name), path.basename(name).slice(2)];
    fs.chmodSync(directory, 0o1777);
    if (!name.startsWith('root')) fs.chownSync(path.join(directory, kind), OTHER_USER, OTHER_USER);
    if (name.startsWith('both')) fs.chownSync(directory, OTHER_USER, OTHER_USER);
  }
  t.deepEqual(
    lost(await save()),
    lost(all).filter((name) => !name.startsWith('user')),
  );
});

test('--skip-caches and SkipCaches exclude caches with a valid tag', async (t) => {
  const signature = 'Signature: 8a477f597d28d172789f06886806bc55';
  const { tree, save, kept, config } = bench(t, {
    'cache/CACHEDIR.TAG': `${signature}\n# made by a test`,
    'cache/x/y': '',
    'exact/CACHEDIR.TAG': signature,
    'exact/x': '',
    'wrong/CACHEDIR.TAG': signature.replace('8a', '8b'),
    'short/CACHEDIR.TAG': signature.slice(0, -1),
    'CACHEDIR.TAG': signature,
    'linked/x': '',
    'folder/CACHEDIR.TAG/x': '',
  });
  fs.symlinkSync('../cache/CACHEDIR.TAG', `${tree}/linked/CACHEDIR.TAG`);
  const all = await kept();
  const left = all.filter((each) => !/^(cache|exact)\//.test(each));
  t.is(all.length - left.length, 5);
  t.deepEqual(await save(['--skip-caches']), left);
  t.deepEqual(await kept(config('SkipCaches = yes')), left);
  t.deepEqual(await kept(['--no-skip-caches', ...config('SkipCaches = yes')]), all);
});

test('--cvs-ignore and IgnoreCVS exclude files of version control', async (t) => {
  const { save, kept, config } = bench(t, {
    '.git/x': '',
    '.svn/x': '',
    'sub/CVS/x': '',
    'RCS/x': '',
    '.hg/x': '',
    '.bzr/x': '',
    'SCCS/x': '',
    'a.c': '',
    'a.o': '',
    'b~': '',
    '#c#': '',
    'sub/keep.o': '',
    '.tardis-excludes': '!keep.o\n',
  });
  const left = ['.tardis-excludes', 'a.c', 'sub', 'sub/keep.o'];
  t.deepEqual(await save(['--cvs-ignore']), left);
  t.deepEqual(await kept(config('IgnoreCVS = true')), left);
  const all = await kept();
  t.true(all.includes('.git/x') && all.includes('#c#'));
  t.deepEqual(await kept(['--nocvs-ignore', ...config('IgnoreCVS = true')]), all);
});

test('--max-file-size and MaxFileSize exclude larger files', async (t) => {
  const { save, kept, config } = bench(t, {
    small: 'x'.repeat(1024),
    'sub/large': 'x'.repeat(1025),
  });
  const left = ['small', 'sub'];
  t.deepEqual(await save(['--max-file-size', '1K']), left);
  t.deepEqual(await kept(config('MaxFileSize = 1k')), left);
  t.deepEqual(await kept(['--max-file-size', '0', ...config('MaxFileSize = 1')]), [
    ...left,
    'sub/large',
  ]);
});

test('--exclude-no-access and ExcludeNoAccess exclude what the user may not read', async (t) => {
  const { home, tree, config } = bench(t, {
    open: '1',
    'closed.file': '2',
    'closed/x': '',
    'listed/x': '',
    'sub/y': '',
  });
  fs.chmodSync(`${tree}/closed.file`, 0o200);
  fs.chmodSync(`${tree}/closed`, 0o300);
  fs.chmodSync(`${tree}/listed`, 0o400);
  const options = isRoot ? { uid: OTHER_USER } : {};
  if (isRoot) spawnSync('chown', ['-R', String(OTHER_USER), tree]);
  const place = (client: string): string[] => [
    '-D',
    `${home}/store`,
    '-C',
    client,
    '--local',
    '--create',
  ];
  const reported = exited(t, 3, await run('tardis', [...place('told'), tree], options));
  t.regex(reported.stderr, /closed\.file: unreadable: permission denied \(EACCES\)/);
  const left = ['open', 'sub', 'sub/y'];
  for (const args of [['--exclude-no-access'], config('ExcludeNoAccess = yes')]) {
    const client = args.length === 1 ? 'option' : 'key';
    await succeed('tardis', [...place(client), ...args, tree], options);
    t.deepEqual(await savedPaths({ store: `${home}/store`, client }, tree), left);
  }
  fs.chmodSync(`${tree}/closed`, 0o700);
});

test('--exclude-nodump and ExcludeNoDump exclude files with the attribute', async (t) => {
  const { tree, save, kept, config } = bench(t, { 'a/x': '', 'b/x': '', file: '', other: '' });
  const set = spawnSync('chattr', ['+d', `${tree}/a`, `${tree}/file`]);
  const all = await kept();
  if (set.status !== 0) {
    t.log('this file system keeps no such attribute');
    t.deepEqual(await kept(['--exclude-nodump']), all);
    return;
  }
  const left = ['b', 'b/x', 'other'];
  t.deepEqual(await save(['--exclude-nodump']), left);
  t.deepEqual(await kept(config('ExcludeNoDump = yes')), left);
  t.deepEqual(await kept(['--no-exclude-nodump', ...config('ExcludeNoDump = yes')]), all);
});

test('--explain names the rule, its file and its line', async (t) => {
  const { home, tree, config } = bench(t, {
    '.tardis-excludes': '# objects\n*.o\n!keep.o\nout/\n',
    'a.o': '',
    'keep.o': '',
    'out/x': '',
    plain: '',
    'skipped/.tardis-skip': '',
    'skipped/x': '',
    'sub/.tardis-local-excludes': 'b\n',
    'sub/b': '',
    'sub/c/b': '',
  });
  fs.writeFileSync(Buffer.from(`${tree}/\u00ff.o`, 'latin1'), '');
  const explain = async (name: string, ...more: string[]): Promise<string> =>
    succeed('tardis', ['--explain', path.join(tree, name), ...more, tree]);
  const rules = `${tree}/.tardis-excludes`;
  t.is(await explain('a.o'), `${tree}/a.o: left out: ${rules}:2: *.o\n`);
  t.is(await explain('keep.o'), `${tree}/keep.o: kept by ${rules}:3: !keep.o\n`);
  t.is(
    await explain('out/x'),
    `${tree}/out/x: left out, as ${tree}/out is left out: ${rules}:4: out/\n`,
  );
  t.is(await explain('plain'), `${tree}/plain: kept; no rule matches it\n`);
  t.is(await explain('plain', '-x', 'p*'), `${tree}/plain: left out: --exclude: p*\n`);
  t.is(
    await explain('sub/b'),
    `${tree}/sub/b: left out: ${tree}/sub/.tardis-local-excludes:1: b\n`,
  );
  t.is(await explain('sub/c/b'), `${tree}/sub/c/b: kept; no rule matches it\n`);
  t.regex(await explain('skipped/x'), /left out: its directory contains a skip file\n$/);
  t.regex(
    await explain('skipped'),
    /kept.*, but without its contents: its directory contains a skip file/,
  );
  t.regex(await explain('../other'), /not in any of the directories/);
  const missing = exited(t, 1, await run('tardis', ['--explain', `${tree}/none/x`, tree]));
  t.is(missing.stdout, `${tree}/none/x: ${tree}/none is missing\n`);
  // The directories may come from the configuration, as for a backup.
  const args = [
    '--explain',
    'tree/a.o',
    '--explain',
    'tree/plain',
    '--json',
    ...config(`Directories = ${tree}`),
  ];
  const { explanations } = JSON.parse(await succeed('tardis', args, { cwd: home })) as {
    explanations: Record<string, unknown>[];
  };
  t.like(explanations[0], {
    outcome: 'leftOut',
    reason: 'rule',
    rule: { file: { name: rules }, line: 2, pattern: { name: '*.o' } },
  });
  t.like(explanations[1], { outcome: 'kept', reason: null, rule: null });
});

test('what is left out later is closed, and its content is not sent again when it comes back', async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = path.join(home, 'tree');
  const content = (name: string): string => `${name} `.repeat(1000);
  fill(tree, { 'a.log': content('a'), 'deep/er/b.log': content('b'), 'deep/c': content('c') });
  const place = { store: path.join(home, 'store'), client: 'me' };
  const args = ['-D', place.store, '-C', 'me', '--local', tree];
  const whole = ['a.log', 'deep', 'deep/c', 'deep/er', 'deep/er/b.log'];
  const rules = path.join(tree, '.tardis-excludes');
  t.is((await backup([...args, '--create'])).progress.contentsSent, 3);
  fs.writeFileSync(rules, '*.log\n');
  const second = exited(t, 0, await run('tardis', [...args, '-vv']));
  const printed = second.stdout + second.stderr;
  t.true(printed.includes(`x ${tree}/deep/er/b.log (${rules}:1: *.log)`), printed);
  t.true(printed.includes('2 left out by exclude rules'), printed);
  t.deepEqual(await savedPaths(place, tree), ['.tardis-excludes', 'deep', 'deep/c', 'deep/er']);
  t.deepEqual(await savedPaths(place, tree, '1'), whole, 'older sets have it');
  const shown = ['-D', place.store, '-C', 'me', '--json'];
  const listed = await run('lstardis', [...shown, '-b', '2', `${tree}/a.log`]);
  t.regex(listed.stdout, /NO_SUCH_PATH/, 'the newer set has none');
  await succeed('lstardis', [...shown, '-b', '1', `${tree}/a.log`]);
  fs.unlinkSync(rules);
  const back = await backup(args);
  t.like(back.progress, { contentsSent: 0, sentBytes: 0, leftOut: 0 }, 'the contents are there');
  t.deepEqual(await savedPaths(place, tree), whole);
});

test('a rule file that is too large is saved, and reported in every run until it is not', async (t) => {
  const { home, tree } = bench(t, { '.tardis-excludes': '*.o\n'.repeat(40_000), 'a.o': '', b: '' });
  const args = ['-D', path.join(home, 'store'), '-C', 'me', '--local', tree];
  for (const more of [['--create'], []]) {
    const { stderr } = exited(t, 3, await run('tardis', [...args, ...more]));
    t.true(stderr.includes(`${tree}/.tardis-excludes: unreadable (rules: too large)`), stderr);
  }
  const place = { store: path.join(home, 'store'), client: 'me' };
  t.deepEqual(await savedPaths(place, tree), ['.tardis-excludes', 'a.o', 'b']);
  const reported = await succeed('tardis', ['--explain', `${tree}/a.o`, tree]);
  t.regex(reported, /kept by .*cannot be read.*\n {2}.*does not apply \(rules: too large\)/);
  fs.writeFileSync(path.join(tree, '.tardis-excludes'), '*.o\n');
  await succeed('tardis', args);
  t.deepEqual(await savedPaths(place, tree), ['.tardis-excludes', 'b']);
});

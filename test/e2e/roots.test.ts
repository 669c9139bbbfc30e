// Pace: slow
/** Roots of a walk: roots that are suddenly empty or elsewhere, other file systems, depth, base paths. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  type BackupReport,
  backupsRunHere,
  BIN,
  jsonLines,
  run,
  succeed,
} from '../helpers/commands.js';
import { dumpHistory } from '../helpers/inline.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { removeScratch, scratchInMemory } from '../helpers/scratch.js';
import { dir, differences, file, look, makeTree } from '../helpers/tree.js';

backupsRunHere();

/** Runs a backup that must end with this status; returns its report. */
async function ends(
  status: number,
  args: readonly string[],
): Promise<BackupReport & { readonly stderr: string }> {
  const outcome = await run('tardis', ['--json', ...args]);
  if (outcome.status !== status) throw new Error(`${outcome.status}: ${outcome.stderr}`);
  return { ...(JSON.parse(outcome.stdout) as BackupReport), stderr: outcome.stderr };
}

async function names(place: readonly string[], directory: string, set?: number): Promise<string[]> {
  const of = set === undefined ? [] : ['-b', String(set)];
  const { status, stdout } = await run('lstardis', [...place, ...of, '--json', directory]);
  if (status !== 0 && status !== 3) throw new Error(`lstardis: ${status}`); // 3: the root was protected
  return jsonLines<{ name: string }>(stdout).map(({ name }) => name);
}

/** Runs a shell script with mounts of its own, and returns what it prints; undefined where nothing can be mounted. */
function amongOwnMounts(
  t: ExecutionContext,
  script: string,
  words: readonly string[],
): string | undefined {
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) {
    return leaveOut(t, 'left out: only root can mount');
  }
  const options = { encoding: 'utf8', timeout: 120_000 } as const;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', script, ...words],
    options,
  );
  t.is(status, 0, stderr);
  return stdout;
}

test('a root that is suddenly empty keeps its entries unless --trust-roots is given', async (t) => {
  const { at, place, source, store } = lab(t, [file('a', 'a'), dir('b', [file('c', 'c')])]);
  const other = at('other');
  makeTree(other, [file('x', 'x')]);
  const before = look(source);
  const local = [...place, '--local', source, other];
  await backup([...local, '--create']);
  for (const name of fs.readdirSync(source))
    fs.rmSync(path.join(source, name), { recursive: true });
  fs.writeFileSync(path.join(other, 'y'), 'y');

  const { progress, failed } = await ends(3, local);
  t.is(progress.protected, 1);
  t.deepEqual(failed, [{ name: source, what: 'protected', reason: 'it is empty now' }]);
  const { stderr, stdout } = exited(t, 3, await run('tardis', local));
  t.regex(stderr, /tree: protected \(it is empty now\)/);
  t.regex(stdout, /--trust-roots/);
  const restored = async (into: string): Promise<string[]> => {
    const out = at(into);
    const { stderr } = exited(t, 3, await run('regenerate', [...place, '-o', out, source]));
    t.regex(stderr, /^regenerate: tree: the backup took nothing from it: it is empty now;/m);
    return differences(before, look(path.join(out, 'tree')));
  };
  t.deepEqual(await restored('out'), []);
  t.deepEqual(await names(place, other), ['x', 'y'], 'the other root goes on');

  const reported = await dumpHistory({ store, client: 'me' });
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  t.deepEqual(await dumpHistory({ store, client: 'me' }), reported);
  t.is((await ends(3, local)).progress.protected, 1);
  t.deepEqual(await restored('rebuilt'), []);

  t.is((await backup([...local, '--trust-roots'])).progress.protected, 0);
  t.deepEqual(await names(place, source), []);
  t.deepEqual(await names(place, source, 1), ['a', 'b']);
  t.is((await backup(local)).progress.protected, 0, 'what was empty last time is no surprise');
});

test('a root on another device is left as it was, a new directory on the same one is not', async (t) => {
  const home = scratchInMemory(t);
  const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-e2e-'));
  t.teardown(() => removeScratch(elsewhere));
  const [store, first, second] = ['store', 'one/tree', 'two/tree'].map((name) =>
    path.join(home, name),
  ) as [string, string, string];
  fs.mkdirSync(path.dirname(first));
  fs.mkdirSync(path.dirname(second));
  makeTree(first, [file('a', 'a'), file('b', 'b')]);
  makeTree(second, [file('a', 'a'), file('c', 'c')]);
  const third = path.join(elsewhere, 'tree');
  makeTree(third, [file('a', 'a'), file('d', 'd'), dir('sub', [dir('deeper', [file('e')])])]);
  const place = ['-D', store, '-C', 'me'];
  const local = [...place, '--local', '--basepath', 'none'];
  await backup([...local, '--create', first]);
  await backup([...local, second]);
  t.deepEqual(await names(place, '/tree'), ['a', 'c']);
  if (fs.statSync(home).dev === fs.statSync(elsewhere).dev) {
    t.log('left out: no second file system here');
    return;
  }
  t.is((await ends(3, [...local, third])).progress.protected, 1);
  t.deepEqual(await names(place, '/tree'), ['a', 'c']);
  await backup([...local, '--trust-roots', third]);
  t.deepEqual(await names(place, '/tree'), ['a', 'd', 'sub']);
  await backup([...local, third]);
  t.is((await ends(3, [...local, second])).progress.protected, 1, 'it has moved');
});

test('other file systems are entered only with --crossdevice', (t) => {
  const { store, source } = lab(t, [dir('mount'), file('own', 'own')]);
  const script = `
    set -e
    mount -t tmpfs none "$0/mount"
    mkdir "$0/mount/below"; echo inside > "$0/mount/below/file"
    "$1/tardis" -D "$2" -C me --local --create "$0"
    "$1/lstardis" -D "$2" -C me "$0/mount"; echo --
    "$1/tardis" -D "$2" -C me --local --crossdevice "$0"
    "$1/lstardis" -D "$2" -C me "$0/mount/below"; echo --
    "$1/tardis" -D "$2" -C me --local --no-crossdevice "$0"
    "$1/lstardis" -D "$2" -C me "$0/mount/below"; echo --
    "$1/regenerate" -D "$2" -C me -o "$2/out" "$0"; cat "$2/out/tree/mount/below/file"`;
  const stdout = amongOwnMounts(t, script, [source, BIN, store]);
  if (stdout === undefined) return;
  const [first, second, third, last] = stdout.split('--\n');
  t.notRegex(first!, /^below$/m);
  t.regex(second!, /^file$/m);
  t.regex(third!, /^file$/m, 'what is not looked at stays as it was');
  t.regex(last!, /^inside$/m);
});

test('the end of each run names the mounts that were not entered, unless they are roots', (t) => {
  const mounts = ['a', 'b', 'c', 'd', 'e', 'f\u001b'];
  const { store, source } = lab(
    t,
    [...mounts, 'skipped', 'plain'].map((name) => dir(name)),
  );
  const script = `
    set -e
    for name in a b c d e f skipped; do mount -t tmpfs none "$0/$name"*; done
    "$1/tardis" -D "$2" -C me --local --create --exclude skipped "$0"; echo --
    "$1/tardis" -D "$2" -C me --local --exclude skipped -n "$0"; echo --
    "$1/tardis" -D "$2" -C me --local --exclude skipped "$0" "$0"/[b-f]*; echo --
    "$1/tardis" -D "$2" -C me --local --exclude skipped --json "$0"; echo --
    "$1/tardis" -D "$2" -C me --local --crossdevice --exclude skipped "$0"; echo --
    "$1/sonic" info -D "$2" -C me 1`;
  const stdout = amongOwnMounts(t, script, [source, BIN, store]);
  if (stdout === undefined) return;
  const [backup, dry, roots, json, crossed, info] = stdout.split('--\n');
  const named = ['a', 'b', 'c', 'd', 'e'].map((name) => path.join(source, name));
  const all = `6 mounts or subvolumes were not entered: ${named.join(', ')}, 1 more; `;
  t.true(backup!.includes(all), backup);
  t.true(dry!.includes(all), dry);
  t.true(roots!.includes(`1 mount or subvolume was not entered: ${named[0]}; `), roots);
  const { progress } = JSON.parse(json!) as {
    progress: { notEntered: { count: number; first: { name: string }[] } };
  };
  t.deepEqual(progress.notEntered, { count: 6, first: named.map((name) => ({ name })) });
  t.notRegex(crossed!, /not entered/);
  t.regex(info!, /^not entered +6$/m);
});

test('directories below the given depth are not entered', async (t) => {
  const { source, place } = lab(t, [
    file('1', '1'),
    dir('a', [file('2', '2'), dir('b', [file('3', '3')])]),
  ]);
  const at = (...below: string[]): Promise<string[]> => names(place, path.join(source, ...below));
  await backup([...place, '--local', '--create', '--maxdepth', '1', source]);
  t.deepEqual([await at(), await at('a')], [['1', 'a'], []]);
  await backup([...place, '--local', '--maxdepth', '2', '--walk-concurrency', '2', source]);
  t.deepEqual([await at(), await at('a'), await at('a', 'b')], [['1', 'a'], ['2', 'b'], []]);
  await backup([...place, '--local', source]);
  t.deepEqual(await at('a', 'b'), ['3']);
  fs.rmSync(path.join(source, 'a', '2'));
  await backup([...place, '--local', '--maxdepth', '1', source]);
  t.deepEqual(await at('a'), ['2', 'b'], 'what is not looked at stays as it was');
  await backup([...place, '--local', '--maxdepth', '0', source]);
  t.deepEqual(await at('a'), ['b']);
});

test('directories are stored under full, shortened or no paths', async (t) => {
  const home = scratchInMemory(t);
  const sources = ['x/one', 'x/y/two', 'z/two'].map((name) => path.join(home, 'all', name)) as [
    string,
    string,
    string,
  ];
  for (const source of sources) {
    fs.mkdirSync(path.dirname(source), { recursive: true });
    makeTree(source, [file(path.basename(source), source)]);
  }
  const kept = async (style: string, directories: readonly string[]): Promise<string[]> => {
    const place = ['-D', path.join(home, 'store'), '-C', `${style}${directories.length}`];
    await backup([...place, '--local', '--create', '--basepath', style, ...directories]);
    const set = await dumpHistory({ store: place[1]!, client: place[3]! });
    return set
      .map((line) => /^1 (\S+\/\S+) 1,/.exec(line)?.[1])
      .filter((name) => name !== undefined)
      .sort();
  };
  const [one, two] = sources;
  t.deepEqual(
    await kept('full', sources),
    sources.map((name) => `${name}/${path.basename(name)}`).sort(),
  );
  t.deepEqual(await kept('common', sources), ['/x/one/one', '/x/y/two/two', '/z/two/two']);
  t.deepEqual(await kept('common', [one, two]), ['/one/one', '/y/two/two']);
  t.deepEqual(await kept('common', [two]), ['/two/two']);
  t.deepEqual(await kept('none', [one, two]), ['/one/one', '/two/two']);
  const refused = await run('tardis', ['-D', home, '--local', '--basepath', 'none', ...sources]);
  t.is(refused.status, 1);
  t.regex(refused.stderr, /would both be stored as \/two.*\[USAGE\]/s);
});

test('of several directories those that are there are saved, and the others are held', async (t) => {
  const { at, place, written } = lab(t, []);
  const [one, two] = [at('tree one'), at('tree two')];
  makeTree(one, [file('a', 'a')]);
  makeTree(two, [file('b', 'b')]);
  const before = look(two);
  const config = written('cfg', `[Tardis]\nDirectories = "${one}" "${two}"\n`);
  const args = [...place, '--local', '--basepath', 'common', '--config', config];
  await backup([...args, '--create']);
  fs.renameSync(two, `${two} elsewhere`);
  fs.writeFileSync(path.join(one, 'new'), 'n');
  const report = await ends(3, args);
  t.is(report.progress.unreadable, 1);
  t.deepEqual(report.failed, [
    {
      name: two,
      what: 'unreadable',
      reason: 'it cannot be opened: no such file or directory (ENOENT)',
    },
  ]);
  t.deepEqual(await names(place, '/tree one'), ['a', 'new']);
  const requested = await run('lstardis', [...place, '-b', '2', '/tree two']);
  t.regex(requested.stderr, /set 1 has it: -b 1/);

  fs.renameSync(`${two} elsewhere`, two);
  await backup(args);
  const out = at('out');
  await succeed('regenerate', [...place, '-o', out, '/tree two']);
  t.deepEqual(differences(before, look(path.join(out, 'tree two'))), []);
  t.is((await run('tardis', [...place, '--local', `${one} no`, `${two} no`])).status, 1);
});

test('directories are stored under the paths given for them', async (t) => {
  const { at, place, written } = lab(t, []);
  const [one, two] = [at('one'), at('two')];
  for (const source of [one, two]) makeTree(source, [file(path.basename(source), source)]);
  const to = ['--local', ...place];
  await backup(['--create', ...to, '--kept-as', 'peach', '--kept-as', '/fruit/plum', one, two]);
  t.is(await succeed('lstardis', [...place, '/peach']), 'one\n');
  t.is(await succeed('lstardis', [...place, '/fruit/plum']), 'two\n');
  // Paths saved by separate runs: each set contains one of them, and `--last` finds the newest version of each.
  const config = written('cfg', `[Tardis]\nDirectories = "${one}"\nKeptAs = /pear\n`);
  await backup(['--config', config, ...to]);
  await backup([...to, '--kept-as', '/peach', two]); // this path had another directory in the last run
  const out = at('out');
  await succeed('regenerate', [...place, '--last', '-o', out, '/peach', '/pear', '/fruit/plum']);
  t.deepEqual(
    ['peach', 'pear', 'plum'].map((name) => fs.readdirSync(path.join(out, name))),
    [['two'], ['one'], ['two']],
  );
  for (const [args, why] of [
    [['--kept-as', '/a', one, two], /1 given for 2 directories/],
    [['--kept-as', '/a', '--kept-as', '/a/b', one, two], /\/a\/b is in \/a/],
    [['--kept-as', '/a', '--kept-as', '/a', one, two], /\/a is in \/a/],
    [['--kept-as', '/a', '--kept-as', '/b', one, one], /two paths at once/],
    [['--kept-as', '/', '--kept-as', '/a', one, two], /not a path/],
    [['--kept-as', '/a/../b', one], /not a path/],
    [['--kept-as', '/a', '--basepath', 'none', one], /cannot be used with --basepath/],
  ] as const) {
    const refused = exited(t, 1, await run('tardis', [...to, ...args]));
    t.regex(refused.stderr, why);
    t.regex(refused.stderr, /\[USAGE\]/);
  }
  await backup([...to, '--kept-as', '/', one]);
  const listed = await succeed('lstardis', [...place, '/']);
  t.deepEqual(listed.trim().split(/\s+/), fs.readdirSync(one).sort(), 'a copy of all of a machine');
});

test.serial('an error with which the session of a complete set ends is a warning', async (t) => {
  const { source, place } = lab(t);
  await backup([...place, '--local', '--create', source]);
  const close = fs.closeSync;
  t.teardown(() => {
    fs.closeSync = close;
  });
  fs.closeSync = (fd) => {
    const isLock = fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('/me/lock');
    close(fd);
    if (!isLock) return;
    throw Object.assign(new Error('EIO: i/o error, close'), { code: 'EIO', syscall: 'close' });
  };
  const { status, stdout, stderr } = await run('tardis', [...place, '--local', source]);
  t.is(status, 3, stderr);
  t.regex(stdout, /^Backup set 2 .* is complete\.$/m);
  t.regex(stderr, /^tardis: \/.*\/me: EIO: i\/o error, close \[IO_FAILED\]\n$/);
});

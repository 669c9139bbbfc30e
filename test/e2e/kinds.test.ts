// Pace: slow
/** All types and properties of files, through backup, catalog, rebuild and restore, by command. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  type BackupReport,
  backupsRunHere,
  jsonLines,
  rest,
  run,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { everyKind, here, leftOut } from '../helpers/kinds.js';
import { leaveOut } from '../helpers/left-out.js';
import { readersAgree } from '../helpers/second-reader.js';
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
  node,
  noise,
  sparse,
  symlink,
} from '../helpers/tree.js';

backupsRunHere();

const NOBODY = 65_534;
const TIB = 2 ** 40;
const MIB = 1 << 20;

test('every kind of entry comes back, later sets and a rebuilt catalog included', async (t) => {
  for (const what of leftOut()) t.log(`left out: ${what}`);
  const { store, source, place, at } = lab(t, everyKind());
  const before = look(source);
  await rest();
  const first = await backup([...place, '--local', '--create', source]);
  t.is(first.progress.unreadable + first.progress.changed + first.progress.incomplete, 0);
  t.is(first.progress.entries, before.size - 1);
  t.true(first.progress.readBytes < 120 * MIB, 'holes were read');
  t.true(first.storedBytes < 120 * MIB, 'holes were stored');
  const restored = async (into: string, set = 1): Promise<string[]> => {
    const out = at(into);
    await succeed('regenerate', [...place, '-b', String(set), '-o', out, source]);
    return differences(before, look(path.join(out, 'tree')));
  };
  t.deepEqual(await restored('out'), []);

  const second = await backup([...place, '--local', source]);
  t.is(second.progress.filesRead, 0);
  t.is(second.progress.sameDirectories, second.progress.directories);
  t.deepEqual(await restored('second', 2), []);

  const shown = (): Promise<string> =>
    succeed('lstardis', [
      ...place,
      '--json',
      path.join(source, 'holes'),
      path.join(source, 'root'),
    ]);
  const listed = await shown();
  type Listed = { name: string; birthTimeNs?: string; device?: string };
  for (const { name, birthTimeNs, device } of jsonLines<Listed>(listed)) {
    const places = ['holes', 'root'].map((top) => path.join(source, top, name));
    const found = places.find((place) => fs.lstatSync(place, { throwIfNoEntry: false }));
    const stat = fs.lstatSync(found!, { bigint: true });
    t.is(birthTimeNs ?? '0', String(stat.birthtimeNs), name);
    if (device !== undefined) t.is(device, String(stat.rdev), name);
  }
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  t.is(await shown(), listed);
  t.deepEqual(await restored('rebuilt'), []);
  const third = await backup([...place, '--local', source]);
  t.is(third.progress.contentsSent, 0, 'a rebuilt catalog knows what the store holds');
  t.deepEqual(await restored('third', 3), []);
  await readersAgree(t, source, place);
});

test('a change of attributes alone makes a version, and sends no content again', async (t) => {
  if (!here.attributes) return leaveOut(t, 'left out: this file system has no attributes');
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const attributes = { 'user.a': 'old' };
  makeTree(
    source,
    [
      dir('below', [
        file('file', 'content', { attributes }),
        file('large', noise(1, 2 * MIB), { attributes }),
        file('empty', '', { attributes }),
        dir('directory', [], { attributes }),
        file('untouched', 'same', { attributes }),
      ]),
    ],
    { attributes },
  );
  const place = ['-D', store, '-C', 'me'];
  const states = [look(source)];
  await rest();
  await backup([...place, '--local', '--create', source]);
  const set = (value: string, ...names: string[]): void => {
    const line = ['-n', 'user.a', '-v', value, path.join(source, ...names)];
    t.is(spawnSync('setfattr', line).status, 0);
  };
  for (const name of ['file', 'large', 'empty', 'directory']) set('new', 'below', name);
  set('new');
  states.push(look(source));
  t.is(differences(states[0]!, states[1]!).length, 5);
  await rest();
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.contentsSent, 0);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  for (const [index, state] of states.entries()) {
    const out = path.join(home, `out ${index}`);
    await succeed('regenerate', [...place, '-b', String(index + 1), '-o', out, source]);
    t.deepEqual(differences(state, look(path.join(out, 'tree'))), []);
  }
  const versions = await succeed('lstardis', [
    ...place,
    '-V',
    '--json',
    path.join(source, 'below', 'untouched'),
  ]);
  t.is(jsonLines(versions).length, 1);
});

/** Script that makes each Node process of a command append its peak memory to a file when it exits. */
const PRINT_PEAK = `process.on('exit', () => {
  const fs = require('node:fs');
  const peak = /^VmHWM:\\s+(\\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
  fs.appendFileSync(process.env.PEAKS_FILE, peak + '\\n');
});`;

/** Runs a command to its end, and requires that none of its processes had more memory. Returns its output. */
async function runBelow(
  t: ExecutionContext,
  home: string,
  mostBytes: number,
  [tool, args]: readonly [Tool, readonly string[]],
): Promise<string> {
  const [script, peaks] = [path.join(home, 'peak.cjs'), path.join(home, `peaks of ${tool}`)];
  fs.writeFileSync(script, PRINT_PEAK);
  const env = { NODE_OPTIONS: `--require ${script}`, PEAKS_FILE: peaks };
  const stdout = await succeed(tool, args, { env, isProcess: true });
  const reported = fs.readFileSync(peaks, 'utf8').trim().split('\n').map(Number);
  t.true(reported.length > 0, 'each process reports its peak');
  t.true(
    reported.every((peakKib) => peakKib * 1024 < mostBytes),
    `${tool}: ${reported.join(', ')} kB resident`,
  );
  return stdout;
}

/** Script that makes nested directories with long names, each with a file. No single path could name the lowest ones. */
const MAKE_DEEP = `const fs = require('node:fs');
for (let level = 0; level < 2000; level += 1) {
  const name = String(level).padEnd(200, 'x');
  fs.mkdirSync(name);
  fs.writeFileSync('file', name.slice(0, 4));
  process.chdir(name);
}`;

test('directories with paths of 400 KB, 400 MB in all, cost no more memory than others', async (t) => {
  const { home, store, source, at } = lab(t, []);
  const out = at('out');
  try {
    const made = spawnSync(process.execPath, ['-e', MAKE_DEEP], { cwd: source, encoding: 'utf8' });
    t.is(made.status, 0, made.stderr);
    const place = ['-D', store, '-C', 'me'];
    const args = [...place, '--local', '--json', '--create', source];
    const { progress } = JSON.parse(
      await runBelow(t, home, 400 * MIB, ['tardis', args]),
    ) as BackupReport;
    t.deepEqual([progress.entries, progress.unreadable, progress.filesRead], [4000, 0, 2000]);
    const listed = [...place, '--recurse', '--noheaders', source];
    await runBelow(t, home, 300 * MIB, ['lstardis', listed]);
    const restored = [...place, '--json', '-o', out, source];
    const { files } = JSON.parse(await runBelow(t, home, 400 * MIB, ['regenerate', restored])) as {
      readonly files: number;
    };
    t.is(files, 2000);
  } finally {
    spawnSync('rm', ['-rf', source, out]); // by path, node:fs does not reach the lowest ones
  }
});

test('a sparse file of 16 TiB costs what its data cost', async (t) => {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const sizeBytes = 16 * TIB;
  const data = [
    [12_345_678, noise(1, 100_000)],
    [sizeBytes - 5000, noise(2, 5000)],
  ] as const;
  try {
    makeTree(source, [sparse('huge', sizeBytes, data)]);
  } catch (error) {
    if ((error as { code?: string }).code !== 'EFBIG') throw error;
    t.log('left out: files cannot be as large here');
    t.pass();
    return;
  }
  const before = look(source);
  const place = ['-D', store, '-C', 'me'];
  const args = [...place, '--local', '--json', '--create', source];
  const stdout = await runBelow(t, home, 300 * MIB, ['tardis', args]);
  const report = JSON.parse(stdout) as BackupReport;
  t.true(report.progress.readBytes < MIB, `read ${report.progress.readBytes}`);
  t.true(report.storedBytes < MIB, `stored ${report.storedBytes}`);
  const out = path.join(home, 'out');
  const restored = await succeed('regenerate', [...place, '--json', '-o', out, source]);
  t.true((JSON.parse(restored) as { bytes: number }).bytes < MIB);
  t.deepEqual(differences(before, look(path.join(out, 'tree'))), []);
  t.true(fs.statSync(path.join(out, 'tree', 'huge')).blocks * 512 < MIB);
});

test('attributes of many entries take several messages', async (t) => {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const many = Array.from({ length: 150 }, (_, index) => {
    const attributes = { 'user.large': noise(index, 60_000) };
    return index % 3 === 0
      ? dir(`${index}`, [file('below', 'x')], { attributes })
      : file(`${index}`, index % 3 === 1 ? '' : `content ${index}`, { attributes });
  });
  try {
    makeTree(source, [dir('many', many)]);
  } catch (error) {
    if (!/ENOSPC|ENOTSUP/.test(String(error))) throw error;
    t.log('left out: this file system keeps no such attributes');
    t.pass();
    return;
  }
  const before = look(source);
  const place = ['-D', store, '-C', 'me'];
  const report = await backup([...place, '--local', '--create', source]);
  t.true(report.wireBytes > 9_000_000 && report.progress.incomplete === 0);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  await succeed('regenerate', [...place, '-o', path.join(home, 'out'), source]);
  t.deepEqual(differences(before, look(path.join(home, 'out', 'tree'))), []);
});

test('what an ordinary user may not restore is reported, and the rest goes on', async (t) => {
  if (!isRoot) {
    return leaveOut(t, 'left out: only root can make what an ordinary user may not restore');
  }
  const { home, store, source, place, at } = lab(t, [
    node('block', 'blockDevice', {}, 0x703n),
    hardlink('second name', 'block'),
    node('fifo', 'fifo'),
    node('socket', 'socket'),
    file('plain', 'plain'),
    ...(here.attributes
      ? [
          file('trusted', 'kept', { attributes: { 'trusted.t': 't', 'user.u': 'u' } }),
          symlink('link', 'plain', { attributes: { 'trusted.l': 'l' } }),
          dir('directory', [file('in it', 'x')], { attributes: { 'trusted.d': 'd' } }),
        ]
      : []),
  ]);
  fs.chmodSync(home, 0o755);
  await backup([...place, '--local', '--create', source]);
  spawnSync('chmod', ['-R', 'a+rX', store]);
  const out = at('out');
  fs.mkdirSync(out);
  fs.chownSync(out, NOBODY, NOBODY);
  const line = [...place, '--json', '-o', out, source];
  const { stdout } = exited(t, 3, await run('regenerate', line, { uid: NOBODY }));
  type Failed = { name: string; code: string };
  const { failed } = JSON.parse(stdout) as { failed: Failed[] };
  t.deepEqual(
    failed.map(({ name, code }) => `${name} ${code}`).sort(),
    [
      ...(here.attributes
        ? ['directory', 'link', 'trusted'].map((name) => `tree/${name} ATTRIBUTE_NOT_SET`)
        : []),
      'tree/block SPECIAL_FILE',
      'tree/second name TARGET_EXISTS',
    ].sort(),
  );
  const found = look(path.join(out, 'tree'));
  t.regex(found.get('fifo') ?? '', /^fifo /);
  t.regex(found.get('socket') ?? '', /^socket /);
  t.is(fs.readFileSync(path.join(out, 'tree', 'plain'), 'utf8'), 'plain');
  if (here.attributes) {
    t.regex(found.get('trusted') ?? '', /user\.uu/);
    t.regex(found.get('link') ?? '', /-> plain/);
    t.true(found.has('directory/in it'));
  }
});

test('what is restored gets no ACL from the place it is restored to', async (t) => {
  const { source, place, at } = lab(t, [file('file', 'f'), dir('directory', [file('below', 'b')])]);
  const out = at('out');
  const before = look(source);
  await backup([...place, '--local', '--create', source]);
  fs.mkdirSync(out);
  if (spawnSync('setfacl', ['-d', '-m', 'u:4321:rwx', out]).status !== 0)
    t.log('left out: no ACLs');
  await succeed('regenerate', [...place, '-o', out, source]);
  t.deepEqual(differences(before, look(path.join(out, 'tree'))), []);
});

test('attributes too large to be kept are reported, and read again next time', async (t) => {
  const { store, source, at } = lab(t, [dir('below', [file('plain', 'plain')])]);
  const value = 'v'.repeat(60_000);
  try {
    const attributes = Object.fromEntries([1, 2, 3].map((index) => [`user.${index}`, value]));
    addTo(path.join(source, 'below'), file('too much', 'content', { attributes }));
  } catch {
    t.log('left out: this file system keeps no such attributes');
    t.pass();
    return;
  }
  await rest();
  const place = ['-D', store, '-C', 'me'];
  for (const more of [['--create'], []]) {
    const { status, stdout, stderr } = await run('tardis', [...place, '--local', ...more, source]);
    t.is(status, 3);
    t.regex(stderr, /too much: incomplete: argument list too long \(E2BIG\)/);
    t.regex(stdout, /1 was saved without some of their attributes/);
  }
  const out = at('out');
  const { stderr } = exited(t, 3, await run('regenerate', [...place, '-o', out, source]));
  t.regex(stderr, /too much: the backup could not read all of its attributes: .*\(E2BIG\)/);
  t.is(fs.readFileSync(path.join(out, 'tree', 'below', 'too much'), 'utf8'), 'content');
});

// Pace: slow
/** `regenerate --stdout` and `--tar`: the output to a pipe is exact and checked, and it waits for a slow reader. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  residentBytes,
  run,
  succeed,
  backupsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { everyKind } from '../helpers/kinds.js';
import { lab } from '../helpers/lab.js';
import {
  differences,
  dir,
  file,
  hardlink,
  isRoot,
  look,
  noise,
  symlink,
  text,
  type TreeNode,
} from '../helpers/tree.js';
import { pause } from '../helpers/until.js';
import { filesBelow } from '../helpers/plaintext.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const REGENERATE = fileURLToPath(new URL('../../../bin/regenerate', import.meta.url));

/** Runs a command with its standard output in a file, so that the output need not be text. */
function runInto(
  file_: string,
  args: readonly string[],
): { status: number | null; stderr: string } {
  const fd = fs.openSync(file_, 'w');
  try {
    const { status, stderr } = spawnSync(REGENERATE, args, { stdio: ['ignore', fd, 'pipe'] });
    return { status, stderr: stderr.toString() };
  } finally {
    fs.closeSync(fd);
  }
}

function oddTree(): TreeNode[] {
  return [
    dir('a', [
      file('one', text(1, 3000)),
      file('set-id', 'x', isRoot ? { mode: 0o6755, uid: 1234, gid: 3_000_000 } : { mode: 0o755 }),
      file('empty'),
      dir('closed', [file('inside', 'inside')], { mode: 0o500 }),
    ]),
    dir('names', [
      file(Buffer.of(0x66, 0xff, 0xfe), 'no UTF-8'),
      file('schön\n', 'umlaut and line'),
      file('l'.repeat(255), 'long'),
      symlink('long link', 't'.repeat(300)),
      symlink(Buffer.of(0xe9), Buffer.of(0xe8)),
    ]),
    dir('d'.repeat(200), [
      dir('e'.repeat(200), [file('deep', 'deep', { mtimeNs: -5_000_000_001n })]),
    ]),
    file('large', noise(3, 3 * MIB)),
    file('in parts', Buffer.alloc(65 * MIB, 'a part')),
    symlink('link', 'a/one'),
    hardlink('second', 'a', 'one'),
    dir('z', [hardlink('third', 'a', 'one'), dir('empty directory')]),
  ];
}

test('a tar archive unpacks to an identical tree', async (t) => {
  const { home, source, place, at } = lab(t, oddTree());
  const out = at('out');
  await backup([...place, '--local', '--create', source]);
  const unpacked = (archive: string): string => {
    fs.rmSync(out, { recursive: true, force: true });
    fs.mkdirSync(out);
    const { status, stderr } = spawnSync('tar', ['-xpf', archive, '-C', out, '--numeric-owner']);
    t.is(status, 0, stderr.toString());
    return stderr.toString();
  };
  const archive = at('tree.tar');
  const reported = await succeed('regenerate', [...place, '--json', '--tar', archive, source]);
  t.like(JSON.parse(reported), { files: 12, directories: 8, links: 3, failures: 0 });
  unpacked(archive);
  t.deepEqual(differences(look(source), look(path.join(out, 'tree'))), []);

  const piped = at('piped.tar');
  const { status, stderr } = runInto(piped, [...place, '--tar', '-', source]);
  t.is(status, 0, stderr);
  t.regex(stderr, /^Restored 12 files/m, 'the report was not kept out of the archive');
  t.true(fs.readFileSync(piped).equals(fs.readFileSync(archive)));

  const taken = exited(t, 1, await run('regenerate', [...place, '--tar', archive, source]));
  t.regex(taken.stderr, /\[TARGET_EXISTS\]/);
  const impossible = at('x'.repeat(256), 'tree.tar'); // even its status cannot be read
  const refused = exited(t, 1, await run('regenerate', [...place, '--tar', impossible, source]));
  t.regex(refused.stderr, /\[TARGET_NOT_WRITABLE\]/);
  const chosen = ['--include', 'closed/', '--no-hardlinks', '--no-set-times'];
  await succeed('regenerate', [...place, '-O', '--tar', archive, ...chosen, source]);
  unpacked(archive);
  t.deepEqual([...look(out).keys()].sort(), [
    '',
    'tree',
    'tree/a',
    'tree/a/closed',
    'tree/a/closed/inside',
  ]);
  t.true(
    fs.statSync(path.join(out, 'tree', 'a', 'closed', 'inside')).mtimeMs > Date.now() - 3_600_000,
  );
  t.deepEqual(
    fs.readdirSync(home).filter((name) => name.startsWith('.')),
    [],
  );
});

test('everything a file is goes through a tar archive', async (t) => {
  const { store, source, at } = lab(t, everyKind(false));
  // The archive contains no sockets, and hard links of regular files only.
  fs.rmSync(path.join(source, 'special', 'socket'));
  for (const name of [
    'special/second name of fifo',
    'special/second name of link',
    'root/second name of block',
  ]) {
    fs.rmSync(path.join(source, name), { force: true });
  }
  const place = ['-D', store, '-C', 'me'];
  await backup([...place, '--local', '--create', source]);
  const archive = at('tree.tar');
  const { status, stderr } = runInto(archive, [...place, '--tar', '-', source]);
  t.is(status, 0, stderr);
  t.true(fs.statSync(archive).size < 200 * MIB, 'holes are in the archive');
  for (const acls of ['--no-acls', '--acls']) {
    const out = at(acls);
    fs.mkdirSync(out);
    const options = ['--numeric-owner', '--xattrs', '--xattrs-include=*', acls];
    const unpacked = spawnSync('tar', ['-xpf', archive, '-C', out, ...options]);
    t.is(unpacked.status, 0, unpacked.stderr.toString());
    t.deepEqual(differences(look(source), look(path.join(out, 'tree'))), [], acls);
  }
  const middle = path.join(source, 'holes', 'data in the middle');
  const one = at('one');
  t.is(runInto(one, [...place, '--stdout', middle]).status, 0);
  t.true(fs.readFileSync(one).equals(fs.readFileSync(middle)));
});

test('only the owner may read an archive, whatever default ACL its directory has', async (t) => {
  const { source, place, at } = lab(t, [file('secret', 'secret', { mode: 0o600 })]);
  const folder = at('folder');
  fs.mkdirSync(folder);
  await backup([...place, '--local', '--create', source]);
  const hasAcls = spawnSync('setfacl', ['-d', '-m', 'u:4321:rwx,o::r', folder]).status === 0;
  if (!hasAcls) t.log('without a default ACL: no setfacl, or no ACLs here');
  for (const form of ['--tar', '--zip']) {
    const archive = path.join(folder, form);
    await succeed('regenerate', [...place, form, archive, source]);
    t.is(fs.statSync(archive).mode & 0o777, 0o600);
    if (!hasAcls) continue;
    const shown = spawnSync('getfacl', ['-cp', archive], { encoding: 'utf8' }).stdout;
    t.notRegex(shown, /4321/, shown);
  }
});

/** Damages every file of the store with at least `sizeBytes` bytes. */
function spoil(store: string, sizeBytes: number): void {
  for (const object of filesBelow(store)) {
    if (fs.statSync(object).size < sizeBytes) continue;
    const fd = fs.openSync(object, 'r+');
    fs.writeSync(fd, 'spoilt', sizeBytes >> 1);
    fs.closeSync(fd);
  }
}

test('a damaged file is left out of an archive and reported, the others are in it', async (t) => {
  const { store, source, place, at } = lab(t, [
    dir('a', [file('good', text(1, 3000)), file('bad', noise(2, 5 * MIB))]),
    hardlink('also bad', 'a', 'bad'),
    file('z good', noise(3, 300_000)),
  ]);
  await backup([...place, '--local', '--create', source]);
  spoil(store, 4 * MIB);
  const archive = at('tree.tar');
  const { status, stderr } = runInto(archive, [...place, '--tar', '-', source]);
  t.is(status, 3, stderr);
  t.regex(stderr, /tree\/also bad: .*_DAMAGED\]/);
  t.regex(stderr, /tree\/a\/bad: .*_DAMAGED\]/);
  t.regex(stderr, /the damage was marked/);
  const listed = spawnSync('tar', ['-tf', archive]);
  t.is(listed.status, 0);
  t.deepEqual(listed.stdout.toString().trim().split('\n').sort(), [
    'tree/',
    'tree/a/',
    'tree/a/good',
    'tree/z good',
  ]);
  const one = at('one');
  const damaged = runInto(one, [...place, '--stdout', path.join(source, 'a', 'bad')]);
  t.is(damaged.status, 1);
  t.regex(damaged.stderr, /_DAMAGED\]/);
  t.is(fs.statSync(one).size, 0, 'a byte came out that was not checked');
});

test('one file goes to standard output', async (t) => {
  const { source, place, at } = lab(t, [
    file('small', text(1, 3000)),
    file('empty'),
    file('large', noise(2, 3 * MIB)),
    file('in parts', Buffer.alloc(65 * MIB, 'a part')),
    symlink('link', 'small'),
    dir('directory'),
  ]);
  await backup([...place, '--local', '--create', source]);
  const one = at('one');
  for (const name of ['small', 'empty', 'large', 'in parts']) {
    const { status, stderr } = runInto(one, [...place, '--stdout', path.join(source, name)]);
    t.is(status, 0, stderr);
    t.is(stderr, '');
    t.true(fs.readFileSync(one).equals(fs.readFileSync(path.join(source, name))), name);
  }
  // Without an output, a file or a pipe gets the content of one file, and nothing else.
  const small = path.join(source, 'small');
  for (const words of [[small], ['--last', small], ['-b', '1', small]]) {
    t.deepEqual(runInto(one, [...place, ...words]), { status: 0, stderr: '' });
    t.true(fs.readFileSync(one).equals(fs.readFileSync(small)), words.join(' '));
  }
  for (const [words, name] of [
    [[path.join(source, 'directory')], 'directory'],
    [[small, path.join(source, 'large')], 'large'],
    [['--hierarchy', small], small.slice(1)],
  ] as const) {
    const cwd = fs.mkdtempSync(at('files'));
    const { status, stdout } = spawnSync(REGENERATE, [...place, ...words], { cwd });
    const isNamed = words[0] === '--hierarchy';
    t.deepEqual([status, stdout.length > 0], [0, isNamed], 'the report is not among contents');
    t.true(fs.existsSync(path.join(cwd, name)), name);
  }
  const reported = runInto(one, [...place, '--json', '--stdout', path.join(source, 'small')]);
  t.like(JSON.parse(reported.stderr), { files: 1, bytes: 3000 });
  for (const [code, ...args] of [
    ['NO_SUCH_PATH', path.join(source, 'never')],
    ['USAGE', path.join(source, 'link')],
    ['USAGE', path.join(source, 'directory')],
    ['USAGE', path.join(source, 'small'), path.join(source, 'large')],
  ] as const) {
    const { status, stderr } = runInto(one, [...place, '--stdout', ...args]);
    t.is(status, 1);
    t.true(stderr.includes(`[${code}]`), stderr);
    t.is(fs.statSync(one).size, 0);
  }
});

test('a reader that is slow holds a stream up, not the memory; one that goes is reported', async (t) => {
  const parts = Array.from({ length: 5 }, (_, index) => file(`${index}`, noise(index, 60 * MIB)));
  const { source, place } = lab(t, parts);
  const wanted = createHash('sha256');
  for (let index = 0; index < 5; index += 1) wanted.update(noise(index, 60 * MIB));
  await backup([...place, '--local', '--create', source]);

  const child = spawn(REGENERATE, [...place, '--tar', '-', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let peakBytes = 0;
  let bytes = 0;
  for await (const chunk of child.stdout) {
    const before = bytes;
    bytes += (chunk as Buffer).length;
    if (bytes >> 24 === before >> 24) continue;
    await pause(20); // gives time for any read-ahead
    peakBytes = Math.max(peakBytes, residentBytes(child.pid!));
  }
  t.is(await ended, 0);
  t.true(bytes > 300 * MIB);
  t.true(peakBytes < 260 * MIB, `${Math.round(peakBytes / MIB)} MiB were resident`);

  const gone = spawn(REGENERATE, [...place, '--stdout', path.join(source, '0')]);
  const status = new Promise<number | null>((resolve) => gone.once('close', resolve));
  gone.stdout.once('data', () => gone.stdout.destroy());
  t.is(await status, 1);
});

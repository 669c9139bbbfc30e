// Pace: long
/** `regenerate --zip`: what other programs unpack is what was backed up. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { backup, run, succeed, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { dir, file, noise, symlink, text, type TreeNode } from '../helpers/tree.js';
import { zipName } from '../../src/restore/index.js';
import { pathInZip } from '../helpers/zip-paths.js';
import { joinPath } from '../../src/model/index.js';
import { filesBelow } from '../helpers/plaintext.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;

function oddTree(): TreeNode[] {
  return [
    dir('a', [
      file('one', text(1, 3000)),
      file('program', 'x', { mode: 0o755 }),
      file('empty'),
      dir('closed', [file('inside', 'inside')], { mode: 0o500 }),
    ]),
    dir('names', [
      file(Buffer.of(0x66, 0xff, 0xfe), 'no UTF-8'),
      file('schön\n', 'umlaut and line'),
      file('l'.repeat(255), 'long'),
      file('..\\..\\evil', 'out of the directory, on Windows'),
      file('..%5C..%5Cevil', 'another one'),
      file('100%25', 'per cent'),
      symlink('link', '../a/one'),
      symlink(Buffer.of(0xe9), Buffer.of(0xe8)),
    ]),
    dir('times', [
      file('old', 'old', { mtimeNs: -5_000_000_001n }),
      file('far', 'far', { mtimeNs: 5_000_000_000n * 1_000_000_000n }),
    ]),
    file('C:drive', 'a drive, on Windows'),
    file('noise', noise(3, 3 * MIB)),
    file('text', text(4, 5 * MIB)),
    file('zeros', Buffer.alloc(9 * MIB)),
    file('in parts', Buffer.alloc(65 * MIB, 'a part')),
    {
      kind: 'sparse',
      name: Buffer.from('holes'),
      sizeBytes: 20 * MIB,
      data: [[5 * MIB, noise(5, 100)]],
    },
  ];
}

/** The contents, links and directories below a directory, by their paths. */
function contentsBelow(top: Buffer, convert = (name: Buffer): Buffer => name): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (directory: Buffer, shown: Buffer): void => {
    const entries = fs.readdirSync(directory, { encoding: 'buffer', withFileTypes: true });
    for (const entry of entries as unknown as fs.Dirent<Buffer>[]) {
      const full = joinPath(directory, entry.name);
      const path_ = shown.length === 0 ? entry.name : joinPath(shown, entry.name);
      const key = convert(path_).toString('latin1');
      if (entry.isDirectory()) {
        found.set(key, 'directory');
        visit(full, path_);
      } else if (entry.isSymbolicLink()) {
        found.set(key, `-> ${fs.readlinkSync(full, 'buffer').toString('latin1')}`);
      } else found.set(key, createHash('sha256').update(fs.readFileSync(full)).digest('hex'));
    }
  };
  visit(top, Buffer.alloc(0));
  return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
}

async function backedUp(t: ExecutionContext, tree: readonly TreeNode[]) {
  const { home, source, place } = lab(t, tree);
  await backup([...place, '--local', '--create', source]);
  return { home, source, place };
}

const has = (program: string): boolean => spawnSync('which', [program]).status === 0;

test('a zip archive unpacks to identical files with unzip, bsdtar and Python', async (t) => {
  const { home, source, place } = await backedUp(t, oddTree());
  const archive = path.join(home, 'tree.zip');
  const reported = await succeed('regenerate', [...place, '--json', '--zip', archive, source]);
  t.like(JSON.parse(reported), { files: 18, directories: 5, links: 2, failures: 0 });
  t.true(fs.statSync(archive).size < 8 * MIB, 'what shrinks was not deflated');
  // In the archive, these names are below `tree/`.
  const below = Buffer.from('tree/');
  const wanted = contentsBelow(Buffer.from(source), (name) =>
    zipName(Buffer.concat([below, name])).subarray(below.length),
  );
  const out = path.join(home, 'out');
  const python = `
import os, stat, sys, zipfile
archive, out = sys.argv[1:]
with zipfile.ZipFile(archive) as whole:
    assert whole.testzip() is None
    for info in whole.infolist():
        name = info.filename.encode('utf-8' if info.flag_bits & 0x800 else 'cp437')
        assert not name.startswith(b'/') and b'..' not in name.split(b'/') and b'\\\\' not in name, name
        to = os.path.join(os.fsencode(out), name)
        kind = info.external_attr >> 16
        if stat.S_ISDIR(kind): os.makedirs(to, exist_ok=True)
        elif stat.S_ISLNK(kind): os.symlink(whole.read(info), to)
        else:
            with open(to, 'wb') as file: file.write(whole.read(info))
`;
  for (const [program, ...args] of [
    ['unzip', '-q', '-^', archive, '-d', out], // without -^ it drops bytes of names
    ['bsdtar', '-xf', archive, '-C', out],
    ['python3', '-c', python, archive, out],
  ] as const) {
    if (!has(program)) {
      t.log(`left out: ${program} is not installed`);
      continue;
    }
    fs.rmSync(out, { recursive: true, force: true });
    fs.mkdirSync(out);
    const { status, stderr } = spawnSync(program, args);
    t.is(status, 0, `${program}: ${stderr.toString()}`);
    const top = Buffer.from(path.join(out, 'tree'));
    t.deepEqual(contentsBelow(top), wanted, program);
    if (program === 'python3') continue;
    t.is(fs.statSync(path.join(out, 'tree/a/program')).mode & 0o777, 0o755, program);
    t.is(fs.statSync(path.join(out, 'tree/a/closed')).mode & 0o777, 0o500, program);
    t.is(fs.statSync(path.join(out, 'tree/a/one')).mtimeMs, 1_500_000_000_000, program);
    t.is(fs.statSync(path.join(out, 'tree/times/old')).mtime.getFullYear(), 1980, program);
  }
  const taken = await run('regenerate', [...place, '--zip', archive, source]);
  t.regex(taken.stderr, /\[TARGET_EXISTS\]/);
  const both = await run('regenerate', [...place, '--zip', archive, '--tar', archive, source]);
  t.regex(both.stderr, /--tar cannot be used with --zip \[USAGE\]/);
});

test('names in a zip archive are safe for every reader, and stay different', (t) => {
  for (const name of [
    'a\\b',
    'a%5Cb',
    'a%255Cb',
    'C:x',
    'C%3Ax',
    'c:\\x',
    '100%',
    '%',
    '%2',
    'a/b',
  ]) {
    const safe = zipName(Buffer.from(name));
    t.false(safe.includes('\\'), name);
    t.notRegex(safe.toString(), /^[a-z]:/i, name);
    t.is(pathInZip(safe).toString(), name);
  }
  t.is(zipName(Buffer.from('a:b/100%')).toString(), 'a%3Ab/100%');
});

/** Requires that Python finds `checks` to hold of an archive of a tree, which are lines about `whole`. */
async function requireOfPython(
  t: ExecutionContext,
  tree: readonly TreeNode[],
  checks: string,
): Promise<void> {
  const { home, source, place } = await backedUp(t, tree);
  const archive = path.join(home, 'tree.zip');
  await succeed('regenerate', [...place, '--zip', archive, source]);
  if (!has('python3')) return leaveOut(t, 'left out: python3 is not installed');
  const python = `import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as whole:\n${checks}`;
  const { status, stderr } = spawnSync('python3', ['-c', python, archive]);
  t.is(status, 0, stderr.toString());
}

test('a zip archive has more than 65,535 entries', async (t) => {
  const many = Array.from({ length: 66_000 }, (_, index) => file(`file ${index}`));
  const checks = `
    assert len(whole.namelist()) == 66003, len(whole.namelist())
    assert whole.read('tree/z') == b'after'`;
  await requireOfPython(t, [dir('many', many), file('z', 'after')], checks);
});

/** For every second seed, and in a soak run: to pack and unpack 4 GiB takes ten seconds of processor time. */
const testOfGibibytes = share >= 1 || seed % 2 === 0 ? test : undefined;

testOfGibibytes?.('a zip archive has sizes above 4 GiB', async (t) => {
  const data = [[4096 * MIB, Buffer.from('tail!')]] as const;
  const large = { kind: 'sparse' as const, name: Buffer.from('large'), data };
  const checks = `
    large = whole.getinfo('tree/large')
    assert large.file_size == ${4096 * MIB + 5}, large.file_size
    assert whole.read('tree/z') == b'after'
    with whole.open(large) as file:
        last, size = b'', 0
        while part := file.read(1 << 24): last, size = part, size + len(part)
        assert size == large.file_size and last.endswith(b'tail!')`;
  await requireOfPython(t, [{ ...large, sizeBytes: 4096 * MIB + 5 }, file('z', 'after')], checks);
});

test('a damaged file is left out of a zip archive and reported, the others are in it', async (t) => {
  const { home, source, place } = await backedUp(t, [
    file('bad', noise(2, 5 * MIB)),
    file('good', text(3, 300_000)),
  ]);
  for (const object of filesBelow(path.join(home, 'store'))) {
    if (fs.statSync(object).size < 4 * MIB) continue;
    const fd = fs.openSync(object, 'r+');
    fs.writeSync(fd, 'spoilt', 2 * MIB);
    fs.closeSync(fd);
  }
  const archive = path.join(home, 'tree.zip');
  const { status, stderr } = await run('regenerate', [...place, '--zip', archive, source]);
  t.is(status, 3, stderr);
  t.regex(stderr, /tree\/bad: .*_DAMAGED\]/);
  if (!has('unzip')) return;
  const listed = spawnSync('unzip', ['-tqq', archive]);
  t.is(listed.status, 0, listed.stdout.toString());
  const names = spawnSync('unzip', ['-Z1', archive]).stdout.toString().trim().split('\n');
  t.deepEqual(names, ['tree/', 'tree/good']);
});

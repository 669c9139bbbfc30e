import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import {
  decodeRow,
  DIGEST_BYTES,
  EntryType,
  type Entry,
  encodeRow,
  forEachRow,
  RowFlag,
  RowOffset,
  RowReader,
} from '../../src/model/row.js';
import { createFallback } from '../../src/system/native-fallback.js';
import { loadNative, MetadataOption, OpenKind } from '../../src/system/native.js';

const native = loadNative();
const fallback = createFallback();
const isRoot = process.getuid?.() === 0;
const PROCESS = `/proc/${process.pid}`;
const NATIVE_URL = new URL('../../src/system/native.js', import.meta.url).href;

function scratch(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-native-'));
  // rm, because it removes paths longer than the system takes at once.
  t.teardown(() => void spawnSync('rm', ['-rf', folder]));
  return folder;
}

function openFolder(t: ExecutionContext, folder: string): number {
  const fd = native.openDirectory(Buffer.from(folder));
  t.teardown(() => native.close(fd));
  return fd;
}

function entriesOf(rows: Buffer): Entry[] {
  const reader = new RowReader(rows);
  const entries: Entry[] = [];
  forEachRow(reader, (at) => entries.push(decodeRow(reader, at)));
  return entries;
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

function rowLike(changes: Partial<Entry> = {}): Buffer {
  return encodeRow({
    name: Buffer.from('row'),
    type: EntryType.file,
    flags: 0,
    permissions: 0o640,
    uid: process.getuid!(),
    gid: process.getgid!(),
    linkCount: 1,
    sizeBytes: 0,
    mtimeNs: 1_700_000_000_123_456_789n,
    ctimeNs: 0n,
    birthTimeNs: 0n,
    inode: 0n,
    device: 0n,
    digest: undefined,
    linkTarget: undefined,
    ...changes,
  });
}

/** The fields of an error that callers look at. */
function failing(call: () => unknown): { code: string; errno: number; syscall: string } {
  try {
    call();
  } catch (error) {
    const { code, errno, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || errno === undefined || syscall === undefined) throw error;
    if (!message.startsWith(`${code}: `) || !message.includes(`, ${syscall}`)) throw error;
    return { code, errno, syscall };
  }
  throw new Error('did not fail');
}

/** Runs a module in a process of its own, with `native` loaded; returns what it prints. */
function inChild(body: string, values: readonly string[], prefix = ''): string {
  const module = `import { loadNative } from ${JSON.stringify(NATIVE_URL)};
    import fs from 'node:fs';
    const native = loadNative();
    const values = process.argv.slice(1);
    ${body}`;
  const command = `${prefix} exec "$0" "$@"`;
  const child = spawnSync(
    '/bin/sh',
    ['-c', command, process.execPath, '--input-type=module', '-e', module, ...values],
    { encoding: 'utf8' },
  );
  if (child.status !== 0) throw new Error(`child failed: ${child.stderr}`);
  return child.stdout;
}

function assertRowMatches(t: ExecutionContext, entry: Entry, file: Buffer): void {
  const stat = fs.lstatSync(file, { bigint: true });
  const types: [boolean, number][] = [
    [stat.isFile(), EntryType.file],
    [stat.isDirectory(), EntryType.directory],
    [stat.isSymbolicLink(), EntryType.symlink],
    [stat.isFIFO(), EntryType.fifo],
    [stat.isSocket(), EntryType.socket],
    [stat.isCharacterDevice(), EntryType.characterDevice],
    [stat.isBlockDevice(), EntryType.blockDevice],
  ];
  const isDevice = stat.isCharacterDevice() || stat.isBlockDevice();
  t.like(entry, {
    type: types.find(([is]) => is)![1] as Entry['type'],
    permissions: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    linkCount: Number(stat.nlink),
    sizeBytes: stat.isFile() ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    birthTimeNs: stat.birthtimeNs,
    inode: stat.ino,
    device: isDevice ? stat.rdev : 0n,
  });
  const target = stat.isSymbolicLink() ? fs.readlinkSync(file, { encoding: 'buffer' }) : undefined;
  t.deepEqual(entry.linkTarget, target);
}

async function makeAllKinds(t: ExecutionContext, folder: string): Promise<void> {
  fs.writeFileSync(path.join(folder, 'file'), 'content');
  fs.chmodSync(path.join(folder, 'file'), 0o4751);
  spawnSync('touch', ['-h', '-d', '1969-12-31 23:59:54.75 UTC', path.join(folder, 'file')]);
  fs.linkSync(path.join(folder, 'file'), path.join(folder, 'hard'));
  fs.mkdirSync(path.join(folder, 'sub'), { mode: 0o2750 });
  fs.symlinkSync('anywhere/at all', path.join(folder, 'link'));
  spawnSync('mkfifo', [path.join(folder, 'fifo')]);
  if (isRoot) spawnSync('mknod', [path.join(folder, 'device'), 'b', '7', '300']);
  const server = net.createServer().listen(path.join(folder, 'socket'));
  t.teardown(() => server.close());
  await once(server, 'listening');
}

test('rows tell what lstat tells, for all kinds of files', async (t) => {
  const folder = scratch(t);
  await makeAllKinds(t, folder);
  const entries = entriesOf(native.listDirectory(Buffer.from(folder)));
  t.deepEqual(
    entries.map((entry) => entry.name.toString()),
    fs.readdirSync(folder).sort(),
  );
  for (const entry of entries) {
    assertRowMatches(t, entry, Buffer.from(path.join(folder, entry.name.toString())));
    t.is(entry.flags, 0);
  }
  t.is(entries.find((entry) => entry.name.toString() === 'file')!.mtimeNs, -5_250_000_000n);
  const [null0] = entriesOf(native.statRow(Buffer.from('/dev/null'), Buffer.from('/dev/null')));
  assertRowMatches(t, null0!, Buffer.from('/dev/null'));
  t.is(null0!.name.toString(), '/dev/null');
});

test('names come back byte for byte, in the order of their bytes', (t) => {
  const folder = scratch(t);
  const names = [
    Buffer.from([0x01]),
    Buffer.from('\n \t'),
    Buffer.from('-rf'),
    Buffer.from('...'),
    Buffer.from('..a'),
    Buffer.from('same prefix, longer'),
    Buffer.from('same prefix, longer!'),
    Buffer.from('same prefix'),
    Buffer.from([0x7f, 0x80]),
    Buffer.from([0xc3, 0x28]),
    Buffer.from([0xff]),
    Buffer.from([0xff, 0xfe, 0xfd]),
    Buffer.alloc(255, 0xe9),
  ];
  for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), '');
  const listed = entriesOf(native.listDirectory(Buffer.from(folder))).map((entry) => entry.name);
  t.deepEqual(
    listed,
    [...names].sort((left, right) => left.compare(right)),
  );
});

test('an empty directory has no rows', (t) => {
  const rows = native.listDirectory(Buffer.from(scratch(t)));
  t.is(rows.length, 0);
  t.deepEqual(native.hashRows(rows), sha256(Buffer.alloc(0)));
});

function makeTree(folder: Buffer, depth: number): void {
  for (let index = 0; index < 40; index += 1) {
    const name = randomBytes(1 + (index % 9)).map((byte) =>
      byte === 0 || byte === 0x2f ? 1 : byte,
    );
    const file = Buffer.concat([folder, Buffer.from(`/${index}`), name]);
    if (index % 10 === 0) fs.symlinkSync(randomBytes(20).toString('hex'), file);
    else if (index % 10 === 1 && depth > 0) {
      fs.mkdirSync(file);
      makeTree(file, depth - 1);
    } else fs.writeFileSync(file, randomBytes(index * 3), { mode: 0o600 + index });
  }
}

function compareTrees(t: ExecutionContext, folder: Buffer): number {
  const rows = native.listDirectory(folder);
  t.deepEqual(rows, fallback.listDirectory(folder));
  t.deepEqual(native.hashRows(rows), fallback.hashRows(rows));
  const fd = native.openDirectory(folder);
  let count = 0;
  for (const entry of entriesOf(rows)) {
    const file = Buffer.concat([folder, Buffer.from('/'), entry.name]);
    t.deepEqual(native.statAt(fd, entry.name), native.statRow(file, entry.name));
    t.deepEqual(native.statRow(file, entry.name), fallback.statRow(file, entry.name));
    count += 1;
    if (entry.type === EntryType.directory) count += compareTrees(t, file);
  }
  native.close(fd);
  return count;
}

test('rows are those of the fallback, to the byte', (t) => {
  const folder = Buffer.from(scratch(t));
  makeTree(folder, 2);
  t.is(compareTrees(t, folder), 40 + 4 * 40 + 16 * 40);
});

test('a large directory is listed whole', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const row = rowLike();
  for (let index = 0; index < 5000; index += 1) {
    native.symlinkAt(
      fd,
      Buffer.from(`a name of some length ${index}`),
      Buffer.alloc(300, 120),
      row,
      0,
      0,
    );
  }
  const rows = native.listDirectory(Buffer.from(folder));
  t.is(entriesOf(rows).length, 5000);
  t.deepEqual(rows, fallback.listDirectory(Buffer.from(folder)));
});

test('an entry whose metadata cannot be read has a row that says so', (t) => {
  const folder = scratch(t);
  fs.mkdirSync(path.join(folder, 'closed'));
  fs.mkdirSync(path.join(folder, 'closed', 'sub'));
  fs.writeFileSync(path.join(folder, 'closed', 'file'), 'x');
  fs.chmodSync(folder, 0o755);
  fs.chmodSync(path.join(folder, 'closed'), 0o444);
  const listed = inChild(
    `if (process.getuid() === 0) process.seteuid(65534);
     process.stdout.write(native.listDirectory(Buffer.from(values[0])).toString('hex'));`,
    [path.join(folder, 'closed')],
  );
  fs.chmodSync(path.join(folder, 'closed'), 0o700);
  const rows = Buffer.from(listed, 'hex');
  const zeros = { permissions: 0, uid: 0, gid: 0, linkCount: 0, inode: 0n, mtimeNs: 0n };
  const [file, sub] = entriesOf(rows);
  t.like(file, { ...zeros, type: EntryType.file, flags: RowFlag.unreadable });
  t.like(sub, { ...zeros, type: EntryType.directory, flags: RowFlag.unreadable });

  const failed = createFallback({
    ...fs,
    lstatSync: ((file: Buffer, options: { bigint: true }) => {
      if (!file.toString().endsWith('closed')) {
        throw Object.assign(new Error('EACCES: injected'), { code: 'EACCES' });
      }
      return fs.lstatSync(file, options);
    }) as typeof fs.lstatSync,
  });
  t.deepEqual(failed.listDirectory(Buffer.from(path.join(folder, 'closed'))), rows);
});

test('a mount point is on another device than its directory', (t) => {
  const root = entriesOf(native.listDirectory(Buffer.from('/')));
  const device = fs.lstatSync('/').dev;
  for (const entry of root.filter((one) => one.type === EntryType.directory)) {
    const other = fs.lstatSync(path.join('/', entry.name.toString())).dev !== device;
    t.is((entry.flags & RowFlag.otherDevice) !== 0, other, entry.name.toString());
  }
  t.true(root.some((entry) => (entry.flags & RowFlag.otherDevice) !== 0));
});

test('the skip hash covers what tells of a change, and nothing else', (t) => {
  const base = {
    name: Buffer.from('n'),
    sizeBytes: 5,
    ctimeNs: 7n,
    inode: 11n,
    digest: Buffer.alloc(DIGEST_BYTES, 1),
  };
  const hash = (changes: Partial<Entry>): string =>
    native.hashRows(rowLike({ ...base, ...changes })).toString('hex');
  const same: Partial<Entry>[] = [
    { flags: RowFlag.unsettled | RowFlag.changedWhileRead },
    { linkCount: 2 },
    { birthTimeNs: 3n },
    { digest: undefined },
    { linkTarget: Buffer.from('elsewhere') },
  ];
  const different: Partial<Entry>[] = [
    { name: Buffer.from('m') },
    { type: EntryType.fifo },
    { permissions: 0o641 },
    { uid: 77 },
    { gid: 77 },
    { sizeBytes: 6 },
    { mtimeNs: 1n },
    { ctimeNs: 8n },
    { inode: 12n },
    { device: 1n },
  ];
  for (const changes of same) t.is(hash(changes), hash({}));
  t.is(new Set(different.map(hash)).add(hash({})).size, different.length + 1);

  const row = rowLike({ ...base, digest: undefined });
  const covered = [
    [4, 6],
    [72, 73],
    [8, 9],
    [10, 20],
    [24, 48],
    [56, 72],
  ] as const;
  const expected = sha256(Buffer.concat(covered.map(([from, to]) => row.subarray(from, to))));
  t.deepEqual(native.hashRows(row), expected);
  t.deepEqual(
    native.hashRows(Buffer.concat([row, row])),
    fallback.hashRows(Buffer.concat([row, row])),
  );
});

test('malformed rows are refused', (t) => {
  const row = rowLike();
  const broken = (offset: number, value: number): Buffer => {
    const copy = Buffer.from(row);
    copy[offset] = value;
    return copy;
  };
  const bad = [
    row.subarray(0, row.length - 1),
    row.subarray(0, 71),
    broken(0, 0),
    broken(0, 72),
    broken(3, 255),
    broken(4, 200),
    broken(6, 1),
    broken(9, RowFlag.hasDigest),
    Buffer.concat([row, Buffer.alloc(1)]),
  ];
  for (const rows of bad) {
    t.is(failing(() => native.hashRows(rows)).code, 'EINVAL');
    t.is(failing(() => fallback.hashRows(rows)).code, 'EINVAL');
  }
  t.is(failing(() => native.finishFile(0, row, 1, 0)).code, 'EINVAL');
});

for (const call of ['openBeneath', 'walkBeneath'] as const) {
  test(`${call} stays beneath its root`, (t) => {
    const folder = scratch(t);
    fs.mkdirSync(path.join(folder, 'root/a/b'), { recursive: true });
    fs.mkdirSync(path.join(folder, 'outside'));
    fs.writeFileSync(path.join(folder, 'outside/file'), 'secret');
    fs.writeFileSync(path.join(folder, 'root/a/b/file'), 'content');
    fs.symlinkSync('../outside', path.join(folder, 'root/out'));
    fs.symlinkSync('a', path.join(folder, 'root/within'));
    fs.symlinkSync('file', path.join(folder, 'root/a/b/link'));
    spawnSync('mkfifo', [path.join(folder, 'root/fifo')]);
    const root = openFolder(t, path.join(folder, 'root'));
    const open = (name: string, kind: 0 | 1): number => native[call](root, Buffer.from(name), kind);

    for (const [name, kind] of [
      ['a', OpenKind.directory],
      ['a/b', OpenKind.directory],
      ['./a//b/.', OpenKind.directory],
      ['a/b/file', OpenKind.file],
    ] as const) {
      const fd = open(name, kind);
      t.is(fs.fstatSync(fd).ino, fs.statSync(path.join(folder, 'root', name)).ino);
      native.close(fd);
    }
    const own = open('', OpenKind.directory);
    t.not(own, root);
    t.is(fs.fstatSync(own).ino, fs.fstatSync(root).ino);
    native.close(own);

    const refused: [string, 0 | 1, string][] = [
      ['..', OpenKind.directory, 'EXDEV'],
      ['../outside', OpenKind.directory, 'EXDEV'],
      ['a/../../outside/file', OpenKind.file, 'EXDEV'],
      ['a/..', OpenKind.directory, 'EXDEV'],
      ['/etc', OpenKind.directory, 'EXDEV'],
      ['/', OpenKind.directory, 'EXDEV'],
      ['out', OpenKind.directory, 'ELOOP'],
      ['out/file', OpenKind.file, 'ELOOP'],
      ['within/b', OpenKind.directory, 'ELOOP'],
      ['a/b/link', OpenKind.file, 'ELOOP'],
      ['a/none', OpenKind.directory, 'ENOENT'],
      ['a/b/file', OpenKind.directory, 'ENOTDIR'],
      ['a/b/file/x', OpenKind.file, 'ENOTDIR'],
      ['a/b', OpenKind.file, 'ENOTREG'],
      ['fifo', OpenKind.file, 'ENOTREG'],
      ['a\0b', OpenKind.directory, 'EINVAL'],
    ];
    for (const [name, kind, code] of refused)
      t.is(failing(() => open(name, kind)).code, code, name);
    t.is(failing(() => native[call](-100, Buffer.from('a'), 0)).code, 'EBADF');

    // A directory replaced by a link to the outside after it was seen.
    fs.renameSync(path.join(folder, 'root/a/b'), path.join(folder, 'root/a/c'));
    fs.symlinkSync('../../outside', path.join(folder, 'root/a/b'));
    t.is(failing(() => open('a/b/file', OpenKind.file)).code, 'ELOOP');
  });

  test(`${call} never follows a link that is swapped in meanwhile`, async (t) => {
    const folder = scratch(t);
    fs.mkdirSync(path.join(folder, 'root/a/real'), { recursive: true });
    fs.mkdirSync(path.join(folder, 'outside'));
    fs.symlinkSync('../../outside', path.join(folder, 'root/a/link'));
    fs.writeFileSync(path.join(folder, 'root/a/real/file'), 'content');
    fs.writeFileSync(path.join(folder, 'outside/file'), 'secret');
    const swapper = new Worker(
      `const fs = require('node:fs');
       const at = require('node:worker_threads').workerData + '/root/a/';
       for (const end = Date.now() + 60000; Date.now() < end; ) {
         fs.renameSync(at + 'real', at + 'b');
         fs.renameSync(at + 'b', at + 'real');
         fs.renameSync(at + 'link', at + 'b');
         fs.renameSync(at + 'b', at + 'link');
       }`,
      { eval: true, workerData: folder },
    );
    t.teardown(() => swapper.terminate());
    await once(swapper, 'online');
    const root = openFolder(t, path.join(folder, 'root'));
    const seen = new Map<string, number>();
    const name = Buffer.from('a/b/file');
    const end = Date.now() + 30_000;
    const often = (outcome: string): boolean => (seen.get(outcome) ?? 0) >= 50;
    while (!(often('content') && often('ELOOP')) && Date.now() < end) {
      let outcome: string;
      try {
        const fd = native[call](root, name, OpenKind.file);
        outcome = fs.readFileSync(fd, 'utf8');
        native.close(fd);
      } catch (error) {
        outcome = (error as NodeJS.ErrnoException).code!;
      }
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    t.true(often('content') && often('ELOOP'));
    // ENOENT between two renames; ENOTDIR when the link is gone before the walk can tell it was one.
    for (const outcome of seen.keys()) {
      t.true(['content', 'ELOOP', 'ENOENT', 'ENOTDIR'].includes(outcome), outcome);
    }
  });

  test(`${call} takes paths longer than the system does`, (t) => {
    const folder = scratch(t);
    const name = Buffer.alloc(200, 100);
    let deepest = Buffer.alloc(0);
    let fd = native.openDirectory(Buffer.from(folder));
    for (let depth = 0; depth < 45; depth += 1) {
      native.makeDirectoryAt(fd, name);
      const next = native.openBeneath(fd, name, OpenKind.directory);
      native.close(fd);
      fd = next;
      deepest = depth === 0 ? name : Buffer.concat([deepest, Buffer.from('/'), name]);
    }
    native.writeFileAt(fd, Buffer.from('file'), Buffer.from('deep'), 0, 4, rowLike(), 0, 0);
    native.close(fd);
    t.true(deepest.length > 2 * 4096);

    const root = openFolder(t, folder);
    const directory = native[call](root, deepest, OpenKind.directory);
    t.is(entriesOf(native.statAt(directory, Buffer.from('file')))[0]!.sizeBytes, 4);
    native.close(directory);
    const file = native[call](root, Buffer.concat([deepest, Buffer.from('/file')]), OpenKind.file);
    t.is(fs.readFileSync(file, 'utf8'), 'deep');
    native.close(file);

    const whole = Buffer.concat([Buffer.from(`${folder}/`), deepest]);
    t.is(entriesOf(native.listDirectory(whole)).length, 1);
    native.close(native.openDirectory(whole));
    const row = native.statRow(Buffer.concat([whole, Buffer.from('/file')]), Buffer.from('file'));
    t.deepEqual(row, native.listDirectory(whole));
    const tooLong = Buffer.alloc(5000, 120);
    t.is(failing(() => native[call](root, tooLong, 0)).code, 'ENAMETOOLONG');
    t.is(failing(() => native.listDirectory(tooLong)).code, 'ENAMETOOLONG');
  });
}

type ReadFile = (
  folder: string,
  name: string,
  rows: Buffer,
  rowOffset: number,
  target: Buffer,
  targetOffset: number,
  limitBytes: number,
  digest: Buffer,
  digestOffset: number,
) => number;

const readers: [string, ReadFile][] = [
  [
    'readFileAt',
    (folder, name, ...rest) => {
      const fd = native.openDirectory(Buffer.from(folder));
      try {
        return native.readFileAt(fd, Buffer.from(name), ...rest);
      } finally {
        native.close(fd);
      }
    },
  ],
  [
    'the fallback’s readFile',
    (folder, name, ...rest) => fallback.readFile(Buffer.from(folder), Buffer.from(name), ...rest),
  ],
];

for (const [title, readFile] of readers) {
  test(`${title} reads, hashes and leaves the row of an unchanged file alone`, (t) => {
    const folder = scratch(t);
    const content = randomBytes(70_000);
    fs.writeFileSync(path.join(folder, 'a'), '');
    fs.writeFileSync(path.join(folder, 'b'), content);
    const rows = native.listDirectory(Buffer.from(folder));
    const before = Buffer.from(rows);
    const second = rows.readUInt32LE(0);
    const target = Buffer.alloc(80_000, 0xaa);
    const digests = Buffer.alloc(70);

    t.is(readFile(folder, 'a', rows, 0, target, 0, 0, digests, 0), 0);
    t.is(readFile(folder, 'b', rows, second, target, 100, 70_000, digests, 38), 70_000);
    t.deepEqual(rows, before);
    t.deepEqual(digests.subarray(0, 32), sha256(Buffer.alloc(0)));
    t.deepEqual(digests.subarray(38), sha256(content));
    t.deepEqual(target.subarray(100, 70_100), content);
    t.true(target.subarray(0, 100).every((byte) => byte === 0xaa));
    t.true(target.subarray(70_100).every((byte) => byte === 0xaa));
  });

  test(`${title} brings a row up to date that is not the file's`, (t) => {
    const folder = scratch(t);
    const file = path.join(folder, 'a');
    fs.writeFileSync(file, 'before');
    const rows = native.listDirectory(Buffer.from(folder));
    const birth = rows.readBigInt64LE(RowOffset.birthTimeNs);
    fs.writeFileSync(`${file}2`, 'afterwards');
    fs.chmodSync(`${file}2`, 0o604);
    fs.renameSync(`${file}2`, file);
    const target = Buffer.alloc(100);
    const digest = Buffer.alloc(32);

    t.is(failing(() => readFile(folder, 'a', rows, 0, target, 0, 9, digest, 0)).code, 'EFBIG');
    const [entry] = entriesOf(rows);
    t.is(entry!.flags, RowFlag.changedWhileRead);
    rows.writeBigInt64LE(fs.lstatSync(file, { bigint: true }).birthtimeNs, RowOffset.birthTimeNs);
    assertRowMatches(t, entriesOf(rows)[0]!, Buffer.from(file));
    t.is(entry!.birthTimeNs, birth);

    // Once the caller has taken the flag away, nothing differs any more.
    rows[RowOffset.flags] = 0;
    t.is(readFile(folder, 'a', rows, 0, target, 0, 10, digest, 0), 10);
    t.is(rows[RowOffset.flags], 0);
    t.deepEqual(digest, sha256(Buffer.from('afterwards')));
  });

  test(`${title} finds bytes beyond the size a file claims`, (t) => {
    const rows = native.statRow(Buffer.from(`${PROCESS}/status`), Buffer.from('status'));
    const target = Buffer.alloc(10);
    t.is(readFile(PROCESS, 'status', rows, 0, target, 0, 10, Buffer.alloc(32), 0), 0);
    t.is(rows[RowOffset.flags]! & RowFlag.changedWhileRead, RowFlag.changedWhileRead);
  });

  test(`${title} reads nothing but regular files`, async (t) => {
    const folder = scratch(t);
    await makeAllKinds(t, folder);
    const rows = rowLike();
    const target = Buffer.alloc(10);
    const read = (name: string): number =>
      readFile(folder, name, rows, 0, target, 0, 10, Buffer.alloc(32), 0);
    for (const name of ['sub', 'fifo', 'socket']) {
      t.is(failing(() => read(name)).code, 'ENOTREG', name);
    }
    t.is(failing(() => read('link')).code, 'ELOOP');
    t.is(failing(() => read('none')).code, 'ENOENT');
    t.deepEqual(rows, rowLike());
  });

  test(`${title} stays within the buffers it is given`, (t) => {
    const folder = scratch(t);
    fs.writeFileSync(path.join(folder, 'a'), 'content');
    const rows = native.listDirectory(Buffer.from(folder));
    const read = (rowOffset: number, targetOffset: number, limit: number, at: number): unknown =>
      readFile(
        folder,
        'a',
        rows,
        rowOffset,
        Buffer.alloc(10),
        targetOffset,
        limit,
        Buffer.alloc(40),
        at,
      );
    t.is(read(0, 3, 7, 8), 7);
    const wrongs: [number, number, number, number][] = [
      [1, 0, 10, 0],
      [-1, 0, 10, 0],
      [0, 4, 7, 0],
      [0, 11, 0, 0],
      [0, -1, 5, 0],
      [0, 0, Number.NaN, 0],
      [0, 0, 7, 9],
    ];
    for (const wrong of wrongs) {
      t.is(failing(() => read(...wrong)).code, 'EINVAL', wrong.join());
    }
  });
}

test('readFileAt flags a file that grows and shrinks while it is read', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'a');
  const size = 8 * 1024 * 1024;
  fs.writeFileSync(file, Buffer.alloc(size, 1));
  const writer = new Worker(
    `const { workerData } = require('node:worker_threads');
     const fs = require('node:fs');
     const fd = fs.openSync(workerData.file, 'r+');
     for (const end = Date.now() + 60000; Date.now() < end; ) {
       fs.ftruncateSync(fd, workerData.size / 2);
       fs.ftruncateSync(fd, workerData.size + 1);
     }`,
    { eval: true, workerData: { file, size } },
  );
  t.teardown(() => writer.terminate());
  await once(writer, 'online');
  const fd = openFolder(t, folder);
  const target = Buffer.alloc(size + 1);
  const digest = Buffer.alloc(32);
  let shorter = 0;
  let flagged = 0;
  const end = Date.now() + 30_000;
  while ((shorter === 0 || flagged < 20) && Date.now() < end) {
    const rows = native.statAt(fd, Buffer.from('a'));
    const got = native.readFileAt(
      fd,
      Buffer.from('a'),
      rows,
      0,
      target,
      0,
      target.length,
      digest,
      0,
    );
    const [entry] = entriesOf(rows);
    t.deepEqual(digest, sha256(target.subarray(0, got)));
    t.is(entry!.sizeBytes, got);
    if ((entry!.flags & RowFlag.changedWhileRead) !== 0) flagged += 1;
    if (got !== size / 2 && got !== size + 1) shorter += 1;
  }
  t.true(flagged >= 20);
  t.true(shorter > 0);
});

test('the fallback flags a file that grows, shrinks or is touched while it is read', (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'a');
  const changes: [string, () => void, number][] = [
    ['grows', () => fs.appendFileSync(file, 'more'), 7],
    ['shrinks', () => fs.truncateSync(file, 3), 3],
    ['touched', () => fs.utimesSync(file, 1, 1), 7],
  ];
  for (const [what, change, expected] of changes) {
    fs.writeFileSync(file, 'content');
    const rows = native.listDirectory(Buffer.from(folder));
    let looked = false;
    const racing = createFallback({
      ...fs,
      readSync: ((fd: number, into: Buffer, at: number, bytes: number, position: null) => {
        if (!looked) change();
        looked = true;
        return fs.readSync(fd, into, at, bytes, position);
      }) as typeof fs.readSync,
    });
    const target = Buffer.alloc(20);
    const digest = Buffer.alloc(32);
    const got = racing.readFile(
      Buffer.from(folder),
      Buffer.from('a'),
      rows,
      0,
      target,
      0,
      20,
      digest,
      0,
    );
    t.is(got, expected, what);
    const [entry] = entriesOf(rows);
    t.is(entry!.flags, RowFlag.changedWhileRead, what);
    t.is(entry!.sizeBytes, got, what);
    t.deepEqual(digest, sha256(target.subarray(0, got)), what);
  }
});

test('a written file has the bytes and metadata of its row, also before 1970', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const content = randomBytes(100_000);
  const times = [0n, 1n, -1n, 1_700_000_000_999_999_999n, -1_000_000_000n, -86_400_000_000_001n];
  times.forEach((mtimeNs, index) => {
    const name = Buffer.from([0xff, index + 1]);
    const permissions = index % 2 === 0 ? 0o4755 : 0o400;
    const rows = Buffer.concat([rowLike(), rowLike({ mtimeNs, permissions })]);
    native.writeFileAt(fd, name, content, 10, 99_000, rows, rows.length / 2, 0);
    const file = Buffer.concat([Buffer.from(`${folder}/`), name]);
    const stat = fs.lstatSync(file, { bigint: true });
    t.is(stat.mtimeNs, mtimeNs);
    t.is(stat.atimeNs, mtimeNs);
    t.is(stat.mode & 0o7777n, BigInt(permissions));
    t.deepEqual(fs.readFileSync(file), content.subarray(10, 99_010));
  });
  native.writeFileAt(fd, Buffer.from('empty'), Buffer.alloc(0), 0, 0, rowLike(), 0, 0);
  t.is(fs.readFileSync(path.join(folder, 'empty')).length, 0);
});

test('writing never replaces a file nor follows a link', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  fs.writeFileSync(path.join(folder, 'taken'), 'mine');
  fs.symlinkSync('elsewhere', path.join(folder, 'link'));
  for (const name of ['taken', 'link']) {
    const data = Buffer.from('other');
    const write = (): void =>
      native.writeFileAt(fd, Buffer.from(name), data, 0, 5, rowLike(), 0, 0);
    t.is(failing(write).code, 'EEXIST');
    t.is(failing(() => native.createFileAt(fd, Buffer.from(name))).code, 'EEXIST');
  }
  t.is(fs.readFileSync(path.join(folder, 'taken'), 'utf8'), 'mine');
  t.deepEqual(fs.readdirSync(folder).sort(), ['link', 'taken']);
});

test('a file that cannot be written whole is removed', (t) => {
  const folder = scratch(t);
  const output = inChild(
    `const fd = native.openDirectory(Buffer.from(values[0]));
     const row = Buffer.from(values[1], 'hex');
     try {
       native.writeFileAt(fd, Buffer.from('half'), Buffer.alloc(100000), 0, 100000, row, 0, 0);
     } catch (error) {
       process.stdout.write(error.code + ' ' + error.syscall);
     }`,
    [folder, rowLike().toString('hex')],
    'ulimit -f 8;',
  );
  t.is(output, 'EFBIG write');
  t.deepEqual(fs.readdirSync(folder), []);
});

(isRoot ? test : test.skip)('root sets the owner of what it writes', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const row = rowLike({ uid: 1234, gid: 4321, permissions: 0o6711 });
  const options = MetadataOption.setOwner;
  native.writeFileAt(fd, Buffer.from('file'), Buffer.alloc(0), 0, 0, row, 0, options);
  native.symlinkAt(fd, Buffer.from('link'), Buffer.from('x'), row, 0, options);
  native.makeDirectoryAt(fd, Buffer.from('sub'));
  const sub = openFolder(t, path.join(folder, 'sub'));
  native.setDirectoryMetadata(sub, row, 0, options);
  for (const name of ['file', 'link', 'sub']) {
    const stat = fs.lstatSync(path.join(folder, name), { bigint: true });
    t.deepEqual([stat.uid, stat.gid, stat.mtimeNs], [1234n, 4321n, 1_700_000_000_123_456_789n]);
    if (name !== 'link') t.is(stat.mode & 0o7777n, 0o6711n);
  }
});

test('an owner that may not be set is an error, or forgiven', (t) => {
  const folder = scratch(t);
  fs.chmodSync(folder, 0o777);
  const output = inChild(
    `if (process.getuid() === 0) process.seteuid(65534);
     const fd = native.openDirectory(Buffer.from(values[0]));
     const row = Buffer.from(values[1], 'hex');
     const codes = [];
     for (const options of [1, 3]) {
       for (const make of [
         () => native.writeFileAt(fd, Buffer.from('file'), Buffer.alloc(9), 0, 9, row, 0, options),
         () => native.symlinkAt(fd, Buffer.from('link'), Buffer.from('x'), row, 0, options),
       ]) {
         try { make(); codes.push('done'); } catch (error) { codes.push(error.code); }
       }
       codes.push(fs.readdirSync(values[0]).length);
     }
     process.stdout.write(codes.join());`,
    [folder, rowLike({ uid: 12345, gid: 12345, permissions: 0o6755 }).toString('hex')],
  );
  t.is(output, 'EPERM,EPERM,0,done,done,2');
  const stat = fs.lstatSync(path.join(folder, 'file'), { bigint: true });
  t.is(stat.mode & 0o7777n, 0o755n, 'no program runs as whoever restored it');
  t.is(stat.mtimeNs, 1_700_000_000_123_456_789n);
});

test('a file can be streamed and finished', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const file = native.createFileAt(fd, Buffer.from('file'));
  t.is(fs.fstatSync(file).mode & 0o7777, 0o600);
  fs.writeSync(file, 'one');
  fs.writeSync(file, 'two');
  native.finishFile(file, rowLike(), 0, 0);
  native.close(file);
  const stat = fs.lstatSync(path.join(folder, 'file'), { bigint: true });
  t.is(stat.mtimeNs, 1_700_000_000_123_456_789n);
  t.is(stat.mode & 0o7777n, 0o640n);
  t.is(fs.readFileSync(path.join(folder, 'file'), 'utf8'), 'onetwo');
});

test('names are made, linked, renamed and removed', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const name = (text: string): Buffer => Buffer.from(text);
  native.makeDirectoryAt(fd, name('sub'));
  t.is(fs.lstatSync(path.join(folder, 'sub')).mode & 0o7777, 0o700);
  const sub = openFolder(t, path.join(folder, 'sub'));
  const target = Buffer.from([0x2f, 0xff, 0x20]);
  native.symlinkAt(fd, name('link'), target, rowLike({ mtimeNs: -7n }), 0, 0);
  const link = path.join(folder, 'link');
  t.deepEqual(fs.readlinkSync(link, { encoding: 'buffer' }), target);
  t.is(fs.lstatSync(link, { bigint: true }).mtimeNs, -7n);
  native.linkAt(fd, name('link'), sub, name('hard'));
  t.is(fs.lstatSync(path.join(folder, 'sub/hard')).ino, fs.lstatSync(link).ino);
  native.renameAt(sub, name('hard'), fd, name('moved'));
  t.deepEqual(fs.readdirSync(path.join(folder, 'sub')), []);
  native.unlinkAt(fd, name('moved'));
  native.unlinkAt(fd, name('link'));
  t.deepEqual(fs.readdirSync(folder), ['sub']);
  t.is(failing(() => native.unlinkAt(fd, name('sub'))).code, 'EISDIR');
  t.is(failing(() => native.makeDirectoryAt(fd, name('sub'))).code, 'EEXIST');
});

test('no call takes a name that is no single name', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const row = rowLike();
  const ok = Buffer.from('ok');
  const bytes = Buffer.alloc(32);
  const calls: ((name: Buffer) => unknown)[] = [
    (name) => native.statAt(fd, name),
    (name) => native.readFileAt(fd, name, row, 0, bytes, 0, 32, bytes, 0),
    (name) => native.writeFileAt(fd, name, bytes, 0, 32, row, 0, 0),
    (name) => native.createFileAt(fd, name),
    (name) => native.makeDirectoryAt(fd, name),
    (name) => native.symlinkAt(fd, name, ok, row, 0, 0),
    (name) => native.linkAt(fd, name, fd, ok),
    (name) => native.linkAt(fd, ok, fd, name),
    (name) => native.unlinkAt(fd, name),
    (name) => native.renameAt(fd, name, fd, ok),
    (name) => native.renameAt(fd, ok, fd, name),
    (name) => fallback.readFile(Buffer.from(folder), name, row, 0, bytes, 0, 32, bytes, 0),
  ];
  for (const call of calls) {
    for (const name of ['', '.', '..', '../x', 'a/b', '/', 'a\0b', '\0']) {
      t.is(
        failing(() => call(Buffer.from(name))).code,
        'EINVAL',
        `${String(call)} ${JSON.stringify(name)}`,
      );
    }
  }
  for (const call of [
    () => native.listDirectory(Buffer.from('/\0')),
    () => native.openDirectory(Buffer.from('\0')),
    () => native.statRow(Buffer.from('/a\0b'), ok),
    () => native.statRow(Buffer.from('/'), Buffer.from('a\0')),
    () => native.symlinkAt(fd, ok, Buffer.from('a\0b'), row, 0, 0),
  ]) {
    t.is(failing(call).code, 'EINVAL');
  }
  t.deepEqual(fs.readdirSync(folder), []);
});

test('errors are those of Node', (t) => {
  const folder = scratch(t);
  const missing = Buffer.from(path.join(folder, 'none'));
  const error = t.throws<NodeJS.ErrnoException>(() => native.openDirectory(missing));
  t.is(error.message, 'ENOENT: no such file or directory, openat');
  t.like(error, { code: 'ENOENT', errno: -os.constants.errno.ENOENT, syscall: 'openat' });
  fs.symlinkSync('.', path.join(folder, 'link'));
  for (const call of [
    () => native.listDirectory(Buffer.from(path.join(folder, 'link'))),
    () => native.openDirectory(Buffer.from(path.join(folder, 'link'))),
    () => fallback.listDirectory(Buffer.from(path.join(folder, 'link'))),
  ]) {
    t.is(failing(call).code, 'ENOTDIR');
  }
  t.is(failing(() => native.syncfs(1_000_000)).code, 'EBADF');
  t.is(failing(() => native.statAt(-100, Buffer.from('tmp'))).code, 'EBADF');
  t.is(failing(() => native.listDirectory('/tmp' as unknown as Buffer)).code, 'EINVAL');
  t.is(failing(() => native.openDirectory(undefined as unknown as Buffer)).code, 'EINVAL');
});

test('sha256 hashes part of a buffer', (t) => {
  const data = randomBytes(1000);
  const digest = Buffer.alloc(40);
  for (const [offset, bytes] of [
    [0, 1000],
    [1, 0],
    [13, 500],
    [1000, 0],
  ] as const) {
    native.sha256(data, offset, bytes, digest, 8);
    t.deepEqual(digest.subarray(8), sha256(data.subarray(offset, offset + bytes)));
  }
  t.is(failing(() => native.sha256(data, 1, 1000, digest, 0)).code, 'EINVAL');
  t.is(failing(() => native.sha256(data, 0, 1000, digest, 9)).code, 'EINVAL');
});

test('a lock keeps another process out', async (t) => {
  const file = path.join(scratch(t), 'lock');
  fs.writeFileSync(file, '');
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { loadNative } from ${JSON.stringify(NATIVE_URL)};
       import fs from 'node:fs';
       const native = loadNative();
       const fd = fs.openSync(process.argv[1], 'r');
       for await (const line of process.stdin.setEncoding('utf8')) {
         const [what] = line;
         process.stdout.write(String(what === 'u' ? native.unlock(fd) : native.flock(fd, what === 'x')));
       }`,
      file,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const ask = async (what: string): Promise<string> => {
    child.stdin.write(what);
    const [answer] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
    return answer;
  };
  const fd = fs.openSync(file, 'r');
  t.teardown(() => fs.closeSync(fd));
  t.is(await ask('x'), 'true');
  t.false(native.flock(fd, true));
  t.false(native.flock(fd, false));
  t.is(await ask('s'), 'true');
  t.true(native.flock(fd, false));
  t.false(native.flock(fd, true));
  t.is(await ask('u'), 'undefined');
  t.true(native.flock(fd, true));
  t.is(await ask('s'), 'false');
  native.unlock(fd);
  t.is(await ask('x'), 'true');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.true(native.flock(fd, true));
});

test('syncfs returns', (t) => {
  const fd = openFolder(t, scratch(t));
  t.is(native.syncfs(fd), undefined);
});

test('several threads use the addon at once', async (t) => {
  const folder = scratch(t);
  makeTree(Buffer.from(folder), 1);
  const expected = native.hashRows(native.listDirectory(Buffer.from(folder))).toString('hex');
  const threads = Array.from({ length: 4 }, async () => {
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.url).then(({ loadNative }) => {
         const native = loadNative();
         const hashes = new Set();
         for (let round = 0; round < 200; round += 1) {
           const rows = native.listDirectory(Buffer.from(workerData.folder));
           hashes.add(native.hashRows(rows).toString('hex'));
           try { native.listDirectory(Buffer.from('/none')); } catch (error) { hashes.add(error.code); }
         }
         parentPort.postMessage([...hashes]);
       });`,
      { eval: true, workerData: { url: NATIVE_URL, folder } },
    );
    const [hashes] = (await once(worker, 'message')) as [string[]];
    await worker.terminate();
    return hashes;
  });
  for (const hashes of await Promise.all(threads)) t.deepEqual(hashes, [expected, 'ENOENT']);
});

test('no descriptor is left open, whatever fails', (t) => {
  const folder = scratch(t);
  fs.mkdirSync(path.join(folder, 'sub'));
  fs.writeFileSync(path.join(folder, 'file'), 'x');
  const output = inChild(
    `const folder = Buffer.from(values[0]);
     const row = Buffer.from(values[1], 'hex');
     const fd = native.openDirectory(folder);
     const bytes = Buffer.alloc(32);
     const name = (text) => Buffer.from(text);
     const open = () => fs.readdirSync('/proc/self/fd').length;
     const before = open();
     for (const call of [
       () => native.listDirectory(folder),
       () => native.readFileAt(fd, name('file'), row, 0, bytes, 0, 32, bytes, 0),
       () => native.readFileAt(fd, name('sub'), row, 0, bytes, 0, 32, bytes, 0),
       () => native.readFileAt(fd, name('file'), row, 0, bytes, 0, 0, bytes, 0),
       () => native.openBeneath(fd, name('sub'), 1),
       () => native.openBeneath(fd, name('sub/none'), 0),
       () => native.walkBeneath(fd, name('sub/none'), 0),
       () => native.writeFileAt(fd, name('new'), bytes, 0, 32, row, 0, 0),
       () => native.writeFileAt(fd, name('new'), bytes, 0, 32, row, 0, 0),
     ]) {
       try { call(); } catch (error) { if (error.errno === undefined) throw error; }
     }
     fs.writeSync(1, String(open() - before));`,
    [folder, rowLike().toString('hex')],
  );
  t.is(output, '0');
});

test('a missing addon says how to build it', async (t) => {
  const folder = scratch(t);
  fs.mkdirSync(path.join(folder, 'dist'));
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  fs.copyFileSync(new URL(NATIVE_URL), path.join(folder, 'dist/native.js'));
  const copy = (await import(path.join(folder, 'dist/native.js'))) as {
    loadNative: typeof loadNative;
  };
  const error = t.throws(() => copy.loadNative(), { code: 'ERR_NATIVE_MISSING' });
  t.regex(error.message, /npm run build:native/);
});

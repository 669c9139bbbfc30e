import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { SparseMap } from '../../src/contents/index.js';
import {
  EntryType,
  exactMtimeNs,
  packAttributes,
  readAttributes,
  RowFlag,
  RowReader,
  withAttributes,
} from '../../src/model/index.js';
import { failedAttributes, MetadataOption } from '../../src/system/index.js';
import { leaveOut } from '../helpers/left-out.js';
import {
  assertRowMatches,
  failing,
  inChild,
  isRoot,
  native,
  openFolder,
  rowLike,
} from '../helpers/native.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratch, written } from '../helpers/scratch.js';

const LIMIT = 128 << 10;
const name = (text: string): Buffer => Buffer.from(text);

function attribute(text: string, value: string): { name: Buffer; value: Buffer } {
  return { name: Buffer.from(text), value: Buffer.from(value) };
}

test('fifos, sockets and device nodes are made with the metadata of a row', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const kinds = isRoot
    ? (['fifo', 'socket', 'characterDevice', 'blockDevice'] as const)
    : (['fifo', 'socket'] as const);
  for (const kind of kinds) {
    const device = kind.endsWith('Device') ? 0x10_0203n : 0n;
    const row = rowLike({ type: EntryType[kind], permissions: 0o1462, device, mtimeNs: -5n });
    t.is(native.makeNodeAt(fd, name(kind), row, 0, MetadataOption.setOwner), undefined);
    const [made] = entriesOf(native.statAt(fd, name(kind)));
    t.like(made, { type: EntryType[kind], permissions: 0o1462, device, mtimeNs: -5n }, kind);
    assertRowMatches(t, made!, Buffer.from(path.join(folder, kind)));
    t.is(failing(() => native.makeNodeAt(fd, name(kind), row, 0, 0)).code, 'EEXIST');
  }
  const file = rowLike({ type: EntryType.file });
  t.is(failing(() => native.makeNodeAt(fd, name('x'), file, 0, 0)).code, 'EINVAL');
  t.deepEqual(fs.readdirSync(folder).sort(), [...kinds].sort());
});

test('a user who may not make a device node gets an error, and nothing is left behind', (t) => {
  const folder = scratch(t);
  fs.chmodSync(folder, 0o777);
  const row = rowLike({ type: EntryType.blockDevice, device: 1n });
  const printed = inChild(
    `if (process.getuid() === 0) process.setuid(65534);
     const fd = native.openDirectory(Buffer.from(values[0]));
     try { native.makeNodeAt(fd, Buffer.from('node'), Buffer.from(values[1], 'hex'), 0, 0); }
     catch (error) { process.stdout.write(error.code); }`,
    [folder, row.toString('hex')],
  );
  t.is(printed, 'EPERM');
  t.deepEqual(fs.readdirSync(folder), []);
});

test('attributes come packed and in order, the same by both ways', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  fs.writeFileSync(path.join(folder, 'file'), '');
  const large = 'v'.repeat(3000);
  const row = withAttributes(
    rowLike(),
    packAttributes([
      attribute('user.a', ''),
      attribute('user.b\xff', large),
      attribute('user.c', 'C'),
    ]),
  );
  const file = fs.openSync(path.join(folder, 'file'), 'r+');
  const reported = native.finishFile(file, row, 0, 0);
  fs.closeSync(file);
  if (failedAttributes(reported).some(({ code }) => code === 'ENOTSUP')) {
    return leaveOut(t, 'left out: this file system knows no attributes');
  }
  t.is(reported, undefined);
  for (const call of [native.attributesAt, native.attributesByPath]) {
    const packed = call(fd, name('file'), false, LIMIT);
    t.true(packed.equals(new RowReader(row).attributes(0)!));
    t.deepEqual(
      readAttributes(packed).map(({ name: key, value }) => [key.toString(), value.toString()]),
      [
        ['user.a', ''],
        ['user.b\xff', large],
        ['user.c', 'C'],
      ],
    );
    t.is(failing(() => call(fd, name('file'), false, 2999)).code, 'E2BIG');
    t.is(failing(() => call(fd, name('missing'), false, LIMIT)).code, 'ENOENT');
    t.is(call(fd, name('file'), true, LIMIT).length, packed.length, 'a time within bounds');
  }
});

test('without /proc, and without the newer calls, attributes are missed with an error', (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), '');
  const body = `
    const fd = native.openDirectory(Buffer.from(values[0]));
    for (const name of ['file', 'missing']) {
      try { native.attributesByPath(fd, Buffer.from(name), false, 4096); }
      catch (error) { process.stdout.write(error.code + ' '); }
    }`;
  if (spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/proc']).status !== 0) {
    return leaveOut(t, 'left out: only root can cover /proc');
  }
  // The process starts with /proc, which node needs, and then covers it.
  const cover = `
    const { spawnSync } = await import('node:child_process');
    spawnSync('mount', ['-t', 'tmpfs', 'none', '/proc']);`;
  const apart = `unshare -m sh -c 'exec "$0" "$@"' "$0" "$@"; exit $?;`;
  t.is(inChild(`${cover} ${body}`, [folder], apart), 'ENOSYS ENOENT ');
});

test('attributes of a link are its own, and those of a directory are found', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  fs.mkdirSync(path.join(folder, 'directory'));
  const packed = packAttributes([attribute('trusted.t', 'of the link')]);
  const link = withAttributes(
    rowLike({ type: EntryType.symlink, linkTarget: name('directory') }),
    packed,
  );
  t.is(native.attributesAt(fd, name(''), false, LIMIT).length, 0);
  const reported = native.symlinkAt(fd, name('link'), name('directory'), link, 0, 0);
  if (failedAttributes(reported).length > 0) {
    t.log(`left out: ${JSON.stringify(failedAttributes(reported))}`);
    t.false(isRoot && failedAttributes(reported)[0]!.code === 'EPERM');
    t.pass();
    return;
  }
  for (const call of [native.attributesAt, native.attributesByPath]) {
    t.true(call(fd, name('link'), false, LIMIT).equals(packed));
    t.is(call(fd, name('directory'), false, LIMIT).length, 0);
  }
});

test('attributes that cannot be put are reported, and the rest is done', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const row = withAttributes(
    rowLike({ permissions: 0o400 }),
    packAttributes([attribute('nonsense', 'x'), attribute('user.fine', 'y')]),
  );
  const reported = native.writeFileAt(fd, name('file'), Buffer.from('abc'), 0, 3, row, 0, 0);
  const failed = failedAttributes(reported);
  t.deepEqual(failed[0], { name: 'nonsense', code: 'ENOTSUP' });
  t.is(fs.readFileSync(path.join(folder, 'file'), 'utf8'), 'abc');
  t.is(fs.statSync(path.join(folder, 'file')).mode & 0o7777, 0o400);
  if (failed.length > 1) t.log('this file system knows no attributes');
  else {
    const [kept] = readAttributes(native.attributesAt(fd, name('file'), false, LIMIT));
    t.is(kept?.value.toString(), 'y');
  }
  for (const bad of [
    Buffer.alloc(3),
    Buffer.from([1, 0, 0, 0, 0]),
    Buffer.from([9, 0, 0, 0, 0, 0]),
  ]) {
    const malformed = withAttributes(rowLike(), bad);
    const write = (): unknown =>
      native.writeFileAt(fd, name('bad'), Buffer.alloc(0), 0, 0, malformed, 0, 0);
    t.is(failing(write).code, 'EINVAL');
  }
  t.deepEqual(fs.readdirSync(folder), ['file']);
});

test('times beyond nanoseconds in 64 bits come back exactly', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const exact: [string, bigint][] = [
    ['late', 12_345_678_901_123_456_789n],
    ['early', -10_000_000_000_987_654_321n],
  ];
  for (const [what, timeNs] of exact) {
    const file = written(folder, what, '');
    const seconds = timeNs >= 0n ? timeNs / 10n ** 9n : -((-timeNs + 10n ** 9n - 1n) / 10n ** 9n);
    const stamp = `@${seconds}.${String(timeNs - seconds * 10n ** 9n).padStart(9, '0')}`;
    t.is(spawnSync('touch', ['-d', stamp, file]).status, 0);
    if (fs.statSync(file, { bigint: true }).mtimeNs !== timeNs) {
      t.log(`left out: this file system does not know such times (${what})`);
      continue;
    }
    const row = native.statAt(fd, name(what));
    const { mtimeNs } = entriesOf(row)[0]!;
    t.true(mtimeNs === 2n ** 63n - 1n || mtimeNs === -(2n ** 63n));
    const packed = native.attributesAt(fd, name(what), true, LIMIT);
    t.is(exactMtimeNs(mtimeNs, packed), timeNs);
    native.writeFileAt(fd, name(`${what} again`), packed, 0, 0, withAttributes(row, packed), 0, 0);
    t.is(fs.statSync(`${file} again`, { bigint: true }).mtimeNs, timeNs);
  }
  t.pass();
});

test('a file with holes is read in its sparse form, a dense one as it is', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const read = (what: string): { row: Buffer; bytes: Buffer } => {
    const row = native.statAt(fd, name(what));
    const room = new RowReader(row).sizeBytes(0);
    const target = Buffer.alloc(room);
    const digest = Buffer.alloc(32);
    const got = native.readFileAt(fd, name(what), row, 0, target, 0, room, digest, 0);
    const bytes = target.subarray(0, got);
    t.deepEqual(digest, sha256(bytes));
    return { row, bytes };
  };
  const isSparse = (row: Buffer): boolean => (new RowReader(row).flags(0) & RowFlag.sparse) !== 0;
  fs.writeFileSync(path.join(folder, 'zeros'), Buffer.alloc(100_000));
  const zeros = read('zeros');
  t.false(isSparse(zeros.row));
  t.is(zeros.bytes.length, 100_000);

  const file = fs.openSync(path.join(folder, 'holes'), 'w');
  native.resizeFile(file, 1_000_000);
  fs.writeSync(file, 'first', 500_000);
  fs.closeSync(file);
  const { row, bytes } = read('holes');
  if (!isSparse(row)) {
    t.log('left out: this file system has no holes');
    return;
  }
  t.is(new RowReader(row).sizeBytes(0), 1_000_000);
  t.true(bytes.length < 100_000);
  const map = new SparseMap(bytes.subarray(0, 16 + 16 * Number(bytes.readBigUInt64LE(8))));
  t.is(map.fileBytes, 1_000_000);
  t.is(map.formBytes, bytes.length);
  t.true(bytes.includes('first'));

  fs.writeFileSync(path.join(folder, 'only a hole'), '');
  fs.truncateSync(path.join(folder, 'only a hole'), 50_000);
  const hole = read('only a hole');
  t.is(hole.bytes.toString('hex'), `50c3000000000000${'00'.repeat(8)}`);
});

test('more pieces of data than are wanted are reported as fewer', (t) => {
  const folder = scratch(t);
  const fd = fs.openSync(path.join(folder, 'file'), 'w+');
  t.teardown(() => fs.closeSync(fd));
  const step = 1 << 16;
  for (let index = 0; index < 100; index += 1) fs.writeSync(fd, 'x', index * step);
  const size = fs.fstatSync(fd).size;
  const whole = native.sparseHead(fd, size, 1000);
  if (whole.length === 0) t.log('left out: this file system has no holes');
  else t.is(new SparseMap(whole).fileBytes, size);
  const few = native.sparseHead(fd, size, 10);
  t.true(few.length <= 16 + 10 * 16, 'at most ten pieces, or none worth telling');
  t.is(native.sparseHead(fd, 0, 10).length, 0);
});

test('names of users and groups, and their numbers', (t) => {
  t.is(native.userName(0)?.toString(), 'root');
  t.is(native.groupName(0)?.toString(), 'root');
  t.is(native.userId(Buffer.from('root')), 0);
  t.is(native.groupId(Buffer.from('root')), 0);
  t.is(native.userName(4_000_000_123), undefined);
  t.is(native.groupName(4_000_000_123), undefined);
  t.is(native.userId(Buffer.from('no such user')), undefined);
  t.is(native.groupId(Buffer.from('no such group')), undefined);
});

test('what is made in a directory keeps none of the ACLs that it inherits', (t) => {
  const folder = scratch(t);
  if (spawnSync('setfacl', ['-d', '-m', 'u:4321:rwx', folder]).status !== 0) {
    t.log('left out: no setfacl, or no ACLs here');
    return;
  }
  const fd = openFolder(t, folder);
  const options = MetadataOption.dropInherited;
  native.writeFileAt(fd, name('file'), Buffer.alloc(0), 0, 0, rowLike(), 0, options);
  native.makeNodeAt(fd, name('fifo'), rowLike({ type: EntryType.fifo }), 0, options);
  native.makeDirectoryAt(fd, name('sub'));
  native.dropInherited(openFolder(t, path.join(folder, 'sub')));
  native.makeDirectoryAt(fd, name('late'));
  const late = openFolder(t, path.join(folder, 'late'));
  native.setDirectoryMetadata(late, rowLike({ type: EntryType.directory }), 0, options);
  for (const made of ['file', 'fifo', 'sub', 'late']) {
    t.is(native.attributesAt(fd, name(made), false, LIMIT).length, 0, made);
  }
});

// Pace: slow
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DIGEST_BYTES, EntryType, type Entry, RowFlag } from '../../src/model/index.js';
import { createFallback } from '../helpers/native-reference.js';
import {
  assertRowMatches,
  failing,
  fallback,
  inChild,
  makeAllKinds,
  makeTree,
  native,
  openFolder,
  rowLike,
} from '../helpers/native.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';
import { identityAt } from '../helpers/identities.js';

test('rows have what lstat returns, for all kinds of files', async (t) => {
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

test('an entry whose metadata cannot be read has a row that marks it', (t) => {
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

test('the skip hash covers what shows a change, and nothing else', (t) => {
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

// --- names that are held ----------------------------------------------------------------------------

test('up to a number of names a directory is listed, beyond it its names are held', (t) => {
  const folder = scratch(t);
  const names = ['a', 'same beginning', 'same beginning ', 'same', 'z'.repeat(255), '\u00e9', ' '];
  for (const name of names) fs.writeFileSync(path.join(folder, name), name);
  fs.symlinkSync('nowhere', path.join(folder, 'same link'));
  const at = Buffer.from(folder);
  const whole = native.listDirectory(at);
  t.deepEqual(native.listOrHold(at, 8, identityAt(at)), whole);
  const held = native.listOrHold(at, 7, identityAt(at));
  if (typeof held !== 'number') return t.fail('it was not held');
  t.is(native.heldNames(held), 8);
  t.deepEqual(native.heldRows(held, 0, 8), whole);
  const rows = Array.from({ length: 8 }, (_, index) => native.heldRows(held, index, 1));
  t.deepEqual(Buffer.concat(rows), whole);
  t.is(native.heldRows(held, 8, 0).length, 0);
  // Rows are made on request, from the same directory even if its path has changed.
  fs.unlinkSync(path.join(folder, 'a'));
  fs.renameSync(folder, `${folder}-moved`);
  t.teardown(() => fs.rmSync(`${folder}-moved`, { recursive: true }));
  t.deepEqual(
    entriesOf(native.heldRows(held, 0, 8)).map(({ name }) => name.toString()),
    entriesOf(whole)
      .map(({ name }) => name.toString())
      .filter((name) => name !== 'a'),
  );
  for (const [from, count] of [
    [9, 0],
    [0, 9],
    [7, 2],
  ] as const) {
    t.is(failing(() => native.heldRows(held, from, count)).code, 'EINVAL');
  }
  native.dropNames(held);
  t.is(failing(() => native.heldNames(held)).code, 'EINVAL');
  t.is(failing(() => native.heldRows(held, 0, 1)).code, 'EINVAL');
  native.dropNames(held); // a second call does no harm
  return undefined;
});

test('held names are in the order of their bytes, whatever they begin with', (t) => {
  const folder = scratch(t);
  for (let index = 0; index < 3000; index += 1) {
    const name = `a common beginning of names ${(index * 7919) % 3000}${'x'.repeat(index % 11)}`;
    fs.writeFileSync(path.join(folder, name), '');
  }
  const at = Buffer.from(folder);
  const held = native.listOrHold(at, 10, identityAt(at)); // sorted in several runs
  if (typeof held !== 'number') return t.fail('it was not held');
  t.deepEqual(native.heldRows(held, 0, 3000), fallback.listDirectory(at));
  native.dropNames(held);
  return undefined;
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { RowFlag, RowOffset } from '../../src/model/index.js';
import { createFallback } from '../helpers/native-reference.js';
import {
  assertRowMatches,
  failing,
  fallback,
  makeAllKinds,
  native,
  openFolder,
  rowLike,
} from '../helpers/native.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratch, written } from '../helpers/scratch.js';

const PROCESS = `/proc/${process.pid}`;

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
    const file = written(folder, 'a', 'before');
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

    // After the caller has cleared the flag, the row matches the file.
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

test('readFileAt reads a file with more extents than it keeps apart from its start', (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'a');
  const [pieces, pieceBytes] = [300, 4096];
  const fd = fs.openSync(file, 'wx');
  for (let piece = 0; piece < pieces; piece += 1) {
    fs.writeSync(fd, randomBytes(pieceBytes), 0, pieceBytes, piece * 2 * pieceBytes);
  }
  fs.closeSync(fd);
  const content = fs.readFileSync(file);
  const directory = openFolder(t, folder);
  const rows = native.statAt(directory, Buffer.from('a'));
  const target = Buffer.alloc(content.length);
  const digest = Buffer.alloc(32);
  const name = Buffer.from('a');
  const got = native.readFileAt(directory, name, rows, 0, target, 0, target.length, digest, 0);
  t.is(got, content.length);
  t.true(target.equals(content));
  t.deepEqual(digest, sha256(content));
  t.is(rows[RowOffset.flags]! & RowFlag.changedWhileRead, 0);
});

test('readFileAt flags a file that grows and shrinks while it is read', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'a');
  const size = 8 * 1024 * 1024;
  fs.writeFileSync(file, Buffer.alloc(size, 1));
  const writer = new Worker(
    `const { workerData } = require('node:worker_threads');
     const fs = require('node:fs');
     const fd = fs.openSync(workerData.file, 'r+');
     const more = Buffer.alloc(workerData.size / 2 + 1, 1);
     for (const end = Date.now() + 60000; Date.now() < end; ) {
       fs.ftruncateSync(fd, workerData.size / 2);
       fs.writeSync(fd, more, 0, more.length, workerData.size / 2);
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
    const isFlagged = (entry!.flags & RowFlag.changedWhileRead) !== 0;
    // If the size in the row is not the number of bytes read, the row must be flagged as changed.
    t.true(entry!.sizeBytes === got || isFlagged);
    if (isFlagged) flagged += 1;
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

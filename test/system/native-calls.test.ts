import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import type { loadNative } from '../../src/system/native.js';
import {
  failing,
  fallback,
  inChild,
  makeTree,
  native,
  NATIVE_URL,
  openFolder,
  rowLike,
} from '../helpers/native.js';
import { sha256 } from '../helpers/rows.js';
import { scratch, written } from '../helpers/scratch.js';

test('no call takes a name that is no single name', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const row = rowLike();
  const ok = Buffer.from('ok');
  const bytes = Buffer.alloc(32);
  const calls: ((name: Buffer) => unknown)[] = [
    (name) => native.statAt(fd, name),
    (name) => native.openOwnersAt(fd, name, row),
    (name) =>
      native.readFileAt(
        fd,
        name.length > 0 ? name : Buffer.from('.'),
        row,
        0,
        bytes,
        0,
        32,
        bytes,
        0,
      ),
    (name) => native.writeFileAt(fd, name, bytes, 0, 32, row, 0, 0),
    (name) => native.createFileAt(fd, name),
    (name) => native.makeDirectoryAt(fd, name),
    (name) => native.symlinkAt(fd, name, ok, row, 0, 0),
    (name) => native.linkAt(fd, name, fd, ok),
    (name) => native.linkAt(fd, ok, fd, name),
    (name) => native.unlinkAt(fd, name),
    (name) => native.renameAt(fd, name, fd, ok),
    (name) => native.renameAt(fd, ok, fd, name),
    (name) => native.exchangeAt(fd, name, fd, ok),
    (name) => native.exchangeAt(fd, ok, fd, name),
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
  const file = written(scratch(t), 'lock', '');
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

test('syncfs returns, or throws the reason', async (t) => {
  const fd = openFolder(t, scratch(t));
  t.is(await native.syncfs(fd), undefined);
  const error = await t.throwsAsync(native.syncfs(1_000_000), { instanceOf: Error });
  t.like(error, { code: 'EBADF', errno: -os.constants.errno.EBADF, syscall: 'syncfs' });
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

test('a missing addon is an error of its own', async (t) => {
  const folder = scratch(t);
  fs.mkdirSync(path.join(folder, 'dist'));
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  for (const name of ['native.js', 'local-time.js', 'package-root.js', 'whole-addons.js']) {
    fs.copyFileSync(new URL(name, NATIVE_URL), path.join(folder, 'dist', name));
  }
  const copy = (await import(path.join(folder, 'dist/native.js'))) as {
    loadNative: typeof loadNative;
  };
  const error = t.throws(() => copy.loadNative(), { code: 'ERR_NATIVE_MISSING' });
  t.regex(error.message, /addon cannot be loaded \(.*tardis_native\.node/);
});

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { OpenKind } from '../../src/system/native.js';
import { failing, native, openFolder, rowLike } from '../helpers/native.js';
import { entriesOf } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';

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

    // The directory is replaced by a link to the outside after it was seen.
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
    // ENOENT between two renames; ENOTDIR if the link disappears before the call can identify it as a link.
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

/** Changes of a tree, of every kind that a backup must notice. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import type { Choose } from './random-tree.js';

/** Changes some entries of a tree, each in one thing that a set keeps. */
export function editAtRandom(choose: Choose, top: string, index: number): void {
  const files: Buffer[] = [];
  const visit = (directory: Buffer): void => {
    for (const entry of fs.readdirSync(directory, { encoding: 'buffer', withFileTypes: true })) {
      const full = Buffer.concat([directory, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) visit(full);
      else if (entry.isFile() && !full.includes('/pair/')) files.push(full);
    }
  };
  visit(Buffer.from(top));
  const one = (): Buffer => files.splice(choose(files.length), 1)[0]!;
  const beside = (full: Buffer, name: string): Buffer =>
    Buffer.concat([full.subarray(0, full.lastIndexOf(0x2f) + 1), Buffer.from(name)]);
  fs.appendFileSync(one(), 'more');
  const closed = one();
  fs.chmodSync(closed, (fs.statSync(closed).mode & 0o777) ^ 0o040);
  fs.utimesSync(one(), 1000, 1_000_000 + index);
  fs.rmSync(one());
  const moved = one();
  fs.renameSync(moved, beside(moved, `moved ${index}`));
  const linked = one();
  fs.linkSync(linked, beside(linked, `linked ${index}`));
  const parted = one();
  const { atime, mtime } = fs.statSync(parted);
  fs.copyFileSync(parted, `${top}/copy`);
  fs.utimesSync(`${top}/copy`, atime, mtime);
  fs.renameSync(`${top}/copy`, parted);
  const replaced = one();
  fs.rmSync(replaced);
  fs.mkdirSync(replaced);
  fs.writeFileSync(Buffer.concat([replaced, Buffer.from('/in it')]), `${index}`);
  const nothing = one();
  fs.rmSync(nothing);
  fs.symlinkSync('elsewhere', nothing);
  const fd = fs.openSync(one(), 'r');
  const words = ['-n', 'user.changed', '-v', String(index), '/proc/self/fd/0']; // any bytes may be in the name
  execFileSync('setfattr', words, { stdio: [fd, 'ignore', 'inherit'] });
  fs.closeSync(fd);
}

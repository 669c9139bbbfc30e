import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { tryLock } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratch } from '../helpers/scratch.js';

/** Returns the descriptor of this process for a file. */
function descriptorOf(file: string): number {
  const found = fs.readdirSync('/proc/self/fd').find((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the descriptor of the listing itself
    }
  });
  return Number(found);
}

test('a lock is released even while a child of the process has its descriptor', (t) => {
  const file = path.join(scratch(t), 'lock');
  const lock = tryLock(nodeSystem(), file);
  t.truthy(lock);
  // Between fork and exec a child has all descriptors; this one keeps it.
  const child = spawn('sleep', ['600'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptorOf(file)],
  });
  t.teardown(() => child.kill());
  t.is(tryLock(nodeSystem(), file), undefined, 'it is held');
  lock?.release();
  const next = tryLock(nodeSystem(), file);
  t.truthy(next, 'it is free');
  next?.release();
});

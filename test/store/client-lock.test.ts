import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { isInLocks, tryLock } from '../../src/store/index.js';
import { type Files, nodeSystem } from '../../src/system/index.js';
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

test('a lock is that of a file only on its device, except where devices have no numbers of their own', (t) => {
  const list =
    '1: FLOCK  ADVISORY  WRITE 77 fe:10:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 78 00:2c:43 0 EOF\n';
  const device = (major: bigint, minor: bigint): bigint => (major << 8n) | minor;
  t.true(isInLocks(list, { dev: device(0xfen, 0x10n), ino: 42n }));
  t.false(isInLocks(list, { dev: device(0xfen, 0x11n), ino: 42n }));
  t.false(isInLocks(list, { dev: device(0xfen, 0x10n), ino: 4n }));
  t.true(isInLocks(list, { dev: device(0n, 0x99n), ino: 43n })); // a subvolume
  t.false(isInLocks(list, { dev: device(0n, 0x10n), ino: 42n }));
});

test('a lock file that its holder deletes at the same moment is held, not an error', (t) => {
  const file = path.join(scratch(t), 'lock');
  const system = nodeSystem();
  const files: Files = {
    ...system.files,
    open: (name, how) => {
      if (how === 'write') fs.rmSync(name);
      return system.files.open(name, how);
    },
  };
  t.is(tryLock({ ...system, files }, file), undefined);
  t.throws(() => tryLock(system, path.join(file, 'of no folder')));
});

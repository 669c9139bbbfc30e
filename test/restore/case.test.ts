/** File systems that take two names for one. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { areOneName, foldsCase } from '../../src/restore/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { withNative } from '../helpers/inline.js';
import { scratch } from '../helpers/scratch.js';

/** A file system that finds names whatever their case is. */
const folding = withNative((real) => ({
  openBeneath: (directory, name, kind) => {
    const wanted = name.toString().toLowerCase();
    const names = fs.readdirSync(`/proc/self/fd/${directory}`);
    const found = names.find((one) => one.toLowerCase() === wanted) ?? name.toString();
    return real.openBeneath(directory, Buffer.from(found), kind);
  },
}));

function inDirectory<T>(t: ExecutionContext, system: System, use: (fd: number) => T): T {
  const home = scratch(t);
  fs.writeFileSync(path.join(home, 'present'), '');
  const fd = system.native.openDirectory(Buffer.from(home));
  try {
    return use(fd);
  } finally {
    system.native.close(fd);
    t.deepEqual(fs.readdirSync(home), ['present'], 'nothing is left behind');
  }
}

const NAMES = [Buffer.from('Read.me'), Buffer.from('read.ME')] as const;

test('a file system that folds case is known by a name that is there', (t) => {
  const present = Buffer.from('present');
  t.false(inDirectory(t, nodeSystem(), (fd) => foldsCase(nodeSystem(), fd, present)));
  t.true(inDirectory(t, folding, (fd) => foldsCase(folding, fd, present)));
});

test('two names are one if a file that has the one is found by the other', (t) => {
  const are = (system: System) => (fd: number) =>
    areOneName(system, fd, { prefix: '.probe-', one: NAMES[0], other: NAMES[1] });
  t.false(inDirectory(t, nodeSystem(), are(nodeSystem())));
  t.true(inDirectory(t, folding, are(folding)));
});

test('a name that is too long to try counts as one with the other', (t) => {
  const long = Buffer.alloc(250, 'n');
  const system = nodeSystem();
  t.true(
    inDirectory(t, system, (fd) =>
      areOneName(system, fd, { prefix: '.probe-', one: long, other: NAMES[0] }),
    ),
  );
});

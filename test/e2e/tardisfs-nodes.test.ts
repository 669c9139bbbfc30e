// Pace: slow
/** A mount uses the numbers of nodes again: whatever was ready or expected for a node must not be taken for another file. */
import fs from 'node:fs';
import test from 'ava';
import { backupsRunHere, poolsStayAway, succeed } from '../helpers/commands.js';
import { type Lab, mounted } from '../helpers/mounted-sets.js';
import { file, makeTree, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const FILES = 400;
const WALKED = 12;
const BYTES = 700;

const nameOf = (number: number): string => `f${String(number).padStart(4, '0')}`;
const contentOf = (set: number, number: number): Buffer => noise(set * FILES + number, BYTES);

/** Saves two sets, whose files have equal names and different contents. */
async function saved(lab: Lab): Promise<void> {
  for (const set of [1, 2]) {
    fs.rmSync(lab.source, { recursive: true, force: true });
    makeTree(
      lab.source,
      Array.from({ length: FILES }, (_none, number) =>
        file(nameOf(number), contentOf(set, number)),
      ),
    );
    await lab.save(['--name', `set${set}`]);
  }
}

function read(lab: Lab, set: number, number: number): Buffer {
  return fs.readFileSync(lab.view(`set${set}`, lab.source, nameOf(number)));
}

test.serial(
  'after a set was deleted in the middle of a walk, files of another set have their own contents',
  mounted(async (lab, t) => {
    await saved(lab);
    await lab.mountStore();
    for (let number = 0; number < WALKED; number += 1) {
      t.deepEqual(read(lab, 1, number), contentOf(1, number));
    }
    const open = Array.from({ length: 60 }, (_none, at) =>
      fs.openSync(lab.view('set1', lab.source, nameOf(WALKED + at)), 'r'),
    );
    t.teardown(() => open.forEach((fd) => fs.closeSync(fd)));
    await succeed('sonic', ['delete', '--yes', 'set1', '-D', lab.store, '-C', 'me']);
    // The names of all sets are not listed, since each set would then have nodes of its own.
    await until(() => !fs.existsSync(lab.view('set1')));
    for (let number = WALKED + 2; number < FILES; number += 1) {
      t.deepEqual(read(lab, 2, number), contentOf(2, number), nameOf(number));
    }
    for (const fd of open) {
      t.throws(() => fs.readSync(fd, Buffer.alloc(BYTES), 0, BYTES, 0), { message: /-116\b/ });
    }
  }),
);

test.serial(
  'after the kernel has dropped all nodes, files of another set have their own contents',
  mounted(async (lab, t) => {
    await saved(lab);
    await lab.mountStore();
    for (let number = 0; number < WALKED; number += 1) {
      t.deepEqual(read(lab, 1, number), contentOf(1, number));
    }
    fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    for (let number = WALKED + 2; number < FILES; number += 1) {
      t.deepEqual(read(lab, 2, number), contentOf(2, number), nameOf(number));
    }
  }),
);

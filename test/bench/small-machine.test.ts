import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { makeSmallMachine, PI, type SmallMachine } from '../../bench/small-machine.js';
import { scratch } from '../helpers/scratch.js';

/** Runs a command on the small machine; returns its output, and the files written, by their names. */
function tried(
  machine: SmallMachine,
  root: string,
): { printed: string; files: Map<string, string> } {
  const [first, ...rest] = [...machine.prefix, 'echo', 'a b', 'c'] as const;
  const { stdout } = spawnSync(first, rest, { encoding: 'utf8' });
  const files = new Map<string, string>();
  for (const name of fs.readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(root, name);
    if (fs.statSync(file).isFile()) {
      files.set(path.basename(name), fs.readFileSync(file, 'utf8').trim());
    }
  }
  return { printed: stdout, files };
}

test('a small machine by control groups of version 2', (t) => {
  const root = scratch(t);
  fs.writeFileSync(path.join(root, 'cgroup.controllers'), 'cpu memory');
  const machine = makeSmallMachine(PI, false, root);
  const { printed, files } = tried(machine, root);
  t.is(printed, 'a b c\n');
  t.is(files.get('cpu.max'), '25000 100000');
  t.is(files.get('memory.max'), String(512 << 20));
  t.regex(files.get('cgroup.procs') ?? '', /^\d+$/);
  t.regex(machine.about, /25 %.*512 MB/);
});

test('a small machine by control groups of version 1', (t) => {
  const root = scratch(t);
  for (const controller of ['cpu', 'memory']) {
    fs.mkdirSync(path.join(root, controller));
  }
  const { printed, files } = tried(makeSmallMachine(PI, false, root), root);
  t.is(printed, 'a b c\n');
  t.is(files.get('cpu.cfs_quota_us'), '25000');
  t.is(files.get('cpu.cfs_period_us'), '100000');
  t.is(files.get('memory.limit_in_bytes'), String(512 << 20));
});

test('in memory only the time is limited, and that is reported', (t) => {
  const root = scratch(t);
  fs.mkdirSync(path.join(root, 'cpu'));
  const machine = makeSmallMachine(PI, true, root);
  t.false(tried(machine, root).files.has('memory.limit_in_bytes'));
  t.regex(machine.about, /memory not limited/);
});

test('without control groups nothing is limited, and that is reported', (t) => {
  const machine = makeSmallMachine(PI, false, path.join(scratch(t), 'none'));
  t.deepEqual(machine.prefix, []);
  t.regex(machine.about, /not on a small machine.*ENOENT/);
});

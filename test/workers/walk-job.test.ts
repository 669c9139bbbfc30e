import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { RowFlag, RowReader } from '../../src/model/index.js';
import { nodeSystem, systemClock, type System } from '../../src/system/index.js';
import {
  type DirectoryBlock,
  InlineJobs,
  RACY_WINDOW_NS,
  type WalkInput,
  type WalkOutput,
} from '../../src/workers/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { fill, filled, startAt, systemError, systemWith, walkedOf } from '../helpers/jobs.js';
import { scratch } from '../helpers/scratch.js';

const { native } = nodeSystem();

async function walk(
  tasks: DirectoryBlock,
  more: Partial<WalkInput> = {},
  system: System = systemWith(),
): Promise<WalkOutput> {
  const input: WalkInput = {
    tasks,
    firstFreeSlot: tasks.slots.length,
    slotStride: 1,
    maxEntries: 10_000,
    excludes: NO_EXCLUDES,
    ...more,
  };
  return (await new InlineJobs(system).run('walk', input)).output;
}

/** Returns all names found as paths relative to a folder. */
function pathsOf(output: WalkOutput, folder: string): string[] {
  return walkedOf(output).flatMap(({ path: directory, entries }) =>
    entries.map(({ name }) => path.relative(folder, `${directory}/${name.toString()}`)),
  );
}

const TREE = { 'b/y': '1', 'b/x/deep': '22', 'a/z': '333', 'a.txt': '4444', 'c/': '', 'a-b/q': '' };

test('a job ends by the paths of its directories too, and the next ones walk the rest', async (t) => {
  const folder = scratch(t);
  const names = Array.from({ length: 12 }, (_, level) => String(level).padEnd(250, 'x'));
  fill(folder, { [`${names.join('/')}/file`]: '1' });
  const walkedIn: number[] = [];
  for (let tasks = startAt(folder); tasks.slots.length > 0; ) {
    const output = await walk(tasks, { maxEntries: 30, firstFreeSlot: 100 });
    walkedIn.push(output.walked.slots.length);
    tasks = output.pending;
  }
  t.is(
    walkedIn.reduce((sum, count) => sum + count, 0),
    13,
  );
  t.true(walkedIn.length > 1, 'with short names, one job lists 25 entries and directories');
});

test('directories are met in pre-order, by the bytes of their names', async (t) => {
  const folder = filled(t, { ...TREE, 'é/1': '', 'Z/1': '', '~/1': '' });
  const output = await walk(startAt(folder));
  const walked = walkedOf(output);
  t.deepEqual(
    walked.map(({ path: directory }) =>
      path.relative(folder, Buffer.from(directory, 'latin1').toString()),
    ),
    ['', 'Z', 'a', 'a-b', 'b', 'b/x', 'c', '~', 'é'],
  );
  for (const { path: directory, listing } of walked) {
    t.deepEqual(listing, native.listDirectory(Buffer.from(directory, 'latin1')));
  }
  t.is(output.pending.slots.length, 0);
  t.is(output.fileBytes, 10);
  t.is(
    output.entries,
    walked.reduce((sum, { entries }) => sum + entries.length, 0),
  );
});

test('each directory has a slot, and names the slot of the one it is in', async (t) => {
  const [one, two] = [scratch(t), scratch(t)];
  fill(one, TREE);
  fill(two, { 'sub/file': '' });
  const output = await walk(startAt(one, two));
  const walked = walkedOf(output);
  const slots = new Map(walked.map(({ slot, path: directory }) => [slot, directory]));
  t.is(slots.size, walked.length);
  for (const { slot, parent, path: directory } of walked) {
    if (parent >= 0) t.is(slots.get(parent), path.dirname(directory));
    else t.is([one, two][-1 - parent], directory);
    t.true(slot < output.nextFreeSlot);
  }
  t.deepEqual(
    walked.filter(({ parent }) => parent < 0).map(({ slot }) => slot),
    [0, 1],
  );
  t.is(walked[0]!.path, one, 'the first root comes first');
});

test('walks that go on side by side take slots that do not meet', async (t) => {
  const folder = filled(t, TREE);
  const output = await walk(startAt(folder), { firstFreeSlot: 5, slotStride: 3 });
  const slots = [...output.walked.slots].sort((a, b) => a - b);
  t.deepEqual(slots, [0, 5, 8, 11, 14, 17]);
  t.is(output.nextFreeSlot, 20);
});

test('a walk in many jobs finds what one job finds, in the same order', async (t) => {
  const folder = scratch(t);
  for (let index = 0; index < 60; index += 1) {
    fill(folder, {
      [`${index % 4}/${index % 7}/${index}/file`]: 'x',
      [`${index % 5}/f${index}`]: '',
    });
  }
  const whole = await walk(startAt(folder));
  for (const maxEntries of [1, 2, 7, 50]) {
    const found: string[] = [];
    let tasks = startAt(folder);
    let firstFreeSlot = 1;
    let jobs = 0;
    const slots = new Set<number>();
    while (tasks.slots.length > 0) {
      const output = await walk(tasks, { firstFreeSlot, maxEntries });
      found.push(...pathsOf(output, folder));
      for (const slot of output.walked.slots) slots.add(slot);
      t.true(output.walked.slots.length > 0 && output.walked.slots.length <= maxEntries);
      tasks = output.pending;
      firstFreeSlot = output.nextFreeSlot;
      jobs += 1;
    }
    t.deepEqual(found, pathsOf(whole, folder));
    t.is(slots.size, whole.walked.slots.length);
    t.true(jobs > 1);
  }
});

test('a settled listing has the skip hash of its rows', async (t) => {
  const folder = filled(t, TREE);
  const [first, again] = [await walk(startAt(folder)), await walk(startAt(folder))];
  for (const { hash, listing } of walkedOf(first)) t.deepEqual(hash, native.hashRows(listing));
  t.deepEqual(walkedOf(again), walkedOf(first));
  fs.writeFileSync(path.join(folder, 'b/y'), '2');
  const changed = walkedOf(await walk(startAt(folder))).map(({ hash }) => hash?.toString('hex'));
  const before = walkedOf(first).map(({ hash }) => hash?.toString('hex'));
  t.is(changed.filter((hash, index) => hash !== before[index]).length, 1);
});

test('what was changed a moment ago, or will be, is not settled and has no skip hash', async (t) => {
  const folder = filled(t, { 'old/file': 'x', 'old/other': 'x', 'empty/': '' });
  const file = path.join(folder, 'old/file');
  fs.utimesSync(file, 1, 1); // the time of its last change is now, while its other times are old
  const { ctimeNs } = fs.statSync(file, { bigint: true });
  const found = async (nowNs: bigint) => {
    const clock = { ...systemClock, nowMs: () => Number(nowNs / 1_000_000n) };
    const walked = walkedOf(await walk(startAt(folder), {}, systemWith({}, clock)));
    const old = walked.find(({ path: directory }) => directory.endsWith('/old'))!;
    const empty = walked.find(({ path: directory }) => directory.endsWith('/empty'))!;
    t.not(empty.hash, undefined, 'nothing in an empty directory can be in doubt');
    const entry = old.entries.find(({ name }) => name.toString() === 'file')!;
    return { isSettled: old.hash !== undefined, flags: entry.flags };
  };
  const inDoubt = { isSettled: false, flags: RowFlag.unsettled };
  t.deepEqual(await found(ctimeNs), inDoubt);
  t.deepEqual(await found(ctimeNs + RACY_WINDOW_NS), inDoubt);
  t.deepEqual(await found(ctimeNs + RACY_WINDOW_NS + 2_000_000n), { isSettled: true, flags: 0 });
  t.deepEqual(await found(ctimeNs - 3600n * 10n ** 9n), inDoubt, 'a clock that was put back');
});

test('an entry whose metadata cannot be read is reported, and its listing is not settled', async (t) => {
  const folder = filled(t, { 'sub/a': '1', 'sub/b': '2' });
  const system = systemWith({
    listOrHold: (directory) => {
      const rows = new RowReader(native.listDirectory(directory));
      if (directory.toString().endsWith('/sub')) rows.setFlags(0, RowFlag.unreadable);
      return rows.rows;
    },
    statAt: (fd, name) => {
      if (name.toString() === 'a') throw systemError('EACCES');
      return native.statAt(fd, name);
    },
  });
  const output = await walk(startAt(folder), {}, system);
  const [root, sub] = walkedOf(output);
  t.not(root!.hash, undefined);
  t.is(sub!.hash, undefined);
  t.is(output.entries, 3);
  t.like(output.failures[0], { slot: sub!.slot, what: 'unreadable', reason: 'EACCES' });
  t.is(Buffer.from(output.failures[0]!.path).toString(), path.join(folder, 'sub/a'));
});

test('a directory that is gone or closed is reported in the one it is in; the walk goes on', async (t) => {
  const folder = filled(t, { 'closed/x': '', 'gone/x': '', 'replaced/x': '', 'z/file': '' });
  const errors: Record<string, string> = { closed: 'EACCES', gone: 'ENOENT', replaced: 'ENOTDIR' };
  const system = systemWith({
    listOrHold: (directory) => {
      const code = errors[path.basename(directory.toString())];
      if (code !== undefined) throw systemError(code);
      return native.listDirectory(directory);
    },
    statRow: (directory) => {
      throw systemError(errors[path.basename(directory.toString())]!);
    },
  });
  const output = await walk(startAt(folder), {}, system);
  t.deepEqual(
    output.failures.map(({ slot, name, what, reason }) => [
      slot,
      Buffer.from(name).toString(),
      what,
      reason,
    ]),
    [
      [0, 'closed', 'unreadable', 'EACCES'],
      [0, 'gone', 'vanished', 'ENOENT'],
      [0, 'replaced', 'vanished', 'ENOTDIR'],
    ],
  );
  t.deepEqual(
    walkedOf(output).map(({ path: directory }) => path.relative(folder, directory)),
    ['', 'z'],
  );
  const unmounted = systemWith({ listOrHold: system.native.listOrHold });
  const still = await walk(startAt(folder), {}, unmounted);
  t.is(still.failures[1]!.what, 'unreadable', 'it is there, as one that autofs cannot mount');
  const bug = systemWith({
    listOrHold: () => {
      throw new TypeError('a bug');
    },
  });
  t.is(await rejectedCode(walk(startAt(folder), {}, bug)), 'INTERNAL');
});

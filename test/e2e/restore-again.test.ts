// Pace: slow
/**
 * A restore ends with status 3 and is run again: each failed entry is restored or reported again, and directories have
 * the right metadata.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { dir, file, isRoot, look, noise, type TreeNode } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

const LARGE_BYTES = 9 << 20;
const NOBODY = 65_534;
const OLD = new Date('2020-02-03T04:05:06.789Z');

/** Makes a lab into which other users may go. */
function openLab(t: ExecutionContext, tree: readonly TreeNode[]) {
  const made = lab(t, tree);
  fs.chmodSync(made.home, 0o755);
  return { ...made, save: ['tardis', [...made.place, '--local']] as const };
}

/** Returns the paths of the contents that are stored as objects. */
function objectsOf(client: string): string[] {
  const found = fs.readdirSync(client, { recursive: true, encoding: 'utf8' });
  return found
    .filter((name) => /^[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(client, name));
}

test('a directory has its time when what was damaged is healed and restored by the same command', async (t) => {
  const { at, place, source, save } = openLab(t, [
    dir('above', [dir('deep', [file('large', noise(1, LARGE_BYTES)), file('small', 'small')])]),
  ]);
  for (const name of ['above/deep', 'above', '.']) fs.utimesSync(path.join(source, name), OLD, OLD);
  await succeed(save[0], [...save[1], '--create', source]);
  const [object] = objectsOf(at('store', 'me'));
  fs.rmSync(object!);
  const command = [...place, '-o', at('out'), source];
  t.regex(exited(t, 3, await run('regenerate', command)).stderr, /tree\/above\/deep\/large: /);
  const again = exited(t, 3, await run('regenerate', command));
  t.regex(again.stderr, /continued a restore that ended with failures/);
  t.regex(again.stderr, /tree\/above\/deep\/large: /);
  await succeed(save[0], [...save[1], source]); // the backup sends the lost content again
  await succeed('regenerate', command);
  t.deepEqual(look(at('out', 'tree')), look(source));
  t.deepEqual(fs.readdirSync(at('out')), ['tree']);
});

test('what lacks an attribute is named again until it has it', async (t) => {
  if (!isRoot) return leaveOut(t, 'left out: only root sets attributes that nobody else may');
  const { at, place, source, save } = openLab(t, [
    dir('d', [file('f', 'content'), file('other', 'other')]),
  ]);
  const link = path.join(source, 'd', 'second');
  fs.linkSync(path.join(source, 'd', 'f'), link);
  const set = (name: string): void => {
    execFileSync('setfattr', ['-n', 'trusted.of-root', '-v', 'x', path.join(source, name)]);
  };
  try {
    for (const name of ['d', 'd/f']) set(name);
  } catch (error) {
    t.log(`left out: no such attributes here (${String(error)})`);
    t.pass();
    return;
  }
  for (const name of ['d', '.']) fs.utimesSync(path.join(source, name), OLD, OLD);
  await succeed(save[0], [...save[1], '--create', source]);
  fs.mkdirSync(at('out'));
  fs.chownSync(at('out'), NOBODY, NOBODY);
  for (const name of fs.readdirSync(at('store'), { recursive: true, encoding: 'utf8' })) {
    fs.chmodSync(at('store', name), fs.statSync(at('store', name)).isDirectory() ? 0o755 : 0o644);
  }
  fs.chmodSync(at('store'), 0o755);
  const command = [...place, '-o', at('out'), source];
  for (const time of ['first', 'second', 'third']) {
    const { status, stderr } = await run('regenerate', command, { uid: NOBODY });
    t.is(status, 3, `${time}: ${stderr}`);
    t.regex(stderr, /tree\/d(\/f)? and 1 more: its attribute "trusted/, time);
    t.notRegex(stderr, /d\/other/);
  }
  // A user who may set the attributes completes the restore.
  await succeed('regenerate', command);
  const seen = look(at('out', 'tree'));
  for (const [name, words] of look(source)) {
    const other = seen.get(name)?.replace(/\b65534:65534\b/, '0:0');
    t.is(other, words, name);
  }
  t.deepEqual(fs.readdirSync(at('out')), ['tree']);
});

test('what a file system has kept with coarser times is the same when it is restored again', async (t) => {
  const units = [100n, 1000n, 1_000_000n, 1_000_000_000n];
  const { at, place, source, save } = openLab(
    t,
    units.flatMap((unit) => [file(`same${unit}`, `text ${unit}`), file(`other${unit}`, 'text')]),
  );
  const setTime = (name: string, timeNs: bigint): void => {
    const text = `@${timeNs / 1_000_000_000n}.${String(timeNs % 1_000_000_000n).padStart(9, '0')}`;
    execFileSync('touch', ['-d', text, name]);
  };
  const timeNs = 1_600_000_000_123_456_789n;
  for (const name of fs.readdirSync(source)) setTime(path.join(source, name), timeNs);
  await succeed(save[0], [...save[1], '--create', source]);
  const command = [...place, '-o', at('out'), source];
  await succeed('regenerate', command);
  const restored = (name: string): string => path.join(at('out'), 'tree', name);
  for (const unit of units) {
    fs.writeFileSync(restored(`other${unit}`), 'TEXT');
    for (const name of ['same', 'other']) {
      setTime(restored(`${name}${unit}`), timeNs - (timeNs % unit));
    }
  }
  const again = exited(t, 3, await run('regenerate', command));
  t.notRegex(again.stderr, /same/);
  for (const unit of units) t.regex(again.stderr, new RegExp(`other${unit}: `));
  t.is(fs.readFileSync(restored('other100'), 'utf8'), 'TEXT');
});

// Pace: slow
/** Block devices whose contents are saved (`--read-devices`), and devices that contents are written to (`--to-device`). */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, jsonLines, run, Running, succeed } from '../helpers/commands.js';
import { loopHere, mountHere, unlessLeftOut } from '../helpers/mounts.js';
import { lab, type Lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
const BLOCK_BYTES = 4096;
/** More than one part, and zeros among its data. */
const DEVICE_BYTES = 84 * MIB;
const ZEROS_FROM = 5 * MIB;
const ZEROS_TO = 17 * MIB;
const WORD = '--password=of a test';

interface Device extends Lab {
  readonly device: string;
  /** A link to the device, as LVM makes them. */
  readonly volume: string;
  readonly image: string;
}

function device(t: ExecutionContext, bytes: Buffer): Device {
  const made = lab(t);
  const image = made.written('image', bytes);
  const loop = loopHere(t, image);
  fs.mkdirSync(made.at('group'));
  const volume = made.at('group', 'volume');
  fs.symlinkSync(loop, volume);
  return { ...made, device: loop, volume, image };
}

function diskBytes(): Buffer {
  return noise('disk', DEVICE_BYTES).fill(0, ZEROS_FROM, ZEROS_TO);
}

/** Writes a hundredth of the blocks of a device. */
/** Returns the number of bytes that a process has read so far. */
function readBytes(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

function change(at: string): void {
  const fd = fs.openSync(at, 'r+');
  const blocks = DEVICE_BYTES / BLOCK_BYTES;
  for (let each = 0; each < blocks / 100; each += 1) {
    const block = (each * 7919) % blocks;
    fs.writeSync(fd, noise(`new ${each}`, BLOCK_BYTES), 0, BLOCK_BYTES, block * BLOCK_BYTES);
  }
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

async function savesContents(t: ExecutionContext, word: readonly string[]): Promise<void> {
  const { place, at, volume, device: loop, written } = device(t, diskBytes());
  const all = [...place, ...word];
  const config = ['--config', written('config', '[Tardis]\nReadDevices = true\n')];
  const first = await backup([...all, '--local', '--create', '--read-devices', volume]);
  t.true(first.progress.holeBytes > ZEROS_TO - ZEROS_FROM - MIB, 'zeros are holes');
  const same = await backup([...all, ...config, '--local', volume]);
  t.deepEqual([same.progress.contentsSent, same.progress.unreadable], [0, 0]);

  const before = fs.readFileSync(loop);
  change(loop);
  const later = await backup([...all, ...config, '--local', volume]);
  t.is(later.progress.deltasSent, later.progress.contentsSent);
  t.true(later.progress.sentBytes < DEVICE_BYTES / 33, `${later.progress.sentBytes} bytes`);
  const shown = await succeed('lstardis', [...all, '--json', volume]);
  const versions = jsonLines<{ sizeBytes: number; type: string }>(shown);
  t.deepEqual(
    versions.map(({ sizeBytes, type }) => [type, sizeBytes]),
    [
      ['file', DEVICE_BYTES],
      ['file', DEVICE_BYTES],
    ],
  );
  for (const [set, wanted] of [
    ['1', before],
    ['2', before],
    ['3', fs.readFileSync(loop)],
  ] as const) {
    const proven = word.length > 0 ? ['--authenticate'] : [];
    await succeed('regenerate', [...all, ...proven, '-b', set, '-o', at(set), volume]);
    const back = at(set, 'volume');
    t.true(fs.readFileSync(back).equals(wanted), `set ${set}`);
    t.true(fs.statSync(back).blocks * 512 < DEVICE_BYTES - 8 * MIB, 'with holes');
    t.is(fs.statSync(back).mode, (fs.statSync(loop).mode & 0o7777) | fs.constants.S_IFREG);
  }
  await succeed('sonic', ['check', '--read-data', ...all]);

  // Without the option it is what it is: a link is resolved, and a node is saved as a node.
  await backup([...all, '--local', volume]);
  const node = await succeed('lstardis', [...all, '--json', loop]);
  t.is(jsonLines<{ type: string }>(node)[0]!.type, 'blockDevice');
}

test('ReadDevices saves what a device contains, under the name that was given', (t) =>
  unlessLeftOut(t, () => savesContents(t, [])));

test('an encrypting client saves what a device contains, with seals', (t) =>
  unlessLeftOut(t, () => savesContents(t, [WORD])));

test('a device that cannot be read to its end is named, and its earlier version stays', (t) =>
  unlessLeftOut(t, async () => {
    const { place, at, image, volume, device: loop } = device(t, noise('short', 8 * MIB));
    const all = [...place, '--local', '--read-devices', volume];
    await backup([...all, '--create']);
    const before = fs.readFileSync(loop);
    fs.truncateSync(image, 3 * MIB); // reading beyond is an error
    spawnSync('blockdev', ['--flushbufs', loop]);
    const { stdout } = exited(t, 3, await run('tardis', ['--json', ...all]));
    const { failed } = JSON.parse(stdout) as { failed: Record<string, string>[] };
    t.deepEqual(
      failed.map(({ name, what, reason }) => [name, what, reason]),
      [[volume, 'unreadable', 'EIO']],
    );
    const restored = await run('regenerate', [...place, '-b', '2', '-o', at('out'), volume]);
    t.regex(restored.stderr, /\[UNREAD_AT_BACKUP\]/);
    t.true(fs.readFileSync(at('out', 'volume')).equals(before));
  }));

test('--to-device writes a content onto a device that is large enough, not in use, and given up by --overwrite', (t) =>
  unlessLeftOut(t, async () => {
    const bytes = noise('content', 8 * MIB).fill(0, MIB, 5 * MIB);
    const { place, at, volume, written } = device(t, bytes);
    await backup([...place, '--local', '--create', '--read-devices', volume]);
    const old = noise('old', 9 * MIB);
    const target = loopHere(t, written('target', old));
    const small = loopHere(t, written('small', old.subarray(0, 7 * MIB)));
    const write = (to: string, ...more: string[]) =>
      run('regenerate', [...place, '--to-device', to, ...more, volume]);
    const refused = async (code: string, to: string, ...more: string[]): Promise<void> => {
      const { status, stderr } = await write(to, ...more);
      t.is(status, 1);
      t.regex(stderr, new RegExp(`\\[${code}\\]`));
      t.true(fs.readFileSync(target).equals(old), 'nothing was written');
    };
    await refused('TARGET_EXISTS', target);
    await refused('TARGET_EXISTS', target, '--overwrite=newer');
    await refused('USAGE', small, '--overwrite');
    await refused('USAGE', at('target'), '--overwrite');
    await refused('USAGE', target, '--overwrite', '-o', at('out'));
    fs.mkdirSync(at('shared'), { mode: 0o1777 });
    fs.chmodSync(at('shared'), 0o1777);
    fs.symlinkSync(target, at('shared', 'link'));
    fs.lchownSync(at('shared', 'link'), 1234, 1234);
    await refused('TARGET_UNSAFE', at('shared', 'link'), '--overwrite');

    t.is((await write(target, '--overwrite')).status, 0);
    const now = fs.readFileSync(target);
    t.true(now.subarray(0, bytes.length).equals(bytes));
    t.true(now.subarray(bytes.length).equals(old.subarray(bytes.length)), 'the rest stays');
    t.true(fs.statSync(at('target')).blocks * 512 < 6 * MIB, 'space of zeros is given back');
  }));

test('--to-device does not write a device that is mounted', (t) =>
  unlessLeftOut(t, async () => {
    const { place, at, source, written } = { ...lab(t) };
    const target = loopHere(t, written('target', Buffer.alloc(16 * MIB)));
    t.is(spawnSync('mkfs.ext4', ['-q', target]).status, 0);
    fs.mkdirSync(at('mounted'));
    t.true(mountHere(t, target, at('mounted')));
    await backup([...place, '--local', '--create', source]);
    const file = path.join(source, 'two');
    const to = ['--to-device', target, '--overwrite', file];
    t.regex(exited(t, 1, await run('regenerate', [...place, ...to])).stderr, /\[DEVICE_IN_USE\]/);
  }));

test('a backup that looks for the zeros of a very large device ends when it is interrupted', (t) =>
  unlessLeftOut(t, async () => {
    const { place, written } = lab(t);
    const image = written('image', 'some data');
    fs.truncateSync(image, 1024 * 1024 * MIB);
    const args = [...place, '--local', '--create', '--read-devices', loopHere(t, image)];
    const running = new Running('tardis', args);
    await running.until('client', () => running.stderr.includes('is new'));
    await running.until('zeros', () => readBytes(running.pid) > 256 * MIB);
    const { status, stderr } = await running.endedBy('SIGINT');
    t.is(status, 130, stderr);
  }));

// Pace: slow
/** Files with more extents than their sparse form can record, on a file system with small blocks. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { isRoot, noise } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

const BLOCK_BYTES = 1024;
const IMAGE_BYTES = 32 << 20;

/** Mounts a new ext4 with blocks of 1 KiB. Returns the reason if that is not possible here. */
function mountSmallBlocks(t: ExecutionContext, image: string, at: string): string | undefined {
  if (!isRoot) return 'mounting needs root';
  fs.writeFileSync(image, '');
  fs.truncateSync(image, IMAGE_BYTES);
  const make = ['-q', '-F', '-b', String(BLOCK_BYTES), image];
  const made = spawnSync('mkfs.ext4', make, { encoding: 'utf8' });
  if (made.status !== 0) return `mkfs.ext4: ${made.error?.message ?? made.stderr}`;
  const mounted = spawnSync('mount', ['-o', 'loop', image, at], { encoding: 'utf8' });
  if (mounted.status !== 0) return `mount: ${mounted.error?.message ?? mounted.stderr}`;
  t.teardown(() => void spawnSync('umount', ['-l', at]));
  return undefined;
}

/** Writes every other block, including the last one if their number is odd. */
function makeAlternating(file: string, blocks: number): void {
  const fd = fs.openSync(file, 'wx');
  for (let block = 0; block < blocks; block += 2) {
    fs.writeSync(fd, noise(block + 1, BLOCK_BYTES), 0, BLOCK_BYTES, block * BLOCK_BYTES);
  }
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

test('a file with more extents than its sparse form keeps apart is saved with every byte', async (t) => {
  const { at, place, source } = lab(t, []);
  const missing = mountSmallBlocks(t, at('image'), source);
  if (missing !== undefined) return leaveOut(t, `left out: ${missing}`);
  const counts = [255, 511, 513, 515, 601, 1023];
  for (const blocks of counts) makeAlternating(path.join(source, `${blocks} blocks`), blocks);
  await rest();
  const { progress } = await backup([...place, '--local', '--create', source]);
  t.is(progress.changed, 0);
  const out = at('out');
  await succeed('regenerate', [...place, '-o', out, source]);
  for (const blocks of counts) {
    const name = `${blocks} blocks`;
    const restored = fs.readFileSync(path.join(out, 'tree', name));
    t.true(restored.equals(fs.readFileSync(path.join(source, name))), name);
  }
});

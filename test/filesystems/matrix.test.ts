// Pace: long
/**
 * Every available file system, there and back: the real commands back up its files, restore them to the machine's own
 * file system, and restore them onto it again. TEST_SEED replays the patterns of holes.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_EXTENTS } from '../../src/contents/index.js';
import {
  type BackupReport,
  run,
  succeed,
  commandsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { patterns, wrongPatterns, writePatterns } from '../helpers/extents.js';
import { ALL_KINDS, FILE_SYSTEMS, type FileSystem, PLAIN_KINDS } from '../helpers/file-systems.js';
import { Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun, share, shareOf } from '../helpers/share.js';
import { addTo, differences, look, type Snapshot } from '../helpers/tree.js';

commandsRunHere();
poolsStayAway();

const RANDOM_FILES = shareOf(80);
const HOLES = 'holes';
const files = patterns(seed, RANDOM_FILES);

/** Writes files of every kind, and files with holes, into a directory. */
function fill(directory: string, holdsAll: boolean): void {
  for (const one of holdsAll ? ALL_KINDS : PLAIN_KINDS) addTo(directory, one);
  fs.mkdirSync(path.join(directory, HOLES));
  writePatterns(path.join(directory, HOLES), files);
}

/**
 * Returns a snapshot without what a file system cannot store. If the file system does not store everything, names,
 * types and contents remain. Files with holes lose their last word, because file systems place holes differently; their
 * bytes are compared elsewhere.
 */
function comparable(directory: string, holdsAll: boolean): Snapshot {
  return new Map(
    [...look(directory)].map(([name, words]) => {
      const parts = words.split(' ');
      if (name.startsWith(`${HOLES}/`)) parts.pop();
      return [name, (holdsAll ? parts : [parts[0], ...parts.slice(4)]).join(' ')];
    }),
  );
}

function check(t: ExecutionContext, at: string, source: string, holdsAll: boolean): void {
  t.deepEqual(wrongPatterns(path.join(at, HOLES), files), [], `TEST_SEED=${seed}`);
  t.deepEqual(differences(comparable(source, holdsAll), comparable(at, holdsAll)), []);
}

async function thereAndBack(
  t: ExecutionContext,
  mounts: Mounts,
  { holdsAll, isWritable, mount }: FileSystem,
): Promise<void> {
  const root = await mount(mounts, (directory) => fill(directory, holdsAll));
  const { mountsOf, home } = mounts;
  t.deepEqual(wrongPatterns(path.join(mounts.view(root), HOLES), files), []);
  const place = ['-D', path.join(home, 'store'), '-C', 'me'];
  const { status, stdout, stderr } = await run(
    'tardis',
    ['--json', ...place, '--local', '--create', root],
    { mountsOf },
  );
  t.is(status, 0, stderr);
  const { failed } = JSON.parse(stdout) as BackupReport;
  t.deepEqual(failed, []);
  const out = path.join(home, 'out');
  await succeed('regenerate', [...place, '-o', out, root]);
  check(t, path.join(out, path.basename(root)), mounts.view(root), holdsAll);
  if (!isWritable) return;
  const onto = path.join(path.dirname(root), 'onto');
  const back = await run('regenerate', [...place, '-o', onto, root], { mountsOf });
  t.is(back.status, holdsAll ? 0 : back.status === 3 ? 3 : 0, back.stderr);
  const restored = path.join(mounts.view(onto), path.basename(root));
  check(t, restored, mounts.view(root), holdsAll);
}

/** Some of the file systems, one of each kind. */
const chosen = ofThisRun(
  FILE_SYSTEMS,
  ({ holdsAll, isWritable }) => [`${holdsAll} ${isWritable}`],
  Math.max(share, 0.4),
);
for (const fileSystem of chosen) {
  test(`what ${fileSystem.name} holds is saved and restored, byte for byte`, (t) =>
    unlessLeftOut(t, async () => {
      await thereAndBack(t, await Mounts.open(t), fileSystem);
    }));
}

const BLOCK_BYTES = 1024;
const LARGE_EXTENTS = MAX_EXTENTS + 3;
const PIECE_BYTES = 4 << 20;

/** Fills a block with the data of the n-th data block of the large file. */
function fillBlock(block: Buffer, index: number): void {
  block.fill(index % 251);
  block.writeUInt32LE(index, 0);
}

/**
 * Returns the first offset at which a file of alternating data blocks and holes differs from what was written;
 * undefined if it is equal.
 */
function firstDifference(at: string): number | undefined {
  const fd = fs.openSync(at, 'r');
  const [piece, block] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(BLOCK_BYTES)];
  const hole = Buffer.alloc(BLOCK_BYTES);
  try {
    for (let from = 0; ; from += PIECE_BYTES) {
      const bytes = fs.readSync(fd, piece, 0, PIECE_BYTES, from);
      for (let within = 0; within < bytes; within += BLOCK_BYTES) {
        const number = (from + within) / BLOCK_BYTES;
        if (number % 2 === 0) fillBlock(block, number / 2);
        const wanted = number % 2 === 0 ? block : hole;
        if (wanted.compare(piece, within, within + BLOCK_BYTES) !== 0) return from + within;
      }
      const isEnd = bytes < PIECE_BYTES;
      if (isEnd)
        return from + bytes === (2 * LARGE_EXTENTS - 1) * BLOCK_BYTES ? undefined : from + bytes;
    }
  } finally {
    fs.closeSync(fd);
  }
}

test('a large file with more pieces of data than are distinguished is saved with every byte', (t) =>
  Mounts.during(t, async (mounts) => {
    const mkfs = ['mkfs.ext4', '-q', '-F', '-b', String(BLOCK_BYTES)] as const;
    const root = mounts.mountImage('mounted', 400 << 20, mkfs, 'ext4');
    const fd = fs.openSync(mounts.view(path.join(root, 'large')), 'wx');
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let index = 0; index < LARGE_EXTENTS; index += 1) {
      fillBlock(block, index);
      fs.writeSync(fd, block, 0, BLOCK_BYTES, 2 * index * BLOCK_BYTES);
    }
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    const { home, mountsOf } = mounts;
    const place = ['-D', path.join(home, 'store'), '-C', 'me'];
    await succeed('tardis', [...place, '--local', '--create', root], { mountsOf });
    const out = path.join(home, 'out');
    await succeed('regenerate', [...place, '-o', out, root]);
    t.is(firstDifference(path.join(out, 'mounted/large')), undefined);
  }));

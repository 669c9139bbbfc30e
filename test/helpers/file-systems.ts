/** The file systems of the matrix: how to create each, and what it can store. docs/inside/testing.md has them as a table. */
import fs from 'node:fs';
import path from 'node:path';
import type { Mounts } from './mounts.js';
import { dir, file, hardlink, makeTree, node, noise, symlink, type TreeNode } from './tree.js';
import { folderIn, written } from './scratch.js';

const MIB = 1 << 20;

export interface FileSystem {
  readonly name: string;
  /** True if it stores all kinds of files, owners, modes, attributes and times to the nanosecond. */
  readonly holdsAll: boolean;
  readonly isWritable: boolean;
  /** Mounts it; `fill` writes the test's files into a directory. Returns that directory, for commands. */
  readonly mount: (mounts: Mounts, fill: (directory: string) => void) => string | Promise<string>;
}

const LONG_NAME = 'n'.repeat(255);
const OWNED = process.getuid?.() === 0 ? { uid: 1234, gid: 5678 } : {};

/** Every kind of file that Linux has. */
export const ALL_KINDS: readonly TreeNode[] = [
  dir('kinds', [
    dir('empty', [], { mode: 0o700 }),
    dir('deep', [dir('er', [dir('est', [file('bottom', 'bottom')])])], { mode: 0o2750 }),
    file('nothing'),
    file('small', 'small', { mode: 0o4711, ...OWNED, mtimeNs: 1_234_567_890_987_654_321n }),
    file('attributes', 'a', { attributes: { 'user.one': 'value', 'user.two': noise(2, 300) } }),
    file('large', noise('large', MIB + 4097)),
    file(Buffer.from([0x66, 0xff, 0xfe, 0x0a]), 'a name that is not UTF-8'),
    file(LONG_NAME, 'a long name'),
    symlink('link', 'small'),
    symlink('dangling', 'no/such file'),
    hardlink('second name', 'kinds', 'small'),
    node('fifo', 'fifo'),
    node('socket', 'socket'),
    node('character device', 'characterDevice', {}, 259n),
    node('block device', 'blockDevice', {}, 1793n),
  ]),
];

/** The kinds of files that any file system stores. */
export const PLAIN_KINDS: readonly TreeNode[] = [
  dir('kinds', [
    dir('empty'),
    dir('deep', [dir('er', [dir('est', [file('bottom', 'bottom')])])]),
    file('nothing'),
    file('small', 'small'),
    file('large', noise('large', MIB + 4097)),
  ]),
];

/** A new file system in an image, filled after it is mounted. */
function image(
  name: string,
  sizeMib: number,
  mkfs: readonly [string, ...string[]],
  type: string,
  options = '',
  holdsAll = true,
): FileSystem {
  return {
    name,
    holdsAll,
    isWritable: true,
    mount: (mounts, fill) => {
      const place = mounts.mountImage('mounted', sizeMib * MIB, mkfs, type, options);
      return filled(mounts, place, fill);
    },
  };
}

/** A read-only image made from a directory. */
function packed(
  name: string,
  type: string,
  make: (from: string, to: string) => readonly [string, ...string[]],
): FileSystem {
  return {
    name,
    holdsAll: true,
    isWritable: false,
    mount: (mounts, fill) => {
      const from = mounts.directory('packed');
      filled(mounts, from, fill);
      const to = path.join(mounts.home, 'packed.image');
      mounts.run(...make(from, to));
      return path.join(mounts.mount('mounted', type, to, 'loop,ro'), 'files');
    },
  };
}

function filled(mounts: Mounts, place: string, fill: (directory: string) => void): string {
  const files = path.join(place, 'files');
  fs.mkdirSync(mounts.view(files));
  fill(mounts.view(files));
  return files;
}

const ntfs: FileSystem = {
  name: 'ntfs-3g',
  holdsAll: false,
  isWritable: true,
  mount: async (mounts, fill) => {
    const at = written(mounts.home, 'ntfs.image', '');
    fs.truncateSync(at, 32 * MIB);
    mounts.run('mkfs.ntfs', '-q', '-F', '-f', at);
    const place = await mounts.serve('mounted', 'ntfs-3g', ['-o', 'no_detach', at]);
    return filled(mounts, place, fill);
  },
};

/** Files in both layers: one that was copied up, one that was removed, a directory that hides another. */
const overlay: FileSystem = {
  name: 'overlayfs',
  holdsAll: true,
  isWritable: true,
  mount: (mounts, fill) => {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => mounts.directory(name));
    const files = folderIn(lower!, 'files');
    fill(files);
    makeTree(path.join(files, 'layers'), [
      file('copied up', 'below'),
      file('removed', 'below'),
      dir('hidden', [file('below', 'below')]),
    ]);
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    const place = mounts.mount('mounted', 'overlay', 'none', options);
    const layers = mounts.view(path.join(place, 'files/layers'));
    fs.appendFileSync(path.join(layers, 'copied up'), ' and above');
    fs.rmSync(path.join(layers, 'removed'));
    fs.rmSync(path.join(layers, 'hidden'), { recursive: true });
    makeTree(path.join(layers, 'hidden'), [file('above', 'above')]);
    return path.join(place, 'files');
  },
};

const tmpfs: FileSystem = {
  name: 'tmpfs',
  holdsAll: true,
  isWritable: true,
  mount: (mounts, fill) =>
    filled(mounts, mounts.mount('mounted', 'tmpfs', 'none', 'size=64m'), fill),
};

export const FILE_SYSTEMS: readonly FileSystem[] = [
  image('ext4, blocks of 1 KiB', 48, ['mkfs.ext4', '-q', '-F', '-b', '1024'], 'ext4'),
  image('ext4 without filetype', 48, ['mkfs.ext4', '-q', '-F', '-O', '^filetype'], 'ext4'),
  image(
    'ext4 with inline data',
    48,
    ['mkfs.ext4', '-q', '-F', '-I', '1024', '-O', 'inline_data'],
    'ext4',
  ),
  image('xfs', 320, ['mkfs.xfs', '-q', '-f'], 'xfs'),
  image('btrfs, compressed', 128, ['mkfs.btrfs', '-q', '-f'], 'btrfs', 'compress-force=zstd'),
  image('f2fs', 64, ['mkfs.f2fs', '-q', '-f'], 'f2fs'),
  packed('erofs, lz4hc', 'erofs', (from, to) => {
    fs.rmSync(path.join(from, 'files/kinds', LONG_NAME)); // mkfs.erofs 1.5 fails on this name
    return ['mkfs.erofs', '-zlz4hc', to, from];
  }),
  packed('squashfs', 'squashfs', (from, to) => ['mksquashfs', from, to, '-quiet', '-no-progress']),
  image('vfat', 48, ['mkfs.vfat'], 'vfat', '', false),
  ntfs,
  overlay,
  tmpfs,
];

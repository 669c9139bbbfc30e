// Pace: long
/**
 * One sector of a store that the disk cannot read, in each file that is no pack: btrfs reports EIO for a block whose checksum is
 * wrong. Commands go on, or the one that heals the file does.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { BIN } from '../helpers/commands.js';
import { BTRFS, inNamespace, testOn } from '../helpers/disk-images.js';
import { folderIn, scratch, written } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const SECTOR_BYTES = 4096;
const OPTIONS = '-D disk/store -C me --password-file password';

/** Files with the statuses of a list, a check, a backup and a rebuild, in this order. */
const FILES = [
  ['keys/00000001.key', 0, [0, 3, 0, 0]],
  ['packs/keys/00000001.key', 1, [0, 3, 0, 0]],
  ['tardis.db-sums', 0, [0, 0, 0, 0]],
  ['tardis.db', 0, [1, 1, 1, 0]],
] as const;

/** Spoils the n-th place in an image that has the first sector of a file. */
function spoil(image: string, content: Buffer, place: number): void {
  const sector = Buffer.alloc(SECTOR_BYTES);
  content.copy(sector);
  const bytes = fs.readFileSync(image);
  const found: number[] = [];
  for (let at = bytes.indexOf(sector); at >= 0; at = bytes.indexOf(sector, at + 1)) found.push(at);
  const from = found[place]!;
  bytes.fill(0xee, from, from + SECTOR_BYTES / 2);
  fs.writeFileSync(image, bytes);
}

testOn(test, BTRFS)?.(
  'one bad sector in a file that is no pack stops nothing else, and is healed',
  async (t) => {
    t.timeout(600_000);
    const home = scratch(t);
    written(home, 'password', 'the first words of the owner');
    written(folderIn(home, 'tree'), 'file', noise(1, 100_000));
    folderIn(home, 'disk');
    const env = { BIN, HOME_DIR: home, XDG_STATE_HOME: path.join(home, 'state') };
    const inHome = async (script: string): Promise<string> => {
      const mounted = `cd "$HOME_DIR"; mount -o loop,max_inline=0 image disk || exit 77; ${script}`;
      return exited(t, 0, await inNamespace(['sh', '-c', mounted], env)).stdout;
    };
    const image = path.join(home, 'image');
    const made = `cd "$HOME_DIR"; truncate -s 128M image; ${BTRFS} -m single image >&2`;
    exited(t, 0, await inNamespace(['sh', '-c', made], env));
    await inHome(
      `"$BIN/tardis" ${OPTIONS} --local --create tree >&2 && cp -a disk/store/me copy && cp -a state before`,
    );
    fs.copyFileSync(image, path.join(home, 'sound'));
    for (const [file, place, statuses] of FILES) {
      fs.copyFileSync(path.join(home, 'sound'), image);
      spoil(image, fs.readFileSync(path.join(home, 'copy', file)), place);
      const script = `rm -r state && cp -a before state; cat 'disk/store/me/${file}' >&2 && echo readable
      "$BIN/lstardis" ${OPTIONS} "$PWD/tree" >&2; echo $?
      "$BIN/sonic" check ${OPTIONS} >&2; echo $?
      "$BIN/tardis" ${OPTIONS} --local tree >&2; echo $?
      "$BIN/sonic" rebuild ${OPTIONS} >&2; echo $?
      cat 'disk/store/me/${file}' >&2 && "$BIN/sonic" check --read-data ${OPTIONS} >&2; echo $?`;
      t.deepEqual((await inHome(script)).trim().split('\n').map(Number), [...statuses, 0], file);
    }
  },
);

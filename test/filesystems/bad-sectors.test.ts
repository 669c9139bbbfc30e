// Pace: long
/**
 * One sector of a store that the disk cannot read, in each kind of file: btrfs reports EIO for a block whose checksum is
 * wrong. Commands go on, or the one that heals the file does.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { BIN } from '../helpers/commands.js';
import { BTRFS, type Ended, inNamespace, testOn } from '../helpers/disk-images.js';
import { folderIn, scratch, written } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const SECTOR_BYTES = 4096;
const OPTIONS = '-D disk/store -C me --password-file password';

/**
 * Files, the place of one of their sectors in the image, the sector, and the statuses of a list, a check, a backup, a restore, a copy, a
 * rebuild and a repair.
 */
const FILES = [
  ['keys/00000001.key', 0, 0, [0, 3, 0, 0, 0, 0, 0]],
  ['packs/keys/00000001.key', 1, 0, [0, 3, 0, 0, 0, 0, 0]],
  ['tardis.db-sums', 0, 0, [0, 0, 0, 0, 0, 0, 0]],
  ['format.json', 0, 0, [1, 1, 1, 1, 1, 0, 0]],
  ['tardis.db', 0, 0, [1, 3, 1, 1, 1, 0, 0]],
  ['tardis.db', -1, 5, [1, 3, 1, 1, 1, 0, 0]],
  ['packs/00000001.pack', 0, 0, [0, 3, 1, 3, 1, 1, 0]],
  ['packs/00000001.pack', 0, 9, [0, 3, 0, 3, 1, 1, 0]],
  ['parity/packs/00000001.pack', 0, 0, [0, 0, 0, 0, 0, 0, 0]],
  ['accounts/phone/rights', 0, 0, [0, 3, 0, 0, 0, 0, 3]],
] as const;

/** Spoils the n-th place in an image that has a sector of a file. */
function spoil(image: string, content: Buffer, place: number, of: number): void {
  const sector = Buffer.alloc(SECTOR_BYTES);
  content.copy(sector, 0, of * SECTOR_BYTES);
  const bytes = fs.readFileSync(image);
  const found: number[] = [];
  for (let at = bytes.indexOf(sector); at >= 0; at = bytes.indexOf(sector, at + 1)) found.push(at);
  const from = found.at(place)!;
  bytes.fill(0xee, from, from + SECTOR_BYTES / 2);
  fs.writeFileSync(image, bytes);
}

testOn(test, BTRFS)?.(
  'one bad sector in a file stops nothing that can do without, and is healed',
  async (t) => {
    t.timeout(600_000);
    const home = scratch(t);
    written(home, 'password', 'the first words of the owner');
    written(home, 'next', 'the words of the account');
    written(folderIn(home, 'tree'), 'file', noise(1, 100_000));
    folderIn(home, 'disk');
    const env = { BIN, HOME_DIR: home, XDG_STATE_HOME: path.join(home, 'state') };
    const inHome = async (script: string): Promise<Ended> => {
      const mounted = `cd "$HOME_DIR"; mount -o loop,max_inline=0 image disk || exit 77; ${script}`;
      return exited(t, 0, await inNamespace(['sh', '-c', mounted], env));
    };
    const image = path.join(home, 'image');
    const made = `cd "$HOME_DIR"; truncate -s 128M image; ${BTRFS} -m single image >&2`;
    exited(t, 0, await inNamespace(['sh', '-c', made], env));
    await inHome(
      `"$BIN/tardis" ${OPTIONS} --local --create tree >&2 &&
      "$BIN/sonic" account ${OPTIONS} --add phone --rights list --newpassword-file next >&2 && cp -a disk/store/me copy && cp -a state before`,
    );
    fs.copyFileSync(image, path.join(home, 'sound'));
    for (const [file, place, sector, statuses] of FILES) {
      fs.copyFileSync(path.join(home, 'sound'), image);
      spoil(image, fs.readFileSync(path.join(home, 'copy', file)), place, sector);
      const script = `rm -rf state out other; cp -a before state; cat 'disk/store/me/${file}' >&2 && echo readable
      "$BIN/lstardis" ${OPTIONS} "$PWD/tree" >&2; echo $?
      "$BIN/sonic" check ${OPTIONS} >&2; echo $?
      "$BIN/tardis" ${OPTIONS} --local tree >&2; echo $?
      "$BIN/regenerate" ${OPTIONS} -o out "$PWD/tree" >&2; echo $?
      "$BIN/sonic" copy ${OPTIONS} --to other --create >&2; echo $?
      "$BIN/sonic" rebuild ${OPTIONS} >&2; echo $?
      "$BIN/sonic" check --repair ${OPTIONS} >&2; echo $?
      "$BIN/sonic" account ${OPTIONS} --change phone --rights list >&2
      cat 'disk/store/me/${file}' >&2 && "$BIN/sonic" check --read-data ${OPTIONS} >&2; echo $?`;
      const { stdout, stderr } = await inHome(script);
      const got = stdout.trim().split('\n').map(Number);
      t.deepEqual(got, [...statuses, 0], `${file}, sector ${sector}`);
      if (got.includes(1))
        t.regex(stderr, /`sonic check --repair` heals a pack, `sonic rebuild` makes/);
    }
  },
);

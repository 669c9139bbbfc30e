// Pace: slow
/**
 * The index of a catalog's log on a disk that becomes full: a write into mapped memory finds no block. btrfs needs a new one
 * for each page that was written back, ext4 one for each KiB.
 */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { BTRFS, EXT4, inNamespace, testOn } from '../helpers/disk-images.js';
import { scratch } from '../helpers/scratch.js';

const WRITER = fileURLToPath(new URL('../helpers/log-writer.js', import.meta.url));

for (const [name, mkfs] of [
  ['btrfs', BTRFS],
  ['ext4 with blocks of 1 KiB', `${EXT4} -b 1024`],
] as const) {
  testOn(test, mkfs)?.(
    `${name}: a full disk is an error, and every commit before it stays`,
    async (t) => {
      t.timeout(300_000);
      const script = `set -e; cd "$HOME_DIR"; mkdir disk
      for free in 0 20 60 300; do
        truncate -s 128M image; ${mkfs} image >&2; mount -o loop image disk
        "$NODE" "$WRITER" "$PWD/disk" $free
        umount disk; rm image
      done`;
      const env = { HOME_DIR: scratch(t), NODE: process.execPath, WRITER };
      const { stdout } = exited(t, 0, await inNamespace(['sh', '-c', script], env));
      t.is(stdout.trim().split('\n').length, 4, stdout);
    },
  );
}

// Pace: slow
/** The cache of contents that checks have read: whatever happens to it, a check continues. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, poolsStayAway, run, succeed } from '../../helpers/commands.js';
import { Mounts } from '../../helpers/mounts.js';
import { flipAt } from '../../helpers/rot.js';
import { lab } from '../../helpers/lab.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { file, makeTree, noise } from '../../helpers/tree.js';

backupsRunHere();
poolsStayAway();

test('a cache of what was read is made anew, whatever bit of it has changed', async (t) => {
  const { place, source, store } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const check = ['check', ...place, '--read-data=1G'];
  await succeed('sonic', check);
  const cache = path.join(store, 'me', 'checked.db');
  const right = fs.readFileSync(cache);
  // Offsets in the header, in the schema, and in the pages of the rows.
  const places = [0, 17, 27, 45, 60, 101, 108, 4000, 4096, 4100, 8000, right.length - 60];
  for (const at of places) {
    fs.writeFileSync(cache, right);
    flipAt(cache, at % right.length, 3);
    for (let time = 0; time < 2; time += 1) {
      const { status, stderr } = await run('sonic', check);
      t.is(status, 0, `byte ${at}: ${stderr}`);
    }
  }
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(9000, 7), right.subarray(0, 5000)]) {
    fs.writeFileSync(cache, bytes);
    t.is((await run('sonic', check)).status, 0);
  }
});

/** Shell commands that leave no free byte, or no free inode. */
const FILL = {
  bytes: 'dd if=/dev/zero of="$0/filler" bs=64k; dd if=/dev/zero of="$0/rest" bs=512; true',
  inodes: 'n=0; while touch "$0/filler$n"; do n=$((n + 1)); done; true',
} as const;

for (const [what, fill] of Object.entries(FILL)) {
  test(`a check of a store with no ${what} free does its work, and reports that it notes nothing`, (t) =>
    Mounts.during(t, async (mounts) => {
      const { mountsOf } = mounts;
      const disk = mounts.mount('disk', 'tmpfs', 'tmpfs', 'size=72m,nr_inodes=100');
      const [store, source] = [path.join(disk, 'store'), path.join(scratchInMemory(t), 'tree')];
      makeTree(source, [file('noise', noise(4, 100_000))]);
      const place = ['-D', store, '-C', 'me'];
      await backup([...place, '--local', '--create', source], { mountsOf });
      mounts.run('sh', '-c', fill, disk);
      const check = async (...args: string[]): Promise<void> => {
        const { status, stdout, stderr } = await run('sonic', ['check', ...place, ...args], {
          mountsOf,
        });
        t.is(status, 0, stderr + stdout);
        t.is(stderr, '');
        t.regex(stdout, /No damage found/);
        t.is(/will not know what this one has read, .* full/.test(stdout), args.length > 0, stdout);
      };
      await check();
      await check('--read-data');
      mounts.run('sh', '-c', 'rm "$0"/filler* "$0"/rest*; true', disk);
      await succeed('sonic', ['check', ...place, '--read-data=1G'], { mountsOf });
      mounts.run('sh', '-c', fill, disk);
      await check('--read-data=1G'); // with an existing checked.db
      const pack = path.join(mounts.view(store), 'me', 'packs', '00000001.pack');
      flipAt(pack, fs.statSync(pack).size >> 1, 3);
      const found = await run('sonic', ['check', ...place, '--read-data'], { mountsOf });
      t.is(found.status, 3, found.stderr + found.stdout);
    }));
}

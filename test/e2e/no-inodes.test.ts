// Pace: slow
/**
 * A store on a file system with free space but no free inode: the error names the cause, nothing is lost, and sets can
 * be deleted.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { run, poolsStayAway, succeed } from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { addTo, differences, file, look, noise } from '../helpers/tree.js';

poolsStayAway();

const MIB = 1 << 20;
const INODES = 400;

/** Creates empty files until no inode is free. */
function takeInodes(directory: string): void {
  fs.mkdirSync(directory, { recursive: true });
  try {
    for (let number = fs.readdirSync(directory).length; number <= 100 * INODES; number += 1) {
      fs.writeFileSync(path.join(directory, String(number)), '');
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
    throw error;
  }
  throw new Error('there are more inodes than expected');
}

const CLIENTS = [
  ['plain', []],
  ['encrypting', ['--password=long enough for this']],
] as const;

/** Numbers of free inodes at which a new client stops at another file: its directory, its keys, its lock, its catalog. */
const FEWEST = [0, 1, 2, 3, 4, 5, 6, 7];

for (const [what, password] of CLIENTS) {
  test(`a ${what} client that cannot be made since no inode is free says so, at whichever file`, (t) =>
    Mounts.during(t, async (mounts) => {
      const { mountsOf } = mounts;
      const source = mounts.directory('source');
      addTo(source, file('file', 'some bytes'));
      for (const free of FEWEST) {
        // The root of the file system and the store take one inode each.
        const options = `size=64m,nr_inodes=${free + 2}`;
        const disk = mounts.mount(`disk ${free}`, 'tmpfs', 'tmpfs', options);
        const store = path.join(disk, 'store');
        fs.mkdirSync(mounts.view(store));
        const place = ['-D', store, '-C', 'me', ...password];
        const { status, stderr } = await run('tardis', [...place, '--local', '--create', source], {
          mountsOf,
        });
        t.is(status, 1, stderr);
        t.regex(stderr, /no inode is free.*\[DISK_FULL\]/, `${free} free`);
        t.is(stderr.match(/no inode is free/g)?.length, 1, stderr);
      }
    }));
}

for (const [what, password] of CLIENTS) {
  test(`a ${what} client on a file system without an inode left gets that error, and sonic delete frees its sets`, (t) =>
    Mounts.during(t, async (mounts) => {
      const mkfs = ['mkfs.ext4', '-q', '-F', '-N', String(INODES)] as const;
      const disk = mounts.mountImage('disk', 256 * MIB, mkfs, 'ext4');
      const { mountsOf } = mounts;
      const source = mounts.directory('source');
      const place = ['-D', path.join(disk, 'store'), '-C', 'me', ...password];
      const backUp = (seed: number, ...more: string[]): ReturnType<typeof run> => {
        fs.rmSync(path.join(source, 'file'), { force: true });
        addTo(source, file('file', noise(seed, MIB)));
        return run('tardis', [...place, '--local', ...more, source], { mountsOf });
      };
      t.is((await backUp(1, '--create')).status, 0);
      for (const seed of [2, 3]) t.is((await backUp(seed)).status, 0);
      const saved = look(source);
      const filler = path.join(mounts.view(disk), 'filler');
      takeInodes(filler);

      const refused = exited(t, 1, await backUp(4));
      t.regex(refused.stderr, /as many files as it can hold \(no inode is free\).*\[DISK_FULL\]/);
      takeInodes(filler);
      const sonic = (...args: string[]): ReturnType<typeof run> =>
        run('sonic', [...args, ...place], { mountsOf });
      exited(t, 0, await sonic('check'));
      const gone = exited(t, 0, await sonic('delete', '--yes', '1-2'));
      t.regex(gone.stdout, /2 backup sets of "me" deleted; .* 2 files of .* deleted/);

      fs.rmSync(filler, { recursive: true });
      const out = mounts.directory('out');
      await succeed('regenerate', [...place, '-o', out, source], { mountsOf });
      t.deepEqual(differences(saved, look(path.join(out, 'source'))), []);
      t.is((await backUp(5)).status, 0);
      t.is((await sonic('check')).status, 0);
    }));
}

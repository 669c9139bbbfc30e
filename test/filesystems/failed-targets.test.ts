// Pace: quick
/** Targets of a restore whose disk fails, and that are mounted again without a reboot. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupInline, inlineSystem, restoreInline, withNative } from '../helpers/inline.js';
import { mountHere } from '../helpers/mounts.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { differences, file, look, makeTree, noise } from '../helpers/tree.js';

const IMAGE_BYTES = 64 << 20;
const HOLE_BYTES = 1 << 20;
/** EXT4_IOC_SHUTDOWN, which ext4 and XFS have: the log reaches the disk, and nothing after it. */
const SHUT_DOWN = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 1))
`;

/** Makes a file system in an image, and returns its mount point; undefined if none can be mounted here. */
function mountImage(t: ExecutionContext, home: string): string | undefined {
  const image = path.join(home, 'image');
  const place = folderIn(home, 'target');
  if (!fs.existsSync(image)) {
    fs.writeFileSync(image, '');
    fs.truncateSync(image, IMAGE_BYTES);
    if (spawnSync('mkfs.ext4', ['-q', '-F', image]).status !== 0) return undefined;
  }
  return mountHere(t, '-o', 'loop', image, place) ? place : undefined;
}

test('a restore goes on with what the failed disk of its target has lost', async (t) => {
  const home = scratchInMemory(t);
  const source = path.join(home, 'source');
  const small = Array.from({ length: 50 }, (_, at) => file(`small ${at}`, noise(at, 9000)));
  makeTree(source, [...small, file('large', noise('large', 2 << 20))]);
  const sparse = written(source, 'sparse', '');
  fs.truncateSync(sparse, HOLE_BYTES);
  fs.appendFileSync(sparse, noise('sparse', 70_000));
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true });
  const target = mountImage(t, home);
  if (target === undefined) return t.pass('no image can be mounted here');
  const output = path.join(target, 'out');
  const failing = withNative((native) => ({
    syncfs: (fd) => {
      const { stderr } = spawnSync('python3', ['-c', SHUT_DOWN, target], { encoding: 'utf8' });
      t.is(stderr, '');
      return native.syncfs(fd);
    },
  }));
  const code = 'IO_FAILED';
  await t.throwsAsync(restoreInline(failing, place, { paths: [source], output }), { code });
  t.is(spawnSync('umount', [target]).status, 0);
  t.is(mountImage(t, home), target);
  const restored = path.join(output, 'source');
  const lost = fs.readdirSync(restored).filter((name) => {
    const [one, other] = [source, restored].map((at) => fs.readFileSync(path.join(at, name)));
    return !one!.equals(other!);
  });
  t.true(lost.includes('sparse') && lost.length > 1, lost.join());
  t.deepEqual(await restoreInline(inlineSystem(), place, { paths: [source], output }), []);
  t.deepEqual(differences(look(source), look(restored)), []);
  return undefined;
});

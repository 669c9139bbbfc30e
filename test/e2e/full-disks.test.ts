// Pace: long
/**
 * Full disks are freed: small ones that were filled in generated ways (test/helpers/full-disks.ts). TEST_SHARE=3 frees
 * all of them, TEST_SEED replays.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EXT4, inNamespace, testOn } from '../helpers/disk-images.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

/** Number of generated fillings. They include every combination that a filling's number selects. */
const FILLINGS = 240;
const MANY = 20;
const wanted = Math.min(FILLINGS, shareOf(FILLINGS / 3));
/**
 * The step from one number to the next. It shares no factor with FILLINGS, so that few numbers already have every pack
 * size, file system, tree and role.
 */
const STEP = 37;
/** Time within which something must be printed: a backup of some megabytes, or the end of a disk. */
const STILL_MS = 300_000;
const FULL_DISKS = fileURLToPath(new URL('../helpers/full-disks.js', import.meta.url));

/** Returns some of the numbers, which differ by seed. */
function chosen(): number[] {
  return Array.from({ length: wanted }, (_, at) => (seed + at * STEP) % FILLINGS);
}

testOn(test, EXT4)?.(`${wanted} disks of 24 MiB, filled to the last byte, are freed`, async (t) => {
  t.timeout(STILL_MS); // begins again with each assertion
  const home = scratchInMemory(t);
  const args = [process.execPath, FULL_DISKS, home, String(seed), chosen().join()];
  const env = { XDG_STATE_HOME: path.join(home, 'state') };
  const { status, stdout, stderr } = await inNamespace(args, env, () => t.pass());
  t.is(status, 0, `seed ${seed}: ${stderr}`);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { again?: boolean })
    .filter(({ again }) => again !== undefined);
  t.is(lines.length, wanted);
  const again = lines.filter((line) => line.again).length;
  // On few disks, all older sets may be too small for that.
  if (wanted >= MANY) t.true(again >= wanted / 4, `a backup fitted again on ${again} of ${wanted}`);
  t.log(`seed ${seed}: a backup fitted again on ${again} of ${wanted}`);
});

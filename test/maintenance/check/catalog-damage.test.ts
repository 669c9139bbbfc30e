// Pace: slow
/**
 * Damage of a catalog: a check finds every change of its content, and a rebuild undoes it. TEST_SHARE multiplies the number
 * of cases of this file and of damage.test.ts; TEST_SEED is where they begin.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { seededRandom } from '../../support/seeded-random.js';
import { checkInline, contentsOf, lostOf } from '../../helpers/damage.js';
import { type Place, rebuildInline } from '../../helpers/inline.js';
import { copyOf, lived } from '../../helpers/lived-store.js';
import { dumpCatalog } from '../../helpers/packed-store.js';
import { removeScratch, ownState } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { shareOf } from '../../helpers/share.js';

const ALL_CASES = 2000;
const CASES = shareOf(ALL_CASES);
/** Least number of changes that must be damage: a small share may meet none, so it goes on until it has met one. */
const LEAST_FOUND = CASES * 0.01;
/** Milliseconds, enough for a busy machine. */
const TIMEOUT_MS = 1_200_000;
ownState(test);
// Each check makes temporary catalogs, a thousand in all, so they are kept in memory.
if (fs.existsSync('/dev/shm')) {
  process.env['TMPDIR'] = fs.mkdtempSync('/dev/shm/tardis-test-tmp-');
  test.after.always(() => removeScratch(process.env['TMPDIR']!));
}

test('damage in the catalog is found, and a rebuild undoes it', async (t) => {
  t.timeout(TIMEOUT_MS);
  const { place, right } = await lived(t);
  const file = (at: Place): string => path.join(at.store, 'me', 'tardis.db');
  const whole = dumpCatalog(file(place));
  let found = 0;
  for (let n = 0; (n < CASES * 0.15 || found <= LEAST_FOUND) && n < ALL_CASES; n += 1) {
    const random = seededRandom(seed * 200_003 + n);
    const copy = copyOf(place, 'damaged');
    const bytes = fs.readFileSync(file(copy));
    const at = Math.floor(random.next() * bytes.length);
    if (n % 5 === 4) fs.truncateSync(file(copy), at);
    else {
      bytes[at]! ^= 1 << (n % 8);
      fs.writeFileSync(file(copy), bytes);
    }
    const isSame = hasEqualRows(file(copy), whole);
    const checked = await checkInline(copy);
    if (isSame) continue;
    found += 1;
    t.true(checked.findings.length > 0, `case ${n}, at ${at}: ${difference(whole, file(copy))}`);
    await rebuildInline(copy);
    t.deepEqual(lostOf(right, await contentsOf(copy, undefined)), []);
    t.deepEqual((await checkInline(copy)).findings, []);
  }
  t.log(`${found} damages`);
  t.true(found > LEAST_FOUND);
});

/** True if a changed catalog still has the same content: the changed byte may be one that nothing needs. */
function hasEqualRows(file: string, whole: Record<string, string[]>): boolean {
  return difference(whole, file) === '';
}

function difference(whole: Record<string, string[]>, file: string): string {
  let now: Record<string, string[]>;
  try {
    now = dumpCatalog(file);
  } catch {
    return 'it cannot be read';
  }
  return Object.keys(whole)
    .filter((table) => withoutPassing(now[table]) !== withoutPassing(whole[table]))
    .join();
}

/**
 * Returns rows without damage marks, and without flags that only say how to look at a file next time. No restore
 * depends on them.
 */
function withoutPassing(rows: readonly string[] | undefined): string {
  const flags = (_all: string, flags: string): string => `["flags","${Number(flags) & ~10}"]`;
  return (rows ?? [])
    .map((row) => row.replace(/\["flags","(\d+)"\]/, flags).replace(/\["is_damaged","\d+"\]/, ''))
    .join();
}

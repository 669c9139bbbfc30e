// Pace: slow
/**
 * Damage of all kinds: a check finds each one. It names all versions of files that cannot be restored any more,
 * including those that depend on them, and no others. The test restores everything of every set to know them.
 * TEST_SHARE multiplies the number of cases; TEST_SEED is where they begin.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { seededRandom } from '../../support/seeded-random.js';
import {
  checkInline,
  contentsOf,
  dataFiles,
  DAMAGES,
  fingerprint,
  lostOf,
  namedBy,
} from '../../helpers/damage.js';
import { copyOf, lived } from '../../helpers/lived-store.js';
import { removeScratch, ownState } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { sweepShare } from '../../helpers/share.js';

const CASES = Math.round(2000 * sweepShare);
/** Milliseconds, enough for a busy machine. */
const TIMEOUT_MS = 1_200_000;
ownState(test);
// Each check makes temporary catalogs, a thousand in all, so they are kept in memory.
if (fs.existsSync('/dev/shm')) {
  process.env['TMPDIR'] = fs.mkdtempSync('/dev/shm/tardis-test-tmp-');
  test.after.always(() => removeScratch(process.env['TMPDIR']!));
}

test('a store that is whole is found so', async (t) => {
  for (const isEncrypting of [false, true]) {
    const { place, keyring, right } = await lived(t, isEncrypting);
    t.true(right.size > 80);
    const checked = await checkInline(place, { keyring, isEncrypted: isEncrypting });
    t.deepEqual(checked.findings, []);
    t.true(checked.records > 10);
    t.is(checked.bytesRead, checked.bytesToRead);
    t.true(checked.bytesRead > 2_000_000);
  }
});

for (const [isEncrypting, share] of [
  [false, 0.7],
  [true, 0.3],
] as const) {
  test(`damage in the data is found and named${isEncrypting ? ', encrypted' : ''}`, async (t) => {
    t.timeout(TIMEOUT_MS);
    const { place, keyring, right } = await lived(t, isEncrypting);
    const kinds = Object.keys(DAMAGES);
    const whole = fingerprint(place);
    let [found, lost] = [0, 0];
    const wanted = Math.ceil(CASES * share);
    // Some damages change nothing, such as an exchange of equal files.
    for (let n = 0; found < wanted && n < 2 * wanted; n += 1) {
      const random = seededRandom(seed * 100_003 + n);
      const kind = kinds[n % kinds.length]!;
      const copy = copyOf(place, 'damaged');
      const files = dataFiles(copy);
      const what = await DAMAGES[kind]!(path.join(copy.store, 'me'), files, random);
      if (fingerprint(copy) === whole) continue;
      const checked = await checkInline(copy, { keyring, isEncrypted: isEncrypting });
      const reported = `case ${n}: ${what}: ${JSON.stringify(checked.findings.slice(0, 3))}`;
      t.true(checked.findings.length > 0, reported);
      const really = lostOf(right, await contentsOf(copy, keyring));
      t.deepEqual(namedBy(checked), really, reported);
      found += 1;
      lost += really.length > 0 ? 1 : 0;
    }
    t.log(`${found} damages, ${lost} of them with lost versions`);
    t.is(found, wanted);
    t.true(lost > wanted * 0.3);
  });
}

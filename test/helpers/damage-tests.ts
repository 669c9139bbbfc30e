/**
 * The damage tests of one kind of client. Each kind has a test file of its own, so that both run in parallel.
 * TEST_SHARE is the share of the cases to run (1: all, each with every next command); TEST_SEED selects
 * them.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestFn } from 'ava';
import { casesOf, refusedCases, someRecordDamages, wrongWith } from './damage-cases.js';
import { type History, makeHistory, NEWEST, PURGED, UNFINISHED } from './damage-history.js';
import { recordDamages } from './damage-kinds.js';
import { LOST } from './damage-look.js';
import { STEPS } from './damage-steps.js';
import { seed } from './seed.js';
import { share } from './share.js';
import { removeScratch } from './scratch.js';

/** Number of problems to show. */
const MOST_SHOWN = Number(process.env['TEST_DAMAGE_SHOWN'] ?? 20);
/** A limit for a busy machine; all cases take hours. */
const TIMEOUT_MS = 1_200_000 + share * 36_000_000;

export function testDamage(test: TestFn, isEncrypting: boolean): void {
  const memory = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  const home = fs.mkdtempSync(path.join(memory, 'tardis-test-damage-'));
  process.env['TMPDIR'] = path.join(home, 'tmp');
  fs.mkdirSync(process.env['TMPDIR']);
  let history: History;

  test.before(async () => {
    history = await makeHistory(home, isEncrypting, seed % 2 === 1);
  });
  test.after.always(() => removeScratch(home));

  test.serial('the history is what the damages are for', (t) => {
    const { sets, entries, codes } = history.truth;
    t.deepEqual([...codes], []);
    t.deepEqual([...sets.keys()], [1, 4, 5, NEWEST, UNFINISHED]);
    t.false(PURGED.some((set) => sets.has(set)));
    t.is(sets.get(UNFINISHED)?.state, 'unfinished');
    t.true(entries.size > 80);
    t.false([...entries.values()].some((words) => words.endsWith(LOST)));
  });

  for (const step of Object.keys(STEPS)) {
    test.serial(`without damage nothing is wrong: ${step}`, async (t) => {
      const damage = { name: 'none', file: '', apply: () => true };
      t.deepEqual(await wrongWith(history, { damage, step, choice: 0 }), []);
    });
  }

  test.serial('whichever record is damaged, a rebuild reports it', async (t) => {
    t.timeout(TIMEOUT_MS);
    const wrong: string[] = [];
    const all = await recordDamages(history);
    const damages = await someRecordDamages(history);
    for (const damage of damages)
      wrong.push(...(await wrongWith(history, { damage, step: 'rebuild', choice: 0 })));
    t.log(`${damages.length} of ${all.length} records`);
    t.true(all.length > 20);
    t.true(damages.length > 5);
    t.deepEqual(wrong.slice(0, MOST_SHOWN), []);
  });

  test.serial('a refused backup hides no damage from a check', async (t) => {
    t.timeout(TIMEOUT_MS);
    const cases = refusedCases(history, seed);
    const wrong: string[] = [];
    for (const one of cases) wrong.push(...(await wrongWith(history, one)));
    t.log(`${cases.length} cases`);
    t.deepEqual(wrong.slice(0, MOST_SHOWN), [], `${wrong.length} in all; TEST_SEED=${seed}`);
  });

  test.serial('whatever is damaged, and whatever comes next', async (t) => {
    t.timeout(TIMEOUT_MS);
    const cases = casesOf(history, seed);
    const wrong: string[] = [];
    for (const one of cases) wrong.push(...(await wrongWith(history, one)));
    t.log(`${cases.length} cases`);
    t.deepEqual(wrong.slice(0, MOST_SHOWN), [], `${wrong.length} in all; TEST_SEED=${seed}`);
  });
}

// Pace: long
/**
 * Fuzzes targets for a moment, beginning with the inputs that broke something once: every fourth one, which TEST_SEED
 * chooses, and all in a soak run. `npm run fuzz` takes hours.
 */
import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { fuzzTarget } from './engine/watch.js';
import { REGRESSIONS, regressionsOf } from './regressions.js';
import { moduleOf, targetNames } from './targets.js';

/** Seconds for each target. */
const SECONDS = Number(process.env['TEST_FUZZ_SECONDS'] ?? 0.4);
const LEAST_TARGETS = 8;
const MOST_SHOWN_BYTES = 3000;

async function holds(t: ExecutionContext, name: string): Promise<void> {
  const regressions = regressionsOf(name);
  const job = { module: moduleOf(name), seed, seconds: SECONDS, regressions };
  const { failure, progress } = await fuzzTarget(job);
  t.log(`seed ${seed}: ${progress.executions} inputs, ${progress.kept} kept`);
  if (failure !== undefined) {
    const { input, fault } = failure;
    const shown = input.subarray(0, MOST_SHOWN_BYTES).toString('base64');
    t.fail(`seed ${seed}: ${fault.detail}\n${input.length} bytes, as base64: ${shown}`);
    return;
  }
  t.true(progress.seeds > 0, 'a target begins with something');
  t.true(progress.executions > progress.seeds, 'and changes it');
}

for (const [number, name] of targetNames().entries()) {
  if (share < 1 && (seed + number) % 4 !== 0) continue;
  test.serial(`fuzzing ${name} finds nothing`, (t) => holds(t, name));
}

test('there are targets, each with regressions of its own only, and the document names them', (t) => {
  const names = targetNames();
  t.true(names.length >= LEAST_TARGETS);
  t.deepEqual(
    Object.keys(REGRESSIONS).filter((name) => !names.includes(name)),
    [],
  );
  const document = readFileSync('docs/inside/testing.md', 'utf8');
  t.deepEqual(
    names.filter((name) => !document.includes(`\`${name}\``)),
    [],
  );
});

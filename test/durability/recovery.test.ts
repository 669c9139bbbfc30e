// Pace: long
/**
 * Crashes during recovery: in the run after a kill, while unsynced bytes are still in flight, and in the run after a
 * power cut. The last test has disks that report an fsync that they have not done. See docs/inside/testing.md.
 */
import path from 'node:path';
import test from 'ava';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import { isClientDirectory, openClientDirectory } from '../../src/store/index.js';
import { ARRIVED, byChance } from '../support/simulated-disk.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { historyIn } from '../helpers/crash-checks.js';
import { crashAll, type Ground, recordAfter, times } from '../helpers/crash-runs.js';
import { FIRST, OFTEN, SECOND, answeringBackup } from '../helpers/crash-scenarios.js';
import { recorded } from '../helpers/crash-sweep.js';
import { OrderChecker } from '../helpers/durable-order.js';
import { seed } from '../helpers/seed.js';

const random = seededRandom(seed);
const ROUNDS = Math.max(1, Math.round(4 * times));
const STATES = 40;

/** Runs the next backup after the interruption. */
async function goOn(system: System, ground: Ground, answer: (what: string) => void): Promise<void> {
  const { store, client } = ground.place;
  const create = !isClientDirectory(system, path.join(store, client));
  await answeringBackup(system, ground, 'again', answer, { ...OFTEN, create });
}

for (const scenario of [FIRST, SECOND]) {
  for (const isKill of [true, false]) {
    const what = isKill ? 'a kill' : 'a power cut';
    test.serial(`the run after ${what} is struck too: ${scenario.name}`, async (t) => {
      const run = await recorded(t, scenario);
      let states = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const point = Math.floor(random.next() * run.trace.acts.length);
        const choice = isKill ? ARRIVED : byChance(random);
        const again = await recordAfter({ run, point, choice, isKill }, goOn, `round ${round}`);
        const { acts } = again.trace;
        t.deepEqual(OrderChecker.check(again.trace, acts).found, [], `after point ${point}`);
        const from = isKill ? point : 0;
        const report = await crashAll(again, { states: STATES, from });
        t.deepEqual(report.wrong, [], `after point ${point} (seed ${seed})`);
        ({ states } = { states: states + report.states });
      }
      t.log(`${states} states of the disk (seed ${seed})`);
    });
  }
}

test.serial('a disk that lies takes the newest set, never one that was synced', async (t) => {
  const run = await recorded(t, SECOND);
  const syncs = run.trace.acts.filter(({ act }) => act.startsWith('sync'));
  let states = 0;
  for (const share of [0, 0.3, 0.6, 0.9]) {
    const from = syncs[Math.floor(syncs.length * share)]!.at;
    const lied = {
      ...run,
      scenario: {
        ...run.scenario,
        check: async ({ ground }: { readonly ground: Ground }) => {
          // The catalog and the packs may contradict each other now, so the packs decide.
          const system = nodeSystem();
          await rebuildCatalog(system, openClientDirectory(system, ground.place));
          const found = await historyIn(ground.place);
          const [wanted, lines] = [run.truth.history, found].map((one) => one.get('first') ?? []);
          return lines!.join('\n') === wanted!.join('\n') ? [] : ['an old set was lost'];
        },
      },
    };
    const isHonest = ({ at }: { readonly at: number }): boolean => at < from;
    const report = await crashAll(lied, { isHonest, states: 75 });
    t.deepEqual(report.wrong, [], `lying from ${from} on (seed ${seed})`);
    states += report.states;
  }
  t.log(`${states} states of the disk (seed ${seed})`);
});

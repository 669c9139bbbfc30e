// Pace: slow
/** Some rounds of the store that lives on under random load (`npm run soak`), in two runs. */
import path from 'node:path';
import test from 'ava';
import { poolsStayAway } from '../helpers/commands.js';
import { LongLife } from '../helpers/long-life.js';
import { chooser } from '../helpers/random-tree.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

poolsStayAway();

const ROUNDS = shareOf(50, 3);

test('a store lives on from run to run under random load, and every set gives back what it held', async (t) => {
  const home = path.join(scratchInMemory(t), 'life');
  let last = 0;
  for (const run of [1, 2]) {
    const life = new LongLife(home, chooser(seed + run));
    for (let count = 0; count < ROUNDS; count += 1) {
      const { round, act, sets, longestChain } = await life.live();
      t.log(`${round}: ${act}`);
      t.true(round > last && sets > 0 && longestChain < round, `seed ${seed}, round ${round}`);
      last = round;
    }
    await life.proveAll();
  }
});

// Pace: long
/** kill -9 of client or server at random moments; see test/helpers/thrash.ts. */
import test from 'ava';
import { commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { thrash } from '../helpers/thrash.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share, smallShare } from '../helpers/share.js';

commandsRunHere();
// Backups have a pool of threads for every second seed, and for all seeds in a soak run.
if (share < 1 && seed % 2 === 0) poolsStayAway();

const ROUNDS = Math.round(120 * smallShare);

test('client or server killed: finished sets restore and the next run continues', async (t) => {
  const report = await thrash({
    home: scratchInMemory(t),
    rounds: ROUNDS,
    seed,
    log: (line) => t.log(line),
  });
  t.deepEqual(report.problems, []);
  t.is(report.killed + report.survived, ROUNDS);
  t.true(report.finishedSets > 0);
  const { purges, purgesKilled } = report;
  t.log(`${purges} sets deleted, ${purgesKilled} deletions killed`);
  t.log(`${report.killed} killed, ${report.survived} too late, ${report.busy} times busy`);
});

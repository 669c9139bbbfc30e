/** Many clients at once, with deletions and restores in parallel to backups; see test/helpers/crowd.ts. */
import test from 'ava';
import { commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { crowd } from '../helpers/crowd.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';

poolsStayAway();

const CLIENTS = 4;
/** Seconds of one run. */
const SECONDS = share < 1 ? 6 : 60;

test('clients back up, restore and have sets deleted at once, and nobody gets a wrong byte', async (t) => {
  const report = await crowd({
    home: scratchInMemory(t),
    clients: CLIENTS,
    seconds: SECONDS,
    seed,
    log: (line) => t.log(line),
    onEnd: commandsRunHere, // nothing runs beside them any more
  });
  const { backups, restores, deletions, busy, clearings, checks } = report;
  t.log(
    `${backups} backups, ${restores} restores, ${deletions} deletions, ${clearings} clearings up, ${checks} checks, ${busy} busy`,
  );
  t.deepEqual(report.problems, []);
  t.true(backups >= CLIENTS && restores >= CLIENTS);
});

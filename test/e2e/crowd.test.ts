// Pace: long
/** Many clients at once, and servers and commands that are killed and paused; see test/helpers/crowd.ts. */
import test, { type ExecutionContext } from 'ava';
import { commandsAreProcesses, commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { crowd, type CrowdOptions } from '../helpers/crowd.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { S3Server } from '../support/s3-server.js';

/** True for every second seed: the choices of a run that is no soak run, which has all. */
const isEven = seed % 2 === 0;
// The first test has a pool of threads for every second seed, and for all seeds in a soak run.
if (share < 1 && isEven) poolsStayAway();
/** A run has one of the last two tests. */
const [testOfDirectory, testOfBucket] = [
  share < 1 && isEven ? undefined : test.serial,
  share < 1 && !isEven ? undefined : test.serial,
];

async function gather(
  t: ExecutionContext,
  options: Pick<CrowdOptions, 'urls' | 'servers' | 'clients' | 'rounds' | 'killed' | 'longestMs'>,
) {
  t.timeout(60 * 60_000);
  const report = await crowd({
    ...options,
    home: scratchInMemory(t),
    seed,
    log: (line) => t.log(line),
    onEnd: commandsRunHere, // nothing runs beside them any more
  });
  const { problems, failures, ...counts } = report;
  t.log(JSON.stringify({ ...counts, failures: [...failures] }));
  t.deepEqual(problems, []);
  t.true(report.backups >= options.clients * (options.rounds + 1));
  t.true(report.restores >= options.clients);
  return report;
}

// One after the other: the last part of each runs in this thread.
test.serial(
  'client or server killed: finished sets restore and the next run continues',
  async (t) => {
    commandsRunHere(); // except those that are killed
    const report = await gather(t, { clients: 1, rounds: share < 1 ? 5 : 120, killed: 'commands' });
    t.true(report.killed > 0);
  },
);

testOfDirectory?.(
  'clients back up, restore and have sets deleted at once, and nobody gets a wrong byte',
  async (t) => {
    poolsStayAway();
    commandsAreProcesses();
    const report = await gather(t, {
      clients: share < 1 ? 3 : 4,
      rounds: share < 1 ? 2 : 60,
      killed: 'nothing',
    });
    t.is(report.killed, 0);
  },
);

testOfBucket?.(
  'servers of one bucket are killed and paused under load, and nothing acknowledged is lost',
  async (t) => {
    poolsStayAway();
    commandsAreProcesses();
    const server = await S3Server.during(t);
    const report = await gather(t, {
      urls: [server.url],
      servers: 3,
      clients: 3,
      rounds: share < 1 ? 2 : 60,
      killed: 'servers',
      longestMs: share < 1 ? 2000 : 20_000,
    });
    t.true(report.strikes > 0);
  },
);

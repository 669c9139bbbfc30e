// Pace: long
/** Many clients of several servers over one bucket, which are killed and paused; see test/helpers/bucket-crowd.ts. */
import test from 'ava';
import { bucketCrowd } from '../helpers/bucket-crowd.js';
import { commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';
import { S3Server } from '../support/s3-server.js';

poolsStayAway();

const CLIENTS = 3;
const SERVERS = 3;
/** Seconds of one run. */
const SECONDS = share < 1 ? 6 : 120;
const LONGEST_MS = share < 1 ? 2000 : 20_000;

test('servers of one bucket are killed and paused under load, and nothing acknowledged is lost', async (t) => {
  t.timeout(30 * 60_000);
  const server = await S3Server.start();
  t.teardown(() => server.close());
  const report = await bucketCrowd({
    home: scratchInMemory(t),
    urls: [server.url],
    clients: CLIENTS,
    servers: SERVERS,
    seconds: SECONDS,
    longestMs: LONGEST_MS,
    seed,
    log: (line) => t.log(line),
    onEnd: commandsRunHere, // nothing runs beside them any more
  });
  const { backups, restores, deletions, checks, failures } = report;
  t.log(`${backups} backups, ${restores} restores, ${deletions} deletions, ${checks} checks`);
  t.log(`failed while servers were away: ${JSON.stringify([...failures])}`);
  t.deepEqual(report.problems, []);
  t.true(backups >= CLIENTS && restores >= CLIENTS && report.strikes > 0);
});

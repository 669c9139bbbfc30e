// Servers and two real gateways of one bucket, killed and paused under load (see test/helpers/bucket-crowd.ts):
// node scripts/gateways.mjs [SECONDS] [--clients N] [--servers N] [--seed N]
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import { bucketCrowd } from '../dist/test/helpers/bucket-crowd.js';
import { commandsRunHere } from '../dist/test/helpers/commands.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';
import { startTwoGateways, whyNoGateway } from '../dist/test/support/radosgw.js';

/**
 * Maximum pause between two kills or pauses, and maximum pause of a process. It is longer than the life of a lease (15
 * s).
 */
const LONGEST_MS = 20_000;

const usage =
  'usage: node scripts/gateways.mjs [SECONDS] [--clients N] [--servers N] [--seed N]   (build first)';
const number = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clients: number, servers: number, seed: number },
});
const seconds = Number(positionals[0] ?? 600);
const clients = Number(values.clients ?? 16);
const servers = Number(values.servers ?? 4);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
const isUsable = [seconds, clients, servers].every((one) => Number.isInteger(one) && one > 0);
const why = isUsable && Number.isInteger(seed) ? whyNoGateway() : usage;
if (why !== undefined) {
  console.error(why);
  process.exit(1);
}

function strikesAt({ name, signal, start }) {
  const shown = name.replace('client.', 'gateway ');
  return [
    async (random) => {
      signal('SIGKILL');
      await pause(random.next() * 3000);
      await start();
      return `${shown} was killed`;
    },
    async (random) => {
      const ms = Math.round((random.next() * LONGEST_MS) / 2);
      signal('SIGSTOP');
      await pause(ms);
      signal('SIGCONT');
      return `${shown} was paused for ${ms} ms`;
    },
  ];
}

const beginMs = performance.now();
const elapsed = () => Math.round((performance.now() - beginMs) / 1000);
const home = makeScratch();
const { gateways, stop } = await startTwoGateways();
try {
  const report = await bucketCrowd({
    home,
    urls: gateways.map(({ url }) => url),
    servers,
    clients,
    seconds,
    seed,
    longestMs: LONGEST_MS,
    strikes: gateways.flatMap(strikesAt),
    // Commands that run in this thread collect what is printed to the console.
    log: (line) => writeSync(1, `${elapsed()} s: ${line}\n`),
    onEnd: commandsRunHere, // a process for each set took most of the time, and nothing runs beside them any more
  });
  const { backups, restores, deletions, checks, strikes, failures, problems } = report;
  for (const problem of problems) console.error(`PROBLEM: ${problem}`);
  console.log(`failed while servers or gateways were away: ${JSON.stringify([...failures])}`);
  console.log(
    `${strikes} strikes, ${backups} backups, ${restores} restores, ${deletions} deletions, ${checks} checks, ` +
      `${problems.length} problems (seed ${seed})`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await stop();
  removeScratch(home);
}

// Clients of one store at once, and what is done to them (see test/helpers/crowd.ts):
// node scripts/crowd.mjs [ROUNDS] [--clients N] [--seed N]             one server, and nothing is killed
// node scripts/crowd.mjs [ROUNDS] --kill [...]                         clients, servers and deletions are killed
// node scripts/crowd.mjs [ROUNDS] --gateways [--servers N] [...]       servers and two real gateways are killed and paused
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { commandsRunHere } from '../dist/test/helpers/commands.js';
import { crowd } from '../dist/test/helpers/crowd.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';
import { startTwoGateways, whyNoGateway } from '../dist/test/support/radosgw.js';

/** Maximum pause between two strikes, and of a process. It is longer than the life of a lease (15 s). */
const LONGEST_MS = 20_000;
/** A server listens again, and sets are listed, within this time after a kill. */
const MAX_RESTART_MS = 5000;

const number = { type: 'string' };
const isGiven = { type: 'boolean', default: false };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clients: number, servers: number, seed: number, kill: isGiven, gateways: isGiven },
});
const { kill, gateways: areReal } = values;
const rounds = Number(positionals[0] ?? 50);
const clients = Number(values.clients ?? (kill ? 1 : 16));
const servers = Number(values.servers ?? (areReal ? 4 : 1));
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
const areCounts = [rounds, clients, servers].every((one) => Number.isInteger(one) && one > 0);
const isUsable =
  areCounts && Number.isInteger(seed) && !(kill && areReal) && (areReal || servers === 1);
const why = isUsable ? areReal && whyNoGateway() : 'usage: see scripts/crowd.mjs (build first)';
if (why) {
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
const bucket = areReal ? await startTwoGateways() : undefined;
try {
  const { problems, failures, ...counts } = await crowd({
    home,
    rounds,
    clients,
    servers,
    seed,
    urls: bucket?.gateways.map(({ url }) => url),
    killed: areReal ? 'servers' : kill ? 'commands' : 'nothing',
    longestMs: areReal ? LONGEST_MS : undefined,
    strikes: bucket?.gateways.flatMap(strikesAt),
    // Commands that run in this thread collect what is printed to the console.
    log: (line) => writeSync(1, `${elapsed()} s: ${line}\n`),
    onEnd: commandsRunHere, // a process for each set took most of the time, and nothing runs beside them any more
  });
  const isSlow = kill && counts.longestRestartMs > MAX_RESTART_MS;
  if (isSlow)
    problems.push(`${Math.round(counts.longestRestartMs)} ms until all was back after a kill`);
  for (const problem of problems) console.error(`PROBLEM: ${problem}`);
  console.log(
    JSON.stringify({ ...counts, failures: [...failures], problems: problems.length, seed }),
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await bucket?.stop();
  removeScratch(home);
}

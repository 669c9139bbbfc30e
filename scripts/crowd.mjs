// Many clients of one server at once (see test/helpers/crowd.ts): node scripts/crowd.mjs [CLIENTS] [SECONDS] [SEED]
import { crowd } from '../dist/test/helpers/crowd.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';

const clients = Number(process.argv[2] ?? 16);
const seconds = Number(process.argv[3] ?? 300);
const seed = Number(process.argv[4] ?? Math.floor(Math.random() * 1e6));
if (![clients, seconds, seed].every(Number.isInteger) || clients < 1 || seconds < 1) {
  console.error('usage: node scripts/crowd.mjs [CLIENTS] [SECONDS] [SEED]   (build first)');
  process.exit(1);
}

function summary(times) {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  return `${sorted.length} backups, median ${at(0.5)} ms, longest ${at(1)} ms`;
}

const home = makeScratch();
try {
  const report = await crowd({ home, clients, seconds, seed, log: (line) => console.log(line) });
  const { backups, restores, deletions, busy, clearings, checks, aloneMs, besideMs, problems } =
    report;
  for (const problem of problems) console.error(`PROBLEM: ${problem}`);
  console.log(`alone: ${summary(aloneMs)}; beside a deletion: ${summary(besideMs)}`);
  console.log(
    `${backups} backups, ${restores} restores, ${deletions} deletions, ${clearings} clearings up, ${checks} checks, ` +
      `${busy} times busy, ${problems.length} problems (seed ${seed})`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  removeScratch(home);
}

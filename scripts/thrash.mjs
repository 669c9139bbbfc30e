// Kills backups at random moments, N times (see test/helpers/thrash.ts): node scripts/thrash.mjs [N] [SEED]
import { thrash } from '../dist/test/helpers/thrash.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';

const MAX_RESTART_MS = 5000;
const rounds = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 1e6));
if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) {
  console.error('usage: node scripts/thrash.mjs [ROUNDS] [SEED]   (build first)');
  process.exit(1);
}

const home = makeScratch();
try {
  const report = await thrash({
    home,
    rounds,
    seed,
    log: (line) => console.log(line),
    maxRestartMs: MAX_RESTART_MS,
  });
  const { killed, survived, busy, finishedSets, purges, purgesKilled, checks, problems } = report;
  const restartMs = Math.round(report.longestRestartMs);
  for (const problem of problems) console.error(`PROBLEM: ${problem}`);
  console.log(
    `${killed} killed, ${survived} through before the kill, ${busy} times busy, ` +
      `${purges} sets deleted, ${purgesKilled} deletions killed, ` +
      `${checks} checks of the store, ${finishedSets} finished sets restored, back after ${restartMs} ms at most, ${problems.length} problems (seed ${seed})`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  removeScratch(home);
}

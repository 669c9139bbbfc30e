// Compares the times of logins of a known and an unknown client: `node scripts/compare-logins.mjs [logins]`
// (after a build; 100,000 by default, some ten minutes). Prints Welch's t; 4.5 and above is a leak.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareTimes, makeClient, serviceOf } from '../dist/test/helpers/logins.js';

const logins = Number(process.argv[2] ?? 100_000);
if (!Number.isInteger(logins) || logins < 100) {
  console.error('usage: node scripts/compare-logins.mjs [logins, at least 100]');
  process.exit(1);
}
const store = mkdtempSync(join(tmpdir(), 'tardis-logins-'));
try {
  await makeClient(store, 'known', 'a password');
  const service = serviceOf(store);
  const names = { known: 'known', unknown: 'unheard' };
  await compareTimes(service, names, 100); // until the code is compiled
  const { challenge, answer } = await compareTimes(service, names, logins);
  console.log(
    `${logins} logins: t ${challenge.toFixed(2)} (challenge), ${answer.toFixed(2)} (answer)`,
  );
  process.exitCode = Math.max(Math.abs(challenge), Math.abs(answer)) < 4.5 ? 0 : 1;
} finally {
  rmSync(store, { recursive: true, force: true });
}

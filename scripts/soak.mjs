// Lets one store live on under random load: npm run soak -- [--hours N] [--rounds N] [--in DIRECTORY] [--seed N]; or many short
// lives of the world of the tests: npm run soak -- --lives N [--seed FIRST]. The next run of a store
// continues the store. Root gets a file system of its own for the store, which is filled up now and then.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { LongLife } from '../dist/test/helpers/long-life.js';
import { chooser } from '../dist/test/helpers/random-tree.js';
import { backupsRunHere } from '../dist/test/helpers/commands.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';
import { isRoot } from '../dist/test/helpers/tree.js';
import { lived } from '../dist/test/world/life.js';

const DISK_SIZE = '256M';
const HOUR_MS = 3_600_000;
/** All sets are compared after so many rounds, and at the end. */
const PROVED_EACH = 25;
const HAS_DISK = 'SOAK_HAS_DISK';

const text = { type: 'string' };
const { values } = parseArgs({
  options: { hours: text, rounds: text, in: text, seed: text, lives: text },
});
const home = path.resolve(values.in ?? path.join(os.homedir(), '.cache/tardis-soak'));
const endMs = performance.now() + Number(values.hours ?? 1) * HOUR_MS;
const most = Number(values.rounds ?? Infinity);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));

/** Runs this program again in a mount namespace where the store has its own file system. Returns its exit status. */
function onOwnDisk() {
  const [disk, store] = [path.join(home, 'disk'), path.join(home, 'store')];
  fs.mkdirSync(store, { recursive: true });
  if (!fs.existsSync(disk)) {
    execFileSync('truncate', ['-s', DISK_SIZE, disk]);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', disk]);
  }
  const script = 'mount -o loop "$0" "$1" && shift && exec "$@"';
  const again = [process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [HAS_DISK]: '1' };
  const { status } = spawnSync('unshare', ['-m', 'sh', '-c', script, disk, store, ...again], {
    env,
    stdio: 'inherit',
  });
  return status ?? 1;
}

function line(round) {
  const {
    round: number,
    act,
    sets,
    storeBytes,
    treeBytes,
    longestChain,
    parityDebt,
    backupMs,
  } = round;
  const size = `${(storeBytes / 1e6).toFixed(1)} MB (${(storeBytes / treeBytes).toFixed(1)} × the tree)`;
  const state = `chain ${longestChain}, packs without parity ${parityDebt}`;
  return `${number}: ${act}; ${sets} sets, ${size}, ${state}, backup ${backupMs} ms`;
}

async function soak() {
  const life = new LongLife(home, chooser(seed), process.env[HAS_DISK] !== undefined);
  console.log(`seed ${seed}, in ${home}`);
  for (let count = 1; count <= most && performance.now() < endMs; count += 1) {
    console.log(line(await life.live()));
    if (count % PROVED_EACH === 0) await life.proveAll();
  }
  await life.proveAll();
  console.log('every set holds what was backed up, and a full check finds nothing');
}

async function liveMany(lives) {
  backupsRunHere(); // only this thread knows the bucket of a world
  const folder = makeScratch();
  let broken = 0;
  for (let number = seed; number < seed + lives; number += 1) {
    const failure = await lived(path.join(folder, String(number)), String(number));
    if (failure === undefined) continue;
    broken += 1;
    console.log(`life ${number}: ${failure}`);
  }
  removeScratch(folder);
  console.log(`${lives} lives from ${seed}, of which ${broken} broke a promise`);
  return broken === 0 ? 0 : 1;
}

if (values.lives !== undefined) process.exitCode = await liveMany(Number(values.lives));
else if (isRoot && process.env[HAS_DISK] === undefined) process.exitCode = onOwnDisk();
else await soak();

/**
 * Fills a small file system again and again. It is a separate program, since the file system belongs to the
 * process that mounts it. Arguments: an empty directory, the number of passes, a seed. Prints one line of JSON
 * for each pass; exits with 77 if nothing can be mounted, else with 1 at the first problem.
 *
 * A pass frees some space (by removing a filler), backs up a changing tree until the disk is full, fills the rest
 * to the last byte, and lists and restores.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { faultySystem } from '../support/faults.js';
import { seededRandom } from '../support/seeded-random.js';
import { Ledger, Plan } from './faults.js';
import { fillUp, freeBytes } from './fill-disk.js';
import {
  backupInline,
  dumpHistory,
  inlineSystem,
  type Place,
  restoreInline,
  SMALL_STORE,
  withHistory,
} from './inline.js';
import { differences, look, noise, type Snapshot } from './tree.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const DISK_MIB = 64;
/** Space for the store at the start; the rest is fillers, one for each pass. */
const FIRST_ROOM_BYTES = 20 * MIB;
const FILES = 12;
/** Bytes that fit neither into the reserve nor into what a killed backup leaves to be removed. */
const MORE_BYTES = 4 * MIB;
const RESTORES_A_PASS = 3;
const UNMOUNTABLE = 77;
const MAX_BACKUPS_A_PASS = 200;

const [home = '', passesText = '20', seedText = '1'] = process.argv.slice(2);
const passes = Number(passesText);
const seed = Number(seedText);
const random = seededRandom(seed);
const pick = (below: number): number => Math.floor(random.next() * below);
const disk = path.join(home, 'disk');
const source = path.join(home, 'tree');
const place: Place = { store: path.join(disk, 'store'), client: 'me' };

const fillerBytes = Math.floor((DISK_MIB * MIB - FIRST_ROOM_BYTES) / passes);
const wanted = new Map<string, Snapshot>();
let backups = 0;

function need(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(`${what} (seed ${seed})`);
}

/** Changes the tree: some files are new, some removed, some longer, and one is large now and then. */
function changeTree(round: number): void {
  fs.mkdirSync(source, { recursive: true });
  for (const name of fs.readdirSync(source)) {
    if (random.next() < 0.3) fs.rmSync(path.join(source, name));
  }
  const missing = FILES - fs.readdirSync(source).length;
  for (let index = 0; index <= missing; index += 1) {
    const bytes = random.next() < 0.1 ? pick(MIB) : pick(120 * KIB);
    fs.writeFileSync(
      path.join(source, `${round} ${index}`),
      noise(`${seed} ${round} ${index}`, bytes),
    );
  }
  const [first] = fs.readdirSync(source);
  fs.appendFileSync(path.join(source, first!), noise(`${seed} ${round}`, 3000));
}

/** Every other pass has a reserve and stops early; the others reach the last byte. */
function storageOf(pass: number) {
  const stops = pass % 2 === 0;
  return {
    ...SMALL_STORE,
    store: {
      packBytes: MIB,
      packContentBytes: MIB,
      reserveBytes: 512 * KIB,
      leastFreeBytes: stops ? 256 * KIB : 0,
    },
    checkpoint: { bytes: MIB, entries: 1000, intervalMs: 3_600_000 },
  };
}

async function backUp(pass: number): Promise<'done' | 'full'> {
  backups += 1;
  const setName = `set ${backups}`;
  const storage = storageOf(pass);
  const before = look(source);
  const create = backups === 1;
  try {
    await backupInline(inlineSystem(), place, [source], { create, setName, storage });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    need(code === 'DISK_FULL', `a backup ended with ${code}: ${message}`);
    need(/is full: [\d.]+ [kM]?B are free/.test(message), message);
    return 'full';
  }
  wanted.set(setName, before);
  return 'done';
}

/** Kills a process in the middle of a backup, while the disk is nearly full. */
async function killedBackup(pass: number): Promise<void> {
  const plan = new Plan(40 + pick(200), { kind: 'kill' });
  const ledger = new Ledger(inlineSystem());
  const system = faultySystem(ledger.system, plan);
  await backupInline(system, place, [source], {
    setName: 'killed',
    storage: storageOf(pass),
  }).catch(
    () => undefined, // the kill is intended
  );
  ledger.closeAll(); // as the end of a process does
}

async function checkSet(name: string): Promise<void> {
  const output = path.join(home, 'out');
  fs.rmSync(output, { recursive: true, force: true });
  const request = { paths: [source], output, set: name };
  const failures = await restoreInline(inlineSystem(), place, request);
  need(failures.length === 0, `restoring "${name}": ${failures.map(String).join()}`);
  const found = differences(wanted.get(name)!, look(path.join(output, 'tree')));
  need(found.length === 0, `"${name}" differs: ${found.join('; ')}`);
}

async function completeSets(): Promise<string[]> {
  const sets = await withHistory(place, (history) => history.sets());
  return sets.filter(({ state }) => state === 'complete').map(({ name }) => name);
}

async function checkHistory(names: readonly string[]): Promise<void> {
  const complete = await completeSets();
  for (const name of wanted.keys()) need(complete.includes(name), `"${name}" is gone`);
  for (const name of names) await checkSet(name);
}

async function pass(number: number): Promise<void> {
  fs.rmSync(path.join(disk, `filler ${number}`));
  const begun = backups;
  let done = 0;
  let slowestMs = 0;
  for (;;) {
    need(backups - begun < MAX_BACKUPS_A_PASS, 'the disk does not get full');
    changeTree(backups);
    const startMs = performance.now();
    const end = await backUp(number);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    if (end === 'full') break;
    done += 1;
  }
  if (number % 3 === 1) await killedBackup(number);
  const rest = path.join(disk, 'rest');
  fillUp(rest);
  need(freeBytes(disk) === 0, `${freeBytes(disk)} bytes are free`);
  // At the last byte temporary files have no space either, in some passes.
  if (number % 3 === 0) process.env['TMPDIR'] = disk;
  const names = [...wanted.keys()];
  const some = Array.from({ length: RESTORES_A_PASS - 1 }, () => names[pick(names.length)]!);
  await checkHistory([names.at(-1)!, ...some]);
  // The backup before may have stored all contents: a set of these completes in the reserve.
  const more = path.join(source, 'more');
  fs.writeFileSync(more, noise(`${seed} more ${number}`, MORE_BYTES));
  need((await backUp(number)) === 'full', 'a backup without a byte of room completed');
  fs.rmSync(more);
  await checkHistory([names.at(-1)!]);
  need((await dumpHistory(place)).length > 0, 'nothing is listed');
  delete process.env['TMPDIR'];
  fs.rmSync(rest);
  process.stdout.write(`${JSON.stringify({ pass: number, done, slowestMs })}\n`);
}

async function main(): Promise<void> {
  fs.mkdirSync(disk, { recursive: true });
  const size = `size=${DISK_MIB}m`;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', disk]);
  if (mounted.status !== 0) {
    process.stderr.write(String(mounted.stderr));
    process.exitCode = UNMOUNTABLE;
    return;
  }
  for (let number = 0; number < passes; number += 1) {
    fs.writeFileSync(path.join(disk, `filler ${number}`), Buffer.alloc(fillerBytes, 1));
  }
  for (let number = 0; number < passes; number += 1) await pass(number);
  need(
    wanted.size >= passes / 2,
    `${wanted.size} backups completed though there was room for more`,
  );
  // With all space in use, every completed set is checked once more.
  await checkHistory([...wanted.keys()]);
  process.stdout.write(`${JSON.stringify({ sets: wanted.size })}\n`);
}

await main();

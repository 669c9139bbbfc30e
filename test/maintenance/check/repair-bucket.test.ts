// Pace: slow
/** Repairs of a client in a bucket in memory: random damage, and faults at each request of writing and of healing. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import {
  type RepairOutcome,
  repairInBucket,
  type RepairFinding,
} from '../../../src/maintenance/check/index.js';
import { type ClientDirectory, shapeOf } from '../../../src/store/index.js';
import { collectGarbage } from '../../../src/maintenance/gc/index.js';
import { catchUp, deleteSets } from '../../../src/store/writer/index.js';
import { backUpFrom, restoreFrom, sharedClient } from '../../helpers/bucket-machines.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { folderIn, scratch } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { partOf, sweepShare } from '../../helpers/share.js';
import { noise } from '../../helpers/tree.js';
import type { BeforeRequest, Objects } from '../../support/memory-object-store.js';
import { seededRandom } from '../../support/seeded-random.js';

const PERCENT = 3;
const ROUNDS = 12;
const BLOCK_BYTES = 4096;
const HEADER_BYTES = 72;
const HEAD_BYTES = 32;
const random = seededRandom(seed);

function below(most: number): number {
  return random.bytes(6).readUIntBE(0, 6) % most;
}

/** Returns a machine whose objects get parity. */
function withParity(directory: ClientDirectory): ClientDirectory {
  const bucket = directory.bucket!;
  return { ...directory, bucket: { ...bucket, settings: { parityPercent: PERCENT } } };
}

/** Makes a client with two backups in a bucket. */
async function labOf(t: ExecutionContext) {
  const objects: Objects = new Map();
  const start = await sharedClient(t, objects);
  const on = (before?: BeforeRequest): ClientDirectory => withParity(start(before));
  const source = folderIn(scratch(t), 'tree');
  fs.writeFileSync(path.join(source, 'large'), noise(1, 3_000_000));
  const first = on();
  for (let round = 1; round <= 2; round += 1) {
    for (let file = 0; file < 20; file += 1) {
      fs.writeFileSync(path.join(source, `f${file}`), noise(file * round, 400 * file * round));
    }
    await backUpFrom(first, source);
  }
  return { objects, source, on };
}

function copyOf(objects: Objects): Objects {
  return new Map([...objects].map(([name, one]) => [name, { ...one }]));
}

/** Puts the objects of a copy in the place of those that are there. */
function restoreTo(objects: Objects, copy: Objects): void {
  objects.clear();
  for (const [name, one] of copy) objects.set(name, { ...one, bytes: Buffer.from(one.bytes) });
}

function digestsOf(objects: Objects): Record<string, string> {
  return Object.fromEntries(
    [...objects].map(([name, { bytes }]) => [
      name,
      createHash('sha256').update(bytes).digest('hex'),
    ]),
  );
}

/** Returns how many bytes of an object parity protects: it is in the last head. */
function coveredIn(bytes: Buffer): number {
  return Number(bytes.readBigUInt64LE(bytes.length - 24));
}

/** Damages an object within what its parity restores. */
function spoil(objects: Objects, name: string): void {
  const stored = objects.get(name)!;
  const bytes = Buffer.from(stored.bytes);
  const covered = coveredIn(bytes);
  const { blocks, blockBytes, stretches } = shapeOf(covered, PERCENT);
  const { columns, rows } = stretches[0]!;
  const flip = (at: number): void => {
    bytes[Math.min(at, bytes.length - 1)]! ^= 1 + below(255);
  };
  switch (below(6)) {
    case 0: // a bit of the protected bytes
      flip(below(covered));
      break;
    case 1: {
      // a run of them
      const at = below(covered);
      const length = 1 + below((rows * columns - 1) * blockBytes + 1);
      bytes.fill(0xa5, at, Math.min(covered, at + length));
      break;
    }
    case 2: // in each column as many as it restores
      for (let column = 0; column < columns; column += 1) {
        for (let row = 0; row < rows; row += 1) {
          const shard = below(Math.ceil((blocks - column) / columns));
          flip(Math.min((shard * columns + column) * blockBytes + below(blockBytes), covered - 1));
        }
      }
      break;
    case 3: // the last head, or the header of parity
      flip(below(2) === 0 ? bytes.length - 1 - below(HEAD_BYTES) : covered + below(HEADER_BYTES));
      break;
    case 4: {
      // a run in parity, behind its first head
      const at = covered + HEADER_BYTES + HEAD_BYTES;
      const from = at + below(bytes.length - at);
      bytes.fill(0x5a, from, Math.max(from, bytes.length - below(BLOCK_BYTES)));
      break;
    }
    default: {
      // cut off within the last table and head
      const sizeBytes = bytes.length - 1 - below(HEAD_BYTES);
      objects.set(name, { ...stored, bytes: bytes.subarray(0, sizeBytes) });
      return;
    }
  }
  if (bytes.equals(stored.bytes)) flip(0); // the run had no bytes, or these values already
  objects.set(name, { ...stored, bytes });
}

interface Repaired extends RepairOutcome {
  readonly findings: readonly RepairFinding[];
}

async function repair(directory: ClientDirectory): Promise<Repaired> {
  const findings: RepairFinding[] = [];
  const { signal } = new AbortController();
  const report = await repairInBucket(inlineSystem(), directory, {
    signal,
    onProgress: () => undefined,
    onFinding: (finding) => findings.push(finding),
  });
  return { ...report, findings };
}

test('random damage within the budget in every object of a bucket is healed, every byte', async (t) => {
  const { objects, source, on } = await labOf(t);
  const right = copyOf(objects);
  const expected = digestsOf(right);
  t.true(objects.size >= 5, `${objects.size}`);
  for (let round = 0; round < ROUNDS; round += 1) {
    restoreTo(objects, right);
    for (const name of objects.keys()) spoil(objects, name);
    const { repair: done, findings, isProven } = await repair(on());
    t.deepEqual(digestsOf(objects), expected, `TEST_SEED=${seed}: ${JSON.stringify(findings)}`);
    t.is(done.damaged, 0);
    t.true(isProven);
  }
  const fresh = on();
  await catchUp(inlineSystem(), fresh);
  t.deepEqual(await restoreFrom(fresh, { source, output: path.join(scratch(t), 'out') }), []);
});

test('more damage than parity restores changes nothing, and the rest is healed', async (t) => {
  const { objects, on } = await labOf(t);
  const right = copyOf(objects);
  const sizeOf = (name: string): number => objects.get(name)!.bytes.length;
  const names = [...objects.keys()].sort((one, other) => sizeOf(other) - sizeOf(one));
  const [lost, healed] = names as [string, string];
  const stored = objects.get(lost)!;
  const bytes = Buffer.from(stored.bytes);
  bytes.fill(0, 0, coveredIn(bytes) >> 1);
  objects.set(lost, { ...stored, bytes });
  spoil(objects, healed);
  const { repair: done, findings, isProven } = await repair(on());
  t.is(done.damaged, 1);
  t.false(isProven);
  t.like(
    findings.find(({ file }) => file === lost),
    { outcome: 'beyond', restoredBlocks: 0 },
  );
  t.true(objects.get(lost)!.bytes.equals(bytes));
  t.true(objects.get(healed)!.bytes.equals(right.get(healed)!.bytes));
});

test('a pack that was deleted while it was healed is not written again', async (t) => {
  const { objects, on } = await labOf(t);
  const name = [...objects.keys()].find((one) => one.includes('/packs/'))!;
  spoil(objects, name);
  let heads = 0;
  const machine = on((kind, requested) => {
    if (requested !== name || kind !== 'head') return;
    heads += 1;
    if (heads === 2) objects.delete(name);
  });
  t.like((await repair(machine)).repair, { damaged: 0, healed: 0 });
  t.false(objects.has(name));
});

test('a pack that another machine deletes while it is healed exists again, and the next sweep removes it', async (t) => {
  const objects: Objects = new Map();
  const start = await sharedClient(t, objects);
  const on = (before?: BeforeRequest): ClientDirectory => withParity(start(before));
  const source = folderIn(scratch(t), 'tree');
  fs.writeFileSync(path.join(source, 'kept'), noise(1, 300_000));
  fs.writeFileSync(path.join(source, 'gone'), noise(2, 3_000_000));
  const other = on();
  const packs = (): string[] => [...objects.keys()].filter((name) => name.includes('/packs/'));
  await backUpFrom(other, source);
  const gone = packs();
  fs.rmSync(path.join(source, 'gone'));
  fs.writeFileSync(path.join(source, 'new'), noise(3, 3_000_000));
  await backUpFrom(other, source);
  const isOf = (name: string): boolean => objects.get(name)!.bytes.length > 2_000_000;
  const name = gone.find(isOf)!;
  const stored = objects.get(name)!;
  const spoiled = Buffer.from(stored.bytes);
  spoiled[1000]! ^= 1;
  objects.set(name, { ...stored, bytes: spoiled });
  const swept = async (): Promise<number> => {
    const { deletedFiles, isDone } = await collectGarbage(inlineSystem(), other, {
      limits: SMALL_STORE.store,
      graceMs: 0,
      wasteRatio: 0.2,
      frames: undefined,
      isThorough: true,
    });
    t.true(isDone);
    return deletedFiles;
  };
  let deletes = true;
  const machine = on(async (kind, requested) => {
    if (!deletes || requested !== name || kind !== 'put') return;
    deletes = false;
    const limits = SMALL_STORE.store;
    await deleteSets(inlineSystem(), other, { limits, sets: [1], leastAgeMs: 0 });
    t.true((await swept()) > 0);
    t.false(objects.has(name), 'it is deleted before it is written again');
  });
  t.like((await repair(machine)).repair, { damaged: 0, healed: 1 });
  t.true(objects.has(name), 'the write came too late to be right');
  const restored = async (): Promise<void> => {
    const fresh = on();
    await catchUp(inlineSystem(), fresh);
    t.deepEqual(await restoreFrom(fresh, { source, output: path.join(scratch(t), 'out') }), []);
  };
  await restored();
  t.is(await swept(), 1);
  t.false(objects.has(name));
  t.is(await swept(), 0);
  await restored();
});

/** Faults of one request. Those that come later are applied when the repair has ended. */
const FAULTS = ['fails', 'is applied, and fails', 'fails, and is applied later'] as const;

test('a repair whose requests fail leaves each object as it was or healed, and the next one does the rest', async (t) => {
  const { objects, on } = await labOf(t);
  const right = copyOf(objects);
  for (const name of objects.keys()) spoil(objects, name);
  const damaged = copyOf(objects);
  const [expected, before] = [digestsOf(right), digestsOf(damaged)];
  let requests = 0;
  await repair(on(() => void (requests += 1)));
  t.deepEqual(digestsOf(objects), expected);
  const all = FAULTS.flatMap((fault) =>
    Array.from({ length: requests }, (_, at) => ({ fault, at: at + 1 })),
  );
  for (const { fault, at } of partOf(all, sweepShare * 2, random, (one) => [one.fault])) {
    restoreTo(objects, damaged);
    let requested = 0;
    let later = (): void => undefined;
    const machine = on((_kind, _name, apply) => {
      requested += 1;
      if (requested !== at) return;
      if (fault === 'is applied, and fails') apply();
      if (fault === 'fails, and is applied later') later = apply;
      throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
    });
    await t.throwsAsync(repair(machine), { code: 'SERVER_UNREACHABLE' });
    for (const [name, digest] of Object.entries(digestsOf(objects))) {
      t.true(digest === before[name] || digest === expected[name], `${fault} ${at}: ${name}`);
    }
    t.is((await repair(on())).repair.damaged, 0);
    later();
    t.deepEqual(digestsOf(objects), expected, `TEST_SEED=${seed}: request ${at} ${fault}`);
  }
});

// Pace: slow
/** Parity of packs: its arithmetic, what it heals, and what it leaves alone. */
import fs from 'node:fs';
import test from 'ava';
import path from 'node:path';
import {
  buildRecord,
  Codec,
  DirectoryBackend,
  examine,
  heal,
  isParityDamaged,
  makeParity,
  packName,
  parityName,
  RecordKind,
  shapeOf,
} from '../../../src/store/index.js';
import { nodeSystem, type Random, type System } from '../../../src/system/index.js';
import { Plan } from '../../helpers/faults.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { noise } from '../../helpers/tree.js';
import { faultySystem } from '../../support/faults.js';
import { seededRandom } from '../../support/seeded-random.js';

const PACK: string = packName(1);
const PARITY: string = parityName(PACK);

/** Returns a pack of records of different sizes, with at least `bytes` bytes. */
function packBytes(seed: number, bytes: number): Buffer {
  const records: Buffer[] = [];
  for (let sum = 0, at = 0; sum < bytes; at += 1) {
    const body = noise(seed * 1000 + at, 700 + ((at * 5077) % 30_000));
    const header = { kind: RecordKind.content, codec: Codec.none, rawBytes: body.length };
    records.push(buildRecord(header, Buffer.from('index'), body));
    sum += records.at(-1)!.length;
  }
  return Buffer.concat(records);
}

type Protected = Awaited<ReturnType<typeof protectedPack>>;

/** Writes a pack and its parity. */
async function protectedPack(
  directory: string,
  bytes: Buffer,
  percent = 3,
  system: System = nodeSystem(),
) {
  const file = path.join(directory, PACK);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  const backend = new DirectoryBackend(directory, system.files);
  const breathe = (): undefined => undefined;
  const tools = { backend, math: system.native, breathe };
  await makeParity(backend, system.native, PACK, { coveredBytes: bytes.length, percent, breathe });
  const parityFile = path.join(directory, PARITY);
  return { directory, tools, file, parityFile, bytes, parity: fs.readFileSync(parityFile) };
}

/** Kinds of damage that stay within the budget of parity. */
const DAMAGES = ['bit', 'sector', 'burst', 'zeros', 'tail', 'scattered', 'both'] as const;

/** Returns a damaged copy of a pack and of its parity, within the budget. */
function damaged(
  { bytes, parity }: Protected,
  kind: (typeof DAMAGES)[number],
  random: Random,
): { bytes: Buffer; parity: Buffer } {
  const { blockBytes, blocks, stretches } = shapeOf(bytes.length, 3);
  const { columns, rows } = stretches[0]!;
  const copy = Buffer.from(bytes);
  const otherParity = Buffer.from(parity);
  const below = (most: number): number => random.bytes(6).readUIntBE(0, 6) % most;
  const spoil = (at: number, length: number): void => {
    for (let byte = at; byte < Math.min(at + length, copy.length); byte += 1) {
      copy[byte]! ^= 1 + below(255);
    }
  };
  const block = below(blocks);
  // A run of these bytes touches as many blocks as parity restores, wherever it begins.
  const burstBytes = (rows * columns - 1) * blockBytes + 1;
  switch (kind) {
    case 'bit':
      copy[below(copy.length)]! ^= 1 << below(8);
      break;
    case 'sector':
      spoil(block * blockBytes, blockBytes);
      break;
    case 'burst':
      spoil(below(copy.length), 1 + below(burstBytes));
      break;
    case 'zeros':
      copy.subarray(block * blockBytes, (block + 1 + below(rows * columns)) * blockBytes).fill(0);
      break;
    case 'tail':
      return { bytes: copy.subarray(0, copy.length - 1 - below(burstBytes)), parity: otherParity };
    case 'scattered':
      for (let column = 0; column < columns; column += 1) {
        for (let one = 0; one < rows; one += 1) {
          const shard = below(Math.ceil((blocks - column) / columns));
          const at = (shard * columns + column) * blockBytes + below(blockBytes);
          spoil(Math.min(at, copy.length - 1), 1);
        }
      }
      break;
    case 'both': {
      // A run of damage in the parity file, which takes one copy of head and table at most, or one row.
      copy[below(copy.length)]! ^= 1 << below(8);
      const at = below(otherParity.length - 1);
      const length = Math.min(1 + below(blockBytes), otherParity.length - at);
      if (rows > 1) random.bytes(length).copy(otherParity, at);
      else otherParity.fill(0, 0, 32);
      break;
    }
  }
  return { bytes: copy, parity: otherParity };
}

const { native } = nodeSystem();

/** The product of two numbers in the field, bit by bit. */
function product(a: number, b: number): number {
  let result = 0;
  for (let left = a, right = b; right > 0; right >>= 1) {
    if ((right & 1) === 1) result ^= left;
    left <<= 1;
    if (left > 255) left ^= 0x11d;
  }
  return result;
}

test('the addon multiplies as the field does, with and without special instructions', (t) => {
  const source = Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    noise(1, 777),
  ]);
  for (let factor = 0; factor < 256; factor += 1) {
    const before = noise(factor + 2, source.length + 3);
    for (const [at, from, bytes] of [
      [0, 0, source.length],
      [3, 5, 300],
      [1, 9, 31],
      [0, 0, 0],
    ] as const) {
      const expected = Buffer.from(before);
      for (let byte = 0; byte < bytes; byte += 1) {
        expected[at + byte]! ^= product(source[from + byte]!, factor);
      }
      for (const isPlain of [false, true]) {
        const target = Buffer.from(before);
        native.multiplyAdd(target, at, source, from, bytes, factor, isPlain);
        t.true(target.equals(expected), `${factor} ${at} ${from} ${bytes} ${isPlain}`);
      }
    }
  }
  const code = { code: 'EINVAL' };
  t.throws(() => native.multiplyAdd(Buffer.alloc(4), 0, source, 0, 5, 2, false), code);
  t.throws(() => native.multiplyAdd(Buffer.alloc(4), 0, source, source.length, 1, 2, false), code);
  t.throws(() => native.multiplyAdd(Buffer.alloc(4), 0, source, 0, 4, 256, false), code);
});

test('the shape of parity covers each block once, and takes the given percentage', (t) => {
  for (const bytes of [1, 4096, 4097, 100_000, 5_000_000, 64 << 20, (130 << 20) + 5]) {
    for (const percent of [1, 3, 10, 50]) {
      const { blocks, stretches, parityBlocks } = shapeOf(bytes, percent);
      let next = 0;
      for (const { first, blocks: count, columns, shards, rows } of stretches) {
        t.is(first, next);
        t.true(shards + rows <= 256 && shards <= 128 && columns * shards >= count);
        t.true(rows * 100 >= shards * percent || rows === 64);
        next += count;
      }
      t.is(next, blocks);
      if (blocks > 16_000) t.true(parityBlocks <= blocks * (percent / 100 + 0.01));
    }
  }
  const { parityBlocks } = shapeOf(64 << 20, 3);
  t.is(parityBlocks, 512, '2 MiB for 64 MiB');
});

test('1,000 random damages within the budget are healed, every byte', async (t) => {
  t.timeout(600_000);
  const random = seededRandom(23);
  const seen = new Map<string, number>();
  const packs = await Promise.all(
    [600_000, 90_000, 3000, 1_300_000].map((bytes, at) =>
      protectedPack(scratchInMemory(t), packBytes(at + 1, bytes)),
    ),
  );
  for (let round = 0; round < 1000; round += 1) {
    const pack = packs[round % packs.length]!;
    const kind = DAMAGES[Math.floor(round / packs.length) % DAMAGES.length]!;
    const state = damaged(pack, kind, random);
    fs.writeFileSync(pack.file, state.bytes);
    fs.writeFileSync(pack.parityFile, state.parity);
    const found = await examine(pack.tools, PACK);
    t.is(found.state, 'damaged', `${round} ${kind}`);
    const healed = await heal(pack.tools, PACK, found);
    t.is(healed.outcome, 'healed', `${round} ${kind} ${JSON.stringify(healed)}`);
    t.true(fs.readFileSync(pack.file).equals(pack.bytes), `${round} ${kind}`);
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  t.log([...seen].map(([kind, count]) => `${count} ${kind}`).join(', '));
});

test('damage beyond the budget is reported, and nothing gets worse', async (t) => {
  const pack = await protectedPack(scratchInMemory(t), packBytes(9, 700_000));
  const { columns, rows } = shapeOf(pack.bytes.length, 3).stretches[0]!;
  const one = Buffer.from(pack.bytes);
  for (let shard = 0; shard <= rows; shard += 1) one[shard * 8 * columns * 4096 + 100]! ^= 1;
  fs.writeFileSync(pack.file, one);
  const outcome = await heal(pack.tools, PACK, await examine(pack.tools, PACK));
  t.deepEqual(outcome, { outcome: 'beyond', restoredBlocks: 0, lostBlocks: rows + 1 });
  t.true(fs.readFileSync(pack.file).equals(one), 'no byte was changed');
  const two = Buffer.from(one);
  two[4096 + 50]! ^= 4; // in another column, which its parity does restore
  fs.writeFileSync(pack.file, two);
  t.like(await heal(pack.tools, PACK, await examine(pack.tools, PACK)), {
    outcome: 'partly',
    restoredBlocks: 1,
    lostBlocks: rows + 1,
  });
  t.true(fs.readFileSync(pack.file).equals(one), 'what can be restored is');
  fs.rmSync(pack.parityFile);
  t.like(await heal(pack.tools, PACK, await examine(pack.tools, PACK)), { outcome: 'beyond' });
});

test('a sound pack is never changed by damaged, stale or hostile parity', async (t) => {
  const pack = await protectedPack(scratchInMemory(t), packBytes(3, 200_000));
  const other = await protectedPack(scratchInMemory(t), packBytes(4, 200_000));
  const longer = await protectedPack(
    scratchInMemory(t),
    Buffer.concat([pack.bytes, packBytes(5, 20_000)]),
  );
  const spoiled = Buffer.from(pack.parity);
  spoiled[spoiled.length >> 1]! ^= 1;
  for (const parity of [
    spoiled,
    other.parity,
    Buffer.alloc(0),
    Buffer.alloc(4096),
    pack.parity.subarray(9),
  ]) {
    fs.writeFileSync(pack.parityFile, parity);
    t.is((await examine(pack.tools, PACK)).state, 'badParity');
  }
  // Parity of another pack "restores" blocks whose checksums are right, but the records do not agree.
  const broken = Buffer.from(pack.bytes);
  broken[50_000]! ^= 1;
  fs.writeFileSync(pack.file, broken);
  fs.writeFileSync(pack.parityFile, other.parity);
  t.is((await heal(pack.tools, PACK, await examine(pack.tools, PACK))).outcome, 'beyond');
  fs.writeFileSync(pack.parityFile, longer.parity);
  t.is((await heal(pack.tools, PACK, await examine(pack.tools, PACK))).outcome, 'beyond');
  t.true(fs.readFileSync(pack.file).equals(broken));
});

test('what follows the protected bytes is kept', async (t) => {
  const pack = await protectedPack(scratchInMemory(t), packBytes(6, 100_000));
  const torn = Buffer.concat([pack.bytes, noise(8, 5000)]);
  fs.writeFileSync(pack.file, torn);
  t.is((await examine(pack.tools, PACK)).state, 'sound');
  const broken = Buffer.from(torn);
  broken[70_000]! ^= 1;
  fs.writeFileSync(pack.file, broken);
  t.is((await heal(pack.tools, PACK, await examine(pack.tools, PACK))).outcome, 'healed');
  t.true(fs.readFileSync(pack.file).equals(torn));
});

test('parity follows its pack: shortened or removed, it is gone', async (t) => {
  const pack = await protectedPack(scratchInMemory(t), packBytes(7, 50_000));
  const { backend } = pack.tools;
  await backend.shorten(PACK, 20_000);
  t.false(fs.existsSync(pack.parityFile));
  const request = { coveredBytes: 20_000, percent: 3, breathe: (): undefined => undefined };
  await makeParity(backend, native, PACK, request);
  t.true(fs.existsSync(pack.parityFile));
  await backend.remove(PACK);
  t.false(fs.existsSync(pack.parityFile));
});

test('a repair that is killed or fails at any step leaves the old pack or the healed one', async (t) => {
  const pack = await protectedPack(scratchInMemory(t), packBytes(8, 60_000));
  const broken = Buffer.from(pack.bytes);
  broken[30_000]! ^= 1;
  const outcomes = new Set<string>();
  for (const mode of [
    { kind: 'kill' },
    { kind: 'fail-once', code: 'EIO' },
    { kind: 'fail-from', code: 'ENOSPC' },
  ] as const) {
    for (let at = 1; ; at += 1) {
      fs.writeFileSync(pack.file, broken);
      const plan = new Plan(at, mode);
      const system = faultySystem(nodeSystem(), plan);
      try {
        const backend = new DirectoryBackend(pack.directory, system.files);
        const tools = { ...pack.tools, backend };
        await heal(tools, PACK, await examine(tools, PACK));
      } catch {
        // The state of the files is what counts.
      }
      const now = fs.readFileSync(pack.file);
      t.true(now.equals(broken) || now.equals(pack.bytes), `${mode.kind} at ${at}: ${plan.hit}`);
      outcomes.add(now.equals(broken) ? 'old' : 'healed');
      fs.rmSync(`${pack.directory}/incoming`, { recursive: true, force: true });
      if (plan.hit === undefined) break;
      const again = {
        ...pack.tools,
        backend: new DirectoryBackend(pack.directory, nodeSystem().files),
      };
      const found = await examine(again, PACK);
      if (found.state === 'damaged') t.is((await heal(again, PACK, found)).outcome, 'healed');
      t.true(fs.readFileSync(pack.file).equals(pack.bytes), `${mode.kind} at ${at}, then again`);
    }
  }
  t.deepEqual([...outcomes].sort(), ['healed', 'old']);
});

test('parity that goes with its pack while it is read is not damaged', async (t) => {
  const { tools, file, parityFile } = await protectedPack(scratchInMemory(t), packBytes(1, 90_000));
  let reads = 0;
  const removedAfter = (count: number): Parameters<typeof isParityDamaged>[0] => ({
    read: async (...range) => {
      if (reads === count) for (const one of [parityFile, file]) fs.rmSync(one);
      reads += 1;
      return tools.backend.read(...range);
    },
    size: (name) => tools.backend.size(name),
  });
  const [pack, parity] = [fs.readFileSync(file), fs.readFileSync(parityFile)];
  t.false(await isParityDamaged(removedAfter(Infinity), PACK, tools.breathe));
  const all = reads;
  t.true(all > 3);
  for (let count = 0; count < all; count += 1) {
    fs.writeFileSync(file, pack);
    fs.writeFileSync(parityFile, parity);
    tools.backend.close();
    reads = 0;
    t.false(await isParityDamaged(removedAfter(count), PACK, tools.breathe), `read ${count}`);
  }
});

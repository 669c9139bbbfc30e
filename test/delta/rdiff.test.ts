// Pace: slow
/** Compatibility with the command `rdiff`: it reads what this code writes, and this code reads what it writes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { DeltaIndex } from '../../src/delta/index.js';
import { deltaOf, makePair, patchOf, rangeOf, signatureOf } from '../helpers/deltas.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

const ALL_PAIRS = 1000;
const PAIRS = shareOf(ALL_PAIRS);
const BATCH = 100;
const BLOCK_BYTES = [256, 1000, 1024, 2048, 4096];
const SEED = 20_260_101;
/** Largest multiples of librsync's literal bytes: of all pairs together, and of some of them, in which one block of one pair counts. */
const MOST_OF_ALL = 1.005;
const MOST_OF_SOME = 1.1;

/** Runs all `rdiff` commands for a batch of files in one shell process. */
const SCRIPT = `
for n in "$@"; do
  rdiff -s -b "$(cat "$n.block")" -S 16 signature "$n.before" "$n.rsig" 2>/dev/null || exit 1
  rdiff delta "$n.rsig" "$n.after" "$n.rdelta" || exit 2
  rdiff delta "$n.sig" "$n.after" "$n.mixed" || exit 3
  rdiff patch "$n.before" "$n.delta" "$n.patched" || exit 4
done
`;

test('rdiff patches our deltas and we patch those of rdiff', async (t) => {
  t.timeout(20 * 60_000);
  if (spawnSync('rdiff', ['--version']).status !== 0) {
    t.fail('no rdiff here: npm run setup');
    return;
  }
  const folder = scratch(t);
  const literalBytes = { ours: 0, librsync: 0 };
  const file = (n: number, kind: string): string => path.join(folder, `${n}.${kind}`);
  for (let first = 0; first < PAIRS; first += BATCH) {
    const numbers = Array.from(
      { length: Math.min(BATCH, PAIRS - first) },
      (_, index) => (seed * PAIRS + first + index) % ALL_PAIRS,
    );
    for (const n of numbers) {
      const { before, after } = makePair(SEED, n);
      const blockBytes = BLOCK_BYTES[n % BLOCK_BYTES.length]!;
      const signature = signatureOf(before, blockBytes, n);
      fs.writeFileSync(file(n, 'before'), before);
      fs.writeFileSync(file(n, 'after'), after);
      fs.writeFileSync(file(n, 'block'), String(blockBytes));
      fs.writeFileSync(file(n, 'sig'), signature);
      fs.writeFileSync(file(n, 'delta'), deltaOf(signature, before.length, after, n));
    }
    const result = spawnSync('sh', ['-c', SCRIPT, 'sh', ...numbers.map(String)], { cwd: folder });
    t.is(result.status, 0, String(result.stderr));
    for (const n of numbers) {
      const { kind, before, after } = makePair(SEED, n);
      const read = (name: string): Buffer => fs.readFileSync(file(n, name));
      const what = `pair ${n} of seed ${SEED}: ${kind}`;
      t.true(read('sig').equals(read('rsig')), `${what}: the signatures`);
      t.true(read('patched').equals(after), `${what}: our delta by rdiff`);
      literalBytes.ours += await newBytes(read('delta'), before.length, after.length);
      literalBytes.librsync += await newBytes(read('mixed'), before.length, after.length);
      for (const delta of [read('rdelta'), read('mixed'), read('delta')]) {
        t.true((await patchOf(before, delta, after.length)).equals(after), `${what}: a patch`);
        const from = Math.floor(after.length / 3);
        const range = { from, bytes: Math.floor(after.length / 2) };
        const wanted = after.subarray(from, from + range.bytes);
        t.true(
          (await rangeOf(before, delta, after.length, range)).equals(wanted),
          `${what}: range`,
        );
      }
    }
    for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
  }
  const most = (PAIRS < ALL_PAIRS ? MOST_OF_SOME : MOST_OF_ALL) * literalBytes.librsync;
  t.true(literalBytes.ours <= most, JSON.stringify(literalBytes));
});

/** Returns the number of bytes that a delta brings. */
async function newBytes(delta: Buffer, basisBytes: number, sizeBytes: number): Promise<number> {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield delta;
  }
  const index = await DeltaIndex.read(pieces(), basisBytes, sizeBytes);
  const literals = [...index.stretches(0, sizeBytes)].filter(({ isLiteral }) => isLiteral);
  return literals.reduce((sum, { bytes }) => sum + bytes, 0);
}

test('a delta of what changed little is small, and moves and insertions are found', (t) => {
  for (let n = 0; n < 64; n += 1) {
    const { kind, before, after } = makePair(77, n);
    const delta = deltaOf(signatureOf(before, 256), before.length, after);
    if (kind === 'equal') t.true(delta.length <= 300, `${n}: ${delta.length}`);
    if (kind === 'move') t.true(delta.length <= 2000, `${n}: ${delta.length}`);
    if (kind === 'insertion') t.true(delta.length <= after.length - before.length + 1500, `${n}`);
  }
});

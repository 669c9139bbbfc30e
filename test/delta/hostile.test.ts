// Pace: slow
/** Signatures and deltas that are truncated, swapped, flipped or made up give an error, and never a wrong byte. */
import { createHash } from 'node:crypto';
import test from 'ava';
import { DeltaIndex, LoadedSignature } from '../../src/delta/index.js';
import { TardisError } from '../../src/errors/index.js';
import { RSYNC_FIGURES } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { loadNative } from '../../src/system/native.js';
import { thrownCode } from '../helpers/codes.js';
import { deltaOf, makePair, patchOf, rangeOf, signatureOf } from '../helpers/deltas.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

const native = loadNative();
const ROUNDS = shareOf(10_000);
const PAIRS_SEED = 4711;
const PAIRS = 80;
const BLOCK_BYTES = 256;

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Truncates, flips bits, swaps ranges, appends or overwrites. */
function spoil(bytes: Buffer, random: ReturnType<typeof seededRandom>): Buffer {
  const upTo = (most: number): number => Math.floor(random.next() * (most + 1));
  const spoilt = Buffer.from(bytes);
  const last = Math.max(0, spoilt.length - 1);
  switch (upTo(4)) {
    case 0:
      return spoilt.subarray(0, upTo(last));
    case 1:
      for (let times = upTo(3); times >= 0; times -= 1) spoilt[upTo(last)]! ^= 1 << upTo(7);
      return spoilt;
    case 2: {
      const [one, other, length] = [upTo(last), upTo(last), 1 + upTo(24)];
      const kept = Buffer.from(spoilt.subarray(one, one + length));
      spoilt.copy(spoilt, one, other, other + length);
      kept.copy(spoilt, other);
      return spoilt;
    }
    case 3:
      return Buffer.concat([spoilt, random.bytes(1 + upTo(30))]);
    default:
      random.bytes(1 + upTo(12)).copy(spoilt, upTo(Math.min(last, 40)));
      return spoilt;
  }
}

/**
 * Runs a reader that checks the digest, as all readers do. Returns `right`, or `error` for RECORD_DAMAGED and for a
 * wrong digest.
 */
async function checkedRead(
  wanted: Buffer,
  read: () => Promise<Buffer>,
): Promise<'right' | 'error'> {
  let made: Buffer;
  try {
    made = await read();
  } catch (error) {
    if (error instanceof TardisError && error.code === 'RECORD_DAMAGED') return 'error';
    throw error;
  }
  return sha(made) === sha(wanted) ? 'right' : 'error';
}

test('spoilt deltas: an error, or the right bytes', async (t) => {
  t.timeout(20 * 60_000);
  const random = seededRandom(seed);
  const counts = { right: 0, error: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const { before, after } = makePair(PAIRS_SEED, round % PAIRS);
    const delta = spoil(deltaOf(signatureOf(before, BLOCK_BYTES), before.length, after), random);
    const size = after.length;
    counts[await checkedRead(after, () => patchOf(before, delta, size))] += 1;
    const whole = { from: 0, bytes: size };
    const byRange = await checkedRead(after, () => rangeOf(before, delta, size, whole));
    t.true(byRange === 'right' || byRange === 'error', `seed ${seed}`);
  }
  t.log(seed, counts);
  t.true(counts.error > ROUNDS / 2);
});

test('spoilt signatures: refused, or what is made of them is right or found out', async (t) => {
  t.timeout(20 * 60_000);
  const random = seededRandom(seed + 1);
  const counts = { refused: 0, right: 0, error: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const { before, after } = makePair(PAIRS_SEED, round % PAIRS);
    const signature = spoil(signatureOf(before, BLOCK_BYTES), random);
    let delta: Buffer;
    try {
      delta = deltaOf(signature, before.length, after);
    } catch (error) {
      t.is((error as TardisError).code, 'RECORD_DAMAGED');
      counts.refused += 1;
      continue;
    }
    counts[await checkedRead(after, () => patchOf(before, delta, after.length))] += 1;
  }
  t.log(seed, counts);
  t.true(counts.refused > ROUNDS / 3 && counts.right > 0);
});

/** Returns the header of a signature with these numbers, followed by `sums` empty block sums. */
function header(magic: number, blockBytes: number, strongBytes: number, sums = 0): Buffer {
  const made = Buffer.alloc(12 + sums * (4 + Math.min(strongBytes, 64)));
  made.writeUInt32BE(magic, 0);
  made.writeUInt32BE(blockBytes, 4);
  made.writeUInt32BE(strongBytes, 8);
  return made;
}

const RK_BLAKE2 = 0x72730147;

function loading(bytes: Buffer, basisBytes: number): string | undefined {
  return thrownCode(() => {
    const loaded = new LoadedSignature(native, basisBytes);
    try {
      loaded.push(bytes, true);
    } finally {
      loaded.close();
    }
  });
}

test('headers of signatures that would take memory or sense are refused', (t) => {
  t.is(loading(header(RK_BLAKE2, 1024, 16, 4), 4000), undefined);
  const wrong: [magic: number, block: number, strong: number, sums?: number][] = [
    [RK_BLAKE2, 0, 16],
    [RK_BLAKE2, 0x7fff_ffff, 16],
    [RK_BLAKE2, 0xffff_ffff, 16],
    [RK_BLAKE2, 65_537, 16], // far longer than the basis
    [RK_BLAKE2, 1024, 0, 4],
    [RK_BLAKE2, 1024, 8, 4],
    [RK_BLAKE2, 1024, 15, 4],
    [RK_BLAKE2, 1024, 33, 4],
    [RK_BLAKE2, 1024, 0xffff_ffff],
    [0x72730136, 1024, 16, 4], // MD4, for which collisions can be made
    [0x72730146, 1024, 16, 4],
    [0x12345678, 1024, 16, 4],
    [RK_BLAKE2, 1024, 16, 3], // a wrong number of blocks for this basis
    [RK_BLAKE2, 1024, 16, 5],
  ];
  for (const [magic, block, strong, sums] of wrong) {
    t.is(loading(header(magic, block, strong, sums), 4000), 'RECORD_DAMAGED', `${block} ${strong}`);
  }
  t.is(loading(header(RK_BLAKE2, 1, 16, 5000), 4000), 'RECORD_DAMAGED', 'too many blocks');
});

/** Returns a delta with one command. */
function command(op: number, ...numbers: [value: bigint, bytes: number][]): Buffer {
  const parts = numbers.map(([value, bytes]) => {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(value);
    return part.subarray(8 - bytes);
  });
  return Buffer.concat([Buffer.from('rs\x026'), Buffer.from([op]), ...parts, Buffer.from([0])]);
}

test('commands that copy from outside, or are none, are refused with a reason', async (t) => {
  const before = Buffer.alloc(1000, 'a');
  const most = 0x7fff_ffff_ffff_ffffn;
  const deltas = [
    command(0x54, [1000n, 8], [1n, 8]),
    command(0x54, [999n, 8], [2n, 8]),
    command(0x54, [0n, 8], [0n, 8]),
    command(0x54, [0n, 8], [most, 8]),
    command(0x54, [most, 8], [most, 8]),
    command(0x54, [0xffff_ffff_ffff_ffffn, 8], [2n, 8]),
    command(0x54, [0n, 8], [0xffff_ffff_ffff_ffffn, 8]),
    command(0x44, [most, 8]),
    command(0x44, [0xffff_ffff_ffff_ffffn, 8]),
    command(0x44, [0n, 8]),
    command(0x55),
    command(0xff),
    Buffer.from('rs\x026'),
    Buffer.alloc(0),
    Buffer.concat([command(0x54, [0n, 8], [2n, 8]), Buffer.from([1, 2])]),
  ];
  for (const [index, delta] of deltas.entries()) {
    const error = await t.throwsAsync(patchOf(before, delta, 2), undefined, `patch ${index}`);
    t.is((error as TardisError).code, 'RECORD_DAMAGED', `${index}: ${error?.stack}`);
    const whole = { from: 0, bytes: 2 };
    const other = await t.throwsAsync(
      rangeOf(before, delta, 2, whole),
      undefined,
      `range ${index}`,
    );
    t.is((other as TardisError).code, 'RECORD_DAMAGED', String(index));
  }
  const right = command(0x54, [5n, 8], [2n, 8]);
  t.deepEqual(await patchOf(before, right, 2), Buffer.from('aa'));
  const reason = await t.throwsAsync(patchOf(before, deltas[0]!, 2));
  t.regex(reason?.message ?? '', /stream corrupt \(a copy from outside of the basis\)/);
});

test('a delta with more commands than an index may have is refused', async (t) => {
  const copies = Buffer.from([0x45, 0, 1, 0x45, 5, 1]);
  const parts = [Buffer.from('rs\x026'), ...Array.from({ length: 140_000 }, () => copies)];
  const delta = Buffer.concat([...parts, Buffer.from([0])]);
  async function* pieces(): AsyncGenerator<Buffer> {
    yield delta;
  }
  const error = await t.throwsAsync(DeltaIndex.read(pieces(), 10, 280_000));
  t.is((error as TardisError).code, 'RECORD_DAMAGED');
});

test('jobs are checked: numbers, ranges, states; one that is not closed shows', (t) => {
  const none = Buffer.alloc(0);
  const figures = new Uint8Array(RSYNC_FIGURES * 8);
  const step = (job: number, input = none, isLast = false, output = none, given = 0): number =>
    native.rsyncStep(job, input, 0, input.length, isLast, output, 0, given, figures);
  t.is(
    thrownCode(() => step(999_999_999)),
    'EBADF',
  );
  t.is(
    thrownCode(() => native.rsyncClose(999_999_999)),
    'EBADF',
  );
  t.is(
    thrownCode(() => native.rsyncSignature(0, 16)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => native.rsyncSignature(2048, 15)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => native.rsyncSignature(2 ** 27, 16)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => native.rsyncDelta(999_999_999)),
    'EBADF',
  );
  const signature = native.rsyncSignature(1024, 16);
  t.is(
    thrownCode(() => native.rsyncDelta(signature)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => step(signature, none, false, none, 5)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => step(signature)),
    'EINVAL',
    'it is over after an error',
  );
  native.rsyncClose(signature);
  t.is(
    thrownCode(() => step(signature)),
    'EBADF',
  );
  const unfinished = native.rsyncLoad(10_240, 10, 1024, 0);
  t.is(
    thrownCode(() => native.rsyncDelta(unfinished)),
    'EINVAL',
  );
  native.rsyncClose(unfinished);
  const short = Buffer.alloc(8);
  const job = native.rsyncPatch(5);
  t.is(
    thrownCode(() => native.rsyncStep(job, none, 0, 1, false, none, 0, 0, figures)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => native.rsyncStep(job, none, 0, 0, false, none, 1, 0, figures)),
    'EINVAL',
  );
  t.is(
    thrownCode(() => native.rsyncStep(job, none, 0, 0, false, none, 0, 0, short)),
    'EINVAL',
  );
  native.rsyncClose(job);
  const open: number[] = [];
  const full = thrownCode(() => {
    for (let count = 0; count < 2000; count += 1) open.push(native.rsyncPatch(1));
  });
  t.is(full, 'EMFILE');
  for (const one of open) native.rsyncClose(one);
});

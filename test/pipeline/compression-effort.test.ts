/** Compression effort: the contents that get more of it, and how much. */
import test from 'ava';
import { Effort, type EffortSettings } from '../../src/pipeline/index.js';
import { Codec } from '../../src/store/index.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

const SETTINGS: EffortSettings = {
  compression: { codec: Codec.zstd, level: 1 },
  budgetBytes: 12 * MIB,
  parcelFiles: 512,
  parcelBytes: 2 * MIB,
  frameBytes: MIB,
  smallBytes: 128 * KIB,
  smallRawBytes: 128 * KIB,
  changeLevel: 8,
  changeFrameBytes: 4 * MIB,
  changeBytes: 10 * MIB,
};
const USUAL = {
  compression: SETTINGS.compression,
  smallBytes: 128 * KIB,
  smallRawBytes: 128 * KIB,
  frameBytes: MIB,
};
const MORE = {
  compression: { codec: Codec.zstd, level: 8 },
  smallBytes: MIB,
  smallRawBytes: 128 * KIB,
  frameBytes: 4 * MIB,
};

function later(settings: Partial<EffortSettings> = {}): Effort {
  return new Effort({ ...SETTINGS, ...settings }, () => false);
}

test('a first backup is made with the usual effort', (t) => {
  const effort = new Effort(SETTINGS, () => true);
  t.deepEqual(effort.usualFrames, USUAL);
  t.deepEqual(effort.framesFor(1), USUAL);
  t.like(effort, { parcelFiles: 512, parcelBytes: 2 * MIB, largeBytes: MIB });
});

test('changes get more effort until there are too many of them', (t) => {
  const effort = later();
  for (let sentBytes = 0; sentBytes < 10 * MIB; sentBytes += 4 * MIB) {
    t.like(effort, { parcelFiles: 1024, parcelBytes: 4 * MIB, largeBytes: MIB });
    t.deepEqual(effort.framesFor(4 * MIB), MORE);
  }
  t.like(effort, { parcelFiles: 512, parcelBytes: 2 * MIB });
  t.deepEqual(effort.framesFor(1), USUAL);
  t.deepEqual(later({ changeBytes: 0 }).framesFor(1), USUAL);
});

test('more effort is never less than the usual one', (t) => {
  const compression = { codec: Codec.zstd, level: 15 };
  const much = { parcelFiles: 4096, parcelBytes: 8 * MIB, frameBytes: 8 * MIB, smallBytes: MIB };
  const effort = later({ ...much, compression });
  t.deepEqual(effort.framesFor(1), {
    compression,
    smallBytes: MIB,
    smallRawBytes: 128 * KIB,
    frameBytes: 8 * MIB,
  });
  t.like(effort, { parcelFiles: 4096, parcelBytes: 8 * MIB });
});

test('files without frames stay without, and small frames take small files', (t) => {
  t.is(later({ changeFrameBytes: 2 * MIB }).framesFor(1).smallBytes, 512 * KIB);
  t.is(later({ frameBytes: 64 * KIB, changeFrameBytes: 0 }).framesFor(1).smallBytes, 128 * KIB);
});

test('a parcel leaves room for others in the budget', (t) => {
  t.like(later({ budgetBytes: 9 * MIB }), { parcelFiles: 768, parcelBytes: 3 * MIB });
  t.is(later({ budgetBytes: MIB }).parcelBytes, 2 * MIB, 'as large as usual');
});

test('codecs without levels get no more effort', (t) => {
  for (const codec of [Codec.none, Codec.snappy]) {
    const compression = { codec, level: 1 };
    t.deepEqual(later({ compression }).framesFor(1), { ...USUAL, compression });
  }
  const compression = { codec: Codec.zlib, level: 1 };
  t.like(later({ compression }).framesFor(1), { compression: { codec: Codec.zlib, level: 8 } });
});

/** Deltas and signatures of librsync, as a store or a peer supplies them. */
import { LoadedSignature } from '../../../src/delta/index.js';
import { loadNative } from '../../../src/system/native.js';
import { deltaOf, makePair, patchOf, rangeOf, signatureOf } from '../../helpers/deltas.js';
import { must, refusal, type Target } from '../engine/target.js';

const native = loadNative();
const CODES = ['RECORD_DAMAGED', 'CONTENT_DAMAGED'] as const;
const BLOCK_BYTES = 64;
const BASIS = makePair(1, 1).before.subarray(0, 2000);
const AFTER = Buffer.concat([BASIS.subarray(900), Buffer.from('more'), BASIS.subarray(0, 900)]);
const IS_SIGNATURE = 1;

async function reported(read: () => Promise<string> | string): Promise<string> {
  try {
    return await read();
  } catch (error) {
    return refusal(error, CODES);
  }
}

/** Applies a delta as a whole and as a range. Both must give the same bytes, if they are not refused. */
async function patch(delta: Buffer, sizeBytes: number): Promise<string> {
  let made: Buffer | undefined;
  const whole = await reported(async () => {
    made = await patchOf(BASIS, delta, sizeBytes);
    return 'made';
  });
  const range = await reported(async () => {
    const ranged = await rangeOf(BASIS, delta, sizeBytes, { from: 0, bytes: sizeBytes });
    must(made === undefined || ranged.equals(made), 'a range of a delta makes other bytes');
    return 'made';
  });
  return `${whole} ${range}`;
}

function load(signature: Buffer): string {
  const loaded = new LoadedSignature(native, BASIS.length);
  try {
    loaded.push(signature, true);
    return String(loaded.number > 0);
  } finally {
    loaded.close();
  }
}

const signature = signatureOf(BASIS, BLOCK_BYTES);

export const target: Target = {
  about: 'deltas and signatures: refused, or whole and range make equal bytes',
  // The first byte chooses between delta and signature.
  seeds: () =>
    [AFTER, BASIS, Buffer.alloc(0), Buffer.alloc(300, 1)]
      .map((after) => Buffer.concat([Buffer.from([0]), deltaOf(signature, BASIS.length, after)]))
      .concat([Buffer.concat([Buffer.from([IS_SIGNATURE]), signature])]),
  fuzz: async (data) => {
    if ((data[0] ?? 0) % 2 === IS_SIGNATURE) {
      return reported(async () => {
        const word = load(data.subarray(1));
        const delta = deltaOf(data.subarray(1), BASIS.length, AFTER);
        return `${word} ${await patch(delta, AFTER.length)}`;
      });
    }
    return patch(data.subarray(1), AFTER.length);
  },
  tokens: [
    Buffer.from([0x72, 0x73, 0x02, 0x36]),
    Buffer.from([0x72, 0x73, 0x01, 0x37]),
    Buffer.from([0x54, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  ],
};

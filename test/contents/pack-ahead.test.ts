/** Looking ahead in the order of the packs. */
import test from 'ava';
import { PackAhead, type RecordPlace } from '../../src/contents/index.js';
import {
  Codec,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeHeader,
} from '../../src/store/index.js';

const BODY_BYTES = 1000;
const RECORD_BYTES = RECORD_HEADER_BYTES + BODY_BYTES;
const RECORDS = 12;
/** A record of this number is in chunks, and the one of the other number is damaged. */
const CHUNKED = 5;
const DAMAGED = 9;

function packOf(records: number): Buffer {
  const pack = Buffer.alloc(records * RECORD_BYTES);
  for (let record = 0; record < records; record += 1) {
    if (record === DAMAGED) continue;
    writeHeader(pack, record * RECORD_BYTES, {
      kind: RecordKind.frame,
      codec: Codec.none,
      rawBytes: BODY_BYTES,
      bodyBytes: BODY_BYTES,
      indexBytes: 0,
      bodyChecksum: 0,
      flags: record === CHUNKED ? RECORD_CHUNKED : 0,
    });
  }
  return pack;
}

function placeOf(record: number, object = 'packs/1'): RecordPlace {
  return { object, position: record * RECORD_BYTES, recordBytes: RECORD_BYTES };
}

/** Returns the numbers of the records that are decoded ahead after records are read. */
async function aheadOf(...read: readonly RecordPlace[]): Promise<number[]> {
  const pack = packOf(RECORDS);
  const prefetched: number[] = [];
  const backend = {
    read: async (_name: string, position: number, target: Uint8Array, bytes: number) =>
      pack.copy(target, 0, position, position + bytes),
    close: () => undefined,
  };
  const walk = new PackAhead(backend, ({ position }) => prefetched.push(position / RECORD_BYTES));
  for (const record of read) walk.follow(record);
  await new Promise(setImmediate);
  return prefetched;
}

test('a walk gets the next records of the pack', async (t) => {
  t.deepEqual(await aheadOf(placeOf(0), placeOf(0), placeOf(1)), [2, 3, 4]);
  t.deepEqual(await aheadOf(placeOf(6), placeOf(7)), [8], 'up to one that is damaged');
  t.deepEqual(await aheadOf(placeOf(10), placeOf(11)), [], 'at the end');
});

test('what is no walk gets nothing ahead', async (t) => {
  t.deepEqual(await aheadOf(placeOf(3)), []);
  t.deepEqual(await aheadOf(placeOf(3), placeOf(1)), [], 'backwards');
  t.deepEqual(await aheadOf(placeOf(0), placeOf(1, 'packs/2')), [], 'in another pack');
  const far = { ...placeOf(1), position: 9 << 20 };
  t.deepEqual(await aheadOf(placeOf(0), far), [], 'far away');
});

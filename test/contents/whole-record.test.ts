/** Records in one piece: what is wrong in them is found before anything is decoded, or by the digests. */
import test from 'ava';
import {
  contentsIn,
  hasContent,
  MAX_WHOLE_BYTES,
  readWhole,
  type RecordSource,
} from '../../src/contents/index.js';
import {
  Codec,
  MAX_FRAME_RAW_BYTES,
  type ObjectReader,
  parseRecord,
  RECORD_HEADER_BYTES,
  STREAM_CHUNK_BYTES,
  writeHeader,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord, contentRecord, frameRecord, sliced } from '../helpers/records.js';
import { text } from '../helpers/tree.js';

const { native } = nodeSystem();
const ZSTD = { codec: Codec.zstd, level: 1 };
const CONTENTS = [text(1, 3000), Buffer.alloc(0), text(2, 500)];
const { source: BYTES, slices: SLICES } = sliced(CONTENTS, 0);
const FRAME = frameRecord(BYTES, SLICES, ZSTD);

/** Returns a store with one record. */
function storeOf(record: Buffer): RecordSource {
  const backend = {
    read: (_name: string, position: number, into: Buffer, bytes: number) =>
      Promise.resolve(record.copy(into, 0, position, position + bytes)),
    close: () => undefined,
  } as unknown as ObjectReader;
  return { backend, native, keys: undefined };
}

function read(record: Buffer, recordBytes = record.length): ReturnType<typeof readWhole> {
  return readWhole(storeOf(record), { object: 'x', position: 0, recordBytes });
}

/** Returns a record with another length of its decoded body in its header. */
function claiming(record: Buffer, rawBytes: number): Buffer {
  const changed = Buffer.from(record);
  writeHeader(changed, 0, { ...parseRecord(record).header, rawBytes });
  return changed;
}

test('each content of a record in one piece has its digest, at its place only', async (t) => {
  const { header, index, decoded } = await read(FRAME);
  const source = storeOf(FRAME);
  const contents = contentsIn(header, index);
  t.deepEqual(
    contents.map(({ offset, sizeBytes }) => decoded.subarray(offset, offset + sizeBytes)),
    CONTENTS,
  );
  t.true(contents.every((content) => hasContent(source, decoded, content)));
  const [first, , last] = contents;
  t.false(hasContent(source, decoded, { ...first!, digest: last!.digest }));
  t.false(hasContent(source, decoded, { ...last!, offset: decoded.length }), 'outside');
});

test('a record that is not in one piece, is damaged or claims too much is not decoded', async (t) => {
  const damaged = Buffer.from(FRAME);
  damaged[RECORD_HEADER_BYTES]! ^= 1;
  const [slice] = SLICES;
  const content = contentRecord(BYTES, slice!, ZSTD);
  const faults: Record<string, () => Promise<unknown>> = {
    'a changed index': () => read(damaged),
    chunks: () => read(chunkedRecord(BYTES, STREAM_CHUNK_BYTES, Codec.zstd)),
    'a decoded length beyond the limit': () => read(claiming(FRAME, MAX_FRAME_RAW_BYTES + 1)),
    'another decoded length': () => read(claiming(content, slice!.sizeBytes - 1)),
    'a length beyond the limit': () => read(FRAME, MAX_WHOLE_BYTES + 1),
    'another record at its place': () => read(content, FRAME.length),
  };
  for (const [what, fault] of Object.entries(faults)) {
    await t.throwsAsync(fault, { code: 'RECORD_DAMAGED' }, what);
  }
});

test('a content in a record of its own has the length of the record', async (t) => {
  const { header, index } = await read(contentRecord(BYTES, SLICES[0]!, ZSTD));
  t.is(contentsIn(header, index)[0]?.sizeBytes, CONTENTS[0]!.length);
  t.throws(() => contentsIn({ ...header, rawBytes: header.rawBytes + 1 }, index), {
    code: 'RECORD_DAMAGED',
  });
});

/** Records of every scheme with keys: a record that was changed, moved or made without the keys is never opened. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import { ReusedBuffers, RecordReader } from '../../src/contents/index.js';
import { BytesBuilder, type ContentKeys, contentDigest, Scheme } from '../../src/model/index.js';
import {
  buildChunk,
  buildFrame,
  CHUNK_HEADER_BYTES,
  Codec,
  decodeChunk,
  readChunkHeader,
  RecordCipher,
  type ObjectReader,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { thrownCode } from '../helpers/codes.js';
import { sha256 } from '../helpers/rows.js';

const { native } = nodeSystem();
const KEYS: ContentKeys = {
  scheme: Scheme.aes,
  epoch: 1,
  contents: [{ epoch: 1, key: Buffer.alloc(32, 7) }],
  digests: Buffer.alloc(32, 9),
};
const RAW = { codec: Codec.none, level: 0 };
const WORD = Buffer.from('a content that is read');
const DIGEST = contentDigest(native, KEYS, sha256(WORD));

function recordOf(cipher: RecordCipher | undefined): Buffer {
  const target = new BytesBuilder(1024);
  const slice = { digest: DIGEST, start: 0, sizeBytes: WORD.length };
  const bytes = buildFrame(WORD, [slice], { compression: RAW, target, cipher });
  return Buffer.from(target.view().subarray(0, bytes));
}

/** Updates the checksum of the header, as an attacker who changes a store would. */
function checked(record: Buffer): Buffer {
  record.writeUInt32LE(crc32(record.subarray(0, 68)), 68);
  return record;
}

/** Reads the only content of a record. Resolves with its text, or with the error code. */
async function read(record: Buffer): Promise<string> {
  const backend = {
    read: (_name: string, position: number, into: Buffer, bytes: number) =>
      Promise.resolve(record.copy(into, 0, position, position + bytes)),
    close: () => undefined,
  } as unknown as ObjectReader;
  const reader = new RecordReader(backend, native, new ReusedBuffers(), KEYS);
  const place = { object: 'x', position: 0, recordBytes: record.length };
  const piece = { digest: DIGEST, sizeBytes: WORD.length, offset: 0, basis: undefined };
  try {
    const parts: Buffer[] = [];
    for await (const part of reader.pieceBytes(place, piece)) parts.push(Buffer.from(part));
    return Buffer.concat(parts).toString();
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

for (const [name, scheme] of Object.entries(Scheme)) {
  if (scheme === Scheme.plain) continue;
  test(`a record of the scheme ${name} opens as it was, and with no bit changed`, async (t) => {
    const record = recordOf(RecordCipher.fresh(native, KEYS, scheme));
    t.is(record[7], scheme);
    t.is(record.includes(WORD), scheme === Scheme.readable);
    t.is(await read(Buffer.from(record)), WORD.toString());
    for (let at = 0; at < record.length; at += 1) {
      const changed = Buffer.from(record);
      changed[at] = changed[at]! ^ (1 << (at % 8));
      // These bytes are checksums. The one of the body is for accidental damage, and a reader with a tag ignores it.
      if (at >= 64 && at < 72) continue;
      const result = await read(checked(changed));
      // Some values in the head belong to a newer release.
      const isNewer = at < 48 && result === 'STORE_NEWER';
      // A changed epoch may be one whose key the reader does not have.
      const isRefused = result === 'RECORD_DAMAGED' || result === 'KEY_MISSING';
      t.true(isNewer || isRefused, `byte ${at}: ${result}`);
    }
  });
}

test('a record that any server could have made is refused, whatever its content', async (t) => {
  t.is(await read(recordOf(undefined)), 'RECORD_DAMAGED');
});

test('a readable record cannot be taken for an encrypted one, nor the other way round', async (t) => {
  for (const [made, printed] of [
    [Scheme.readable, Scheme.aes],
    [Scheme.aes, Scheme.readable],
    [Scheme.chaCha, Scheme.readable],
  ] as const) {
    const record = recordOf(RecordCipher.fresh(native, KEYS, made));
    record[7] = printed;
    t.is(await read(checked(record)), 'RECORD_DAMAGED', `${made} as ${printed}`);
  }
});

test('a readable chunk is bound to its number, to its record and to how it is stored', (t) => {
  const cipher = RecordCipher.fresh(native, KEYS, Scheme.readable);
  const chunk = buildChunk(WORD, RAW, { cipher, number: 3 });
  t.true(chunk.includes(WORD));
  const open = (number: number, by: RecordCipher, isRaw = true): string | undefined => {
    const target = Buffer.alloc(WORD.length);
    const header = { ...readChunkHeader(chunk, 1 << 20), isRaw };
    const stored = Buffer.from(chunk.subarray(CHUNK_HEADER_BYTES));
    return thrownCode(() =>
      decodeChunk(Codec.none, header, { stored, target, place: { cipher: by, number } }),
    );
  };
  t.is(open(3, cipher), undefined);
  t.is(open(2, cipher), 'RECORD_DAMAGED');
  t.is(open(3, cipher, false), 'RECORD_DAMAGED');
  t.is(open(3, RecordCipher.fresh(native, KEYS, Scheme.readable)), 'RECORD_DAMAGED');
  const others = { ...KEYS, contents: [{ epoch: 1, key: Buffer.alloc(32, 8) }] };
  t.is(open(3, new RecordCipher(native, others, cipher.head)), 'RECORD_DAMAGED');
});

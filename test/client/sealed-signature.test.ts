/** Signatures that an encrypting client stored, as a server returns them: whole, in pieces, or forged. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import { SealedSignature } from '../../src/client/index.js';
import { blockBytesFor, SAMPLED_FROM_BYTES } from '../../src/delta/index.js';
import { type ContentKeys, Scheme } from '../../src/model/index.js';
import {
  buildChunk,
  Codec,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordCipher,
  RecordKind,
  writeContentIndex,
  writeHeader,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { signatureOf } from '../helpers/deltas.js';
import { sha256 } from '../helpers/rows.js';
import { noise } from '../helpers/tree.js';

const CHUNK_BYTES = 1 << 20;
const { native } = nodeSystem();
const KEYS: ContentKeys = {
  scheme: Scheme.aes,
  epoch: 1,
  contents: [{ epoch: 1, key: Buffer.alloc(32, 7) }],
  digests: Buffer.alloc(32, 9),
};
const OTHER_KEYS = { ...KEYS, contents: [{ epoch: 1, key: Buffer.alloc(32, 8) }] };
const CONTENT = { digest: sha256('the basis'), sizeBytes: 5000 };
const SIGNATURE = Buffer.from('rolling and strong sums of blocks');

interface Made {
  readonly signature?: Buffer;
  readonly kind?: number;
  readonly flags?: number;
  readonly digest?: Buffer;
  readonly sizeBytes?: number;
  readonly keys?: ContentKeys;
  /** Chunks in another order, or fewer of them. */
  readonly order?: (chunks: Buffer[]) => Buffer[];
}

/** Returns a record as the client that has the keys would make it. */
function recordOf(made: Made = {}): Buffer {
  const { signature = SIGNATURE, kind = RecordKind.signature, flags = RECORD_CHUNKED } = made;
  const { keys = KEYS, order = (chunks) => chunks, ...content } = made;
  const cipher = RecordCipher.fresh(native, keys);
  const codec = Codec.none;
  const chunks: Buffer[] = [];
  for (let at = 0; at < signature.length; at += CHUNK_BYTES) {
    const raw = signature.subarray(at, at + CHUNK_BYTES);
    chunks.push(buildChunk(raw, { codec, level: 0 }, { cipher, number: chunks.length }));
  }
  const { digest = CONTENT.digest, sizeBytes = CONTENT.sizeBytes } = content;
  const fixed = { fileSizeBytes: 0, chunkBytes: CHUNK_BYTES };
  const bare = writeContentIndex({ digest, sizeBytes, ...fixed });
  const seal = cipher.sealOf(kind, codec, signature.length, bare);
  const index = Buffer.concat([bare, seal]);
  const body = Buffer.concat(order(chunks));
  const record = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), index, body]);
  writeHeader(record, 0, {
    ...cipher.head,
    kind: kind as typeof RecordKind.signature,
    codec,
    flags,
    rawBytes: signature.length,
    bodyBytes: body.length,
    indexBytes: index.length,
    bodyChecksum: crc32(index),
  });
  return record;
}

/** Passes a record in pieces. Returns the signature, or undefined if it is refused. */
function taken(
  record: Buffer,
  pieceBytes = record.length,
  keys = KEYS,
  sizeBytes = CONTENT.sizeBytes,
): Buffer | undefined {
  const parts: Buffer[] = [];
  let isEnded = false;
  const basis = { ...CONTENT, sizeBytes } as unknown as ConstructorParameters<
    typeof SealedSignature
  >[2];
  using sealed = new SealedSignature(native, keys, basis, (bytes, isLast) => {
    parts.push(Buffer.from(bytes));
    isEnded ||= isLast;
    return true;
  });
  for (let at = 0; at < record.length; at += pieceBytes) {
    const isLast = at + pieceBytes >= record.length;
    if (!sealed.take(record.subarray(at, at + pieceBytes), isLast)) return undefined;
  }
  return isEnded ? Buffer.concat(parts) : undefined;
}

test('a signature arrives whole, in pieces of any size', (t) => {
  const record = recordOf();
  for (const pieceBytes of [1, 2, 71, 72, 73, 100, record.length - 1, record.length]) {
    t.true(taken(record, pieceBytes)?.equals(SIGNATURE), `${pieceBytes}`);
  }
  const large = Buffer.alloc(2 * CHUNK_BYTES + 5, 'sums');
  t.true(taken(recordOf({ signature: large }), 300_000)?.equals(large));
});

test('a small basis without a signature arrives itself, and its signature is made', (t) => {
  const kind = RecordKind.content;
  const small = noise('basis', CONTENT.sizeBytes);
  const record = recordOf({ kind, signature: small });
  const signature = signatureOf(small, blockBytesFor(small.length)!);
  for (const pieceBytes of [1, 100, record.length]) {
    t.true(taken(record, pieceBytes)?.equals(signature), `${pieceBytes}`);
  }
  for (let at = 0; at < record.length; at += 7) {
    const changed = Buffer.from(record);
    changed[at]! ^= 1;
    t.is(taken(changed), undefined, `byte ${at}`);
  }
  // The length must be that of the basis, and a larger one is not read back.
  t.is(taken(recordOf({ kind, signature: small.subarray(1) })), undefined);
  const mostBytes = SAMPLED_FROM_BYTES;
  for (const [sizeBytes, isTaken] of [
    [mostBytes, true],
    [mostBytes + 1, false],
  ] as const) {
    const large = recordOf({ kind, signature: Buffer.alloc(sizeBytes), sizeBytes });
    t.is(taken(large, CHUNK_BYTES, KEYS, sizeBytes) !== undefined, isTaken, `${sizeBytes}`);
  }
});

test('a signature of another content, of another kind or of other keys is refused', (t) => {
  const wrong: Readonly<Record<string, Made>> = {
    digest: { digest: sha256('another file') },
    size: { sizeBytes: CONTENT.sizeBytes + 1 },
    kind: { kind: RecordKind.content },
    'in one piece': { flags: 0 },
    keys: { keys: OTHER_KEYS },
  };
  for (const [name, made] of Object.entries(wrong)) t.is(taken(recordOf(made)), undefined, name);
  t.is(taken(recordOf(), 50, OTHER_KEYS), undefined);
});

test('a server cannot leave out, swap or repeat the chunks of a signature', (t) => {
  const signature = Buffer.alloc(3 * CHUNK_BYTES, 'sums');
  const orders: Readonly<Record<string, NonNullable<Made['order']>>> = {
    'left out': ([first, , third]) => [first!, third!],
    swapped: ([first, second, third]) => [second!, first!, third!],
    repeated: ([first, second]) => [first!, first!, second!],
    'the end is missing': ([first, second]) => [first!, second!],
  };
  for (const [name, order] of Object.entries(orders)) {
    t.is(taken(recordOf({ signature, order })), undefined, name);
  }
});

test('a changed byte or a short record is refused, wherever it is', (t) => {
  const record = recordOf();
  for (let at = 0; at < record.length; at += 1) {
    const changed = Buffer.from(record);
    changed[at]! ^= 1;
    t.is(taken(changed), undefined, `byte ${at}`);
    if (at > 0) t.is(taken(record.subarray(0, at)), undefined, `${at} bytes`);
  }
});

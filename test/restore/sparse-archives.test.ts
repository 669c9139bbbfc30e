/** Contents in archives: sparse files in tar and zip, and the bytes of a zip entry. */
import { inflateRawSync } from 'node:zlib';
import test from 'ava';
import { withZeros } from '../../src/contents/index.js';
import {
  begun,
  deflatedBlocks,
  isWorthDeflating,
  joined,
  plainContent,
  sparseContent,
  TAR_BLOCK_BYTES,
} from '../../src/restore/index.js';
import { rejectedCode } from '../helpers/codes.js';

type Extent = readonly [offset: number, data: string];

/** Returns the sparse form of a file of `sizeBytes` bytes (docs/inside/formats.md). */
function formOf(sizeBytes: number, extents: readonly Extent[]): Buffer {
  const head = Buffer.alloc(16 + 16 * extents.length);
  head.writeBigUInt64LE(BigInt(sizeBytes), 0);
  head.writeBigUInt64LE(BigInt(extents.length), 8);
  for (const [index, [offset, data]] of extents.entries()) {
    head.writeBigUInt64LE(BigInt(offset), 16 + 16 * index);
    head.writeBigUInt64LE(BigInt(data.length), 24 + 16 * index);
  }
  return Buffer.concat([head, ...extents.map(([, data]) => Buffer.from(data))]);
}

function fileOf(sizeBytes: number, extents: readonly Extent[]): Buffer {
  const file = Buffer.alloc(sizeBytes);
  for (const [offset, data] of extents) file.write(data, offset);
  return file;
}

/** Yields bytes in pieces, each in memory that is overwritten when the next one is requested. */
async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
    yield piece;
    piece.fill(0xdd);
  }
}

async function allOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

/** Returns the file that tar makes of a content in the format GNU.sparse 1.0. */
function unpacked(stored: Buffer, sizeBytes: number): Buffer {
  const file = Buffer.alloc(sizeBytes);
  let at = 0;
  const number = (): number => {
    const end = stored.indexOf('\n', at);
    const value = Number(stored.toString('latin1', at, end));
    at = end + 1;
    return value;
  };
  const regions = Array.from({ length: number() }, () => [number(), number()] as const);
  at = Math.ceil(at / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  let last = -1;
  for (const [offset, bytes] of regions) {
    if (offset <= last || offset + bytes > sizeBytes)
      throw new Error('regions touch or exceed the file');
    last = offset + bytes;
    stored.copy(file, offset, at, at + bytes);
    at += bytes;
  }
  if (sizeBytes > 0 && last !== sizeBytes) throw new Error('the end of the file is not marked');
  if (at !== stored.length) throw new Error(`${stored.length - at} bytes are in no region`);
  return file;
}

const FILES: readonly (readonly [sizeBytes: number, extents: readonly Extent[]])[] = [
  [0, []],
  [5000, []],
  [10, [[0, '0123456789']]],
  [5000, [[0, 'first']]],
  [5000, [[4990, 'the end...']]],
  [
    9000,
    [
      [100, 'one block'],
      [300, 'the same block'],
      [1536, 'next'],
      [8000, 'far'],
    ],
  ],
  [1025, [[510, 'over a border']]],
  [
    2000,
    [
      [500, 'one'],
      [600, 'the next block'],
    ],
  ],
];

for (const [sizeBytes, extents] of FILES) {
  const places = extents.map(([offset]) => offset).join(', ') || 'nowhere';
  test(`a sparse file of ${sizeBytes} bytes with data at ${places} is whole in tar and zip`, async (t) => {
    const form = formOf(sizeBytes, extents);
    const file = fileOf(sizeBytes, extents);
    for (const pieceBytes of [1, 7, 100, 1 << 20]) {
      const tar = await sparseContent(inPieces(form, pieceBytes));
      const stored = await allOf(tar.chunks);
      t.is(tar.realBytes, sizeBytes);
      t.is(stored.length, tar.storedBytes, 'the header has the size before the bytes are known');
      t.true(unpacked(stored, sizeBytes).equals(file));
      t.true((await allOf(withZeros(inPieces(form, pieceBytes)))).equals(file));
    }
  });
}

test('a sparse form that is cut short, too long or makes no sense is damaged', async (t) => {
  const whole = formOf(5000, [[100, 'data']]);
  const overlapping = formOf(5000, [
    [100, 'data'],
    [102, 'more'],
  ]);
  const wrong: Readonly<Record<string, Buffer>> = {
    empty: Buffer.alloc(0),
    'cut in its head': whole.subarray(0, 20),
    'cut in its data': whole.subarray(0, -1),
    'too long': Buffer.concat([whole, Buffer.from('x')]),
    overlapping,
    'behind the end': formOf(50, [[100, 'data']]),
    'an empty extent': formOf(5000, [[100, '']]),
    'endless extents': Buffer.alloc(16, 0xff),
  };
  for (const [name, form] of Object.entries(wrong)) {
    const tar = async (): Promise<Buffer> =>
      allOf((await sparseContent(inPieces(form, 11))).chunks);
    t.is(await rejectedCode(tar()), 'CONTENT_DAMAGED', name);
    t.is(await rejectedCode(allOf(withZeros(inPieces(form, 11)))), 'CONTENT_DAMAGED', name);
  }
});

test('a plain content is as long as its pieces', async (t) => {
  const pieces = [{ sizeBytes: 3 }, { sizeBytes: 4 }] as unknown as Parameters<
    typeof plainContent
  >[1];
  const content = plainContent(inPieces(Buffer.from('abcdefg'), 2), pieces);
  t.like(content, { storedBytes: 7, realBytes: undefined });
  t.is((await allOf(content.chunks)).toString(), 'abcdefg');
});

test('deflated blocks join to one stream, whatever the pieces', async (t) => {
  const content = Buffer.alloc((2 << 20) + 17, 'compressible text ');
  for (const pieceBytes of [1 << 20, 100_003]) {
    const stream = await allOf(deflatedBlocks(inPieces(content, pieceBytes)));
    t.true(stream.length < content.length / 10);
    t.true(inflateRawSync(stream).equals(content));
  }
  t.is(inflateRawSync(await allOf(deflatedBlocks(inPieces(Buffer.alloc(0), 1)))).length, 0);
});

test('an error of the reader ends the deflated stream with it', async (t) => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(3 << 20);
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  }
  t.is(await rejectedCode(allOf(deflatedBlocks(failing()))), 'EIO');
});

test('only what shrinks is worth a try', (t) => {
  t.true(isWorthDeflating(Buffer.alloc(1000, 'text ')));
  t.false(isWorthDeflating(Buffer.alloc(100)), 'too small');
  const noise = Buffer.from(
    Array.from({ length: 4000 }, (_none, at) => (at * at * 2654435761) >>> 13),
  );
  t.false(isWorthDeflating(noise));
});

test('a small content is read whole, and of a large one only the beginning', async (t) => {
  const bytes = Buffer.from('0123456789');
  t.like(await begun(inPieces(bytes, 3), 10, 10), { start: bytes, rest: undefined });
  t.like(await begun(inPieces(Buffer.alloc(0), 3), 10, 0), {
    start: Buffer.alloc(0),
    rest: undefined,
  });
  for (const sizeBytes of [3, 10]) {
    // The size may be a lie: a content that exceeds the limit is not collected.
    const { start, rest } = await begun(inPieces(bytes, 2), 5, sizeBytes);
    t.true(start.length <= 6);
    t.is((await allOf(joined(Buffer.from(start), rest!, 10))).toString(), '0123456789');
  }
});

test('more bytes than a content may have are damage, and the reader is closed', async (t) => {
  let isClosed = false;
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield Buffer.from('more');
    } finally {
      isClosed = true;
    }
  }
  const { start, rest } = await begun(endless(), 8, 100);
  t.is(await rejectedCode(allOf(joined(start, rest!, 1000))), 'CONTENT_DAMAGED');
  t.true(isClosed);
});

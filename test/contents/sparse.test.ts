import test from 'ava';
import * as fc from 'fast-check';
import { MAX_EXTENTS, SparseMap, SparseWriter } from '../../src/contents/index.js';
import { thrownCode } from '../helpers/codes.js';

type Extent = readonly [offset: number | bigint, bytes: number | bigint];

function headOf(
  sizeBytes: number | bigint,
  extents: readonly Extent[],
  count = extents.length,
): Buffer {
  const head = Buffer.alloc(16 + extents.length * 16);
  head.writeBigUInt64LE(BigInt(sizeBytes), 0);
  head.writeBigUInt64LE(BigInt(count), 8);
  extents.forEach(([offset, bytes], index) => {
    head.writeBigUInt64LE(BigInt(offset), 16 + index * 16);
    head.writeBigUInt64LE(BigInt(bytes), 24 + index * 16);
  });
  return head;
}

/** Generates extents in order, from the lengths of hole, data, hole, data … */
const anyExtents = fc
  .array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 40 })), { maxLength: 8 })
  .map((pairs) => {
    let end = 0;
    return pairs.map(([hole, bytes]): [number, number] => {
      const offset = end + hole;
      end = offset + bytes;
      return [offset, bytes];
    });
  });

test('what is read by ranges and written in pieces is the file again', (t) => {
  fc.assert(
    fc.property(
      anyExtents,
      fc.nat(30),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 64 }),
      (extents, rest, readBytes, writeBytes) => {
        const [lastOffset, lastBytes] = extents.at(-1) ?? [0, 0];
        const file = Buffer.alloc(lastOffset + lastBytes + rest);
        for (const [offset, bytes] of extents) file.fill(offset + 1, offset, offset + bytes);
        const map = new SparseMap(headOf(file.length, extents));
        t.is(map.fileBytes, file.length);
        const form: Buffer[] = [];
        for (let from = 0; from < map.formBytes; from += readBytes) {
          map.forEachPiece(from, readBytes, ({ bytes, offset, head }) => {
            form.push(head ?? file.subarray(offset, offset + bytes));
          });
        }
        const whole = Buffer.concat(form);
        t.is(whole.length, map.formBytes);
        const writer = new SparseWriter();
        const made = Buffer.alloc(file.length);
        const written = Buffer.alloc(file.length);
        for (let at = 0; at < whole.length; at += writeBytes) {
          writer.push(whole.subarray(at, at + writeBytes), (data, position) => {
            data.copy(made, position);
            written.fill(1, position, position + data.length);
          });
        }
        t.is(writer.finish(), file.length);
        t.deepEqual(made, file);
        t.is(
          written.reduce((sum, byte) => sum + byte, 0),
          map.formBytes - 16 - extents.length * 16,
        );
      },
    ),
  );
});

test('places of 16 TiB and more are exact', (t) => {
  const at = 2 ** 44 + 12_345;
  const map = new SparseMap(headOf(2 ** 45, [[at, 10]]));
  const seen: number[] = [];
  map.forEachPiece(32 + 4, 3, ({ offset, bytes }) => seen.push(offset, bytes));
  t.deepEqual(seen, [at + 4, 3]);
});

test('each hostile head is refused', (t) => {
  const shapes: [string, Buffer][] = [
    ['cut in its fixed part', Buffer.alloc(15)],
    ['cut in its extents', headOf(100, [[0, 5]]).subarray(0, 31)],
    ['more extents than it has', headOf(100, [[0, 5]], 2)],
    ['fewer extents than it has', headOf(100, [[0, 5]], 0)],
    ['far too many extents', headOf(100, [], MAX_EXTENTS + 1)],
    [
      'extents that overlap',
      headOf(100, [
        [0, 5],
        [4, 5],
      ]),
    ],
    [
      'extents out of order',
      headOf(100, [
        [10, 5],
        [0, 5],
      ]),
    ],
    ['an empty extent', headOf(100, [[10, 0]])],
    ['data behind the end', headOf(100, [[98, 3]])],
    ['a size of 2^53', headOf(2n ** 53n, [])],
    ['an offset of 2^64 - 1', headOf(100, [[2n ** 64n - 1n, 1]])],
  ];
  for (const [what, head] of shapes) {
    t.is(
      thrownCode(() => new SparseMap(head)),
      'CONTENT_DAMAGED',
      what,
    );
  }
});

test('a stream that ends early or goes on is refused', (t) => {
  const head = headOf(100, [[10, 5]]);
  const form = Buffer.concat([head, Buffer.from('12345')]);
  const push = (bytes: Buffer): SparseWriter => {
    const writer = new SparseWriter();
    writer.push(bytes, () => undefined);
    return writer;
  };
  t.is(push(form).finish(), 100);
  for (const bytes of [0, 10, 20, head.length, form.length - 1]) {
    t.is(
      thrownCode(() => push(form.subarray(0, bytes)).finish()),
      'CONTENT_DAMAGED',
      `${bytes}`,
    );
  }
  t.is(
    thrownCode(() => push(Buffer.concat([form, Buffer.alloc(1)]))),
    'CONTENT_DAMAGED',
  );
});

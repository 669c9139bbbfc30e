/** The rows of a parcel, split into messages. */
import test from 'ava';
import { rowPages } from '../../src/client/index.js';
import { rowOf } from '../helpers/rows.js';

const PAGE_BYTES = 4 << 20;
const LONG = 'n'.repeat(240);

/** Returns a parcel with this number of rows for each slot. */
function parcelOf(counts: readonly number[]) {
  const rows = counts.map((count, slot) =>
    Buffer.concat(Array.from({ length: count }, (_, index) => rowOf(`${slot}-${index}-${LONG}`))),
  );
  let end = 0;
  const rowEnds = rows.map((bytes) => (end += bytes.length));
  return {
    slots: Uint32Array.from(counts.keys()),
    rows: Buffer.concat(rows),
    rowEnds: Uint32Array.from(rowEnds),
    records: undefined,
    recordLengths: [],
  };
}

/** Returns the bytes of each slot, joined over all pages. */
function joined(pages: ReturnType<typeof rowPages>): Map<number, Buffer> {
  const bytes = new Map<number, Buffer>();
  for (const { slots, lengths, rows } of pages) {
    let at = 0;
    for (const [index, slot] of slots.entries()) {
      const part = rows.subarray(at, at + lengths[index]!);
      bytes.set(slot, Buffer.concat([bytes.get(slot) ?? Buffer.alloc(0), part]));
      at += lengths[index]!;
    }
    if (at !== rows.length) throw new Error(`a page has ${rows.length} bytes, its slots ${at}`);
  }
  return bytes;
}

test('a small parcel is one page', (t) => {
  const parcel = parcelOf([2, 0, 3]);
  const pages = [...rowPages(parcel)];
  t.is(pages.length, 1);
  t.deepEqual(pages[0]!.slots, [0, 1, 2]);
  t.deepEqual(pages[0]!.rows, parcel.rows);
});

test('a large parcel is split between rows, and no page is too large', (t) => {
  const counts = [3, 20_000, 0, 9000, 30_000, 1];
  const parcel = parcelOf(counts);
  t.true(parcel.rows.length > 4 * PAGE_BYTES);
  const pages = [...rowPages(parcel)];
  t.true(pages.every(({ rows }) => rows.length > 0 && rows.length <= PAGE_BYTES));
  t.true(Buffer.concat(pages.map(({ rows }) => rows)).equals(parcel.rows));
  const bytes = joined(rowPages(parcel));
  let start = 0;
  for (const [slot, end] of parcel.rowEnds.entries()) {
    t.true(
      (bytes.get(slot) ?? Buffer.alloc(0)).equals(parcel.rows.subarray(start, end)),
      `${slot}`,
    );
    start = end;
  }
});

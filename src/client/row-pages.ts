/** Splits rows into messages. */
import { RowReader, type SlotNumber } from '../model/index.js';
import type { OutgoingParcel } from '../pipeline/index.js';

/**
 * Maximum number of bytes of rows in a parcel message with several rows. With records of at most one or two frames,
 * the message stays below its size limit.
 */
const PARCEL_ROWS_BYTES = 4 << 20;

interface RowPage {
  readonly slots: SlotNumber[];
  readonly lengths: number[];
  readonly rows: Buffer;
}

/** Splits rows into pages, between rows. A page is longer than `mostBytes` only if it is one row. No rows are one empty page. */
export function* pagesOf(bytes: Uint8Array, mostBytes: number): Generator<Buffer> {
  const reader = new RowReader(bytes);
  const { rows } = reader;
  let start = 0;
  for (let at = 0; rows.length - start > mostBytes && at < rows.length; ) {
    const end = at + reader.rowBytes(at);
    if (end - start > mostBytes && at > start) {
      yield rows.subarray(start, at);
      start = at;
    }
    at = end;
  }
  yield rows.subarray(start);
}

/** Splits a parcel's rows into pages; usually there is only one. */
export function* rowPages({ slots, rows, rowEnds }: OutgoingParcel): Generator<RowPage> {
  let [index, from, pageEnd] = [0, 0, 0];
  for (const page of pagesOf(rows, PARCEL_ROWS_BYTES)) {
    pageEnd += page.length;
    const sections: RowPage = { slots: [], lengths: [], rows: page };
    for (; rowEnds[index]! <= pageEnd; index += 1) {
      sections.slots.push(slots[index]!);
      sections.lengths.push(rowEnds[index]! - from);
      from = rowEnds[index]!;
    }
    if (from < pageEnd) {
      sections.slots.push(slots[index]!);
      sections.lengths.push(pageEnd - from);
      from = pageEnd;
    }
    yield sections;
  }
}

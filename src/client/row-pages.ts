/** Splits the rows of a parcel into messages. */
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

/** Splits a parcel's rows into pages, between rows; usually there is only one page. */
export function* rowPages(parcel: OutgoingParcel): Generator<RowPage> {
  const reader = new RowReader(parcel.rows);
  const { rows } = reader;
  let [slots, lengths, start, at]: [SlotNumber[], number[], number, number] = [[], [], 0, 0];
  for (const [index, end] of parcel.rowEnds.entries()) {
    const slot = parcel.slots[index]!;
    let from = at;
    while (rows.length > PARCEL_ROWS_BYTES && at < end) {
      const next = at + reader.rowBytes(at);
      if (next - start > PARCEL_ROWS_BYTES && at > start) {
        if (at > from)
          [slots, lengths] = [
            [...slots, slot],
            [...lengths, at - from],
          ];
        yield { slots, lengths, rows: rows.subarray(start, at) };
        [slots, lengths, start, from] = [[], [], at, at];
      }
      at = next;
    }
    at = end;
    slots.push(slot);
    lengths.push(end - from);
  }
  yield { slots, lengths, rows: rows.subarray(start) };
}

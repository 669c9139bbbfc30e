/** The rows of a parcel, cut for messages. */
import { RowReader } from '../model/index.js';
import type { OutgoingParcel } from '../pipeline/index.js';

/** Rows of a parcel in one message: with records of at most a frame or two it is below its largest size. */
const PARCEL_ROWS_BYTES = 4 << 20;

interface RowPage {
  readonly slots: number[];
  readonly lengths: number[];
  readonly rows: Buffer;
}

/** Cuts a parcel's rows into pages between rows; nearly always it is one. */
export function* rowPages(parcel: OutgoingParcel): Generator<RowPage> {
  const reader = new RowReader(parcel.rows);
  const { rows } = reader;
  let [slots, lengths, start, at]: [number[], number[], number, number] = [[], [], 0, 0];
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

/** An addon that leaves each entry of a parcel to the calls for single entries, which a test may replace. */
import { RowReader } from '../../src/model/index.js';
import { GatherCursor, type NativeCalls, UNDECIDED_NUMBERS } from '../../src/system/index.js';

const numbersOf = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);

/** A `readParcel` by which every entry needs a decision. */
export const leavesAll = (...parts: Parameters<NativeCalls['readParcel']>): undefined => {
  const [, bytes, , , , , , , , cursor, , rowEnds, outEnds, , undecided] = parts;
  const rows = new RowReader(bytes);
  const left = numbersOf(undecided);
  let [at, count] = [0, 0];
  for (const [section, end] of numbersOf(rowEnds).entries()) {
    for (; at < end; at += rows.rowBytes(at)) {
      left.set([section, at, 0, 0], count * UNDECIDED_NUMBERS);
      count += 1;
    }
  }
  outEnds.fill(0);
  new Float64Array(cursor.buffer)[GatherCursor.undecided] = count;
  return undefined;
};

/** The calls for single entries that `readParcel` makes unnecessary. */
const SINGLE = ['readFileAt', 'attributesAt', 'openListed', 'reportsSizes'] as const;

/** Returns replaced calls. If they include one for single entries, that is called for each entry. */
export function oneByOne(replaced: Partial<NativeCalls>): Partial<NativeCalls> {
  const isSingle = SINGLE.some((name) => replaced[name] !== undefined);
  return isSingle ? { readParcel: leavesAll, ...replaced } : replaced;
}

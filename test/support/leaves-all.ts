/** Calls of the addon for many entries that leave each of them to the calls for single entries, which a test may replace. */
import { forEachRow, RowReader } from '../../src/model/index.js';
import {
  GatherCursor,
  LEFT_NUMBERS,
  type NativeCalls,
  RestoreCount,
  UNDECIDED_NUMBERS,
} from '../../src/system/index.js';

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
      left.set([section, at, 0], count * UNDECIDED_NUMBERS);
      count += 1;
    }
  }
  outEnds.fill(0);
  new Float64Array(cursor.buffer)[GatherCursor.undecided] = count;
  return undefined;
};

/** A `restoreFiles` by which every file needs a decision. */
export const leavesFiles = (...parts: Parameters<NativeCalls['restoreFiles']>): undefined => {
  const [, , , bytes, , , , , , , , undecided, counts] = parts;
  const rows = new RowReader(bytes);
  const left = numbersOf(undecided);
  let count = 0;
  forEachRow(rows, (at) => {
    left.set([count, at], count * LEFT_NUMBERS);
    count += 1;
  });
  new Float64Array(counts.buffer)[RestoreCount.undecided] = count;
  return undefined;
};

/** The calls for single entries that `readParcel` and `restoreFiles` make unnecessary. */
const READING = [
  'readFileAt',
  'openOwnersAt',
  'attributesAt',
  'openListed',
  'reportsSizes',
] as const;
const WRITING = ['openBeneath', 'sha256', 'keyDigests', 'writeFileAt', 'unlinkAt'] as const;

/** Returns replaced calls. If they include one for single entries, that is called for each entry. */
export function oneByOne(replaced: Partial<NativeCalls>): Partial<NativeCalls> {
  const hasOne = (names: readonly (keyof NativeCalls)[]): boolean =>
    names.some((name) => replaced[name] !== undefined);
  return {
    ...(hasOne(READING) ? { readParcel: leavesAll } : {}),
    ...(hasOne(WRITING) ? { restoreFiles: leavesFiles } : {}),
    ...replaced,
  };
}

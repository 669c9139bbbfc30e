/** The ranges of packs that a commit covers. */
import { type Checked, isId, isPackNumber, mapOf, type PackNumber } from '../../model/index.js';
import type { RecordHead } from './heads.js';
import { addToRangeChecksum, recordBytes } from './record.js';

export const isRange = mapOf({
  pack: isPackNumber,
  from: isId,
  to: isId,
  /** CRC-32 over the headers of all records in the range, without the headers' own checksums. */
  checksum: isId,
});
/** A range of one pack, as a commit record contains it. */
export type PackRange = Checked<typeof isRange>;

/** Ranges by their packs. */
export type PackRanges = Map<PackNumber, PackRange>;

/** Extends the range of a pack to the end of its next record. */
export function addToRanges(ranges: PackRanges, pack: PackNumber, record: RecordHead): void {
  const { header, headerBytes, position } = record;
  const { from, checksum } = ranges.get(pack) ?? { from: position, checksum: 0 };
  const to = position + recordBytes(header);
  ranges.set(pack, { pack, from, to, checksum: addToRangeChecksum(checksum, headerBytes) });
}

/** True if a commit record contains exactly the ranges that were found. */
export function areRanges(
  recorded: readonly PackRange[],
  found: ReadonlyMap<PackNumber, PackRange>,
): boolean {
  return (
    recorded.length === found.size &&
    recorded.every(({ pack, from, to, checksum }) => {
      const range = found.get(pack);
      return range?.from === from && range.to === to && range.checksum === checksum;
    })
  );
}

/** Reads the records of a restore job that were fetched before it. */
import type { ObjectReader } from '../store/index.js';
import type { RestoreRecord } from './restore-types.js';

/**
 * Returns a reader of these records, whose bytes follow one another in `stored`. It rejects with ENOENT for other
 * records.
 */
export function fetchedRecords(
  records: readonly RestoreRecord[],
  stored: Uint8Array,
): ObjectReader {
  let end = 0;
  const placed = records.map((record) => {
    const at = end;
    end += record.recordBytes;
    return { ...record, at };
  });
  return {
    async read(object, position, target, bytes) {
      const found = placed.find(
        (record) =>
          record.object === object &&
          record.position <= position &&
          position < record.position + record.recordBytes,
      );
      if (found === undefined) {
        const message = `ENOENT: no record of this job, ${object}`;
        throw Object.assign(new Error(message), { code: 'ENOENT' });
      }
      const from = found.at + position - found.position;
      const part = stored.subarray(from, Math.min(from + bytes, found.at + found.recordBytes));
      target.set(part);
      return part.length;
    },
    close: () => undefined,
  };
}

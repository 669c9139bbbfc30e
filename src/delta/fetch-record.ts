/** Bytes of records, straight from the store. */
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import { type ObjectReader, readHeader, recordBytes, type RecordHeader } from '../store/index.js';
import type { RecordPlace } from './stored-piece.js';

/** Fills `target` with what stands in a record from `from` on. Throws RECORD_DAMAGED, IO_FAILED. */
export async function fetchRecord(
  backend: ObjectReader,
  record: RecordPlace,
  from: number,
  target: Buffer,
): Promise<Buffer> {
  const bytes = target.length;
  if (from + bytes > record.recordBytes) {
    throw new TardisError('RECORD_DAMAGED', `a record in ${record.object} ends too early`);
  }
  let got: number;
  try {
    got = await backend.read(record.object, record.position + from, target, bytes);
  } catch (error) {
    // Only what is gone is damage; a disk that fails for a moment is not.
    if (systemCode(error) === 'ENOENT') {
      throw new TardisError('RECORD_DAMAGED', `${record.object} is missing`, {}, error);
    }
    throw asTardisError(error, `reading ${record.object}`);
  }
  if (got !== bytes) throw new TardisError('RECORD_DAMAGED', `${record.object} is cut off`);
  return target;
}

/** The header that stands at the beginning of `bytes`, if it is this record's. Throws RECORD_DAMAGED. */
export function headerOf(record: RecordPlace, bytes: Buffer): RecordHeader {
  const header = readHeader(bytes, 0);
  if (header === undefined || recordBytes(header) !== record.recordBytes) {
    throw new TardisError('RECORD_DAMAGED', `no record stands at its place in ${record.object}`);
  }
  return header;
}

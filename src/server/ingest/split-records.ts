/** Splits the attachment of a parcel into its records. */
import { TardisError } from '../../errors/index.js';
import { readHeader, RECORD_HEADER_BYTES, recordBytes } from '../../store/index.js';

/** Returns the length of a record, from its header; undefined if there is no valid header. */
function recordBytesAt(attachment: Buffer, at: number): number | undefined {
  try {
    const header = readHeader(attachment, at);
    return header === undefined ? undefined : recordBytes(header);
  } catch (error) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a record in a parcel is unknown here', {}, error);
  }
}

/** Splits an attachment into records of the given lengths. Throws PROTOCOL_VIOLATION. */
export function splitRecords(attachment: Buffer, lengths: readonly number[]): Buffer[] {
  const records: Buffer[] = [];
  let at = 0;
  for (const bytes of lengths) {
    if (bytes < RECORD_HEADER_BYTES || recordBytesAt(attachment, at) !== bytes) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a record in a parcel is broken');
    }
    records.push(attachment.subarray(at, at + bytes));
    at += bytes;
  }
  if (at !== attachment.length) {
    throw new TardisError('PROTOCOL_VIOLATION', 'bytes in a parcel belong to no record');
  }
  return records;
}

/** Single records: header, index, and the bodies of listings, events, commits and images. */
import { isDeepStrictEqual } from 'node:util';
import {
  buildCommit,
  buildEvent,
  buildImagePiece,
  buildListing,
  type ParsedRecord,
  parseRecord,
  readCommit,
  readContentIndex,
  readDeltaIndex,
  readEvent,
  readFrameIndex,
  readHeads,
  readHeader,
  readImagePiece,
  readListing,
  recordsOf,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeHeader,
} from '../../../src/store/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';
import { contentRecords, metadataRecords, wholeRecord } from '../samples/records.js';

const CODES = ['RECORD_DAMAGED', 'STORE_NEWER'] as const;

/** Reads the body, builds a record of the result and reads that one. Both results must be equal. */
function again<T>(
  record: ParsedRecord,
  read: (record: ParsedRecord) => T,
  build: (sequence: number, value: T) => Buffer,
): string {
  const value = read(record);
  const rebuilt = read(parseRecord(build(record.header.sequence, value)));
  must(isDeepStrictEqual(rebuilt, value), 'a record that was read and written is another one');
  return '';
}

function readBody(record: ParsedRecord): string {
  const { header, index } = record;
  switch (header.kind) {
    case RecordKind.frame:
      return magnitude(readFrameIndex(header, index).length);
    case RecordKind.listing:
      return again(record, readListing, buildListing);
    case RecordKind.event:
      return again(record, readEvent, buildEvent) + readEvent(record).type;
    case RecordKind.commit:
      return again(record, readCommit, buildCommit);
    case RecordKind.image:
      return again(record, readImagePiece, buildImagePiece);
    case RecordKind.delta:
      return String(readDeltaIndex(index).isPart);
    case RecordKind.content:
    case RecordKind.part:
    case RecordKind.assembly:
    case RecordKind.signature:
      return magnitude(readContentIndex(index).sizeBytes);
    case RecordKind.heads:
      return magnitude(readHeads(record).flatMap((heads) => [...recordsOf(heads)]).length);
    case RecordKind.label:
    case RecordKind.parity:
      return magnitude(index.length);
  }
}

function read(data: Buffer): string {
  const header = readHeader(data, 0);
  if (header === undefined) return 'no header';
  const written = Buffer.alloc(RECORD_HEADER_BYTES);
  writeHeader(written, 0, header);
  must(isDeepStrictEqual(readHeader(written, 0), header), 'a header comes back otherwise');
  return `${header.kind} ${readBody(parseRecord(data))}`;
}

export const target: Target = {
  about: 'records: refused as damaged or newer, or the same when written and read again',
  seeds: () => [...metadataRecords(), ...contentRecords()],
  fuzz: (data) => attempt(CODES, () => read(data)),
  repair: (data, random) => wholeRecord(data, random.next()),
};

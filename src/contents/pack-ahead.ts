/**
 * Decodes records in advance in the order of the packs. Files were stored in this order, and a walk reads them in it.
 */
import {
  type ObjectReader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes as storedBytesOf,
  RecordKind,
} from '../store/index.js';
import type { RecordPlace } from './stored-piece.js';

/** Maximum number of records after the current one that are decoded ahead, if they are not too large. */
const AHEAD_RECORDS = 4;
const MAX_AHEAD_BYTES = 2 << 20;
/** Maximum distance in a pack between two records read one after the other by a walk. */
const MAX_STEP_BYTES = 8 << 20;

export class PackAhead {
  /** The record that was read last. */
  private last: RecordPlace | undefined;

  /** `prefetch` begins to decode a record. */
  constructor(
    private readonly backend: ObjectReader,
    private readonly prefetch: (record: RecordPlace) => void,
  ) {}

  /** Records that a record is read, and decodes the next records if a walk is reading the pack. */
  follow(record: RecordPlace): void {
    const { last } = this;
    if (last?.object === record.object && last.position === record.position) return;
    this.last = record;
    if (last?.object !== record.object) return;
    const stepBytes = record.position - last.position;
    if (stepBytes < 0 || stepBytes > MAX_STEP_BYTES) return;
    this.prefetchAfter(record).catch(() => undefined); // the reader of a damaged record gets the error
  }

  private async prefetchAfter({ object, position, recordBytes }: RecordPlace): Promise<void> {
    const head = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
    let at = position + recordBytes;
    for (let ahead = 0; ahead < AHEAD_RECORDS; ahead += 1) {
      const got = await this.backend.read(object, at, head, head.length);
      const header = got === head.length ? readHeader(head, 0) : undefined;
      if (header === undefined) return;
      const bytes = storedBytesOf(header);
      const isFiles = header.kind === RecordKind.frame || header.kind === RecordKind.content;
      const isSmall = header.rawBytes <= MAX_AHEAD_BYTES && (header.flags & RECORD_CHUNKED) === 0;
      if (isFiles && isSmall) this.prefetch({ object, position: at, recordBytes: bytes });
      at += bytes;
    }
  }
}

/** Looks ahead in the order of the packs, in which files were stored and a walk reads them. */
import type { RecordPlace } from '../delta/index.js';
import {
  type ObjectReader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes as storedBytesOf,
  RecordKind,
} from '../store/index.js';

/** Records after the one that is read that are decoded ahead, if they are not larger than this. */
const AHEAD_RECORDS = 4;
const MAX_AHEAD_BYTES = 2 << 20;
/** Two records of a pack that are read one after the other are no walk if there is more between them. */
const MAX_STEP_BYTES = 8 << 20;

export class WalkAhead {
  /** The record that was read last. */
  private last: RecordPlace | undefined;
  private readonly backend: ObjectReader;
  private readonly warm: (record: RecordPlace) => void;

  /** `warm` begins to decode a record. */
  constructor(backend: ObjectReader, warm: (record: RecordPlace) => void) {
    this.backend = backend;
    this.warm = warm;
  }

  /** Notes a record that is read. */
  follow(record: RecordPlace): void {
    const { last } = this;
    if (last?.object === record.object && last.position === record.position) return;
    this.last = record;
    if (last?.object !== record.object) return;
    const stepBytes = record.position - last.position;
    if (stepBytes < 0 || stepBytes > MAX_STEP_BYTES) return;
    this.warmAfter(record).catch(() => undefined); // the reader of a damaged record gets the error
  }

  private async warmAfter({ object, position, recordBytes }: RecordPlace): Promise<void> {
    const head = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
    let at = position + recordBytes;
    for (let ahead = 0; ahead < AHEAD_RECORDS; ahead += 1) {
      const got = await this.backend.read(object, at, head, head.length);
      const header = got === head.length ? readHeader(head, 0) : undefined;
      if (header === undefined) return;
      const bytes = storedBytesOf(header);
      const isFiles = header.kind === RecordKind.frame || header.kind === RecordKind.content;
      const isSmall = header.rawBytes <= MAX_AHEAD_BYTES && (header.flags & RECORD_CHUNKED) === 0;
      if (isFiles && isSmall) this.warm({ object, position: at, recordBytes: bytes });
      at += bytes;
    }
  }
}

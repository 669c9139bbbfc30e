/** Decodes a record in chunks whose bytes arrive in pieces of any size, as from a peer. */
import { BytesBuilder } from '../model/index.js';
import {
  CHUNK_HEADER_BYTES,
  decodeChunk,
  readChunkHeader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { headIn, type HeadOpener, type RecordHead } from './record-head.js';

interface Taker {
  /** Called once, before all chunks. Returns false to refuse the record. */
  onHead(header: RecordHeader, index: Buffer): boolean;
  /** Called with each decoded chunk, which is valid during the call. Returns false to refuse the record. */
  onChunk(decoded: Buffer): boolean;
}

export class ArrivingRecord {
  private readonly waiting = new BytesBuilder(STREAM_CHUNK_BYTES);
  private head: RecordHead | undefined;
  private chunks = 0;
  private remaining = 0;

  constructor(
    private readonly opener: HeadOpener,
    private readonly taker: Taker,
  ) {}

  /**
   * Takes the next bytes, and passes on the chunks that they complete. Returns false if `taker` refuses the record, or if
   * it is not in chunks. Throws RECORD_DAMAGED, STORE_NEWER, and the errors of `headIn` and `taker`.
   */
  take(bytes: Buffer): boolean {
    this.waiting.append(bytes);
    return this.open() && this.drain();
  }

  /** True once all chunks were passed on. */
  get isComplete(): boolean {
    return this.head !== undefined && this.remaining === 0;
  }

  private open(): boolean {
    if (this.head !== undefined) return true;
    const start = this.waiting.view();
    if (start.length < RECORD_HEADER_BYTES) return true;
    const header = readHeader(start, 0);
    if (header === undefined || (header.flags & RECORD_CHUNKED) === 0) return false;
    const indexEnd = RECORD_HEADER_BYTES + header.indexBytes;
    if (start.length < indexEnd) return true;
    const record = { object: 'a message', position: 0, recordBytes: recordBytes(header) };
    const head = headIn(this.opener, record, start);
    if (!this.taker.onHead(header, start.subarray(RECORD_HEADER_BYTES, indexEnd))) return false;
    this.head = head;
    this.remaining = header.rawBytes;
    this.skip(indexEnd);
    return true;
  }

  private drain(): boolean {
    if (this.head === undefined) return true;
    const { header, cipher } = this.head;
    const decoded = Buffer.allocUnsafe(Math.min(STREAM_CHUNK_BYTES, this.remaining));
    while (this.remaining > 0) {
      const start = this.waiting.view();
      if (start.length < CHUNK_HEADER_BYTES) return true;
      const chunk = readChunkHeader(start, STREAM_CHUNK_BYTES);
      const end = CHUNK_HEADER_BYTES + chunk.storedBytes;
      if (start.length < end) return true;
      const target = decoded.subarray(0, Math.min(decoded.length, this.remaining));
      const stored = start.subarray(CHUNK_HEADER_BYTES, end);
      const place = cipher && { cipher, number: this.chunks };
      decodeChunk(header.codec, chunk, { stored, target, place });
      if (!this.taker.onChunk(target)) return false;
      this.chunks += 1;
      this.remaining -= target.length;
      this.skip(end);
    }
    return true;
  }

  private skip(bytes: number): void {
    const rest = Buffer.from(this.waiting.take().subarray(bytes));
    this.waiting.append(rest);
  }
}

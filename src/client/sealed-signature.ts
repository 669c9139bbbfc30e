/** Decodes the signature of a basis that an encrypting client stored. Its record arrives in pieces. */
import { TardisError } from '../errors/index.js';
import { BytesBuilder, type ContentKeys } from '../model/index.js';
import type { OfferedBasis, SignatureSink } from '../pipeline/index.js';
import {
  CHUNK_HEADER_BYTES,
  decodeChunk,
  MAX_INDEX_BYTES,
  readChunkHeader,
  readContentIndex,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordCipher,
  type RecordHeader,
  RecordKind,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import type { SealingCalls } from '../system/index.js';

interface Opened {
  readonly header: RecordHeader;
  readonly cipher: RecordCipher;
}

export class SealedSignature {
  private readonly waiting = new BytesBuilder(STREAM_CHUNK_BYTES);
  private opened: Opened | undefined;
  private chunks = 0;
  private remaining = 0;

  /** Creates a decoder that passes the signature to `sink`, once it has checked that the record belongs to `basis`. */
  constructor(
    private readonly calls: SealingCalls,
    private readonly keys: ContentKeys,
    private readonly basis: OfferedBasis,
    private readonly sink: SignatureSink,
  ) {}

  /**
   * Takes the next piece of the record. Returns false if the signature cannot be used: the file is then sent
   * whole.
   */
  take(bytes: Buffer, isLast: boolean): boolean {
    try {
      this.waiting.append(bytes);
      const isTaken = this.open() && this.drain();
      if (!isTaken || !isLast) return isTaken;
      return this.remaining === 0 && this.opened !== undefined && this.sink(Buffer.alloc(0), true);
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      return false; // damaged or forged: the backup can do without a delta
    }
  }

  /**
   * Opens the record once its beginning is complete; until then returns true. Returns false if it is not the expected
   * record.
   */
  private open(): boolean {
    if (this.opened !== undefined) return true;
    const start = this.waiting.view();
    if (start.length < RECORD_HEADER_BYTES) return true;
    const header = readHeader(start, 0);
    const isOne =
      header?.kind === RecordKind.signature &&
      (header.flags & RECORD_CHUNKED) !== 0 &&
      header.indexBytes <= MAX_INDEX_BYTES;
    if (!isOne) return false;
    const indexEnd = RECORD_HEADER_BYTES + header.indexBytes;
    if (start.length < indexEnd) return true;
    const cipher = new RecordCipher(this.calls, this.keys, header);
    const index = start.subarray(RECORD_HEADER_BYTES, indexEnd);
    cipher.checkSeal(header.kind, header.codec, header.rawBytes, index);
    const { digest, sizeBytes } = readContentIndex(index);
    if (!digest.equals(this.basis.digest) || sizeBytes !== this.basis.sizeBytes) return false;
    this.opened = { header, cipher };
    this.remaining = header.rawBytes;
    this.skip(indexEnd);
    return true;
  }

  /** Decodes the chunks that have arrived completely. Returns false if the signature cannot be used. */
  private drain(): boolean {
    const { opened } = this;
    if (opened === undefined) return true;
    const { header, cipher } = opened;
    const decoded = Buffer.allocUnsafe(Math.min(STREAM_CHUNK_BYTES, this.remaining));
    while (this.remaining > 0) {
      const start = this.waiting.view();
      if (start.length < CHUNK_HEADER_BYTES) return true;
      const chunk = readChunkHeader(start, STREAM_CHUNK_BYTES);
      const end = CHUNK_HEADER_BYTES + chunk.storedBytes;
      if (start.length < end) return true;
      const target = decoded.subarray(0, Math.min(decoded.length, this.remaining));
      const place = { cipher, number: this.chunks };
      decodeChunk(header.codec, chunk, {
        stored: start.subarray(CHUNK_HEADER_BYTES, end),
        target,
        place,
      });
      if (!this.sink(target, false)) return false;
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

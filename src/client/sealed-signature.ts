/**
 * Decodes the signature of a basis that an encrypting client stored, or makes it from the basis itself, if that is small and
 * has none. A record of either kind arrives in pieces.
 */
import { blockBytesFor, SAMPLED_FROM_BYTES, SignatureMaker } from '../delta/index.js';
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
import type { RsyncCalls, SealingCalls } from '../system/index.js';

interface Opened {
  readonly header: RecordHeader;
  readonly cipher: RecordCipher;
  /** Makes the signature; undefined if the record has it. */
  readonly maker: SignatureMaker | undefined;
}

/** Must be closed. */
export class SealedSignature implements Disposable {
  private readonly waiting = new BytesBuilder(STREAM_CHUNK_BYTES);
  private opened: Opened | undefined;
  private chunks = 0;
  private remaining = 0;

  /** Creates a decoder that passes the signature to `sink`, once it has checked that the record belongs to `basis`. */
  constructor(
    private readonly calls: SealingCalls & RsyncCalls,
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
      if (this.remaining > 0 || this.opened === undefined) return false;
      return this.sink(this.opened.maker?.finish() ?? Buffer.alloc(0), true);
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
      header !== undefined &&
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
    if (header.kind === RecordKind.content) {
      if (header.rawBytes !== sizeBytes || sizeBytes > SAMPLED_FROM_BYTES) return false;
      const maker = new SignatureMaker(this.calls, blockBytesFor(sizeBytes)!, sizeBytes);
      this.opened = { header, cipher, maker };
    } else if (header.kind === RecordKind.signature) {
      this.opened = { header, cipher, maker: undefined };
    } else return false;
    this.remaining = header.rawBytes;
    this.skip(indexEnd);
    return true;
  }

  /** Decodes the chunks that have arrived completely. Returns false if the signature cannot be used. */
  private drain(): boolean {
    const { opened } = this;
    if (opened === undefined) return true;
    const { header, cipher, maker } = opened;
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
      maker?.push(target);
      if (maker === undefined && !this.sink(target, false)) return false;
      this.chunks += 1;
      this.remaining -= target.length;
      this.skip(end);
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.opened?.maker?.close();
  }

  private skip(bytes: number): void {
    const rest = Buffer.from(this.waiting.take().subarray(bytes));
    this.waiting.append(rest);
  }
}

/**
 * Large contents that arrive in chunks. Each is staged outside the packs while it streams, since its length and digest
 * are known only at its end. Then it is dropped if it is a duplicate, copied into a pack, or published as an object of
 * its own.
 */
import { crc32 } from 'node:zlib';
import { protocolViolation, type TardisError } from '../../errors/index.js';
import { type ContentId, NO_CONTENT, Scheme } from '../../model/index.js';
import {
  type Backend,
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  type CipherHead,
  type CodecNumber,
  CONTENT_INDEX_BYTES,
  DELTA_INDEX_BYTES,
  type ObjectWriter,
  readChunkHeader,
  RECORD_CHUNKED,
  RECORD_OF_ACCOUNT,
  RECORD_HEADER_BYTES,
  RECORD_SALT_BYTES,
  RECORD_SEAL_BYTES,
  type RecordKindNumber,
  type RecordHeader,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
  writeHeader,
} from '../index.js';

const PLAIN: CipherHead = { scheme: Scheme.plain, epoch: 0, salt: Buffer.alloc(RECORD_SALT_BYTES) };

/** Values that the client sends at the end of a stream. */
interface StreamEnd {
  readonly digest: Buffer;
  /** Bytes of the content. */
  readonly sizeBytes: number;
  /** Decoded bytes that were streamed. */
  readonly rawBytes: number;
  /** The client's seal of an encrypted record; empty for other records. */
  readonly seal: Buffer;
}

/** Maximum number of streams that one session may have open at once. */
export const MAX_OPEN_STREAMS = 32;

export interface StreamStart {
  readonly kind: RecordKindNumber;
  readonly codec: CodecNumber;
  readonly fileSizeBytes: number;
  /** The basis of a delta; undefined if it is not a delta. */
  readonly basis?: { readonly digest: Buffer; readonly contentId: ContentId };
  /** True if the result of a delta is a part. */
  readonly isPart?: boolean;
  /** Cipher of the record; undefined if it is not encrypted. */
  readonly cipher: CipherHead | undefined;
  /** True if the stream is from an account of the client. */
  readonly isOfAccount?: boolean;
}

/** A stream that has ended, staged and ready to be placed. */
export interface FinishedStream {
  readonly writer: ObjectWriter;
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly digest: Buffer;
}

export class IncomingStream {
  private readonly writer: ObjectWriter;
  private chunks = 0;

  constructor(
    backend: Backend,
    private readonly start: StreamStart,
  ) {
    this.writer = backend.stage();
    try {
      // Header and index get their values at the end.
      this.writer.append(Buffer.alloc(RECORD_HEADER_BYTES + this.indexBytes));
    } catch (error) {
      this.writer.close();
      throw error;
    }
  }

  /** Adds one encoded chunk. Throws PROTOCOL_VIOLATION if the chunk is invalid. */
  add(chunk: Buffer): void {
    if (chunk.length <= CHUNK_HEADER_BYTES) throw badChunk();
    const header = readArrived(chunk);
    const stored = chunk.subarray(CHUNK_HEADER_BYTES);
    if (header.storedBytes !== stored.length || crc32(stored) !== header.checksum) throw badChunk();
    this.writer.append(chunk);
    this.chunks += 1;
  }

  private get indexBytes(): number {
    const { basis, cipher } = this.start;
    const sealBytes = cipher === undefined ? 0 : RECORD_SEAL_BYTES;
    return sealBytes + (basis === undefined ? CONTENT_INDEX_BYTES : DELTA_INDEX_BYTES);
  }

  /** Id of the content that the delta is based on; 0 if the stream is not a delta. */
  get basisId(): ContentId {
    return this.start.basis?.contentId ?? NO_CONTENT;
  }

  get stagedBytes(): number {
    return this.writer.sizeBytes;
  }

  get kind(): RecordKindNumber {
    return this.start.kind;
  }

  /**
   * Completes the staged record. Throws PROTOCOL_VIOLATION if the lengths are impossible or the seal has a
   * wrong length.
   */
  finish(end: StreamEnd): FinishedStream {
    const { sizeBytes, rawBytes } = end;
    if (Math.ceil(rawBytes / STREAM_CHUNK_BYTES) !== this.chunks) throw badChunk();
    const {
      kind,
      codec,
      fileSizeBytes,
      basis,
      isPart = false,
      cipher,
      isOfAccount = false,
    } = this.start;
    if (end.seal.length !== (cipher === undefined ? 0 : RECORD_SEAL_BYTES)) {
      throw protocolViolation('a stream ends with a wrong seal');
    }
    const digest = Buffer.from(end.digest);
    const seal = cipher === undefined ? undefined : Buffer.from(end.seal);
    const content = { digest, sizeBytes, fileSizeBytes, chunkBytes: STREAM_CHUNK_BYTES, seal };
    const index =
      basis === undefined
        ? writeContentIndex(content)
        : writeDeltaIndex({ ...content, basis: basis.digest, isPart });
    const bodyBytes = this.writer.sizeBytes - RECORD_HEADER_BYTES - this.indexBytes;
    const header: RecordHeader = {
      kind,
      codec,
      ...(cipher ?? PLAIN),
      flags: RECORD_CHUNKED | (isOfAccount ? RECORD_OF_ACCOUNT : 0),
      sequence: 0,
      rawBytes,
      bodyBytes,
      indexBytes: index.length,
      bodyChecksum: crc32(index), // the body has no checksum of its own, since each chunk has one
    };
    const start = Buffer.alloc(RECORD_HEADER_BYTES + index.length);
    writeHeader(start, 0, header);
    index.copy(start, RECORD_HEADER_BYTES);
    this.writer.replaceStart(start);
    return { writer: this.writer, header, index, digest };
  }

  /** Deletes the staged record. */
  drop(): void {
    this.writer.close();
  }
}

/**
 * Reads the header of a chunk that arrived. A wrong header is the fault of the peer, not of the store, so it throws
 * PROTOCOL_VIOLATION.
 */
function readArrived(chunk: Buffer): ChunkHeader {
  try {
    return readChunkHeader(chunk, STREAM_CHUNK_BYTES);
  } catch (error) {
    throw badChunk(error);
  }
}

function badChunk(cause?: unknown): TardisError {
  return protocolViolation('a chunk of a stream is broken', {}, cause);
}

/**
 * Large contents arriving in chunks. Each is staged outside the packs while it streams, since its
 * length and digest are known only at its end; then it is dropped (a duplicate), copied into a pack,
 * or published as an object of its own.
 */
import { crc32 } from 'node:zlib';
import { TardisError } from '../errors/index.js';
import { Scheme } from '../model/index.js';
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
  RECORD_HEADER_BYTES,
  RECORD_SALT_BYTES,
  RECORD_SEAL_BYTES,
  type RecordKindNumber,
  type RecordHeader,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
  writeHeader,
} from '../store/index.js';

const PLAIN: CipherHead = { scheme: Scheme.plain, epoch: 0, salt: Buffer.alloc(RECORD_SALT_BYTES) };

/** What the end of a stream tells. */
export interface StreamEnd {
  readonly digest: Buffer;
  /** Of the content. */
  readonly sizeBytes: number;
  /** What was streamed, decoded. */
  readonly rawBytes: number;
  /** The client's seal of an encrypted record; else empty. */
  readonly seal: Buffer;
}

/** Streams one session may have open at once. */
export const MAX_OPEN_STREAMS = 32;

export interface StreamStart {
  readonly kind: RecordKindNumber;
  readonly codec: CodecNumber;
  readonly fileSizeBytes: number;
  /** Of a delta: what it was made on. */
  readonly basis?: { readonly digest: Buffer; readonly contentId: number };
  /** Of a delta: it makes a part. */
  readonly isPart?: boolean;
  /** How the client encrypts it; undefined: not. */
  readonly cipher: CipherHead | undefined;
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
  private readonly start: StreamStart;

  constructor(backend: Backend, start: StreamStart) {
    this.start = start;
    this.writer = backend.stage();
    try {
      // Header and index get their values at the end.
      this.writer.append(Buffer.alloc(RECORD_HEADER_BYTES + this.indexBytes));
    } catch (error) {
      this.writer.close();
      throw error;
    }
  }

  /** Adds one encoded chunk. Throws PROTOCOL_VIOLATION when it is not one. */
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

  /** The content it is a delta on. */
  get basisId(): number {
    return this.start.basis?.contentId ?? 0;
  }

  get stagedBytes(): number {
    return this.writer.sizeBytes;
  }

  get kind(): RecordKindNumber {
    return this.start.kind;
  }

  /**
   * Completes the staged record. Throws PROTOCOL_VIOLATION when the lengths cannot be.
   */
  finish(end: StreamEnd): FinishedStream {
    const { sizeBytes, rawBytes } = end;
    if (Math.ceil(rawBytes / STREAM_CHUNK_BYTES) !== this.chunks) throw badChunk();
    const { kind, codec, fileSizeBytes, basis, isPart = false, cipher } = this.start;
    if (end.seal.length !== (cipher === undefined ? 0 : RECORD_SEAL_BYTES)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a stream ends with a wrong seal');
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
      flags: RECORD_CHUNKED,
      sequence: 0,
      rawBytes,
      bodyBytes,
      indexBytes: index.length,
      bodyChecksum: crc32(index), // each chunk has its own
    };
    const start = Buffer.alloc(RECORD_HEADER_BYTES + index.length);
    writeHeader(start, 0, header);
    index.copy(start, RECORD_HEADER_BYTES);
    this.writer.replaceStart(start);
    return { writer: this.writer, header, index, digest };
  }

  /** Gives up what was staged. */
  drop(): void {
    this.writer.close();
  }
}

/** What is damaged on arrival is the peer's doing, not the store's. */
function readArrived(chunk: Buffer): ChunkHeader {
  try {
    return readChunkHeader(chunk, STREAM_CHUNK_BYTES);
  } catch (error) {
    throw badChunk(error);
  }
}

function badChunk(cause?: unknown): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', 'a chunk of a stream is broken', {}, cause);
}

/**
 * Reading contents back: fetch a record, decompress it, hand out what a piece of it is. Frames are
 * decoded once for all pieces that follow each other in them; large records flow in chunks.
 */
import { createHash } from 'node:crypto';
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import { DIGEST_BYTES } from '../model/index.js';
import {
  type Backend,
  CHUNK_HEADER_BYTES,
  decode,
  decodeChunk,
  MAX_FRAME_RAW_BYTES,
  readChunkHeader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import type { RestoreRecord } from './jobs.js';

/** A piece of a content, within the decoded record. */
export interface RecordPiece {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  readonly offset: number;
}

/** Memory that outlives a reader, so that it need not be taken again. */
export class ReaderMemory {
  decoded: Buffer = Buffer.alloc(0);
  stored: Buffer = Buffer.alloc(0);
}

/** Pieces may be this large in memory; all that a backup makes are. */
export const MAX_PIECE_BYTES = 64 << 20;

export class RecordReader {
  /** The record that `memory.decoded` holds whole. */
  private current: RestoreRecord | undefined;
  private currentBytes = 0;
  private readonly digest = Buffer.alloc(DIGEST_BYTES);
  private readonly backend: Backend;
  private readonly native: NativeCalls;
  private readonly memory: ReaderMemory;

  constructor(backend: Backend, native: NativeCalls, memory: ReaderMemory) {
    this.backend = backend;
    this.native = native;
    this.memory = memory;
  }

  /** Decodes a record into `memory.decoded` if it is small enough for that. */
  async isWhole(record: RestoreRecord): Promise<boolean> {
    const { current, memory } = this;
    if (record.object === current?.object && record.position === current.position) return true;
    if (record.recordBytes > 2 * MAX_FRAME_RAW_BYTES) return false;
    const bytes = await this.fetch(record, 0, record.recordBytes);
    const header = headerOf(record, bytes);
    if ((header.flags & RECORD_CHUNKED) !== 0) return false;
    if (header.rawBytes > MAX_FRAME_RAW_BYTES) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${record.object} claims too much`);
    }
    this.current = undefined;
    memory.decoded = room(memory.decoded, header.rawBytes);
    const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
    const body = bytes.subarray(bodyAt, bodyAt + header.bodyBytes);
    decode(header.codec, body, memory.decoded.subarray(0, header.rawBytes));
    this.current = record;
    this.currentBytes = header.rawBytes;
    return true;
  }

  /** Checks a piece of the record that was decoded last. Throws CONTENT_DAMAGED. */
  checkDecoded({ digest, sizeBytes, offset }: RecordPiece): void {
    if (offset + sizeBytes > this.currentBytes) throw damagedContent();
    this.native.sha256(this.memory.decoded, offset, sizeBytes, this.digest, 0);
    if (!this.digest.equals(digest)) throw damagedContent();
  }

  /**
   * The bytes of a piece, in parts that are good until the next one is asked for. They are checked when
   * all of them have come: CONTENT_DAMAGED then.
   */
  async *pieceBytes(record: RestoreRecord, piece: RecordPiece): AsyncGenerator<Buffer> {
    const { digest, sizeBytes, offset } = piece;
    if (await this.isWhole(record)) {
      this.checkDecoded(piece);
      yield this.memory.decoded.subarray(offset, offset + sizeBytes);
      return;
    }
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of this.chunks(record)) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes !== sizeBytes || !hash.digest().equals(digest)) throw damagedContent();
  }

  private async *chunks(record: RestoreRecord): AsyncGenerator<Buffer> {
    const { memory } = this;
    const header = headerOf(record, await this.fetch(record, 0, RECORD_HEADER_BYTES));
    this.current = undefined;
    memory.decoded = room(memory.decoded, STREAM_CHUNK_BYTES);
    let at = RECORD_HEADER_BYTES + header.indexBytes;
    const end = at + header.bodyBytes;
    let remaining = header.rawBytes;
    while (at < end && remaining > 0) {
      const head = await this.fetch(record, at, CHUNK_HEADER_BYTES);
      const chunk = readChunkHeader(head, STREAM_CHUNK_BYTES);
      const bytes = await this.fetch(record, at + CHUNK_HEADER_BYTES, chunk.storedBytes);
      const target = memory.decoded.subarray(0, Math.min(STREAM_CHUNK_BYTES, remaining));
      decodeChunk(header.codec, chunk, bytes, target);
      yield target;
      at += CHUNK_HEADER_BYTES + chunk.storedBytes;
      remaining -= target.length;
    }
  }

  private async fetch(record: RestoreRecord, from: number, bytes: number): Promise<Buffer> {
    const { memory } = this;
    memory.stored = room(memory.stored, bytes);
    let got: number;
    try {
      got = await this.backend.read(record.object, record.position + from, memory.stored, bytes);
    } catch (error) {
      // Only what is gone is damage; a disk that fails for a moment is not.
      if (systemCode(error) === 'ENOENT') {
        throw new TardisError('RECORD_DAMAGED', `${record.object} is missing`, {}, error);
      }
      throw asTardisError(error, `reading ${record.object}`);
    }
    if (got !== bytes) throw new TardisError('RECORD_DAMAGED', `${record.object} is cut off`);
    return memory.stored.subarray(0, bytes);
  }
}

function headerOf(record: RestoreRecord, bytes: Buffer): RecordHeader {
  const header = readHeader(bytes, 0);
  if (header === undefined || recordBytes(header) !== record.recordBytes) {
    throw new TardisError('RECORD_DAMAGED', `no record stands at its place in ${record.object}`);
  }
  return header;
}

function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}

function damagedContent(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the bytes are not what their digest says');
}

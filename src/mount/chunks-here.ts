/**
 * Reads chunks of large records, and decodes them in this thread. That takes less time than passing them to another thread
 * if no other request waits for this one.
 */
import { fetchRecord, type RecordPlace, type RecordSource } from '../contents/index.js';
import { TardisError } from '../errors/index.js';
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  type CodecNumber,
  decodeChunk,
  openChunk,
  readChunkHeader,
  type RecordCipher,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';

/** A record that consists of chunks. */
export interface ChunkedRecord {
  readonly head: Buffer;
  readonly codec: CodecNumber;
  /** Cipher of the record; undefined if it is not encrypted. */
  readonly cipher: RecordCipher | undefined;
  readonly rawBytes: number;
  /** Offsets in the record of the chunks found so far. */
  readonly places: number[];
  finding: Promise<void> | undefined;
}

/** A chunk to be decoded. */
export interface PlacedChunk {
  readonly header: ChunkHeader;
  readonly number: number;
  /** Offset of the chunk's stored bytes in the record. */
  readonly from: number;
  readonly sizeBytes: number;
}

export class ChunksHere {
  /** Memory for stored bytes. */
  private stored: Buffer = Buffer.alloc(0);
  /** True while the memory is in use, so that no other chunk can be decoded. */
  isBusy = false;
  private readonly backend: RecordSource['backend'];

  constructor(backend: RecordSource['backend']) {
    this.backend = backend;
  }

  /** Reads the header of the chunk at an offset of a record. Throws RECORD_DAMAGED. */
  async header(record: RecordPlace, at: number): Promise<ChunkHeader> {
    const head = Buffer.allocUnsafe(CHUNK_HEADER_BYTES);
    await fetchRecord(this.backend, record, at, head);
    return readChunkHeader(head, STREAM_CHUNK_BYTES);
  }

  /**
   * Decodes a chunk into `target`; with `from`, only as many bytes as `target` has, from that position on. Throws
   * RECORD_DAMAGED.
   */
  async decode(
    record: RecordPlace,
    { codec, cipher }: ChunkedRecord,
    { header, number, from: at, sizeBytes: rawBytes }: PlacedChunk,
    { target, from }: { readonly target: Buffer; readonly from?: number },
  ): Promise<void> {
    this.isBusy = true;
    try {
      const { storedBytes } = header;
      if (this.stored.length < storedBytes) this.stored = Buffer.allocUnsafeSlow(storedBytes);
      const stored = this.stored.subarray(0, storedBytes);
      await fetchRecord(this.backend, record, at, stored);
      const part = from === undefined ? undefined : { from, rawBytes };
      decodeChunk(codec, header, { stored, target, place: cipher && { cipher, number }, part });
    } finally {
      this.isBusy = false;
    }
  }

  /** Reads a chunk that is stored unencoded into `target`, which has its length. Throws RECORD_DAMAGED. */
  async readRaw(
    record: RecordPlace,
    { header, from, sizeBytes }: PlacedChunk,
    target: Buffer,
  ): Promise<Buffer> {
    if (header.storedBytes !== sizeBytes) throw impossibleLength(record);
    await fetchRecord(this.backend, record, from, target);
    return openChunk(header, target);
  }
}

/** Returns the error for a record, or a chunk in it, whose length is impossible. */
export function impossibleLength({ object }: RecordPlace): TardisError {
  return new TardisError('RECORD_DAMAGED', `a record in ${object} has an impossible length`);
}

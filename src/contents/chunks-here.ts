/**
 * Reads chunks of large records, and decodes them in this thread. That takes less time than passing them to another thread
 * if no other request waits for this one.
 */
import { recordDamaged, type TardisError } from '../errors/index.js';
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  type CodecNumber,
  decodeChunk,
  openChunk,
  readChunkHeader,
  RECORD_HEADER_BYTES,
  type RecordCipher,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { ReusedBuffers, room } from './reused-buffers.js';
import { fetchRecord, type RecordHead, type RecordSource } from './record-head.js';
import type { RecordPlace } from './stored-piece.js';

/** A record that consists of chunks. */
export interface ChunkedRecord {
  readonly codec: CodecNumber;
  /** Cipher of the record; undefined if it is not encrypted. */
  readonly cipher: RecordCipher | undefined;
  readonly rawBytes: number;
  /** Offsets in the record of the chunks found so far. */
  readonly places: number[];
  finding: Promise<void> | undefined;
}

/** Returns the record with this head, of which no chunk was found yet. */
export function chunkedRecord({ header, cipher }: RecordHead): ChunkedRecord {
  const { codec, rawBytes, indexBytes } = header;
  const places = [RECORD_HEADER_BYTES + indexBytes];
  return { codec, cipher, rawBytes, places, finding: undefined };
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
  /** True while the memory is in use, so that no other chunk can be decoded. */
  isBusy = false;

  /** `memory` has room for stored bytes. */
  constructor(
    private readonly backend: RecordSource['backend'],
    private readonly memory: ReusedBuffers = new ReusedBuffers(),
  ) {}

  /** Returns the offset of a chunk in its record. Throws RECORD_DAMAGED if the record has no such chunk. */
  async find(record: RecordPlace, layout: ChunkedRecord, number: number): Promise<number> {
    if (number * STREAM_CHUNK_BYTES >= layout.rawBytes) throw impossibleLength(record);
    while (layout.places.length <= number) await this.findNext(record, layout);
    return layout.places[number]!;
  }

  /** Finds a chunk and reads its header. Throws RECORD_DAMAGED. */
  async placed(record: RecordPlace, layout: ChunkedRecord, number: number): Promise<PlacedChunk> {
    const at = await this.find(record, layout, number);
    const header = await this.header(record, at);
    const restBytes = layout.rawBytes - number * STREAM_CHUNK_BYTES;
    const sizeBytes = Math.min(STREAM_CHUNK_BYTES, restBytes);
    return { header, number, from: at + CHUNK_HEADER_BYTES, sizeBytes };
  }

  /** Finds the beginning of the next chunk. Concurrent requests wait for the same result. */
  private async findNext(record: RecordPlace, layout: ChunkedRecord): Promise<void> {
    layout.finding ??= (async () => {
      const at = layout.places.at(-1)!;
      const { storedBytes } = await this.header(record, at);
      layout.places.push(at + CHUNK_HEADER_BYTES + storedBytes);
    })().finally(() => {
      layout.finding = undefined;
    });
    await layout.finding;
  }

  private async header(record: RecordPlace, at: number): Promise<ChunkHeader> {
    const head = Buffer.allocUnsafe(CHUNK_HEADER_BYTES);
    await fetchRecord(this.backend, record, at, head);
    return readChunkHeader(head, STREAM_CHUNK_BYTES);
  }

  /** Reads the stored bytes of a chunk; they are valid until the next call. */
  async stored(record: RecordPlace, { header, from }: PlacedChunk): Promise<Buffer> {
    const { storedBytes } = header;
    this.memory.stored = room(this.memory.stored, storedBytes);
    return fetchRecord(this.backend, record, from, this.memory.stored.subarray(0, storedBytes));
  }

  /**
   * Decodes a chunk into `target`; with `from`, only as many bytes as `target` has, from that position on. Throws
   * RECORD_DAMAGED.
   */
  async decode(
    record: RecordPlace,
    { codec, cipher }: ChunkedRecord,
    chunk: PlacedChunk,
    { target, from }: { readonly target: Buffer; readonly from?: number },
  ): Promise<void> {
    this.isBusy = true;
    try {
      const stored = await this.stored(record, chunk);
      const { header, number, sizeBytes: rawBytes } = chunk;
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
  return recordDamaged(`a record in ${object} has an impossible length`);
}

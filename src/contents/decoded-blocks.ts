/**
 * Decodes records, contents and chunks for readers: in another thread, or in this one if no other request waits.
 * Decoded bytes are kept for a while (`DecodedCache`).
 */
import { bufferOf } from '../model/index.js';
import {
  type ClientDirectory,
  type ExpectedRange,
  type ObjectReader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { BoundedCache, keepLoading } from '../system/index.js';
import {
  type ChunkedRecord,
  chunkedRecord,
  ChunksHere,
  impossibleLength,
  type PlacedChunk,
} from './chunks-here.js';
import { DecodedDigests } from './decoded-digests.js';
import { checkPiece, DecodedCache, type DecodedBlock } from './decoded-cache.js';
import { type DecodedRecords, RangeReader, tooShort } from './range-reader.js';
import type { DecodeInput, DecodeOutput, RecordDecoder } from './record-decoder.js';
import { fetchHead, fetchRecord, type RecordSource } from './record-head.js';
import { after, type Soon } from './soon.js';
import {
  type ContentPlace,
  type RecordPlace,
  recordKey,
  type StoredPiece,
} from './stored-piece.js';
import { MAX_WHOLE_BYTES } from './whole-record.js';
import { PackAhead } from './pack-ahead.js';

/**
 * Maximum number of records that are remembered as decoded. A walk through a pack does not decode them ahead again.
 */
const MAX_DECODED = 4096;
/** Maximum number of records whose chunks were found and are remembered; each takes some hundred bytes. */
const MAX_RECORDS = 256;
/** Maximum number of decoding jobs with which further data is decoded ahead. */
const MAX_AHEAD = 3;

/**
 * Records that are remembered: a walk comes back to one that it is in sooner than that. With more, contents that lie in the
 * same record by chance have it decoded as a whole.
 */
const MAX_RECENT = 16;

const NO_CONTENTS: Omit<DecodedBlock, 'bytes'> = {
  startBytes: 0,
  digests: new DecodedDigests(new Uint8Array(0)),
};

/** A record in chunks, with its header and index for another thread. */
interface ChunkedBlocks extends ChunkedRecord {
  readonly head: Buffer;
}

/** Layout of a record; undefined if the record is in one piece. */
type Layout = ChunkedBlocks | undefined;

/** Decodes records in another thread. */
type Decoder = Pick<RecordDecoder, 'decode' | 'reuse'>;

export class DecodedBlocks implements DecodedRecords {
  /** Reads ranges of contents from these blocks. */
  readonly ranges = new RangeReader(this);
  private readonly cache: DecodedCache;
  private readonly lone = new LoneContents();
  /** Ranges of chunks that were decoded alone. */
  private readonly loneRanges = new LoneContents();
  private readonly records = new BoundedCache<string, Soon<Layout>>(MAX_RECORDS);
  /** Keys of the records that were decoded last. */
  private readonly decoded = new BoundedCache<string, true>(MAX_DECODED);
  /** Number of decoding jobs that run or wait. */
  running = 0;
  /** True while only one request is being answered. */
  isAlone = false;
  /** Called when a record, content or chunk was decoded. */
  onDecoded: () => void = () => undefined;
  /**
   * Decodes the next records in advance; undefined if the store is behind a server, where finding them would cost a
   * round trip.
   */
  private readonly walk: PackAhead | undefined;
  private readonly here: ChunksHere;
  private readonly wholeRecords: ObjectReader;

  /** `directory`: that of the client, if the decoder can read its records. `whole`: reads records in one piece. */
  constructor(
    private readonly source: RecordSource,
    private readonly decoder: Decoder,
    private readonly directory: ClientDirectory | undefined,
    whole: ObjectReader = source.backend,
  ) {
    this.wholeRecords = whole;
    this.here = new ChunksHere(source.backend);
    this.cache = new DecodedCache({
      onAdded: () => this.onDecoded(),
      release: (memory) => decoder.reuse(memory),
    });
    const prefetch = (record: RecordPlace): void => {
      if (!this.decoded.has(recordKey(record))) this.prefetch(record);
    };
    this.walk = directory === undefined ? undefined : new PackAhead(source.backend, prefetch);
  }

  /** Returns the layout of a record: its chunks, or undefined if it is in one piece. */
  layout(record: RecordPlace): Soon<Layout> {
    const key = recordKey(record);
    const known = this.records.get(key);
    if (known !== undefined || this.records.has(key)) return known;
    if (record.recordBytes <= STREAM_CHUNK_BYTES / 2) {
      // Chunked records are larger, except for a few; those show when they are decoded.
      return undefined;
    }
    return this.findLayout(key, record);
  }

  private findLayout(key: string, record: RecordPlace): Promise<Layout> {
    return keepLoading(this.records, key, this.readLayout(record));
  }

  private async readLayout(record: RecordPlace): Promise<Layout> {
    const found = await fetchHead(this.source, record);
    if ((found.header.flags & RECORD_CHUNKED) === 0) return undefined;
    const head = Buffer.alloc(RECORD_HEADER_BYTES + found.header.indexBytes);
    await fetchRecord(this.source.backend, record, 0, head);
    return { ...chunkedRecord(found), head };
  }

  /** Returns a decoded record that is in one piece; undefined if the record turns out to be in chunks. */
  whole(record: RecordPlace): Soon<DecodedBlock | undefined> {
    this.walk?.follow(record);
    return this.inOnePiece(record);
  }

  /**
   * Returns a block with a content of a record in one piece; undefined if the record turns out to be in chunks. A lone
   * content is decoded alone. A content is lone if none of its neighbours in the directory is in its record.
   */
  holding(piece: StoredPiece, isLone: boolean): Soon<DecodedBlock | undefined> {
    return this.isDecodedAlone(piece, isLone) ? this.inOnePiece(piece, piece) : this.whole(piece);
  }

  private isDecodedAlone(piece: StoredPiece, isLone: boolean): boolean {
    const key = recordKey(piece);
    return isLone && !this.cache.has(key) && this.lone.take(key, piece.offset);
  }

  /** Begins to decode a record that is probably read next. */
  prefetch(record: RecordPlace): void {
    if (this.running >= MAX_AHEAD || this.has(record)) return;
    this.leave(this.inOnePiece(record));
  }

  /**
   * Begins to decode the block of a small content that is probably read next. Returns false if too much is being
   * decoded. Never throws: the reader of a damaged record gets the error.
   */
  prefetchHolding(piece: StoredPiece, isLone: boolean): boolean {
    const isReady = this.has(piece) || this.cache.has(keyAlone(piece, piece));
    if (isReady || isTooLarge(piece)) return true;
    if (this.running >= MAX_AHEAD) return false;
    const isAlone = this.isDecodedAlone(piece, isLone);
    this.leave(this.inOnePiece(piece, isAlone ? piece : undefined));
    return true;
  }

  /** Returns the block that holds a small content, if it is decoded. */
  decodedHolding(piece: StoredPiece): DecodedBlock | undefined {
    return this.cache.decoded(recordKey(piece)) ?? this.cache.decoded(keyAlone(piece, piece));
  }

  /** Ignores errors of a block that is being decoded, since its readers get them. */
  private leave(block: Soon<unknown>): void {
    if (block instanceof Promise) block.catch(() => undefined);
  }

  /**
   * Records that a content of a decoded record was read to its end. The kernel caches the data that it has read. A
   * record whose contents were all read is therefore removed before records that are still being read.
   */
  noteRead(piece: StoredPiece, block: DecodedBlock): void {
    if (!block.digests.noteRead(piece)) return;
    this.cache.noteSpent(recordKey(piece), block);
    this.cache.noteSpent(keyAlone(piece, piece), block);
  }

  /**
   * Decodes a record that is in one piece, or only `content` of it. Returns undefined if the record is in chunks after
   * all. Throws RECORD_DAMAGED for an impossible length.
   */
  private inOnePiece(record: RecordPlace, content?: ContentPlace): Soon<DecodedBlock | undefined> {
    if (isTooLarge(record)) throw impossibleLength(record);
    const key = content === undefined ? recordKey(record) : keyAlone(record, content);
    const block =
      this.cache.get(key) ??
      this.cache.add(key, async () => {
        const contents = content && [content];
        const output = await this.decode({ record, contents }, record.position, record.recordBytes);
        if (!output.isWhole) throw new NotWhole();
        if (content === undefined) this.decoded.set(key, true);
        return blockOf(output);
      });
    return this.unlessChunked(record, block);
  }

  /** Returns undefined instead of a block if its record turns out to be in chunks. */
  private unlessChunked(
    record: RecordPlace,
    block: Soon<DecodedBlock>,
  ): Soon<DecodedBlock | undefined> {
    if (!(block instanceof Promise)) return block;
    // All who wait for it learn that it is not whole.
    return block.catch((error: unknown) => {
      if (!(error instanceof NotWhole)) throw error;
      const key = recordKey(record);
      return after(this.records.get(key) ?? this.findLayout(key, record), () => undefined);
    });
  }

  /** Returns one decoded chunk. `isAhead`: true if no request waits for the chunk yet. */
  chunk(
    record: RecordPlace,
    layout: ChunkedBlocks,
    number: number,
    isAhead = false,
  ): Soon<DecodedBlock> {
    const key = `${recordKey(record)}#${number}`;
    return (
      this.cache.get(key) ??
      this.cache.add(key, () => this.readChunk(record, layout, number, isAhead))
    );
  }

  /**
   * Returns a block with a range of a chunk, for a reader at random positions. Only the bytes up to the end of the range are
   * decoded, and they are not kept, unless another range of the chunk was read a moment ago.
   */
  range(
    record: RecordPlace,
    layout: ChunkedBlocks,
    number: number,
    range: ContentPlace,
  ): Soon<DecodedBlock> {
    const key = `${recordKey(record)}#${number}`;
    const isAlone = this.isAlone && !this.here.isBusy && this.directory !== undefined;
    if (this.cache.has(key) || !isAlone || !this.loneRanges.take(key, range.offset)) {
      return this.chunk(record, layout, number);
    }
    return this.readRange(record, layout, number, range);
  }

  private async readRange(
    record: RecordPlace,
    layout: ChunkedBlocks,
    number: number,
    { offset, sizeBytes }: ContentPlace,
  ): Promise<DecodedBlock> {
    const chunk = await this.placed(record, layout, number);
    const isPlainRaw = chunk.header.isRaw && this.source.keys === undefined;
    // Another request may have taken the memory meanwhile.
    if (isPlainRaw || this.here.isBusy || offset + sizeBytes > chunk.sizeBytes) {
      return this.chunk(record, layout, number);
    }
    const target = Buffer.allocUnsafeSlow(sizeBytes);
    await this.here.decode(record, layout, chunk, { target, from: offset });
    return { ...NO_CONTENTS, bytes: target, startBytes: offset };
  }

  private async readChunk(
    record: RecordPlace,
    layout: ChunkedBlocks,
    number: number,
    isAhead: boolean,
  ): Promise<DecodedBlock> {
    const isAlone = this.isAlone && !isAhead;
    const chunk = await this.placed(record, layout, number);
    if (this.directory !== undefined) {
      if (chunk.header.isRaw && this.source.keys === undefined) {
        const target = this.cache.room(chunk.sizeBytes);
        return { bytes: await this.here.readRaw(record, chunk, target), ...NO_CONTENTS };
      }
      if (isAlone && !this.here.isBusy) {
        const target = this.cache.room(chunk.sizeBytes);
        await this.here.decode(record, layout, chunk, { target });
        return { bytes: target, ...NO_CONTENTS };
      }
    }
    return this.decodeElsewhere(record, layout, chunk);
  }

  /** Finds a chunk in its record. Throws RECORD_DAMAGED if the record has no such chunk. */
  private async placed(
    record: RecordPlace,
    layout: ChunkedBlocks,
    number: number,
  ): Promise<PlacedChunk> {
    // A reader that goes on to the second chunk mostly reads all.
    const isWalk = number === 1 && layout.places.length === 1;
    const at = await this.here.find(record, layout, number);
    if (isWalk) this.source.backend.expect?.([restOf(record, at)]);
    return this.here.placed(record, layout, number);
  }

  private async decodeElsewhere(
    record: RecordPlace,
    { head }: ChunkedBlocks,
    { header, number, from, sizeBytes }: PlacedChunk,
  ): Promise<DecodedBlock> {
    const chunk = { ...header, number, at: from, sizeBytes, head };
    const what = { record, chunk };
    const { bytes } = await this.decode(what, record.position + from, header.storedBytes);
    return { bytes: bufferOf(bytes), ...NO_CONTENTS };
  }

  async fill(piece: StoredPiece, from: number, target: Buffer): Promise<void> {
    const layout = await this.opened(piece);
    if ('bytes' in layout) {
      if (piece.basis === undefined) checkPiece(layout, piece);
      if (from + target.length > layout.bytes.length) throw tooShort();
      layout.bytes.copy(target, 0, from, from + target.length);
      return;
    }
    for (let done = 0; done < target.length; ) {
      const at = from + done;
      const number = Math.floor(at / STREAM_CHUNK_BYTES);
      const { bytes } = await this.chunk(piece, layout, number);
      const start = at - number * STREAM_CHUNK_BYTES;
      const copied = bytes.copy(target, done, start, start + target.length - done);
      if (copied === 0) throw tooShort();
      done += copied;
    }
  }

  async *all(piece: StoredPiece): AsyncGenerator<Buffer> {
    const layout = await this.opened(piece);
    if ('bytes' in layout) {
      yield layout.bytes;
      return;
    }
    for (let number = 0; number * STREAM_CHUNK_BYTES < layout.rawBytes; number += 1) {
      yield (await this.chunk(piece, layout, number)).bytes;
    }
  }

  /** Returns the block of a whole record, or the layout of a record in chunks. */
  private async opened(record: RecordPlace): Promise<DecodedBlock | ChunkedBlocks> {
    const layout =
      (await this.layout(record)) ?? (await this.whole(record)) ?? (await this.layout(record));
    if (layout === undefined) throw tooShort();
    return layout;
  }

  /** True if a chunk or record is decoded, or being decoded. */
  has(record: RecordPlace, number?: number): boolean {
    return this.cache.has(
      number === undefined ? recordKey(record) : `${recordKey(record)}#${number}`,
    );
  }

  private async decode(
    what: Pick<DecodeInput, 'record' | 'chunk' | 'contents'>,
    position: number,
    bytes: number,
  ) {
    const { keys, backend } = this.source;
    this.running += 1;
    try {
      if (this.directory !== undefined) {
        return await this.decoder.decode({ ...what, source: { directory: this.directory }, keys });
      }
      const { object } = what.record;
      const stored = Buffer.allocUnsafeSlow(bytes);
      const place = { object, position, recordBytes: bytes };
      const from = what.chunk === undefined ? this.wholeRecords : backend;
      if (what.chunk === undefined) from.expect?.([restOf(place, 0)]);
      await fetchRecord(from, place, 0, stored);
      return await this.decoder.decode({ ...what, source: { stored }, keys });
    } finally {
      this.running -= 1;
    }
  }
}

function blockOf({ bytes, startBytes, digests }: DecodeOutput): DecodedBlock {
  return { bytes: bufferOf(bytes), startBytes, digests: new DecodedDigests(digests) };
}

/** Returns the range of a record from an offset on. */
function restOf({ object, position, recordBytes }: RecordPlace, at: number): ExpectedRange {
  return { object, position: position + at, bytes: recordBytes - at };
}

/** Thrown if a record that was expected to be in one piece is in chunks. */
class NotWhole extends Error {}

/** Returns the key of a content that is decoded alone. */
function keyAlone(record: RecordPlace, { offset }: Pick<ContentPlace, 'offset'>): string {
  return `${recordKey(record)}+${offset}`;
}

/** True if no record in one piece has this length. */
function isTooLarge({ recordBytes }: RecordPlace): boolean {
  return recordBytes > MAX_WHOLE_BYTES;
}

/**
 * Decides which contents are decoded alone. A record of small files has some hundred contents. A file that equals an
 * older file is stored in the record of the older file. A walk needs nothing else from that record.
 */
export class LoneContents {
  /** Offset of the content that was decoded alone, by the key of its record. */
  private readonly recent = new BoundedCache<string, number>(MAX_RECENT);

  /**
   * True if this content should be decoded alone: no other content of the record was decoded alone a moment ago. The
   * content is then remembered.
   */
  take(record: string, offset: number): boolean {
    const known = this.recent.peek(record);
    if (known !== undefined && known !== offset) return false;
    this.recent.set(record, offset);
    return true;
  }
}

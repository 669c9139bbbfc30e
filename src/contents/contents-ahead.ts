/**
 * Decodes contents ahead of a stream, on threads of libuv's pool. A record from which the stream needs little is decoded
 * only in part: for example, one with a content that equals a new file.
 */
import { bufferOf, type ContentKeys, listAt } from '../model/index.js';
import { type ClientDirectory, type ObjectReader, STREAM_CHUNK_BYTES } from '../store/index.js';
import { BoundedCache, type System } from '../system/index.js';
import { DecodedDigests } from './decoded-digests.js';
import { damagedContent } from './proven-bytes.js';
import { type DecodeInput, RecordDecoder } from './record-decoder.js';
import { fetchRecord } from './record-head.js';
import { SpareMemory } from './spare-memory.js';
import {
  type ContentPlace,
  rangeOf,
  recordKey,
  type RecordPlace,
  type StoredPiece,
} from './stored-piece.js';

/** Number of records that are decoded before their first content is taken. */
const AHEAD = 3;
/** Number of records that are decoded at once. */
const AT_ONCE = 2;
/** Maximum memory of the records from which contents were taken; one record may have more. */
const MAX_HELD_BYTES = 16 << 20;

/** A decoded record, or some contents of it. */
interface Decoded {
  /** The contents, and their digests as computed from the bytes. */
  readonly digests: DecodedDigests;
  /** Positions of the contents in `bytes`; undefined if they are the offsets. */
  readonly starts: Uint32Array | undefined;
  readonly bytes: Buffer;
}

/** The store of a client, of which contents are read. */
interface ContentsSource {
  /** Directory of the client; undefined if its records are fetched. */
  readonly directory: ClientDirectory | undefined;
  readonly contentKeys: ContentKeys | undefined;
}

/** A record of the plan. */
interface Planned {
  readonly record: RecordPlace;
  /** The contents to decode; undefined if the whole record is decoded. */
  readonly some: readonly ContentPlace[] | undefined;
  /** Undefined until decoding has begun. It resolves with undefined if the record is in chunks. */
  decoded: Promise<Decoded | undefined> | undefined;
  /** True once decoding has begun, until the first content is taken. */
  isAhead: boolean;
}

export class ContentsAhead {
  /** The records of the plan by their keys, in the order of their first contents. */
  private records = new Map<string, Planned>();
  /** The records that are not begun. */
  private coming: Iterator<Planned> = [].values();
  /** Number of records that are begun, and of which no content was taken. */
  private ahead = 0;
  /** Decoded records of which contents were taken, least recently used first. */
  private readonly held = new BoundedCache<Planned, Decoded>(MAX_HELD_BYTES, (decoded, record) => {
    record.decoded = undefined; // if a content of it is taken later, it is decoded again
    this.free(decoded);
  });
  private readonly decoder: RecordDecoder;
  constructor(
    system: System,
    private readonly source: ContentsSource,
    private readonly backend: ObjectReader,
  ) {
    this.decoder = new RecordDecoder(system, AT_ONCE, new SpareMemory());
  }

  /**
   * Plans the reading of contents in their order. Contents in several pieces, deltas and large records are not planned.
   * Whole records of an earlier plan stay decoded if the new plan has them.
   */
  plan(contents: readonly (readonly StoredPiece[])[]): void {
    const before = this.records;
    this.records = new Map();
    this.ahead = 0;
    for (const [key, [first, ...others]] of byRecord(contents)) {
      const known = before.get(key);
      const isKept = known !== undefined && known.some === undefined && this.held.has(known);
      this.records.set(key, isKept ? known : planned(first, others));
      if (isKept) before.delete(key);
    }
    for (const old of before.values()) this.drop(old);
    this.coming = this.records.values();
    const needed = [...this.records.values()].filter(({ decoded }) => decoded === undefined);
    this.backend.expect?.(needed.map(({ record }) => rangeOf(record)));
  }

  /**
   * Returns the bytes of a content, which are valid until the next call; undefined if the content is not planned, or must be
   * read by chunks. Throws CONTENT_DAMAGED, RECORD_DAMAGED, IO_FAILED.
   */
  async take(piece: StoredPiece): Promise<Buffer | undefined> {
    const record = this.records.get(recordKey(piece));
    if (record === undefined) return undefined;
    this.begin();
    record.decoded ??= this.started(record);
    if (record.isAhead) {
      record.isAhead = false;
      this.ahead -= 1;
      this.begin();
    }
    const decoded = await record.decoded;
    if (decoded === undefined) return undefined;
    this.held.set(record, decoded, decoded.bytes.length);
    return contentIn(decoded, piece);
  }

  /** Frees the memory. No content may be in use. */
  close(): void {
    this.plan([]);
  }

  /** Begins to decode the next records. */
  private begin(): void {
    while (this.ahead < AHEAD) {
      const { done, value } = this.coming.next();
      if (done === true) return;
      if (value.decoded !== undefined) continue;
      value.decoded = this.started(value);
      value.isAhead = true;
      this.ahead += 1;
    }
  }

  private started(record: Planned): Promise<Decoded | undefined> {
    const decoded = this.decoded(record);
    decoded.catch(() => undefined); // `take` gets the error
    return decoded;
  }

  /** Frees the memory of a record. */
  private drop(record: Planned): void {
    const { decoded } = record;
    if (decoded === undefined) return;
    record.decoded = undefined;
    const held = this.held.peek(record);
    if (held === undefined) {
      decoded.then(
        (late) => this.free(late),
        () => undefined, // nothing takes it any more
      );
      return;
    }
    this.held.delete(record);
    this.free(held);
  }

  private free(decoded: Decoded | undefined): void {
    if (decoded !== undefined) this.decoder.reuse([decoded.bytes]);
  }

  private async decoded({ record, some }: Planned): Promise<Decoded | undefined> {
    const { directory, contentKeys: keys } = this.source;
    const source: DecodeInput['source'] =
      directory === undefined ? { stored: await this.fetched(record) } : { directory };
    const output = await this.decoder.decode({ source, record, contents: some, keys });
    if (!output.isWhole) return undefined;
    const bytes = bufferOf(output.bytes);
    const digests = new DecodedDigests(output.digests);
    if (some === undefined) return { digests, starts: undefined, bytes };
    const apart = copied(bytes, digests, output.startBytes);
    this.decoder.reuse([bytes]);
    return apart;
  }

  private fetched(record: RecordPlace): Promise<Buffer> {
    return fetchRecord(this.backend, record, 0, Buffer.allocUnsafeSlow(record.recordBytes));
  }
}

type Pieces = [first: StoredPiece, ...others: StoredPiece[]];

/** Returns the contents that can be planned, by the keys of their records. */
function byRecord(contents: readonly (readonly StoredPiece[])[]): Map<string, Pieces> {
  const found = new Map<string, Pieces>();
  for (const [piece, ...others] of contents) {
    if (piece === undefined || others.length > 0 || piece.basis !== undefined) continue;
    if (piece.recordBytes > STREAM_CHUNK_BYTES) continue;
    const key = recordKey(piece);
    listAt(found, key).push(piece);
  }
  return found;
}

/** Plans a record. It is decoded whole if it has several of the contents, which are half of it or more up to the last one. */
function planned(first: StoredPiece, others: readonly StoredPiece[]): Planned {
  const places = new Map([first, ...others].map((piece) => [piece.offset, piece]));
  const some = [...places.values()].sort((one, other) => one.offset - other.offset);
  const endBytes = Math.max(...some.map(({ offset, sizeBytes }) => offset + sizeBytes));
  const neededBytes = some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const isDense = others.length > 0 && neededBytes * 2 >= endBytes;
  return { record: first, some: isDense ? undefined : some, decoded: undefined, isAhead: false };
}

/** Copies contents out of the range of a record that begins at `startBytes`, without what lies between them. */
function copied(range: Buffer, digests: DecodedDigests, startBytes: number): Decoded {
  const places = digests.places();
  const starts = new Uint32Array(places.length);
  let neededBytes = 0;
  for (const [index, { sizeBytes }] of places.entries()) {
    starts[index] = neededBytes;
    neededBytes += sizeBytes;
  }
  const bytes = Buffer.allocUnsafeSlow(neededBytes);
  for (const [index, { offset, sizeBytes }] of places.entries()) {
    const from = offset - startBytes;
    range.copy(bytes, starts[index], from, from + sizeBytes);
  }
  return { digests, starts, bytes };
}

/**
 * Returns the bytes of a content. Returns undefined if the record lacks it: then it is left to the reader of whole records,
 * which reports the damage. Throws CONTENT_DAMAGED.
 */
function contentIn({ digests, starts, bytes }: Decoded, piece: StoredPiece): Buffer | undefined {
  const row = digests.find(piece);
  if (row < 0) return undefined;
  if (!digests.has(piece, piece.digest)) {
    throw damagedContent();
  }
  const start = starts?.[row] ?? piece.offset;
  return bytes.subarray(start, start + piece.sizeBytes);
}

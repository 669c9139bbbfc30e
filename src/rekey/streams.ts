/** Records in chunks, brought into the new generation chunk by chunk: as much is in memory, and no more. */
import { createHash } from 'node:crypto';
import { applyContentRecord } from '../catalog/index.js';
import { fetchHead, fetchRecord, type RecordPlace } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { contentDigest } from '../model/index.js';
import { type ClientStore, IncomingStream, type StreamStart } from '../keeper/index.js';
import {
  buildChunk,
  buildEncodedChunk,
  CHUNK_HEADER_BYTES,
  Codec,
  type ContentIndex,
  decode,
  MAX_INDEX_BYTES,
  openChunk,
  readChunkHeader,
  readContentIndex,
  readDeltaIndex,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  type RecordCipher,
  type RecordHeader,
  RecordKind,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
} from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import type { NewKeys } from './new-keys.js';
import type { OldGeneration } from './old-generation.js';

/** What is known of a record before it is read: of a delta and of a signature, whose bytes are not the content's. */
interface Known {
  /** Of the content, by the new keys. */
  readonly digest: Buffer;
  /** Of a delta. */
  readonly basis?: Buffer;
}

const NO_SEAL: Buffer = Buffer.alloc(0);
const COMPRESSION = { codec: Codec.zstd, level: 3 } as const;

/** As what a delta is opened that will be none. */
const DELTA: Known = { digest: NO_SEAL, basis: NO_SEAL };

interface Source {
  readonly place: RecordPlace;
  readonly header: RecordHeader;
  readonly index: ContentIndex;
  readonly cipher: RecordCipher | undefined;
}

export class StreamMover {
  private readonly native: NativeCalls;
  private readonly old: OldGeneration;
  private readonly store: ClientStore;
  private readonly keys: NewKeys;
  private readonly decoded = Buffer.allocUnsafeSlow(STREAM_CHUNK_BYTES);

  constructor(native: NativeCalls, old: OldGeneration, store: ClientStore, keys: NewKeys) {
    this.native = native;
    this.old = old;
    this.store = store;
    this.keys = keys;
  }

  /**
   * Moves one record; what is not `known` is proven by its digest. Returns the new digest of its content.
   * Throws RECORD_DAMAGED, CONTENT_DAMAGED.
   */
  async move(place: RecordPlace, known?: Known): Promise<Buffer> {
    const { store } = this;
    const source = await this.open(place, known);
    const { header, index } = source;
    const cipher = this.keys.freshCipher();
    const stream = new IncomingStream(store.backend, this.startOf(source, cipher, known));
    try {
      const hash = await this.copy(source, stream, cipher);
      const digest = known?.digest ?? this.provenDigest(hash, index);
      const { sizeBytes } = index;
      const { rawBytes } = header;
      const fresh = freshIndex(source, digest, known?.basis);
      const seal = cipher?.sealOf(header.kind, header.codec, rawBytes, fresh) ?? NO_SEAL;
      const finished = stream.finish({ digest, sizeBytes, rawBytes, seal });
      const location = await store.placeStaged(finished);
      applyContentRecord(store.catalog, finished.header, finished.index, location);
      return digest;
    } catch (error) {
      stream.drop();
      throw error;
    }
  }

  /** Writes a delta's content whole, since nothing is left to rest on. Throws what `move` throws. */
  async makeWhole(place: RecordPlace, bytes: AsyncIterable<Buffer>): Promise<Buffer> {
    const { store } = this;
    const source = await this.open(place, DELTA);
    const kind = isPart(source.index) ? RecordKind.part : RecordKind.content;
    const { codec } = COMPRESSION;
    const { fileSizeBytes } = source.index;
    const cipher = this.keys.freshCipher();
    const start = { kind, codec, fileSizeBytes, cipher: cipher?.head };
    const stream = new IncomingStream(store.backend, start);
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      let number = 0;
      for await (const raw of inChunks(bytes)) {
        hash.update(raw);
        sizeBytes += raw.length;
        stream.add(buildChunk(raw, COMPRESSION, cipher && { cipher, number }));
        number += 1;
      }
      const digest = this.provenDigest(hash.digest(), source.index);
      const fresh = freshIndex(source, digest, undefined);
      const seal = cipher?.sealOf(kind, codec, sizeBytes, fresh) ?? NO_SEAL;
      const finished = stream.finish({ digest, sizeBytes, rawBytes: sizeBytes, seal });
      const location = await store.placeStaged(finished);
      applyContentRecord(store.catalog, finished.header, finished.index, location);
      return digest;
    } catch (error) {
      stream.drop();
      throw error;
    }
  }

  private async open(place: RecordPlace, known: Known | undefined): Promise<Source> {
    const { header, cipher } = await fetchHead(this.old.source, place);
    const isDelta = header.kind === RecordKind.delta;
    const isSignature = header.kind === RecordKind.signature;
    const isContent = header.kind === RecordKind.content || header.kind === RecordKind.part;
    const isExpected =
      (header.flags & RECORD_CHUNKED) !== 0 &&
      header.indexBytes <= MAX_INDEX_BYTES &&
      (known === undefined ? isContent : known.basis === undefined ? isSignature : isDelta);
    if (!isExpected) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${place.object} is of another kind`);
    }
    const bytes = Buffer.allocUnsafe(header.indexBytes);
    await fetchRecord(this.old.source.backend, place, RECORD_HEADER_BYTES, bytes);
    const index = isDelta ? readDeltaIndex(bytes) : readContentIndex(bytes);
    return { place, header, index, cipher };
  }

  private startOf(
    { header, index }: Source,
    cipher: RecordCipher | undefined,
    known: Known | undefined,
  ): StreamStart {
    const { kind, codec } = header;
    const { fileSizeBytes } = index;
    const start = { kind, codec, fileSizeBytes, cipher: cipher?.head };
    if (known?.basis === undefined) return start;
    const contentId = this.store.catalog.contents.find(known.basis)?.contentId ?? 0;
    return { ...start, basis: { digest: known.basis, contentId }, isPart: isPart(index) };
  }

  /** The chunks as they are, but for their encryption; returns the hash of what is in them. */
  private async copy(
    { place, header, cipher }: Source,
    stream: IncomingStream,
    fresh: RecordCipher | undefined,
  ): Promise<Buffer> {
    const { backend } = this.old.source;
    const hash = createHash('sha256');
    let at = RECORD_HEADER_BYTES + header.indexBytes;
    let remaining = header.rawBytes;
    for (let number = 0; at < place.recordBytes && remaining > 0; number += 1) {
      const head = Buffer.allocUnsafe(CHUNK_HEADER_BYTES);
      const chunk = readChunkHeader(
        await fetchRecord(backend, place, at, head),
        STREAM_CHUNK_BYTES,
      );
      const bytes = Buffer.allocUnsafe(chunk.storedBytes);
      await fetchRecord(backend, place, at + CHUNK_HEADER_BYTES, bytes);
      const encoded = openChunk(chunk, bytes, cipher && { cipher, number });
      const decoded = this.decoded.subarray(0, Math.min(STREAM_CHUNK_BYTES, remaining));
      decode(chunk.isRaw ? Codec.none : header.codec, encoded, decoded);
      hash.update(decoded);
      stream.add(buildEncodedChunk(encoded, chunk.isRaw, fresh && { cipher: fresh, number }));
      at += CHUNK_HEADER_BYTES + chunk.storedBytes;
      remaining -= decoded.length;
    }
    if (remaining !== 0 || at !== place.recordBytes) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${place.object} has another length`);
    }
    return hash.digest();
  }

  private provenDigest(hash: Buffer, { digest }: ContentIndex): Buffer {
    const { native, old, keys } = this;
    const found = contentDigest(native, old.keyring?.contents, Buffer.from(hash));
    if (!found.equals(digest)) {
      throw new TardisError('CONTENT_DAMAGED', 'the bytes are not what their digest says');
    }
    return keys.digest(hash);
  }
}

/** The same bytes in runs of a chunk each. */
async function* inChunks(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(STREAM_CHUNK_BYTES);
  let filled = 0;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.copy(chunk, filled, at);
      filled += taken;
      at += taken;
      if (filled < chunk.length) continue;
      yield chunk;
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

function isPart(index: ContentIndex): boolean {
  return 'isPart' in index && index.isPart === true;
}

/** The index as the new record has it, without its seal. */
function freshIndex({ index }: Source, digest: Buffer, basis: Buffer | undefined): Buffer {
  const { sizeBytes, fileSizeBytes } = index;
  const content = { digest, sizeBytes, fileSizeBytes, chunkBytes: STREAM_CHUNK_BYTES };
  if (basis === undefined) return writeContentIndex(content);
  return writeDeltaIndex({ ...content, basis, isPart: isPart(index) });
}

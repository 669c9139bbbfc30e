/** Copies records in chunks into the new generation, with at most one chunk in memory. */
import { createHash } from 'node:crypto';
import { fetchHead, fetchRecord, type RecordPlace } from '../../contents/index.js';
import { applyContentRecord } from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { contentDigest, NO_CONTENT } from '../../model/index.js';
import { type StoreWriter, IncomingStream, type StreamStart } from '../../store/writer/index.js';
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
} from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { NewKeys } from './new-keys.js';
import type { OldGeneration } from './old-generation.js';

/**
 * Digests that belong to a delta or a signature. They must be known before the record is read, since its bytes are not
 * those of the content.
 */
interface Known {
  /** Digest of the content under the new keys. */
  readonly digest: Buffer;
  /** Digest of the basis; undefined unless the record is a delta. */
  readonly basis?: Buffer;
}

const NO_SEAL: Buffer = Buffer.alloc(0);
/** Compression of what a rewrite cannot copy as it is compressed. */
export const COMPRESSION = { codec: Codec.zstd, level: 3 } as const;

/** Value of `known` for a delta whose resulting content is stored whole. */
const DELTA: Known = { digest: NO_SEAL, basis: NO_SEAL };

interface Source {
  readonly place: RecordPlace;
  readonly header: RecordHeader;
  readonly index: ContentIndex;
  readonly cipher: RecordCipher | undefined;
}

export class StreamMover {
  private readonly decoded = Buffer.allocUnsafeSlow(STREAM_CHUNK_BYTES);

  constructor(
    private readonly native: NativeCalls,
    private readonly old: OldGeneration,
    private readonly store: StoreWriter,
    private readonly keys: NewKeys,
  ) {}

  /**
   * Copies one record, and returns the new digest of its content. If `known` is not given, the content is checked by
   * its digest. Throws RECORD_DAMAGED if the record is damaged, CONTENT_DAMAGED if the content has another digest.
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
      applyContentRecord(store.catalog, finished.header, finished.index, { location });
      return digest;
    } catch (error) {
      stream.drop();
      throw error;
    }
  }

  /** Stores the content of a delta whole, because the delta's basis is left out. Throws the errors of `move`. */
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
      applyContentRecord(store.catalog, finished.header, finished.index, { location });
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
    const contentId = this.store.catalog.contents.find(known.basis)?.contentId ?? NO_CONTENT;
    return { ...start, basis: { digest: known.basis, contentId }, isPart: isPart(index) };
  }

  /**
   * Copies the chunks; only their encryption changes. Returns the hash of the decoded bytes. Throws RECORD_DAMAGED if a
   * chunk is damaged or their total length is wrong.
   */
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
      throw new TardisError('CONTENT_DAMAGED', 'the bytes do not match their digest');
    }
    return keys.digest(hash);
  }
}

/** Yields bytes in pieces of one chunk each. */
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

/** Returns the index of the new record, without its seal. */
function freshIndex({ index }: Source, digest: Buffer, basis: Buffer | undefined): Buffer {
  const { sizeBytes, fileSizeBytes } = index;
  const content = { digest, sizeBytes, fileSizeBytes, chunkBytes: STREAM_CHUNK_BYTES };
  if (basis === undefined) return writeContentIndex(content);
  return writeDeltaIndex({ ...content, basis, isPart: isPart(index) });
}

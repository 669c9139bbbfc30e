/** Copies records in chunks into the new generation, with at most one chunk in memory. */
import { createHash, type Hash } from 'node:crypto';
import {
  fetchHead,
  fetchIndex,
  type BodyDecoder,
  recordChunks,
  ReusedBuffers,
  type RecordPlace,
} from '../../contents/index.js';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { contentDigest, NO_BYTES, NO_CONTENT } from '../../model/index.js';
import { type StoreWriter, IncomingStream } from '../../store/writer/index.js';
import {
  buildChunk,
  buildEncodedChunk,
  openSealed,
  Codec,
  type ContentIndex,
  decode,
  readContentIndex,
  readDeltaIndex,
  RECORD_CHUNKED,
  type RecordCipher,
  type RecordHeader,
  RecordKind,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
} from '../../store/index.js';
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

/** Kind, codec and decoded length of the new record. */
type Form = Pick<RecordHeader, 'kind' | 'codec' | 'rawBytes'>;

/** Yields the chunks of the new record, and adds their decoded bytes to the hash. */
type Chunks = (hash: Hash, cipher: RecordCipher | undefined) => AsyncIterable<Buffer>;

export class StreamMover {
  constructor(
    private readonly old: OldGeneration,
    private readonly store: StoreWriter,
    private readonly keys: NewKeys,
  ) {}

  /**
   * Copies one record, and returns the new digest of its content. If `known` is not given, the content is checked by
   * its digest. Throws RECORD_DAMAGED if the record is damaged, CONTENT_DAMAGED if the content has another digest.
   */
  async move(place: RecordPlace, known?: Known): Promise<Buffer> {
    const source = await this.open(place, known);
    const { header } = source;
    return this.write(source, header, (hash, cipher) => this.copied(source, hash, cipher), known);
  }

  /** Stores the content of a delta whole, because the delta's basis is left out. Throws the errors of `move`. */
  async makeWhole(place: RecordPlace, bytes: AsyncIterable<Buffer>): Promise<Buffer> {
    const source = await this.open(place, DELTA);
    const { index } = source;
    const kind = isPart(index) ? RecordKind.part : RecordKind.content;
    const form = { kind, codec: COMPRESSION.codec, rawBytes: index.sizeBytes };
    return this.write(source, form, (hash, cipher) => encoded(bytes, hash, cipher));
  }

  private async write(source: Source, form: Form, chunks: Chunks, known?: Known): Promise<Buffer> {
    const { store, keys } = this;
    const { kind, codec, rawBytes } = form;
    const { index } = source;
    const { fileSizeBytes, sizeBytes } = index;
    const cipher = keys.freshCipher();
    const basis = known?.basis && {
      digest: known.basis,
      contentId: store.catalog.contents.find(known.basis)?.contentId ?? NO_CONTENT,
    };
    const start = {
      kind,
      codec,
      fileSizeBytes,
      cipher: cipher?.head,
      basis,
      isPart: isPart(index),
    };
    const stream = new IncomingStream(store.backend, start);
    try {
      const hash = createHash('sha256');
      for await (const chunk of chunks(hash, cipher)) stream.add(chunk);
      const digest = known?.digest ?? this.provenDigest(hash.digest(), index);
      const fresh = freshIndex(source, digest, known?.basis);
      const seal = cipher?.sealOf(kind, codec, rawBytes, fresh) ?? NO_SEAL;
      await store.placeContent(stream.finish({ digest, sizeBytes, rawBytes, seal }));
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
      (known === undefined ? isContent : known.basis === undefined ? isSignature : isDelta);
    if (!isExpected) throw recordDamaged(`a record in ${place.object} is of another kind`);
    const bytes = await fetchIndex(this.old.backend, place, header);
    const index = isDelta ? readDeltaIndex(bytes) : readContentIndex(bytes);
    return { place, header, index, cipher };
  }

  /**
   * Yields the chunks of a record, of which only the encryption changes. Throws RECORD_DAMAGED if a chunk is damaged or
   * their total length is wrong.
   */
  private async *copied(
    { place, header, cipher }: Source,
    hash: Hash,
    fresh: RecordCipher | undefined,
  ): AsyncGenerator<Buffer> {
    const { source } = this.old;
    let opened: Buffer = NO_BYTES;
    let isRaw = false;
    const openAndDecode: BodyDecoder = (codec, sealed, target) => {
      opened = openSealed(source.native, sealed);
      decode(codec, opened, target);
      isRaw = codec !== header.codec;
    };
    const how = { memory: new ReusedBuffers(), decode: openAndDecode };
    let number = 0;
    let rawBytes = 0;
    for await (const decoded of recordChunks(source, place, { header, cipher }, how)) {
      hash.update(decoded);
      yield buildEncodedChunk(opened, isRaw, fresh && { cipher: fresh, number });
      number += 1;
      rawBytes += decoded.length;
    }
    if (rawBytes !== header.rawBytes) {
      throw recordDamaged(`a record in ${place.object} has another length`);
    }
  }

  private provenDigest(hash: Buffer, { digest }: ContentIndex): Buffer {
    const { old, keys } = this;
    const found = contentDigest(old.source.native, old.source.keys, Buffer.from(hash));
    if (!found.equals(digest)) {
      throw new TardisError('CONTENT_DAMAGED', 'the bytes do not match their digest');
    }
    return keys.digest(hash);
  }
}

/** Yields bytes as encoded chunks. */
async function* encoded(
  bytes: AsyncIterable<Buffer>,
  hash: Hash,
  cipher: RecordCipher | undefined,
): AsyncGenerator<Buffer> {
  let number = 0;
  for await (const raw of inChunks(bytes)) {
    hash.update(raw);
    yield buildChunk(raw, COMPRESSION, cipher && { cipher, number });
    number += 1;
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

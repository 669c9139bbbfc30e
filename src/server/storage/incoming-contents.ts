/** Large contents of one session: its open streams, and contents put together from parts. */
import { applyContentRecord } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { decodeParts, DIGEST_BYTES, partsDigest } from '../../model/index.js';
import {
  buildRecord,
  Codec,
  type CodecNumber,
  isCodec,
  readHeader,
  RecordKind,
  writeContentIndex,
} from '../../store/index.js';
import type { Head } from '../../transport/index.js';
import type { ClientStore } from './client-store.js';
import type { Ingest } from './ingest.js';
import { IncomingStream, MAX_OPEN_STREAMS } from './streams.js';

const MAX_PARTS = 1 << 18;

export class IncomingContents {
  private readonly streams = new Map<number, IncomingStream>();
  private readonly store: ClientStore;

  constructor(store: ClientStore) {
    this.store = store;
  }

  get openCount(): number {
    return this.streams.size;
  }

  open(head: Head<'streamOpen'>): void {
    if (this.streams.size >= MAX_OPEN_STREAMS || this.streams.has(head.stream)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'too many streams, or one opened twice');
    }
    if (!isCodec(head.codec)) throw new TardisError('PROTOCOL_VIOLATION', 'an unknown codec');
    const { isPart, fileSizeBytes } = head;
    const codec: CodecNumber = head.codec;
    const stream = new IncomingStream(this.store.backend, { isPart, codec, fileSizeBytes });
    this.streams.set(head.stream, stream);
  }

  chunk(stream: number, bytes: Buffer): void {
    this.get(stream).add(bytes);
  }

  /** Places a content whose last chunk has come; a duplicate is dropped. */
  async end(ingest: Ingest, head: Head<'streamEnd'>): Promise<void> {
    if (head.digest.length !== DIGEST_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a stream ends without a digest');
    }
    const stream = this.get(head.stream);
    if (ingest.isStored(head.digest)) {
      this.abort(head.stream);
      return;
    }
    // It stays among the streams until it has its place, so that a failure closes it too.
    const finished = stream.finish(Buffer.from(head.digest), head.sizeBytes);
    const location = await this.store.placeStaged(finished);
    this.streams.delete(head.stream);
    const ids = applyContentRecord(this.store.catalog, finished.header, finished.index, location);
    ingest.placed(finished.digest, ids);
  }

  abort(stream: number): void {
    this.get(stream).drop();
    this.streams.delete(stream);
  }

  /** Puts a content together from parts that are stored. */
  assemble(ingest: Ingest, head: Head<'assembly'>): void {
    const parts = decodeParts(head.parts);
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const isTrue =
      parts.length > 0 &&
      parts.length <= MAX_PARTS &&
      sizeBytes === head.sizeBytes &&
      partsDigest(parts).equals(head.digest) &&
      parts.every((part) => ingest.isStored(part.digest));
    if (!isTrue) throw new TardisError('PROTOCOL_VIOLATION', 'a list of parts is wrong');
    if (ingest.isStored(head.digest)) return;
    const digest = Buffer.from(head.digest);
    const index = writeContentIndex({ digest, sizeBytes, fileSizeBytes: sizeBytes, chunkBytes: 0 });
    const body = Buffer.from(head.parts);
    const record = buildRecord(
      { kind: RecordKind.assembly, codec: Codec.none, rawBytes: body.length },
      index,
      body,
    );
    const location = this.store.packs.append(record);
    const header = readHeader(record, 0)!;
    const ids = applyContentRecord(this.store.catalog, header, index, location, body);
    ingest.placed(digest, ids);
  }

  /** Gives up what is still on its way. */
  dropAll(): void {
    for (const stream of this.streams.values()) stream.drop();
    this.streams.clear();
  }

  private get(number: number): IncomingStream {
    const stream = this.streams.get(number);
    if (stream === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'no such stream');
    return stream;
  }
}

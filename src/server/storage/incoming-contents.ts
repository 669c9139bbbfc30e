/** Large contents of one session: its open streams, and contents put together from parts. */
import { applyContentRecord } from '../../catalog/index.js';
import { MAX_SIGNATURE_BYTES } from '../../delta/index.js';
import { TardisError } from '../../errors/index.js';
import { decodeParts, DIGEST_BYTES, partsDigest } from '../../model/index.js';
import {
  buildRecord,
  type CipherHead,
  Codec,
  type CodecNumber,
  decodeCipherHead,
  isCodec,
  readHeader,
  RecordKind,
  type RecordKindNumber,
  writeContentIndex,
} from '../../store/index.js';
import type { Head } from '../../transport/index.js';
import type { BasisOffers } from './basis-offers.js';
import type { ClientStore } from '../../keeper/index.js';
import type { Ingest } from './ingest.js';
import { IncomingStream, MAX_OPEN_STREAMS, type StreamStart } from '../../keeper/index.js';

const MAX_PARTS = 1 << 18;

export class IncomingContents {
  private readonly streams = new Map<number, IncomingStream>();
  private readonly store: ClientStore;
  private readonly offers: BasisOffers;

  constructor(store: ClientStore, offers: BasisOffers) {
    this.store = store;
    this.offers = offers;
  }

  get openCount(): number {
    return this.streams.size;
  }

  /** Bytes of streams that have no place yet. */
  get stagedBytes(): number {
    let sum = 0;
    for (const stream of this.streams.values()) sum += stream.stagedBytes;
    return sum;
  }

  open(head: Head<'streamOpen'>): void {
    if (!isCodec(head.codec)) throw new TardisError('PROTOCOL_VIOLATION', 'an unknown codec');
    const { isPart, fileSizeBytes } = head;
    const codec: CodecNumber = head.codec;
    const kind = isPart ? RecordKind.part : RecordKind.content;
    this.begin(head.stream, { kind, codec, fileSizeBytes, cipher: cipherOf(head) });
  }

  /** A signature, of a content that its end tells. */
  openSignature(head: Head<'signatureOpen'>): void {
    const { signature: kind } = RecordKind;
    const start = { kind, codec: Codec.none, fileSizeBytes: 0, cipher: cipherOf(head) };
    this.begin(head.stream, start);
  }

  /** A content, or a part of one, as a delta on a basis that was offered. */
  openDelta(head: Head<'deltaOpen'>): void {
    const { isPart, fileSizeBytes, codec } = head;
    if (!isCodec(codec)) throw new TardisError('PROTOCOL_VIOLATION', 'an unknown codec');
    const basisId = this.offers.contentOf(head.basis);
    const digest = this.store.catalog.contents.stored(basisId)?.digest;
    if (digest === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'a basis is gone');
    const basis = { digest: Buffer.from(digest), contentId: basisId };
    const cipher = cipherOf(head);
    this.begin(head.stream, {
      kind: RecordKind.delta,
      codec,
      fileSizeBytes,
      basis,
      isPart,
      cipher,
    });
  }

  private begin(number: number, start: StreamStart): void {
    if (this.streams.size >= MAX_OPEN_STREAMS || this.streams.has(number)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'too many streams, or one opened twice');
    }
    this.streams.set(number, new IncomingStream(this.store.backend, start));
  }

  chunk(stream: number, bytes: Buffer): void {
    const incoming = this.get(stream);
    this.store.space?.take(bytes.length);
    incoming.add(bytes);
  }

  /** Places a content whose last chunk has come; a duplicate is dropped. */
  async end(ingest: Ingest, head: Head<'streamEnd'>): Promise<void> {
    if (head.digest.length !== DIGEST_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a stream ends without a digest');
    }
    const stream = this.ending(head.stream, [RecordKind.content, RecordKind.part]);
    if (ingest.isStored(head.digest)) {
      this.abort(head.stream);
      return;
    }
    // It stays among the streams until it has its place, so that a failure closes it too.
    const finished = stream.finish({ ...head, rawBytes: head.sizeBytes });
    const location = await this.store.placeStaged(finished);
    this.streams.delete(head.stream);
    const ids = applyContentRecord(this.store.catalog, finished.header, finished.index, location);
    ingest.placed(finished.digest, ids);
  }

  /** Keeps a signature, if its content is stored and has none. */
  async endSignature(ingest: Ingest, head: Head<'signatureEnd'>): Promise<void> {
    if (head.digest.length !== DIGEST_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a signature is of no digest');
    }
    const stream = this.ending(head.stream, [RecordKind.signature]);
    if (head.rawBytes > MAX_SIGNATURE_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a signature is too long');
    }
    if (!ingest.mayBeBasis(head.digest, head.sizeBytes)) {
      this.abort(head.stream);
      return;
    }
    const finished = stream.finish(head);
    const location = await this.store.placeStaged(finished);
    this.streams.delete(head.stream);
    applyContentRecord(this.store.catalog, finished.header, finished.index, location);
  }

  /** Places a content that came as a delta; a duplicate is dropped. */
  async endDelta(ingest: Ingest, head: Head<'deltaEnd'>): Promise<void> {
    if (head.digest.length !== DIGEST_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a delta ends without a digest');
    }
    const stream = this.ending(head.stream, [RecordKind.delta]);
    if (ingest.isStored(head.digest)) {
      this.abort(head.stream);
      return;
    }
    const { bases, contents } = this.store.catalog;
    const itself = contents.find(head.digest)?.contentId;
    if (itself !== undefined && bases.needs(stream.basisId, itself)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a delta on what is made from it');
    }
    const finished = stream.finish(head);
    const location = await this.store.placeStaged(finished);
    this.streams.delete(head.stream);
    const ids = applyContentRecord(this.store.catalog, finished.header, finished.index, location);
    ingest.placed(finished.digest, ids);
  }

  /** A stream that ends as what it was begun for. */
  private ending(number: number, kinds: readonly RecordKindNumber[]): IncomingStream {
    const stream = this.get(number);
    if (kinds.includes(stream.kind)) return stream;
    throw new TardisError('PROTOCOL_VIOLATION', 'a stream ends as something else');
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
      // One that is keyed is the client's own affair.
      (head.isKeyed || partsDigest(parts).equals(head.digest)) &&
      head.digest.length === DIGEST_BYTES &&
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
    this.store.space?.take(record.length);
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

function cipherOf({ cipher }: { readonly cipher: Buffer }): CipherHead | undefined {
  if (cipher.length === 0) return undefined;
  const head = decodeCipherHead(cipher);
  if (head === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'an unknown encryption');
  return head;
}

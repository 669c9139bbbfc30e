/** Large contents of one session: its open streams, and contents assembled from parts. */
import { MAX_SIGNATURE_BYTES } from '../../delta/index.js';
import { protocolViolation } from '../../errors/index.js';
import { decodeParts, DIGEST_BYTES, partsDigest } from '../../model/index.js';
import {
  buildRecord,
  type CipherHead,
  Codec,
  type CodecNumber,
  decodeCipherHead,
  isCodec,
  markOfAccount,
  RecordKind,
  type RecordKindNumber,
  SIGNATURE_COMPRESSION,
  writeContentIndex,
} from '../../store/index.js';
import type { Head } from '../../transport/index.js';
import type { BasisOffers } from './basis-offers.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { Ingest } from './ingest.js';
import type { Trust } from './trust.js';
import { IncomingStream, MAX_OPEN_STREAMS, type StreamStart } from '../../store/writer/index.js';

const MAX_PARTS = 1 << 18;

export class IncomingContents {
  private readonly streams = new Map<number, IncomingStream>();

  constructor(
    private readonly store: StoreWriter,
    private readonly offers: BasisOffers,
    private readonly trust: Trust,
  ) {}

  get openCount(): number {
    return this.streams.size;
  }

  /** Number of bytes of streams that are staged and not yet stored. */
  get stagedBytes(): number {
    let sum = 0;
    for (const stream of this.streams.values()) sum += stream.stagedBytes;
    return sum;
  }

  open(head: Head<'streamOpen'>): void {
    if (!isCodec(head.codec)) throw protocolViolation('an unknown codec');
    const { isPart, fileSizeBytes } = head;
    const codec: CodecNumber = head.codec;
    const kind = isPart ? RecordKind.part : RecordKind.content;
    this.begin(head.stream, { kind, codec, fileSizeBytes, cipher: cipherOf(head) });
  }

  /** Opens the stream of a signature. The message that ends it has the digest of the signed content. */
  openSignature(head: Head<'signatureOpen'>): void {
    const { signature: kind } = RecordKind;
    const { codec } = SIGNATURE_COMPRESSION;
    const start = { kind, codec, fileSizeBytes: 0, cipher: cipherOf(head) };
    this.begin(head.stream, start);
  }

  /** Opens the stream of a content, or of a part, that is sent as a delta on an offered basis. */
  openDelta(head: Head<'deltaOpen'>): void {
    const { isPart, fileSizeBytes, codec } = head;
    if (!isCodec(codec)) throw protocolViolation('an unknown codec');
    const basisId = this.offers.contentOf(head.basis);
    const digest = this.store.catalog.contents.stored(basisId)?.digest;
    if (digest === undefined) throw protocolViolation('a basis is gone');
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
      throw protocolViolation('too many streams, or one opened twice');
    }
    this.streams.set(
      number,
      new IncomingStream(this.store.backend, { ...start, isOfAccount: !this.trust.isClient }),
    );
  }

  chunk(stream: number, bytes: Buffer): void {
    const incoming = this.get(stream);
    this.store.space?.take(bytes.length);
    incoming.add(bytes);
  }

  /** Stores a content whose last chunk has arrived; discards a duplicate. */
  async end(ingest: Ingest, head: Head<'streamEnd'>): Promise<void> {
    const stream = this.ending(head, [RecordKind.content, RecordKind.part]);
    if (ingest.isStored(head.digest)) {
      this.abort(head.stream);
      return;
    }
    // The stream stays registered until it is stored, so that a failure closes it too.
    const finished = stream.finish({ ...head, rawBytes: head.sizeBytes });
    const ids = await this.store.placeContent(finished);
    this.streams.delete(head.stream);
    ingest.placed(finished.digest, ids);
  }

  /**
   * Stores a signature if its content is stored and lacks one. A signature that the session does not trust counts as
   * lacking.
   */
  async endSignature(ingest: Ingest, head: Head<'signatureEnd'>): Promise<void> {
    const stream = this.ending(head, [RecordKind.signature]);
    if (head.rawBytes > MAX_SIGNATURE_BYTES) throw protocolViolation('a signature is too long');
    if (!ingest.mayBeBasis(head.digest, head.sizeBytes)) {
      this.abort(head.stream);
      return;
    }
    await this.store.placeContent(stream.finish(head));
    this.streams.delete(head.stream);
  }

  /** Stores a content that was sent as a delta; discards a duplicate. */
  async endDelta(ingest: Ingest, head: Head<'deltaEnd'>): Promise<void> {
    const stream = this.ending(head, [RecordKind.delta]);
    if (ingest.isStored(head.digest)) {
      this.abort(head.stream);
      return;
    }
    const { bases, contents } = this.store.catalog;
    const itself = contents.find(head.digest)?.contentId;
    if (itself !== undefined && bases.needs(stream.basisId, itself)) {
      throw protocolViolation('a delta refers to a content that depends on it');
    }
    const finished = stream.finish(head);
    const ids = await this.store.placeContent(finished);
    this.streams.delete(head.stream);
    ingest.placed(finished.digest, ids);
  }

  /**
   * Returns the stream that ends, which must have been opened as one of `kinds`. Throws PROTOCOL_VIOLATION, also if the
   * digest has another length.
   */
  private ending(
    head: Pick<Head<'streamEnd'>, 'stream' | 'digest'>,
    kinds: readonly RecordKindNumber[],
  ): IncomingStream {
    if (head.digest.length !== DIGEST_BYTES) {
      throw protocolViolation('a stream ends without a digest');
    }
    const stream = this.get(head.stream);
    if (kinds.includes(stream.kind)) return stream;
    throw protocolViolation('a stream ends as another kind than it began');
  }

  abort(stream: number): void {
    this.get(stream).drop();
    this.streams.delete(stream);
  }

  /** Assembles a content from parts that are stored. Throws PROTOCOL_VIOLATION. */
  assemble(ingest: Ingest, head: Head<'assembly'>): void {
    const parts = decodeParts(head.parts);
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const isTrue =
      parts.length > 0 &&
      parts.length <= MAX_PARTS &&
      sizeBytes === head.sizeBytes &&
      // Only the client can check a keyed digest.
      (head.isKeyed || partsDigest(parts).equals(head.digest)) &&
      head.digest.length === DIGEST_BYTES &&
      parts.every((part) => ingest.isStored(part.digest));
    if (!isTrue) throw protocolViolation('invalid list of parts');
    if (ingest.isStored(head.digest)) return;
    const digest = Buffer.from(head.digest);
    const index = writeContentIndex({ digest, sizeBytes, fileSizeBytes: sizeBytes, chunkBytes: 0 });
    const body = Buffer.from(head.parts);
    const record = buildRecord(
      { kind: RecordKind.assembly, codec: Codec.none, rawBytes: body.length },
      index,
      body,
    );
    if (!this.trust.isClient) markOfAccount(record);
    this.store.space?.take(record.length);
    ingest.placed(digest, this.store.appendContents(record).ids);
  }

  /** Discards all open streams. */
  dropAll(): void {
    for (const stream of this.streams.values()) stream.drop();
    this.streams.clear();
  }

  private get(number: number): IncomingStream {
    const stream = this.streams.get(number);
    if (stream === undefined) throw protocolViolation('no such stream');
    return stream;
  }
}

function cipherOf({ cipher }: { readonly cipher: Buffer }): CipherHead | undefined {
  if (cipher.length === 0) return undefined;
  const head = decodeCipherHead(cipher);
  if (head === undefined) throw protocolViolation('an unknown encryption');
  return head;
}

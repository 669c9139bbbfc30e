/**
 * The encrypt stage for streamed contents: a record whose chunks are made one by one. The jobs that make chunks encrypt
 * them with the record's keys; the record is sealed here at its end.
 */
import {
  type CipherHead,
  type CodecNumber,
  RecordCipher,
  RecordKind,
  type RecordKindNumber,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
} from '../store/index.js';
import { Scheme, type SchemeNumber } from '../model/index.js';
import type { JobRunner } from '../workers/index.js';
import type { BackupPeer, OfferedBasis, PeerStream } from './peer.js';

const NO_SEAL: Uint8Array = new Uint8Array(0);

/** Properties of a record that are known at its start. */
interface RecordStart {
  readonly kind: RecordKindNumber;
  readonly codec: CodecNumber;
  readonly fileSizeBytes: number;
  readonly isPart: boolean;
  /** Encryption scheme; undefined for the usual one. */
  readonly scheme: SchemeNumber | undefined;
  /** Digest of the basis, for a delta. */
  readonly basis?: Uint8Array;
}

export type ContentStart = Pick<RecordStart, 'codec' | 'fileSizeBytes' | 'isPart' | 'scheme'>;

export class RecordStream {
  /** Undefined if the client does not encrypt. */
  readonly cipher: RecordCipher | undefined;
  private readonly stream: PeerStream;
  private readonly start: RecordStart;

  private constructor(
    start: RecordStart,
    cipher: RecordCipher | undefined,
    open: (cipher: CipherHead | undefined) => PeerStream,
  ) {
    this.start = start;
    this.cipher = cipher;
    this.stream = open(cipher?.head);
  }

  /** Opens a stream for a whole content, or a whole part. */
  static content(peer: BackupPeer, jobs: JobRunner, start: ContentStart): RecordStream {
    const kind = start.isPart ? RecordKind.part : RecordKind.content;
    return new RecordStream({ ...start, kind }, newCipher(peer, jobs, start.scheme), (cipher) =>
      peer.openStream({ ...start, cipher }),
    );
  }

  /**
   * Opens a stream for a delta on the offered basis. If the client encrypts, the delta is never readable, since the
   * basis may be encrypted.
   */
  static delta(
    peer: BackupPeer,
    jobs: JobRunner,
    start: ContentStart,
    basis: OfferedBasis,
  ): RecordStream {
    const record = { ...start, kind: RecordKind.delta, basis: basis.digest };
    return new RecordStream(record, newCipher(peer, jobs, secret(start.scheme)), (cipher) =>
      basis.openDelta({ ...start, cipher }),
    );
  }

  /**
   * Opens a stream for a signature. If the client encrypts, the signature is never readable, since it reveals parts of
   * the content. Even a content chosen to be readable may be stored encrypted.
   */
  static signature(
    peer: BackupPeer,
    jobs: JobRunner,
    codec: CodecNumber,
    scheme: SchemeNumber | undefined,
  ): RecordStream {
    const record = { kind: RecordKind.signature, codec, fileSizeBytes: 0, isPart: false, scheme };
    return new RecordStream(record, newCipher(peer, jobs, secret(scheme)), (cipher) =>
      peer.openSignature(cipher),
    );
  }

  chunk(bytes: Uint8Array): Promise<void> {
    return this.stream.chunk(bytes);
  }

  /** Ends the stream. Digest and size are those of the content; `rawBytes` is the number of streamed bytes. */
  end(digest: Uint8Array, sizeBytes: number, rawBytes: number): Promise<void> {
    const seal = this.sealOf(digest, sizeBytes, rawBytes);
    return this.stream.end({ digest, sizeBytes, rawBytes, seal });
  }

  abort(): void {
    this.stream.abort();
  }

  private sealOf(digest: Uint8Array, sizeBytes: number, rawBytes: number): Uint8Array {
    if (this.cipher === undefined) return NO_SEAL;
    const { kind, codec, fileSizeBytes, isPart, basis } = this.start;
    const content = {
      digest: Buffer.from(digest),
      sizeBytes,
      fileSizeBytes,
      chunkBytes: STREAM_CHUNK_BYTES,
    };
    const index =
      basis === undefined
        ? writeContentIndex(content)
        : writeDeltaIndex({ ...content, basis: Buffer.from(basis), isPart });
    return this.cipher.sealOf(kind, codec, rawBytes, index);
  }
}

function newCipher(
  { contentKeys }: BackupPeer,
  { native }: JobRunner,
  scheme: SchemeNumber | undefined,
): RecordCipher | undefined {
  return contentKeys && RecordCipher.fresh(native, contentKeys, scheme);
}

/** Returns the scheme if it encrypts; otherwise undefined, for the usual scheme, which does. */
function secret(scheme: SchemeNumber | undefined): SchemeNumber | undefined {
  return scheme === Scheme.readable ? undefined : scheme;
}

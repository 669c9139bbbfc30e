/**
 * The encrypt stage for what is streamed: a record whose chunks are made as they come. Its keys are known
 * to whoever encrypts the chunks; its end is sealed here.
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

/** What the record is of. */
interface RecordStart {
  readonly kind: RecordKindNumber;
  readonly codec: CodecNumber;
  readonly fileSizeBytes: number;
  readonly isPart: boolean;
  /** What it is encrypted with; undefined: as usual. */
  readonly scheme: SchemeNumber | undefined;
  /** Of a delta. */
  readonly basis?: Uint8Array;
}

export type ContentStart = Pick<RecordStart, 'codec' | 'fileSizeBytes' | 'isPart' | 'scheme'>;

export class RecordStream {
  /** Undefined: the client does not encrypt. */
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

  /** A content, or a part of one, whole. */
  static content(peer: BackupPeer, jobs: JobRunner, start: ContentStart): RecordStream {
    const kind = start.isPart ? RecordKind.part : RecordKind.content;
    return new RecordStream({ ...start, kind }, newCipher(peer, jobs, start.scheme), (cipher) =>
      peer.openStream({ ...start, cipher }),
    );
  }

  /** The same as a delta on what is offered, which may be encrypted: then so is the delta, always. */
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

  /** Always encrypted: it tells about the content, which may be stored so although it is chosen to be readable. */
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

  /** Digest and size are those of the content; `rawBytes` were streamed. */
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

/** The scheme, if it hides something; else the usual one, which does. */
function secret(scheme: SchemeNumber | undefined): SchemeNumber | undefined {
  return scheme === Scheme.readable ? undefined : scheme;
}

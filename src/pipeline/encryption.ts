/**
 * Encryption of records. The job that makes a record or a chunk encrypts it in place, in its thread. Records of
 * parcels are then complete. A streamed record is made chunk by chunk, and is sealed here at its end.
 */
import {
  type CipherHead,
  type CodecNumber,
  RecordCipher,
  RecordKind,
  type RecordKindNumber,
  SIGNATURE_COMPRESSION,
  STREAM_CHUNK_BYTES,
  writeContentIndex,
  writeDeltaIndex,
} from '../store/index.js';
import { type ContentKeys, Scheme, type SchemeNumber } from '../model/index.js';
import type { Context } from './context.js';
import type { OfferedBasis, PeerStream } from './peer.js';

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

export class Encryption {
  constructor(private readonly context: Pick<Context, 'jobs' | 'peer'>) {}

  /**
   * Returns the keys for digests and records, for a job; undefined if the client does not encrypt. They are set before
   * the server's first answer arrives.
   */
  get keys(): ContentKeys | undefined {
    return this.context.peer.contentKeys;
  }

  /** Opens a stream for a whole content, or a whole part. */
  openContent(start: ContentStart): RecordStream {
    const kind = start.isPart ? RecordKind.part : RecordKind.content;
    return new RecordStream({ ...start, kind }, this.newCipher(start.scheme), (cipher) =>
      this.context.peer.openStream({ ...start, cipher }),
    );
  }

  /**
   * Opens a stream for a delta on the offered basis. If the client encrypts, the delta is always encrypted, since the
   * basis may be encrypted.
   */
  openDelta(start: ContentStart, basis: OfferedBasis): RecordStream {
    const record = { ...start, kind: RecordKind.delta, basis: basis.digest };
    return new RecordStream(record, this.newCipher(secret(start.scheme)), (cipher) =>
      basis.openDelta({ ...start, cipher }),
    );
  }

  /**
   * Opens a stream for a signature. If the client encrypts, the signature is always encrypted, since it reveals parts
   * of the content. That holds even if the user chose a readable scheme, since the content may be stored encrypted all
   * the same.
   */
  openSignature(scheme: SchemeNumber | undefined): RecordStream {
    const { codec } = SIGNATURE_COMPRESSION;
    const record = { kind: RecordKind.signature, codec, fileSizeBytes: 0, isPart: false, scheme };
    return new RecordStream(record, this.newCipher(secret(scheme)), (cipher) =>
      this.context.peer.openSignature(cipher),
    );
  }

  private newCipher(scheme: SchemeNumber | undefined): RecordCipher | undefined {
    return this.keys && RecordCipher.fresh(this.context.jobs.native, this.keys, scheme);
  }
}

export class RecordStream {
  private readonly stream: PeerStream;

  constructor(
    private readonly start: RecordStart,
    /** Undefined if the client does not encrypt. */
    readonly cipher: RecordCipher | undefined,
    open: (cipher: CipherHead | undefined) => PeerStream,
  ) {
    this.stream = open(cipher?.head);
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

/** Returns the scheme if it encrypts; otherwise undefined, which stands for the usual scheme, and that encrypts. */
function secret(scheme: SchemeNumber | undefined): SchemeNumber | undefined {
  return scheme === Scheme.readable ? undefined : scheme;
}

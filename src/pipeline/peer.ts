/**
 * The server as the pipeline sees it. Requests are sent in the order of the calls; answers come in
 * any order. `received` promises resolve when the bytes are in the server's write path. After a
 * failure every promise rejects.
 */
import type { Failure, OwnerName } from '../workers/index.js';

export interface HeadBatch {
  readonly slots: Uint32Array;
  readonly parents: Int32Array;
  readonly rows: Uint8Array;
  readonly hashes: Uint8Array;
}

export interface OutgoingParcel {
  readonly slots: Uint32Array;
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly records: Uint8Array | undefined;
  readonly recordLengths: readonly number[];
}

export interface BackupPeer {
  /** The server has nothing of this client yet: nothing needs to be asked. False until that is known. */
  readonly isEmpty: boolean;
  /** Declares directories; with `ask`, resolves with 1 for each unchanged listing. */
  heads(batch: HeadBatch, ask: boolean): Promise<Uint8Array>;
  /** Sends a listing, or in order the pages of one; resolves with a `Wanted` for each row. */
  listing(slot: number, rows: Buffer, isLast: boolean): Promise<Uint8Array>;
  /** Resolves with a `Verdict` for each digest; `promise`: what is wanted will surely be sent. */
  ask(digests: Uint8Array, promise: boolean): Promise<Uint8Array>;
  /** Sends final rows with the records of their contents. */
  parcel(parcel: OutgoingParcel): Promise<void>;
  /** The directories' last rows have been sent; 1 in `settled`: may be skipped next time. */
  done(slots: readonly number[], settled: readonly boolean[]): void;
  notes(failures: readonly Failure[]): void;
  /** Tells the names of users and groups that were met; each but once. */
  owners(names: readonly OwnerName[]): void;
  /** Opens a stream for a large content or a part of one. */
  openStream(isPart: boolean, codec: number, fileSizeBytes: number): PeerStream;
  /** The version that a changed file may be sent as a delta on; undefined: send it whole. */
  basisOf(slot: number, name: Uint8Array): OfferedBasis | undefined;
  /** Opens a stream for the signature of a content that is sent, or is there. */
  openSignature(): SignatureStream;
  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void;
}

/** Takes the next piece of a signature; false when it is of no use. */
export type SignatureSink = (bytes: Buffer, isLast: boolean) => boolean;

export interface OfferedBasis {
  /** Of the content. */
  readonly sizeBytes: number;
  /** Send the file whole when more of it is new. */
  readonly mostPercent: number;
  /** The signature is there; else it is made from the content when it is wanted. */
  readonly hasSignature: boolean;
  /** Gets the signature, or a sample of it; resolves with whether all of it came and was taken. */
  fetch(isSample: boolean, sink: SignatureSink): Promise<boolean>;
  openDelta(isPart: boolean, codec: number, fileSizeBytes: number): DeltaStream;
  /** Nothing more is wanted of it. May be called twice. */
  release(): void;
}

export interface DeltaStream {
  chunk(bytes: Uint8Array): Promise<void>;
  /** Digest and size are those of the content, `rawBytes` is the length of the delta. */
  end(digest: Uint8Array, sizeBytes: number, rawBytes: number): Promise<void>;
  abort(): void;
}

export interface SignatureStream {
  chunk(bytes: Uint8Array): Promise<void>;
  /** `sizeBytes`: of the content; `rawBytes`: of the signature. */
  end(digest: Uint8Array, sizeBytes: number, rawBytes: number): Promise<void>;
  abort(): void;
}

export interface PeerStream {
  chunk(bytes: Uint8Array): Promise<void>;
  end(digest: Uint8Array, sizeBytes: number): Promise<void>;
  abort(): void;
}

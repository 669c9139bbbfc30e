/**
 * The server as the pipeline sees it. Requests are sent in the order of the calls; answers come in
 * any order. `received` promises resolve when the bytes are in the server's write path. After a
 * failure every promise rejects.
 */
import type { ContentKeys } from '../model/index.js';
import type { CipherHead } from '../store/index.js';
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
  /** What contents are encrypted with; undefined: they are not. Known before anything is answered. */
  readonly contentKeys: ContentKeys | undefined;
  /** Listings may come in pages; else each comes whole, however large it is. */
  readonly takesPages: boolean;
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
  openStream(start: StreamStart): PeerStream;
  /** The version that a changed file may be sent as a delta on; undefined: send it whole. */
  basisOf(slot: number, name: Uint8Array): OfferedBasis | undefined;
  /** Opens a stream for the signature of a content that is sent, or is there. */
  openSignature(cipher: CipherHead | undefined): PeerStream;
  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void;
}

/** Takes the next piece of a signature; false when it is of no use. */
export type SignatureSink = (bytes: Buffer, isLast: boolean) => boolean;

export interface OfferedBasis {
  readonly digest: Uint8Array;
  /** Of the content. */
  readonly sizeBytes: number;
  /** Send the file whole when more of it is new. */
  readonly mostPercent: number;
  /** The signature is there; else it is made from the content when it is wanted. */
  readonly hasSignature: boolean;
  /** Gets the signature, or a sample of it; resolves with whether all of it came and was taken. */
  fetch(isSample: boolean, sink: SignatureSink): Promise<boolean>;
  openDelta(start: StreamStart): PeerStream;
  /** Nothing more is wanted of it. May be called twice. */
  release(): void;
}

/** How a stream begins. */
export interface StreamStart {
  readonly isPart: boolean;
  readonly codec: number;
  /** Of the whole file. */
  readonly fileSizeBytes: number;
  /** How its chunks are encrypted; undefined: they are not. */
  readonly cipher: CipherHead | undefined;
}

export interface StreamEnd {
  readonly digest: Uint8Array;
  /** Of the content. */
  readonly sizeBytes: number;
  /** What was streamed, before it was encoded: of the content, a delta or a signature. */
  readonly rawBytes: number;
  /** Empty where nothing is encrypted. */
  readonly seal: Uint8Array;
}

/** A content, or a delta on one, or a signature on its way. */
export interface PeerStream {
  chunk(bytes: Uint8Array): Promise<void>;
  end(end: StreamEnd): Promise<void>;
  abort(): void;
}

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
  /** Opens a stream for the signature of a content that is sent, or is there. */
  openSignature(): SignatureStream;
  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void;
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

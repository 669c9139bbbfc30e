/**
 * The server as the pipeline uses it. Requests are sent in the order of the calls; answers arrive in any order. A
 * promise of sent data resolves when the server has received the data. After a failure every promise rejects.
 */
import type { SignedRange } from '../delta/index.js';
import type { ContentKeys, SlotNumber } from '../model/index.js';
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
  /** The failure that ended the session; undefined as long as it works. Long work without a request looks at it. */
  readonly failure: Error | undefined;
  /**
   * True if the server has no backup of this client yet, so nothing needs to be compared. False until that is known.
   */
  readonly isEmpty: boolean;
  /**
   * The keys that contents are encrypted with; undefined if they are not encrypted. They are set before any answer
   * arrives.
   */
  readonly contentKeys: ContentKeys | undefined;
  /** True if listings may be sent in pages; otherwise each is sent whole, however large it is. */
  readonly takesPages: boolean;
  /**
   * Called with the names of mount points that are missing from a listing but were in the previous one. The server
   * keeps their entries.
   */
  onMountsGone?: ((slot: SlotNumber, names: readonly Uint8Array[]) => void) | undefined;
  /**
   * Declares directories to the server. With `isQuery`, resolves with HEAD_SAME (1) for each unchanged listing,
   * HEAD_PROTECTED (2) for each protected mount point, and 0 for the others.
   */
  heads(batch: HeadBatch, isQuery: boolean): Promise<Uint8Array>;
  /** Sends a listing, or the pages of one in order. Resolves with a `Wanted` for each row. */
  listing(slot: SlotNumber, rows: Buffer, isLast: boolean): Promise<Uint8Array>;
  /**
   * Queries the server about digests. Resolves with a `Verdict` for each. `promise` guarantees that wanted contents
   * will be sent.
   */
  verdicts(digests: Uint8Array, promise: boolean): Promise<Uint8Array>;
  /** Sends final rows with the records of their contents. */
  parcel(parcel: OutgoingParcel): Promise<void>;
  /**
   * Reports that the last rows of these directories were sent. The next backup may skip the directories that are
   * settled.
   */
  done(slots: readonly SlotNumber[], settled: readonly boolean[]): void;
  notes(failures: readonly Failure[]): void;
  /** Sends names of users and groups that entries belong to; each is sent only once. */
  owners(names: readonly OwnerName[]): void;
  /** Opens a stream for a large content, or a part of one. */
  openStream(start: StreamStart): PeerStream;
  /** Returns the version on which a changed file may be sent as a delta; undefined if the file must be sent whole. */
  basisOf(slot: SlotNumber, name: Uint8Array): OfferedBasis | undefined;
  /**
   * Requests the first of these contents that may be the basis of a file, in place of an offer. Resolves with undefined if
   * none may be.
   */
  seekBasis(slot: SlotNumber, name: Uint8Array, digests: Buffer): Promise<OfferedBasis | undefined>;
  /** Opens a stream for the signature of a content that the server has or receives. */
  openSignature(cipher: CipherHead | undefined): PeerStream;
  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void;
}

/** Function that receives the next piece of a signature. It returns false if the piece is useless. */
export type SignatureSink = (bytes: Buffer, isLast: boolean) => boolean;

export interface OfferedBasis {
  readonly digest: Uint8Array;
  /** Size of the content. */
  readonly sizeBytes: number;
  /** Percentage of new bytes above which the file is sent whole. */
  readonly mostPercent: number;
  /** True if the server has the signature; otherwise the server makes it from the content on request. */
  readonly hasSignature: boolean;
  /** Fetches the signature, or a sample of it. Resolves with true if all of it arrived and was accepted. */
  fetch(isSample: boolean, sink: SignatureSink): Promise<boolean>;
  /** Fetches the signature of a range, which a server can make of contents in clear only. Resolves as `fetch` does. */
  fetchRange(range: SignedRange, sink: SignatureSink): Promise<boolean>;
  openDelta(start: StreamStart): PeerStream;
  /** Releases the offer. May be called twice. */
  release(): void;
}

/** Parameters of a new stream. */
export interface StreamStart {
  readonly isPart: boolean;
  readonly codec: number;
  /** Size of the whole file. */
  readonly fileSizeBytes: number;
  /** Encryption of the chunks; undefined if they are not encrypted. */
  readonly cipher: CipherHead | undefined;
}

export interface StreamEnd {
  readonly digest: Uint8Array;
  /** Size of the content. */
  readonly sizeBytes: number;
  /** Number of streamed bytes before encoding, of the content, delta or signature. */
  readonly rawBytes: number;
  /** Seal of the record; empty if nothing is encrypted. */
  readonly seal: Uint8Array;
}

/** A stream of a content, a delta or a signature. */
export interface PeerStream {
  chunk(bytes: Uint8Array): Promise<void>;
  end(end: StreamEnd): Promise<void>;
  abort(): void;
}

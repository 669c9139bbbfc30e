/**
 * The jobs a worker can do, in one table of types: what goes in, what comes out. Everything here
 * crosses a thread: plain data, with bytes in a few large buffers that are moved, not copied.
 * The job functions (one file each) know nothing of threads.
 */
import type { MessagePort } from 'node:worker_threads';
import type { LoadedSignature } from '../delta/index.js';
import type { CryptWish, ExcludeOptions, LeftOut, PackedChains } from '../excludes/index.js';
import type { ContentKeys } from '../model/index.js';
import type { CipherHead, Compression } from '../store/index.js';
import type { SealingCalls } from '../system/index.js';
import type { RawRules } from './raw-types.js';
import type { RestoreInput, RestoreOutput } from './restore-types.js';

/** Directories to walk, last one first. Their own rows and paths lie one after another. */
export interface WalkInput {
  readonly tasks: DirectoryBlock;
  /** New directories get this slot and every `slotStride`-th after it. */
  readonly firstFreeSlot: number;
  readonly slotStride: number;
  /** Other file systems below are entered too. */
  readonly crossDevices?: boolean;
  /** Directories this deep below their roots are not entered; 0: no limit. */
  readonly maxDepth?: number;
  /** Stop after the directory with which this many entries are reached. */
  readonly maxEntries: number;
  readonly excludes: ExcludeOptions;
}

/** Some directories in packed form: the n-th has slots[n], parents[n], and a run in rows and paths. */
export interface DirectoryBlock {
  readonly slots: Uint32Array;
  /** Parent slots; below 0, roots. */
  readonly parents: Int32Array;
  /** How deep they are below their roots, which are at 0. */
  readonly depths: Uint32Array;
  /** The directories' own rows. */
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly paths: Uint8Array;
  readonly pathEnds: Uint32Array;
  /** The rule files above them, if there are any. */
  readonly rules: PackedChains | undefined;
}

export interface WalkOutput {
  /** Directories that were listed, in walk order. */
  readonly walked: DirectoryBlock;
  /** Their skip hashes, 32 bytes each; zeros where the listing is not settled. */
  readonly hashes: Uint8Array;
  /** Their listings, sorted rows without digests. */
  readonly listings: Uint8Array;
  readonly listingEnds: Uint32Array;
  /** Directories whose listings are empty here, because their names are held (see listOrHold). */
  readonly large: readonly HeldDirectory[];
  readonly entries: number;
  /** Bytes of the regular files listed. */
  readonly fileBytes: number;
  /** Directories still to be walked, last one first. */
  readonly pending: DirectoryBlock;
  readonly nextFreeSlot: number;
  /** Who owns what was listed. */
  readonly owners: readonly OwnerName[];
  /** Directories that could not be listed. */
  readonly failures: readonly Failure[];
  /** How many entries were left out, and which ones if that is to be told. */
  readonly leftOut: number;
  readonly leftOutPaths: readonly LeftOut[];
}

export interface HeldDirectory {
  /** Which one of the walked. */
  readonly index: number;
  readonly held: number;
  /** How many of its entries stay. */
  readonly entries: number;
}

/** A page of a large directory is to be listed once more. */
export interface PageInput {
  /** That directory alone. */
  readonly directory: DirectoryBlock;
  readonly held: number;
  /** The first of its names. */
  readonly from: number;
  readonly excludes: ExcludeOptions;
}

export interface PageOutput {
  /** Sorted rows without digests. */
  readonly rows: Uint8Array;
  /** The directory's skip hash is the SHA-256 of those of its pages. */
  readonly hash: Uint8Array;
  /** Where the page after it begins. */
  readonly next: number;
  readonly isLast: boolean;
  readonly owners: readonly OwnerName[];
  readonly failures: readonly Failure[];
}

/** A user or group that something belongs to, or that an ACL names. */
export interface OwnerName {
  readonly isGroup: boolean;
  readonly id: number;
  /** Empty: the system knows no name for it. */
  readonly name: Uint8Array;
}

/** Something that could not be read: `name` in the directory of `slot` (or root, below 0). */
export interface Failure {
  readonly slot: number;
  readonly name: Uint8Array;
  readonly path: Uint8Array;
  readonly what: 'unreadable' | 'vanished' | 'changed' | 'incomplete' | 'held';
  readonly reason: string;
}

/** Files of some directories ("sections"): the n-th section has a run in rows and in paths. */
export interface ParcelInput {
  readonly slots: Uint32Array;
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly paths: Uint8Array;
  readonly pathEnds: Uint32Array;
  /** Room the files need, by their rows. */
  readonly contentBytes: number;
}

export interface HashInput {
  readonly parcel: ParcelInput;
  /** Given: compress at once what no recent parcel has sent. Else the contents come back. */
  readonly frames: FrameOptions | undefined;
  /** Memory of records that were sent, to be filled again. */
  readonly memory: Uint8Array | undefined;
  readonly rawRules?: RawRules;
  /** Of a client that encrypts. */
  readonly keys?: ContentKeys | undefined;
  /** What its contents are encrypted with, if the user says so. */
  readonly crypt?: CryptWish | undefined;
}

export interface FrameOptions {
  readonly compression: Compression;
  /** Files up to this size share frames. */
  readonly smallBytes: number;
  /** The same for files that are stored as they are, which gain nothing by it. */
  readonly smallRawBytes: number;
  /** Contents compressed together at most. */
  readonly frameBytes: number;
}

export interface HashOutput {
  readonly slots: Uint32Array;
  /** The rows with digests, fewer when files vanished. */
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly failures: readonly Failure[];
  /** Whom ACLs name. */
  readonly owners: readonly OwnerName[];
  /** Files that have grown too large for a parcel meanwhile: slot, path and row. */
  readonly grown: readonly GrownFile[];
  /** Whole records, one after another (with `frames`). */
  readonly records: Uint8Array | undefined;
  readonly recordLengths: readonly number[];
  /** The contents read, to be asked for (without `frames`). */
  readonly contents: ContentBlock | undefined;
  readonly readBytes: number;
  readonly files: number;
  /** Part of the job's time that went into compression. */
  readonly compressMs: number;
  /** Files whose content a recent parcel has sent already. */
  readonly repeats: number;
}

export interface GrownFile {
  readonly slot: number;
  readonly path: Uint8Array;
  readonly row: Uint8Array;
}

/** Contents side by side: the n-th has 32 bytes in digests, a start, a size, and may be kept raw. */
export interface ContentBlock {
  readonly bytes: Uint8Array;
  readonly digests: Uint8Array;
  readonly starts: Uint32Array;
  readonly sizes: Uint32Array;
  /** 1: of a type that never shrinks. */
  readonly isRaw: Uint8Array;
  /** Numbers of the kinds of files: one kind compresses better together. */
  readonly kinds: Uint32Array;
  /** Scheme of each content's record; 0: the usual one. */
  readonly schemes: Uint8Array;
}

export interface CompressInput {
  readonly contents: ContentBlock;
  /** 1 for each content that is wanted. */
  readonly wanted: Uint8Array;
  readonly frames: FrameOptions;
  /** Memory of records that were sent, to be filled again. */
  readonly memory: Uint8Array | undefined;
  /** Of a client that encrypts. */
  readonly keys?: ContentKeys | undefined;
}

export interface CompressOutput {
  readonly records: Uint8Array;
  readonly recordLengths: readonly number[];
}

/** A large file that has fewer blocks than its size says. */
export interface HolesInput {
  readonly directoryPath: Uint8Array;
  readonly row: Uint8Array;
}

export interface HolesOutput {
  /** The system's reason when the file could not be looked at; else empty. */
  readonly failure: string;
  /** Head of its sparse form; empty when it has no holes worth it. */
  readonly head: Uint8Array;
  /** Of the file as it is now. */
  readonly sizeBytes: number;
}

/** A range of a large file. */
export interface RangeInput {
  readonly directoryPath: Uint8Array;
  readonly row: Uint8Array;
  /** Given: the file is read in its sparse form, and the range is one of that. */
  readonly sparseHead: Uint8Array | undefined;
  readonly offset: number;
  /** At most this many bytes; fewer when the file ends before. */
  readonly bytes: number;
  /** Given: the bytes come out in encoded chunks. Else they are only hashed. */
  readonly compression: Compression | undefined;
  readonly rawRules?: RawRules;
  /** Given: the range's signature is made too, of blocks of this length. */
  readonly signatureBlockBytes?: number | undefined;
  /** Given: what comes out is a delta. */
  readonly delta?: DeltaRequest | undefined;
  /** Of a client that encrypts: digests are keyed. */
  readonly keys?: ContentKeys | undefined;
  /** The same: chunks are encrypted. */
  readonly cipher?: CipherHead | undefined;
}

export interface DeltaRequest {
  /** The number of the signature of the basis, which `loadSignature` gave. */
  readonly signature: number;
  /** It is dropped when more than this is new, */
  readonly mostNewBytes: number;
  /** or more than this share of what was read, once that is `evidenceBytes`, */
  readonly mostNewPercent: number;
  readonly evidenceBytes: number;
  /** or when making it has taken this long. */
  readonly mostMs: number;
}

export interface DeltaOutcome {
  /** It does not pay: nothing of what came out is of use, and the rest was not read. */
  readonly isDropped: boolean;
  /** Length of the delta, not compressed. */
  readonly rawBytes: number;
}

/** Whether a file has anything in common with its basis. */
export interface SniffInput {
  readonly directoryPath: Uint8Array;
  readonly row: Uint8Array;
  readonly sparseHead: Uint8Array | undefined;
  /** The number of a sample of the basis's signature. */
  readonly signature: number;
  /** Where to look, and how far from there. */
  readonly places: readonly number[];
  readonly bytes: number;
}

export interface SniffOutput {
  readonly failure: string;
  readonly isSimilar: boolean;
}

export interface RangeOutput {
  /** The system's reason (ENOENT, EACCES, EIO, …) when the file could not be read; else empty. */
  readonly failure: string;
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** The row as the file was when it was opened. */
  readonly row: Uint8Array;
  readonly hasChanged: boolean;
  /** Why its attributes could not be read; empty if they could. */
  readonly incomplete: string;
  /** Whom its ACLs name. */
  readonly owners: readonly OwnerName[];
  /** Of what was read, if it was asked for. */
  readonly signature: Uint8Array | undefined;
  readonly delta: DeltaOutcome | undefined;
}

export interface JobTable {
  walk: { input: WalkInput; output: WalkOutput };
  page: { input: PageInput; output: PageOutput };
  /** No page of the directory will be asked for any more. */
  dropNames: { input: { readonly held: number }; output: null };
  hash: { input: HashInput; output: HashOutput };
  compress: { input: CompressInput; output: CompressOutput };
  holes: { input: HolesInput; output: HolesOutput };
  sniff: { input: SniffInput; output: SniffOutput };
  restore: { input: RestoreInput; output: RestoreOutput };
}

export type JobName = keyof JobTable;
export type JobInput<N extends JobName> = JobTable[N]['input'];
export type JobOutput<N extends JobName> = JobTable[N]['output'];

/** What a job function returns: its output, and the buffers that move with it. */
export interface JobResult<T> {
  readonly output: T;
  readonly transfer: readonly ArrayBuffer[];
}

/** Runs jobs somewhere: in a pool of threads, or here. */
export interface JobRunner {
  /** Rejects with a TardisError. The input's `transfer` buffers are gone afterwards. */
  run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer?: readonly (ArrayBuffer | MessagePort)[],
  ): Promise<TimedOutput<N>>;
  /**
   * Reads a range of a file; `onChunk` gets each encoded chunk and holds the reader back while its
   * promise is open (at most `windowChunks` chunks ahead).
   */
  runRange(
    input: RangeInput,
    windowChunks: number,
    onChunk: (chunk: Uint8Array) => Promise<void>,
  ): Promise<RangeOutput & { readonly busyMs: number }>;
  /** Takes a signature in, for delta jobs of any thread; see LoadedSignature. */
  loadSignature(basisBytes: number, signedBytes?: number): LoadedSignature;
  /** The addon, in the calling thread. */
  readonly native: SealingCalls;
  /** Digests of contents this session has sent, or knows the server has. */
  readonly recent: RecentDigests;
  close(): Promise<void>;
}

export interface TimedOutput<N extends JobName> {
  readonly output: JobOutput<N>;
  /** Time the job ran, without waiting for a thread. */
  readonly busyMs: number;
}

/** A bounded set of digests that may forget, shared by all threads. */
export interface RecentDigests {
  has(digest: Uint8Array): boolean;
  add(digest: Uint8Array): void;
  /** How many digests were added. */
  readonly added: number;
  readonly capacity: number;
}

/**
 * Types of the inputs and outputs of all jobs of the worker threads. They are passed between threads: plain data, with
 * bytes in a few large buffers that are moved, not copied. The job functions (one file each) do not depend on threads.
 */
import type { CipherChoice, ExcludeOptions, LeftOut, PackedChains } from '../excludes/index.js';
import type { ContentKeys, NoteKind, SlotNumber } from '../model/index.js';
import type { CipherHead, Compression } from '../store/index.js';
import type { RawRules } from './raw-types.js';
import type { RestoreInput, RestoreOutput } from './restore-types.js';

/** Directories to walk, last one first. Their own rows and paths are concatenated. */
export interface WalkInput {
  readonly tasks: DirectoryBlock;
  /** New directories get this slot, and every `slotStride`-th after it. */
  readonly firstFreeSlot: SlotNumber;
  readonly slotStride: number;
  /** True to enter other file systems below the roots. */
  readonly crossDevices?: boolean;
  /** Depth below the roots at which directories are no longer entered; 0 for no limit. */
  readonly maxDepth?: number;
  /** Number of entries and directories after which the job ends. The last directory is always listed whole. */
  readonly maxEntries: number;
  readonly excludes: ExcludeOptions;
  /** By slot: the only entry to read, for a root that is a file. No rule leaves it out. */
  readonly files?: Readonly<Record<number, Uint8Array>>;
  /** True if the contents of a block device are read, if one of `files` is one. */
  readonly readsDevices?: boolean;
}

/** Directories in packed form. The n-th has slots[n], parents[n], and a range of rows and paths. */
export interface DirectoryBlock {
  readonly slots: Uint32Array;
  /** Slots of the parents; roots are below 0. */
  readonly parents: Int32Array;
  /** Depths below the roots, which have depth 0. */
  readonly depths: Uint32Array;
  /** The directories' own rows. */
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly paths: Uint8Array;
  readonly pathEnds: Uint32Array;
  /** Their identities, IDENTITY_BYTES each. */
  readonly identities: Uint8Array;
  /** The rule files above the directories; undefined if there are none. */
  readonly rules: PackedChains | undefined;
}

export interface WalkOutput {
  /** Directories that were listed, in walk order. */
  readonly walked: DirectoryBlock;
  /** Their skip hashes, 32 bytes each; zeros if the listing is not settled. */
  readonly hashes: Uint8Array;
  /** Their listings: sorted rows without digests. */
  readonly listings: Uint8Array;
  readonly listingEnds: Uint32Array;
  /** Directories whose listings are empty here, because their names are held (see listOrHold). */
  readonly large: readonly OpenDirectory[];
  readonly entries: number;
  /** Bytes of the regular files listed. */
  readonly fileBytes: number;
  /** Directories still to be walked, last one first. */
  readonly pending: DirectoryBlock;
  readonly nextFreeSlot: SlotNumber;
  /** Owners of the listed entries. */
  readonly owners: readonly OwnerName[];
  /** Directories that could not be listed, and entries that could not be read. */
  readonly failures: readonly Failure[];
  /** Number of entries that were left out, and their paths if those are reported. */
  readonly leftOut: number;
  readonly leftOutPaths: readonly LeftOut[];
  /** Paths of directories of other file systems, which were not entered. */
  readonly notEntered: readonly Uint8Array[];
}

export interface OpenDirectory {
  /** Index among the walked directories. */
  readonly index: number;
  readonly held: number;
  /** Number of its entries that are not left out. */
  readonly entries: number;
}

/** Input of the job that lists a page of a large directory again. */
export interface PageInput {
  /** A block with the directory only. */
  readonly directory: DirectoryBlock;
  readonly held: number;
  /** Index of the first name of the page. */
  readonly from: number;
  readonly excludes: ExcludeOptions;
}

export interface PageOutput {
  /** Sorted rows without digests. */
  readonly rows: Uint8Array;
  /** Hash of the page. The directory's skip hash is the SHA-256 of its pages' hashes. */
  readonly hash: Uint8Array;
  /** Index of the next page's first name. */
  readonly next: number;
  readonly isLast: boolean;
  readonly owners: readonly OwnerName[];
  readonly failures: readonly Failure[];
}

/** A user or group that owns an entry, or that an ACL names. */
export interface OwnerName {
  readonly isGroup: boolean;
  readonly id: number;
  /** Empty if the system has no name for the id. */
  readonly name: Uint8Array;
}

/** An entry that could not be read: `name` in the directory of `slot`. A slot below 0 is a root. */
export interface Failure {
  readonly slot: SlotNumber;
  readonly name: Uint8Array;
  readonly path: Uint8Array;
  readonly what: NoteKind;
  readonly reason: string;
}

/** Files of some directories ("sections"). The n-th section has a range of rows and paths. */
export interface ParcelInput {
  readonly slots: Uint32Array;
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly paths: Uint8Array;
  readonly pathEnds: Uint32Array;
  /** Identities of the directories, IDENTITY_BYTES each. */
  readonly identities: Uint8Array;
  /** Bytes of the files, according to their rows. */
  readonly contentBytes: number;
}

export interface ReadInput {
  readonly parcel: ParcelInput;
  /** If given, contents that no recent parcel sent are compressed at once; otherwise the contents are returned. */
  readonly frames: FrameOptions | undefined;
  readonly rawRules?: RawRules;
  /** Set if the client encrypts. */
  readonly keys?: ContentKeys | undefined;
  /** The user's choice of encryption schemes, if there is one. */
  readonly crypt?: CipherChoice | undefined;
}

export interface FrameOptions {
  readonly compression: Compression;
  /** Files up to this size share frames. */
  readonly smallBytes: number;
  /** Files that are stored raw share frames up to this size. */
  readonly smallRawBytes: number;
  /** Maximum size of the contents of a frame. */
  readonly frameBytes: number;
}

export interface ReadOutput {
  readonly slots: Uint32Array;
  /** The rows with digests; fewer if files vanished. */
  readonly rows: Uint8Array;
  readonly rowEnds: Uint32Array;
  readonly failures: readonly Failure[];
  /** Users and groups that ACLs name. */
  readonly owners: readonly OwnerName[];
  /** Files that grew too large for a parcel, or had more or fewer bytes than their size. They are streamed instead. */
  readonly grown: readonly GrownFile[];
  /** Whole records, one after another (with `frames`). */
  readonly records: Uint8Array | undefined;
  readonly recordLengths: readonly number[];
  /** The contents that were read, for the query to the server (without `frames`). */
  readonly contents: ContentBlock | undefined;
  readonly readBytes: number;
  /** Bytes of holes, which were not read. */
  readonly holeBytes: number;
  readonly files: number;
  /** Time of the job that was spent on making records. */
  readonly buildMs: number;
  /** Files whose content a recent parcel already sent. */
  readonly repeats: number;
}

export interface GrownFile extends ListedFile {
  readonly slot: SlotNumber;
}

/** Contents in one buffer. The n-th has a start, a size, 32 bytes in digests, and may be stored raw. */
export interface ContentBlock {
  readonly bytes: Uint8Array;
  readonly digests: Uint8Array;
  readonly starts: Uint32Array;
  readonly sizes: Uint32Array;
  /** 1 for types that compression never shrinks. */
  readonly isRaw: Uint8Array;
  /** Numbers of the kinds of files; contents of one kind compress better together. */
  readonly kinds: Uint32Array;
  /** Scheme of each content's record; 0 for the usual one. */
  readonly schemes: Uint8Array;
  /** Owners and permissions of the files (`accessOf`); empty if the client does not encrypt. */
  readonly access: Uint32Array;
}

export interface BuildInput {
  readonly contents: ContentBlock;
  /** 1 for each content that is wanted. */
  readonly wanted: Uint8Array;
  readonly frames: FrameOptions;
  /** Set if the client encrypts. */
  readonly keys?: ContentKeys | undefined;
}

export interface BuildOutput {
  readonly records: Uint8Array;
  readonly recordLengths: readonly number[];
}

/** A file that was listed, and is read by itself. */
export interface ListedFile {
  readonly directoryPath: Uint8Array;
  /** Identity of the directory. */
  readonly directory: Uint8Array;
  readonly row: Uint8Array;
}

export interface HolesOutput {
  /** The system's error code if the file could not be read; otherwise empty. EREPLACED: another owner's has the name. */
  readonly failure: string;
  /** Head of the sparse form; empty if the file has no holes worth skipping. */
  readonly head: Uint8Array;
  /** Current size of the file. */
  readonly sizeBytes: number;
  /** The row of the file that has the name now. */
  readonly row: Uint8Array;
}

/** Places of a block device at which its data is looked for. */
export interface DataInput extends ListedFile {
  readonly places: readonly number[];
  /** Number of bytes to read from each place. */
  readonly bytes: number;
}

export interface DataOutput {
  readonly failure: string;
  /** Offset and length of each range that is not zeros. */
  readonly extents: readonly (readonly [offset: number, bytes: number])[];
}

/** A range of a large file. */
export interface RangeInput extends ListedFile {
  /** If set, the file is read in its sparse form, and the range is a range of that form. */
  readonly sparseHead: Uint8Array | undefined;
  readonly offset: number;
  /** Maximum number of bytes to read; fewer are read at the end of the file. */
  readonly bytes: number;
  /** If given, the bytes are these, in memory that all threads share, and no file is opened. */
  readonly content?: Uint8Array | undefined;
  /** If given, the bytes are returned in encoded chunks; otherwise they are only hashed. */
  readonly compression: Compression | undefined;
  readonly rawRules?: RawRules;
  /** Lengths of blocks. A signature of the range is also made with blocks of each length. */
  readonly signatureBlocks?: readonly number[];
  /** If given, one feature of each span of the range is also returned. */
  readonly features?: FeatureRequest | undefined;
  /** If given, the chunks contain a delta. */
  readonly delta?: DeltaRequest | undefined;
  /** Given if the client encrypts; digests are keyed then. */
  readonly keys?: ContentKeys | undefined;
  /** Given if the client encrypts; chunks are encrypted then. */
  readonly cipher?: CipherHead | undefined;
}

export interface FeatureRequest {
  /** Table of the gear hash. */
  readonly gear: Uint8Array;
  readonly spanBytes: number;
}

export interface DeltaRequest {
  /** Number of the signature of the basis, from `loadSignature`. */
  readonly signature: number;
  /** Maximum number of new bytes; with more, the delta is dropped. */
  readonly mostNewBytes: number;
  /** Maximum percentage of new bytes among the bytes read; with more, the delta is dropped. */
  readonly mostNewPercent: number;
  /** Number of bytes to read before `mostNewPercent` is checked. */
  readonly evidenceBytes: number;
}

export interface DeltaOutcome {
  /** True if a delta does not pay. The returned chunks are useless then, and the rest of the range was not read. */
  readonly isDropped: boolean;
  /** Length of the delta before compression. */
  readonly rawBytes: number;
  /** Number of its commands: about two for each place that has changed. */
  readonly commands: number;
}

/** A sample of a basis's signature, and where its pieces are in the basis. */
export interface SampleRequest {
  readonly signature: number;
  readonly spacingBytes: number;
  readonly bytes: number;
}

/** Input of the job that looks at some stretches of a large file. */
export interface SimilarInput extends ListedFile {
  readonly sparseHead: Uint8Array | undefined;
  readonly formBytes: number;
  /** Table of the gear hash; undefined if no features are wanted. */
  readonly gear: Uint8Array | undefined;
  /** Sample with which the stretches are compared; undefined for none. */
  readonly sample: SampleRequest | undefined;
}

export interface SimilarOutput {
  readonly failure: string;
  /** All features of the stretches, FEATURE_BYTES each. */
  readonly features: Uint8Array;
  /** True if a stretch has a block of the sample. */
  readonly isSimilar: boolean;
}

export interface RangeOutput {
  /** The system's error code (ENOENT, EACCES, EIO, …) if the file could not be read; otherwise empty. */
  readonly failure: string;
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** The row of the file at the time it was opened. */
  readonly row: Uint8Array;
  readonly hasChanged: boolean;
  /** True if the directory of the file was closed before the range was read. */
  readonly wasClosed: boolean;
  /** True if the bytes read contradict the size, though that did not change; implies `hasChanged`. */
  readonly isInconsistent: boolean;
  /** The error of reading the attributes; empty if they could be read. */
  readonly incomplete: string;
  /** Users and groups that the file's ACLs name. */
  readonly owners: readonly OwnerName[];
  /** Signatures of the bytes read, one for each requested length of blocks. */
  readonly signatures: readonly Uint8Array[];
  /** Features of the bytes read, FEATURE_BYTES each, if they were requested; otherwise empty. */
  readonly features: Uint8Array;
  readonly delta: DeltaOutcome | undefined;
  /** Time that a thread worked on the range, without its waits for the receiver of the chunks. */
  readonly busyMs: number;
}

export interface JobTable {
  walk: { input: WalkInput; output: WalkOutput };
  page: { input: PageInput; output: PageOutput };
  /** Frees the held names of a directory; no page of it is needed any more. */
  dropNames: { input: { readonly held: number }; output: null };
  read: { input: ReadInput; output: ReadOutput };
  build: { input: BuildInput; output: BuildOutput };
  holes: { input: ListedFile; output: HolesOutput };
  data: { input: DataInput; output: DataOutput };
  similar: { input: SimilarInput; output: SimilarOutput };
  restore: { input: RestoreInput; output: RestoreOutput };
}

export type JobName = keyof JobTable;
export type JobInput<N extends JobName> = JobTable[N]['input'];
export type JobOutput<N extends JobName> = JobTable[N]['output'];

/** Result of a job function: its output, and the buffers that move with it. */
export interface JobResult<T> {
  readonly output: T;
  readonly transfer: readonly ArrayBuffer[];
  /** Time that the job worked, if it also waited; otherwise undefined. */
  readonly busyMs?: number;
}

export interface TimedOutput<N extends JobName> {
  readonly output: JobOutput<N>;
  /** Time that the job ran, without the wait for a thread. */
  readonly busyMs: number;
}

/** A bounded set of digests shared by all threads. It may forget digests. */
export interface RecentDigests {
  has(digest: Uint8Array): boolean;
  add(digest: Uint8Array): void;
  clear(): void;
  /** Number of digests added. */
  readonly added: number;
  readonly capacity: number;
  /** The memory of all digests, for the addon. */
  readonly table: Uint8Array;
}

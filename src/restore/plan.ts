/** Sorts files in the order of the packs, and groups files that share records into jobs. */
import { recordKey, type RecordPlace } from '../contents/index.js';
import type { ContentLocation, ContentPiece, History, RequestedContent } from '../history/index.js';
import { BytesBuilder, isSparse } from '../model/index.js';
import { NO_RECORD, RestoreHow, type RestoreInput, type RestorePiece } from '../workers/index.js';
import { TardisError } from '../errors/index.js';

/** The directory of some files, by its path relative to the target. The path may be made when it is read. */
interface DirectoryOfFiles {
  readonly path: Buffer;
}

export interface FileToRestore extends RequestedContent {
  readonly metadata: Buffer;
  /** Bits of RestoreHow. */
  readonly how: number;
  readonly directory: DirectoryOfFiles;
  readonly name: Buffer;
}

export interface RestoreJob {
  readonly input: Omit<
    RestoreInput,
    'source' | 'target' | 'metadataOptions' | 'temporaryPrefix' | 'stop' | 'directories'
  >;
  /** The directories of the files. Their paths are made when the job runs, since many jobs wait. */
  readonly directories: readonly DirectoryOfFiles[];
  /** The files of the input, in its order. */
  readonly files: readonly FileToRestore[];
  /**
   * Number of bytes of memory that the job counts as: its decoded contents and its files. The sum over all jobs in
   * flight is limited.
   */
  readonly bytes: number;
  /** Number of decoded bytes that the job takes from each record of the input. Each content is counted once. */
  readonly takenBytes: readonly number[];
  /** Resolve once the files that its copies are made from are written, or could not be. */
  readonly after: ReadonlySet<Promise<void>>;
}

/** Limits of a job, paths of directories included: it ends with the record in which it reaches one of them. */
const JOB_BYTES = 2 << 20;
const JOB_FILES = 512;
/** Bytes of paths of directories with which a job ends also within a record. */
const JOB_PATH_BYTES = 8 << 20;
/** Number of bytes that a file counts as in addition to its contents, so that empty files are limited too. */
const FILE_BYTES = 1 << 10;

/** A file that the restore writes before another one with its content. */
export interface Original {
  readonly directory: DirectoryOfFiles;
  readonly name: Buffer;
  /** Resolves once the file is written, or could not be; never rejects. */
  readonly written: Promise<void>;
}

export interface LocatedFile {
  readonly file: FileToRestore;
  /** Locations of the file's content; empty for an empty file. */
  readonly pieces: readonly ContentPiece[];
  /** The file that this one is copied from; undefined if it is read from the store. A copy is not empty. */
  readonly original?: Original | undefined;
}

/** Makes the rows of restored files. */
export interface RowMaker {
  /** Appends the row of a file, made from the metadata in the catalog. */
  append(into: BytesBuilder, metadata: Buffer, name: Buffer, digest?: Uint8Array): void;
}

/** Returns the paths of the directories of a job, one after the other. */
export function pathsOfJob({ directories }: RestoreJob): Uint8Array {
  const paths = new BytesBuilder(PATHS_HINT_BYTES);
  for (const { path } of directories) paths.append(path);
  return paths.take();
}

/** Sorts files by the locations of their contents and groups them into jobs. */
export function planJobs(files: readonly LocatedFile[], rowsOf: RowMaker): RestoreJob[] {
  const jobs: RestoreJob[] = [];
  let builder = new JobBuilder(rowsOf);
  for (const item of files.toSorted(byPlace)) {
    if (builder.isOver || (builder.isFull && !builder.endsWith(item.pieces))) {
      jobs.push(builder.build());
      builder = new JobBuilder(rowsOf);
    }
    builder.add(item);
  }
  if (builder.count > 0) jobs.push(builder.build());
  return jobs;
}

type Placed = Pick<LocatedFile, 'pieces'>;

/** Compares files by the locations of their contents; empty files sort first. */
export function byPlace(a: Placed, b: Placed): number {
  const [first, second] = [a.pieces[0], b.pieces[0]];
  if (first === undefined || second === undefined) {
    return (first === undefined ? 0 : 1) - (second === undefined ? 0 : 1);
  }
  if (first.object !== second.object) return first.object < second.object ? -1 : 1;
  return first.position - second.position || first.offset - second.offset;
}

class JobBuilder {
  private readonly records: RecordPlace[] = [];
  private readonly recordNumbers = new Map<string, number>();
  private readonly takenBytes: number[] = [];
  /** The piece whose bytes were added to `takenBytes` last. */
  private lastTaken: ContentPiece | undefined;
  private readonly rows = new BytesBuilder(ROWS_HINT_BYTES);
  private readonly places: number[] = [];
  private readonly directories: DirectoryOfFiles[] = [];
  private pathBytes = 0;
  private readonly directoryEnds: number[] = [];
  private readonly directoryNumbers = new Map<DirectoryOfFiles, number>();
  private readonly inParts: { file: number; pieces: RestorePiece[] }[] = [];
  private readonly files: FileToRestore[] = [];
  private readonly after = new Set<Promise<void>>();
  private readonly copiedNames = new BytesBuilder(0);
  private bytes = 0;

  constructor(private readonly rowsOf: RowMaker) {}

  get count(): number {
    return this.files.length;
  }

  get isOver(): boolean {
    return this.pathBytes >= JOB_PATH_BYTES;
  }

  get isFull(): boolean {
    const bytes = this.bytes + this.pathBytes;
    return bytes >= JOB_BYTES || this.files.length >= JOB_FILES;
  }

  /** True if these pieces begin in the record that was added last. An empty file begins in no record. */
  endsWith([first]: readonly ContentPiece[]): boolean {
    const last = this.records.at(-1);
    if (first === undefined || last === undefined) return false;
    return last.object === first.object && last.position === first.position;
  }

  add({ file, pieces, original }: LocatedFile): void {
    const [first] = pieces;
    if (original !== undefined) {
      this.addCopy(file, pieces, original);
      return;
    }
    // The size in a sparse file's row is not that of its content.
    const { metadata } = file;
    const isInForm = isSparse(metadata);
    const isDelta = first?.basis !== undefined;
    const isOnePiece = pieces.length === 1 && first !== undefined && !isInForm && !isDelta;
    const digest = isOnePiece ? first.digest : undefined;
    this.rowsOf.append(this.rows, metadata, file.name, digest);
    const record = isOnePiece ? this.recordNumber(first) : NO_RECORD;
    const directory = this.directoryNumber(file.directory);
    const isInParts = pieces.length > 1 || isInForm || isDelta;
    const how = isInParts ? file.how | RestoreHow.inParts : file.how;
    this.places.push(directory, record, first?.offset ?? 0, how);
    if (isInParts) {
      const numbered = pieces.map((piece) => ({
        record: this.recordNumber(piece),
        digest: piece.digest,
        sizeBytes: piece.sizeBytes,
        offset: piece.offset,
        basis: piece.basis,
      }));
      this.inParts.push({ file: this.files.length, pieces: numbered });
    }
    this.files.push(file);
    for (const { sizeBytes } of pieces) this.bytes += sizeBytes;
  }

  private addCopy(file: FileToRestore, pieces: readonly ContentPiece[], original: Original): void {
    const digest = pieces.length === 1 ? pieces[0]!.digest : undefined;
    this.rowsOf.append(this.rows, file.metadata, file.name, digest);
    if (digest === undefined) {
      const unread = pieces.map(({ digest: own, sizeBytes, offset }) => ({
        record: NO_RECORD,
        digest: own,
        sizeBytes,
        offset,
      }));
      this.inParts.push({ file: this.files.length, pieces: unread });
    }
    const directory = this.directoryNumber(file.directory);
    const from = this.directoryNumber(original.directory);
    this.places.push(directory, from, this.copiedNames.length, file.how | RestoreHow.copied);
    this.copiedNames.append(original.name);
    this.copiedNames.append(NAME_END);
    this.after.add(original.written);
    this.files.push(file);
    for (const { sizeBytes } of pieces) this.bytes += sizeBytes;
  }

  build(): RestoreJob {
    const { records, directories, files, inParts, takenBytes, after } = this;
    const bytes = this.bytes + this.pathBytes + files.length * FILE_BYTES;
    const input = {
      records,
      rows: this.rows.take(),
      places: Uint32Array.from(this.places),
      directoryEnds: Uint32Array.from(this.directoryEnds),
      inParts,
      copiedNames: this.copiedNames.take(),
    };
    return { input, directories, files, bytes, takenBytes, after };
  }

  /** Returns the number of the record of a piece, and counts the bytes that are taken from it. */
  private recordNumber(piece: ContentPiece): number {
    const number = this.numberOf(piece);
    // Pieces come in the order of their places, so equal ones follow one another.
    const last = this.lastTaken;
    const isSame = last?.offset === piece.offset && number === this.records.length - 1;
    if (!isSame || recordKey(last) !== recordKey(piece)) {
      this.takenBytes[number]! += piece.sizeBytes;
    }
    this.lastTaken = piece;
    return number;
  }

  private numberOf(piece: ContentPiece): number {
    // The files of a frame follow one another.
    const last = this.records.at(-1);
    if (last?.position === piece.position && last.object === piece.object) {
      return this.records.length - 1;
    }
    const key = recordKey(piece);
    let number = this.recordNumbers.get(key);
    if (number === undefined) {
      number = this.records.length;
      const { object, position, recordBytes } = piece;
      this.records.push({ object, position, recordBytes });
      this.takenBytes.push(0);
      this.recordNumbers.set(key, number);
    }
    return number;
  }

  private directoryNumber(directory: DirectoryOfFiles): number {
    let number = this.directoryNumbers.get(directory);
    if (number === undefined) {
      number = this.directoryEnds.length;
      this.directories.push(directory);
      this.pathBytes += directory.path.length;
      this.directoryEnds.push(this.pathBytes);
      this.directoryNumbers.set(directory, number);
    }
    return number;
  }
}

const ROWS_HINT_BYTES = 16 << 10;
const PATHS_HINT_BYTES = 2 << 10;
const NAME_END = Buffer.of(0);

/**
 * Returns the locations of contents in their order. One that cannot be located prevents the restore of no other file: for a content without a valid location in the catalog, it returns a
 * CATALOG_DAMAGED error instead.
 */
export async function locateEach(
  history: History,
  contents: readonly RequestedContent[],
): Promise<(ContentLocation | TardisError)[]> {
  try {
    return await history.locate(contents);
  } catch (error) {
    requireDamage(error);
  }
  const all: (ContentLocation | TardisError)[] = [];
  for (const content of contents) {
    try {
      all.push((await history.locate([content]))[0]);
    } catch (error) {
      all.push(requireDamage(error));
    }
  }
  return all;
}

/** Returns a CATALOG_DAMAGED error; throws any other error. */
function requireDamage(error: unknown): TardisError {
  if (error instanceof TardisError && error.code === 'CATALOG_DAMAGED') return error;
  throw error;
}

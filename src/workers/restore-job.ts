/**
 * All stages of a restore in one job: fetches records, decompresses them, checks every content against its digest, and
 * writes the files. One call of the addon does so for all files that need no decision; the others follow one by one.
 * Everything is opened beneath the target without following links, so no name from the store leads outside. A file that
 * fails is removed, and does not stop the others.
 */
import {
  provenBytes,
  type RecordPlace,
  RecordReader,
  ReusedBuffers,
  SparseWriter,
} from '../contents/index.js';
import { LEAST_DELTA_BYTES } from '../delta/index.js';
import { isDamage, systemCode, TardisError, type WireError } from '../errors/index.js';
import { bufferOf, digestKeyOf, NO_BYTES, RowFlag, RowReader } from '../model/index.js';
import { mediumOf, type ObjectReader } from '../store/index.js';
import {
  type FailedAttribute,
  failedAttributes,
  LEFT_NUMBERS,
  MetadataOption,
  OpenFd,
  OpenKind,
  refusedOfFiles,
  RestoreCount,
  type Files,
  type System,
} from '../system/index.js';
import { bytesOf, runOf } from './block-builder.js';
import { bytesIn, hasContent, hasSparseContent, requireBegun } from './compare-file.js';
import type { JobContext } from './job-context.js';
import type { JobResult } from './jobs.js';
import {
  anotherFile,
  damagedOf,
  describe,
  immutableTarget,
  lacking,
  moveOver,
  notCopied,
  openTarget,
  targetFull,
  temporaryName,
} from './target-file.js';
import {
  isCopy,
  NO_RECORD,
  PLACE_NUMBERS,
  RestoreHow,
  type RestoreInput,
  type RestoreJobFailure,
  type RestoreOutput,
  type RestorePiece,
} from './restore-types.js';
import { StoreProxy } from './store-proxy.js';
import { StoredBodies } from './stored-bodies.js';
import { FileUpdate } from './update-file.js';

const NO_FILES = new Uint32Array(0);

export async function restoreJob(
  input: RestoreInput,
  context: JobContext,
): Promise<JobResult<RestoreOutput>> {
  const { native } = context.system;
  using root = new OpenFd(native, openTarget(context.system, input.target));
  const isRest = input.undecided !== undefined;
  const output = await (isRest ? restoreEach : restoreAll)(input, root.fd, context);
  return { output, transfer: [] };
}

async function restoreAll(
  input: RestoreInput,
  rootFd: number,
  context: JobContext,
): Promise<RestoreOutput> {
  const { undecided, ...many } = await restoreMany(input, rootFd, context);
  if (undecided.length === 0) return many;
  const rest = { ...input, undecided };
  const each =
    context.others === undefined
      ? await restoreEach(rest, rootFd, context)
      : (await context.others.run('restore', rest)).output;
  return {
    files: many.files + each.files,
    bytes: many.bytes + each.bytes,
    unchanged: each.unchanged,
    failures: [...many.failures, ...each.failures],
  };
}

/** Restores the files that need no decision. Returns the others, too. */
async function restoreMany(
  input: RestoreInput,
  rootFd: number,
  { system, others }: JobContext,
): Promise<RestoreOutput & { readonly undecided: Uint32Array }> {
  const { source, places } = input;
  using bodies = new StoredBodies(system, input);
  const undecided = new Uint32Array((places.length / PLACE_NUMBERS) * LEFT_NUMBERS);
  const counts = new Float64Array(RestoreCount.numbers);
  const refused = await system.native.restoreFiles(
    rootFd,
    input.directories,
    bytesOf(input.directoryEnds),
    input.rows,
    bytesOf(places),
    bodies.places,
    bodies.also,
    digestKeyOf(input.keys),
    input.metadataOptions,
    input.copiedNames,
    'stored' in source ? source.stored : NO_BYTES,
    bytesOf(undecided),
    bytesOf(counts),
    others !== undefined,
  );
  return {
    files: counts[RestoreCount.files]!,
    bytes: counts[RestoreCount.writtenBytes]!,
    unchanged: 0,
    failures: refusedOfFiles(refused).map(({ file, attribute }) => lacking(file, attribute)),
    undecided: undecided.slice(0, counts[RestoreCount.undecided]! * LEFT_NUMBERS),
  };
}

/** Restores the undecided files of a job one by one. */
async function restoreEach(
  input: RestoreInput,
  rootFd: number,
  { system }: JobContext,
): Promise<RestoreOutput> {
  const run = new RestoreRun(input, rootFd, stoppable(system, input.stop));
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

/** Returns a system that reads no file once the restore is stopped: a file is compared with others of any size. */
function stoppable(system: System, stop: Int32Array): System {
  const { files } = system;
  const read: Files['read'] = (...place) => {
    requireGoingOn(stop);
    return files.read(...place);
  };
  // All other calls stay those of `files`, whatever kind of object it is.
  return { ...system, files: Object.setPrototypeOf({ read }, files) as Files };
}

/** Throws INTERRUPTED once the restore is stopped. */
function requireGoingOn(stop: Int32Array): void {
  if (Atomics.load(stop, 0) !== 0) throw new TardisError('INTERRUPTED', 'interrupted');
}

function backendOf(system: System, { source, records }: RestoreInput): ObjectReader {
  if ('directory' in source) return mediumOf(system, source.directory).records();
  if ('stored' in source) return fetchedRecords(records, source.stored);
  throw new TardisError('INTERNAL', 'this store is read through a port');
}

interface FileTask {
  readonly rowAt: number;
  readonly directory: number;
  readonly name: Buffer;
  /** Bits of RestoreHow. */
  readonly how: number;
  /** Locations of the file's content; empty for an empty file. */
  readonly pieces: readonly RestorePiece[];
}

/** Form of a file that is written while it is read, and the source of its bytes if that is a file, not records. */
interface StreamHow {
  readonly isSparse?: boolean;
  readonly update?: FileUpdate | undefined;
  readonly originalFd?: number;
}

class RestoreRun {
  private readonly rows: RowReader;
  private readonly inParts: ReadonlyMap<number, readonly RestorePiece[]>;
  private readonly failures: RestoreJobFailure[] = [];
  /** Index of the piece of the current file that is being read. */
  private piece = 0;
  /** -1 for a directory that is not open yet. */
  private readonly directoryFds: Int32Array;
  private files = 0;
  private bytes = 0;
  private unchanged = 0;
  /** Freed after the job. Each thread kept that of its largest record otherwise: 8 MB of a restore with four (measured). */
  private readonly memory = new ReusedBuffers();
  private readonly reader: RecordReader;
  private readonly backend: ObjectReader;
  /** The reader of a store on another machine; otherwise undefined. */
  private readonly remote: StoreProxy | undefined;

  constructor(
    private readonly input: RestoreInput,
    private readonly rootFd: number,
    private readonly system: System,
  ) {
    this.rows = new RowReader(input.rows);
    this.inParts = new Map(input.inParts.map(({ file, pieces }) => [file, pieces]));
    // Opened for one job only. At any time a pack may be replaced, and its name reused by another store.
    const { source } = input;
    this.remote = 'port' in source ? new StoreProxy(source.port) : undefined;
    this.backend = this.remote ?? backendOf(system, input);
    this.reader = new RecordReader(this.backend, system.native, this.memory, input.keys);
    this.directoryFds = new Int32Array(input.directoryEnds.length).fill(-1);
  }

  async run(): Promise<RestoreOutput> {
    const { undecided = NO_FILES } = this.input;
    for (let next = 0; next < undecided.length; next += LEFT_NUMBERS) {
      const [index, rowAt] = undecided.subarray(next) as unknown as [number, number];
      const file = this.fileAt(rowAt, index);
      this.piece = 0;
      try {
        requireGoingOn(this.input.stop);
        await this.restoreAlone(file, index);
      } catch (error) {
        this.fail(file, index, error);
      }
    }
    const { files, bytes, unchanged, failures } = this;
    return { files, bytes, unchanged, failures };
  }

  private async restoreAlone(file: FileTask, index: number): Promise<void> {
    const missing = isCopy(file.how)
      ? await this.copy(file, this.openOriginal(index))
      : await this.restore(file);
    if (missing === undefined) this.unchanged += 1;
    else this.files += 1;
    for (const attribute of missing ?? []) this.failures.push(lacking(index, attribute));
  }

  /** Opens the file from which another one is copied. Throws the error of a copy if there is no such file. */
  private openOriginal(index: number): number {
    const { places, copiedNames } = this.input;
    const [, directory, nameAt] = places.subarray(index * PLACE_NUMBERS);
    const name = bufferOf(copiedNames).subarray(nameAt, copiedNames.indexOf(0, nameAt));
    try {
      return this.system.native.openBeneath(this.directoryFd(directory!), name, OpenKind.file);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      throw notCopied();
    }
  }

  /** Writes a file with the bytes of an earlier one, which is open and has its content unless it was changed. */
  private async copy(file: FileTask, originalFd: number): Promise<FailedAttribute[]> {
    try {
      const directoryFd = this.directoryFd(file.directory);
      const missing = await this.writeStreaming(directoryFd, file.name, file, { originalFd });
      return failedAttributes(missing);
    } catch (error) {
      throw isDamage(error) ? notCopied() : error;
    } finally {
      this.system.native.close(originalFd);
    }
  }

  /** Records the failure of one file. Throws if the target is full, or for a bug. */
  private fail(file: FileTask, index: number, error: unknown): void {
    const full = targetFull(error);
    if (full !== undefined) throw full;
    const isOurs = error instanceof TardisError || systemCode(error) !== undefined;
    if (!isOurs) throw error;
    const digest = damagedOf(error) ?? file.pieces[this.piece]?.digest;
    this.failures.push({
      file: index,
      isRestored: false,
      digest: digest && Buffer.from(digest),
      error: this.whyImmutable(file, error) ?? describe(error),
    });
  }

  private whyImmutable({ directory, name }: FileTask, error: unknown): WireError | undefined {
    const path = runOf(this.input.directories, this.input.directoryEnds, directory);
    return immutableTarget(this.system, this.rootFd, { directory: path, name }, error);
  }

  private fileAt(rowAt: number, index: number): FileTask {
    const { rows } = this;
    const { places } = this.input;
    const [directory, record, offset, how] = places.subarray(index * PLACE_NUMBERS) as unknown as [
      number,
      number,
      number,
      number,
    ];
    let pieces = this.inParts.get(index);
    if (record === NO_RECORD) pieces ??= [];
    else if (pieces === undefined) {
      const sizeBytes = rows.sizeBytes(rowAt);
      pieces = [{ record, digest: rows.digest(rowAt), sizeBytes, offset }];
    }
    return { rowAt, directory, name: rows.name(rowAt), how, pieces };
  }

  close(): void {
    for (const fd of this.directoryFds) if (fd !== -1) this.system.native.close(fd);
    this.backend.close();
    this.reader.release();
    this.memory.release();
  }

  private directoryFd(index: number): number {
    const known = this.directoryFds[index]!;
    if (known !== -1) return known;
    const path = runOf(this.input.directories, this.input.directoryEnds, index);
    const fd = this.system.native.openBeneath(this.rootFd, path, OpenKind.directory);
    this.directoryFds[index] = fd;
    return fd;
  }

  /**
   * Restores a file. Returns the attributes that could not be set; undefined if the existing file has the same
   * content.
   */
  private async restore(file: FileTask): Promise<FailedAttribute[] | undefined> {
    const directoryFd = this.directoryFd(file.directory);
    const { how } = file;
    if ((how & (RestoreHow.compare | RestoreHow.dress)) !== 0) {
      const kept = await this.keepEqual(directoryFd, file);
      if (kept !== 'differs') return kept;
      if ((how & RestoreHow.replace) === 0) throw anotherFile();
    }
    if ((how & RestoreHow.pretend) !== 0) {
      this.bytes += this.rows.sizeBytes(file.rowAt);
      return [];
    }
    return failedAttributes(await this.write(directoryFd, file));
  }

  /**
   * Keeps an existing file that has the content, and sets its metadata if that is requested. Returns the same as
   * `restore`; `differs` if the file has another content.
   */
  private async keepEqual(
    directoryFd: number,
    file: FileTask,
  ): Promise<FailedAttribute[] | undefined | 'differs'> {
    const { native, files } = this.system;
    const { name, how, rowAt } = file;
    using opened = new OpenFd(native, native.openBeneath(directoryFd, name, OpenKind.file));
    const isCompared = (how & RestoreHow.compare) !== 0;
    if (isCompared && !(await this.isEqual(opened.fd, file))) return 'differs';
    if ((how & RestoreHow.dress) === 0 || (how & RestoreHow.pretend) !== 0) return undefined;
    // The owner of the directory may have given the name to a file of somebody else.
    const { sizeBytes, linkCount } = files.statusOf(opened.fd);
    const isShared = linkCount > 1 && this.rows.linkCount(rowAt) <= 1;
    if (isShared || sizeBytes !== this.rows.sizeBytes(rowAt)) return 'differs';
    return failedAttributes(
      native.finishFile(opened.fd, this.input.rows, rowAt, this.optionsOf(file)),
    );
  }

  /** True if an open file has the content of a file. */
  private async isEqual(fd: number, file: FileTask): Promise<boolean> {
    return this.isSparse(file)
      ? hasSparseContent(this.system, fd, this.storedForm(file))
      : hasContent(this.system, fd, file.pieces, { keys: this.input.keys });
  }

  private async *storedForm({ pieces }: FileTask): AsyncGenerator<Buffer> {
    for (const [index, piece] of pieces.entries()) {
      this.piece = index;
      yield* this.reader.pieceBytes(this.record(piece), piece);
    }
  }

  /** Returns the bits of MetadataOption for a file. */
  private optionsOf({ how }: FileTask): number {
    const { metadataOptions } = this.input;
    return (how & RestoreHow.inherits) === 0
      ? metadataOptions
      : metadataOptions | MetadataOption.dropInherited;
  }

  private isSparse(file: FileTask): boolean {
    return (this.rows.flags(file.rowAt) & RowFlag.sparse) !== 0;
  }

  /** True if the whole content of a file is decoded now. */
  private async isInMemory(file: FileTask): Promise<boolean> {
    const [only] = file.pieces;
    // A large file is not read from a remote store before it is known if a delta suffices.
    const isRemoteAndLarge =
      this.remote !== undefined && (only?.sizeBytes ?? 0) >= LEAST_DELTA_BYTES;
    if (file.pieces.length > 1 || this.isSparse(file) || isRemoteAndLarge) return false;
    return only === undefined || this.reader.isWhole(this.record(only));
  }

  private async write(directoryFd: number, file: FileTask): Promise<Buffer | undefined> {
    const { name, how } = file;
    const isSparse = this.isSparse(file);
    const write = async (target: Buffer, older?: Buffer): Promise<Buffer | undefined> => {
      if (await this.isInMemory(file)) {
        return this.writeWhole(directoryFd, target, file, file.pieces[0]);
      }
      const update =
        older === undefined ? undefined : await this.updateFrom(directoryFd, older, file);
      try {
        return await this.writeStreaming(directoryFd, target, file, { isSparse, update });
      } finally {
        await update?.close();
      }
    };
    try {
      return await write(name);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || (how & RestoreHow.replace) === 0) throw error;
      const temporary = Buffer.from(temporaryName(this.system, this.input.temporaryPrefix));
      const missing = await write(temporary, name);
      requireBegun(this.system, directoryFd, { name, how, whole: temporary });
      moveOver(this.system, directoryFd, temporary, name);
      return missing;
    }
  }

  private record(piece: RestorePiece): RecordPlace {
    return this.input.records[piece.record]!;
  }

  private writeWhole(
    directoryFd: number,
    name: Buffer,
    file: FileTask,
    piece: RestorePiece | undefined,
  ): Buffer | undefined {
    const offset = piece?.offset ?? 0;
    const sizeBytes = piece?.sizeBytes ?? 0;
    if (piece !== undefined) this.reader.checkDecoded(piece);
    const missing = this.system.native.writeFileAt(
      directoryFd,
      name,
      this.memory.decoded,
      offset,
      sizeBytes,
      this.input.rows,
      file.rowAt,
      this.optionsOf(file),
    );
    this.bytes += sizeBytes;
    return missing;
  }

  /** Prepares an update from an older file, so that only the differences are fetched from a remote store. */
  private async updateFrom(
    directoryFd: number,
    name: Buffer,
    file: FileTask,
  ): Promise<FileUpdate | undefined> {
    // A server cannot make deltas of encrypted contents.
    const canUpdate = this.remote !== undefined && this.input.keys === undefined;
    if (!canUpdate || this.isSparse(file)) return undefined;
    const wantedBytes = file.pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    return FileUpdate.begin(this.system, this.remote, { directoryFd, name, wantedBytes });
  }

  /** Writes a file in parts or chunks while it is decoded. Removes it again if a digest is wrong. */
  private async writeStreaming(
    directoryFd: number,
    name: Buffer,
    file: FileTask,
    { isSparse, update, originalFd }: StreamHow,
  ): Promise<Buffer | undefined> {
    const { files, native } = this.system;
    const fd = native.createFileAt(directoryFd, name);
    const sparse = isSparse === true ? new SparseWriter() : undefined;
    const write = (data: Buffer, position: number): void => {
      files.write(fd, data, position);
      this.bytes += data.length;
    };
    try {
      let position = 0;
      for (const [index, piece] of file.pieces.entries()) {
        this.piece = index;
        const [startAt, startBytes] = [position, this.bytes];
        const put = async (pieces: AsyncIterable<Buffer>): Promise<void> => {
          for await (const bytes of pieces) {
            requireGoingOn(this.input.stop);
            if (sparse === undefined) write(bytes, position);
            else sparse.push(bytes, write);
            position += bytes.length;
          }
        };
        if (update !== undefined && (await update.isOfUse(piece))) {
          try {
            await put(update.pieceBytes(piece));
            continue;
          } catch (error) {
            if (!isDamage(error)) throw error;
            // The older file has probably changed, so the piece is read whole.
            [position, this.bytes] = [startAt, startBytes];
          }
        }
        const { keys } = this.input;
        await put(
          originalFd === undefined
            ? this.reader.pieceBytes(this.record(piece), piece)
            : provenBytes(
                { native, keys },
                bytesIn(files, originalFd, position, piece.sizeBytes),
                piece,
              ),
        );
      }
      if (sparse !== undefined) native.resizeFile(fd, sparse.finish());
      return native.finishFile(fd, this.input.rows, file.rowAt, this.optionsOf(file));
    } catch (error) {
      native.unlinkAt(directoryFd, name);
      throw error;
    } finally {
      native.close(fd);
    }
  }
}

/**
 * Returns a reader of these records, whose bytes follow one another in `stored`. It rejects with ENOENT for other
 * records.
 */
function fetchedRecords(records: readonly RecordPlace[], stored: Uint8Array): ObjectReader {
  let end = 0;
  const placed = records.map((record) => {
    const at = end;
    end += record.recordBytes;
    return { ...record, at };
  });
  return {
    async read(object, position, target, bytes) {
      const found = placed.find(
        (record) =>
          record.object === object &&
          record.position <= position &&
          position < record.position + record.recordBytes,
      );
      if (found === undefined) {
        const message = `ENOENT: no record of this job, ${object}`;
        throw Object.assign(new Error(message), { code: 'ENOENT' });
      }
      const from = found.at + position - found.position;
      const part = stored.subarray(from, Math.min(from + bytes, found.at + found.recordBytes));
      target.set(part);
      return part.length;
    },
    close: () => undefined,
  };
}

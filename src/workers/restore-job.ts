/**
 * The restore stages in one job: fetch records, decompress, check every content against its digest,
 * write the files. Everything is opened beneath the target without following links, so that no name
 * from the store leads outside. A file that fails leaves nothing behind and does not stop the others.
 */
import { createHash } from 'node:crypto';
import { asTardisError, systemCode, TardisError, toWire, type WireError } from '../errors/index.js';
import { DIGEST_BYTES, RowFlag, RowReader } from '../model/index.js';
import {
  type Backend,
  CHUNK_HEADER_BYTES,
  type CodecNumber,
  decode,
  decodeChunk,
  DirectoryBackend,
  MAX_FRAME_RAW_BYTES,
  readChunkHeader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { type FailedAttribute, failedAttributes, OpenKind, type System } from '../system/index.js';
import { runOf } from './block-builder.js';
import { SparseWriter } from './sparse.js';
import { NO_RECORD, PLACE_NUMBERS } from './jobs.js';
import type {
  JobResult,
  RestoreInput,
  RestoreJobFailure,
  RestoreOutput,
  RestorePiece,
  RestoreRecord,
} from './jobs.js';

let decoded: Buffer = Buffer.alloc(0);
let stored: Buffer = Buffer.alloc(0);
const digestScratch = Buffer.alloc(DIGEST_BYTES);

export async function restoreJob(
  input: RestoreInput,
  system: System,
): Promise<JobResult<RestoreOutput>> {
  const job = new RestoreRun(input, system);
  try {
    return { output: await job.run(), transfer: [] };
  } finally {
    job.close();
  }
}

function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}

interface FileTask {
  readonly rowAt: number;
  readonly directory: number;
  readonly name: Buffer;
  /** None for an empty file. */
  readonly pieces: readonly RestorePiece[];
}

class RestoreRun {
  private readonly rows: RowReader;
  private readonly inParts: ReadonlyMap<number, readonly RestorePiece[]>;
  private readonly failures: RestoreJobFailure[] = [];
  /** The piece of the current file that is being read. */
  private piece = 0;
  private readonly directoryFds = new Map<number, number>();
  private readonly rootFd: number;
  private files = 0;
  private bytes = 0;
  /** The record that `decoded` holds. */
  private decodedRecord = -1;
  private decodedBytes = 0;
  private readonly backend: Backend;
  private readonly input: RestoreInput;
  private readonly system: System;

  constructor(input: RestoreInput, system: System) {
    this.input = input;
    this.system = system;
    this.rows = new RowReader(input.rows);
    this.inParts = new Map(input.inParts.map(({ file, pieces }) => [file, pieces]));
    // For one job only: a pack may be replaced, and its name used by another store, at any time.
    this.backend = new DirectoryBackend(input.clientPath, system.files);
    this.rootFd = system.native.openDirectory(Buffer.from(input.targetPath));
  }

  async run(): Promise<RestoreOutput> {
    const { rows } = this;
    let index = 0;
    for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at), index += 1) {
      const file = this.fileAt(at, index);
      this.piece = 0;
      try {
        const missing = await this.restore(file);
        this.files += 1;
        for (const attribute of missing) {
          const error = attributeError(attribute);
          this.failures.push({ file: index, isRestored: true, digest: undefined, error });
        }
      } catch (error) {
        const code = systemCode(error);
        const isFatal = code === 'ENOSPC' || code === 'EDQUOT';
        const isOurs = error instanceof TardisError || code !== undefined;
        if (isFatal) {
          throw new TardisError('TARGET_FULL', 'the target is full', { cause: code }, error);
        }
        if (!isOurs) throw error;
        const read = file.pieces[this.piece];
        const digest = read === undefined ? undefined : Buffer.from(read.digest);
        this.failures.push({ file: index, isRestored: false, digest, error: describe(error) });
      }
    }
    return { files: this.files, bytes: this.bytes, failures: this.failures };
  }

  private fileAt(rowAt: number, index: number): FileTask {
    const { rows } = this;
    const { places } = this.input;
    const [directory, record, offset] = places.subarray(index * PLACE_NUMBERS) as unknown as [
      number,
      number,
      number,
    ];
    let pieces = this.inParts.get(index) ?? [];
    if (record !== NO_RECORD) {
      const sizeBytes = rows.sizeBytes(rowAt);
      pieces = [{ record, digest: rows.digest(rowAt), sizeBytes, offset }];
    }
    return { rowAt, directory, name: rows.name(rowAt), pieces };
  }

  close(): void {
    for (const fd of this.directoryFds.values()) this.system.native.close(fd);
    this.system.native.close(this.rootFd);
    this.backend.close();
  }

  private directoryFd(index: number): number {
    let fd = this.directoryFds.get(index);
    if (fd === undefined) {
      const path = runOf(this.input.directories, this.input.directoryEnds, index);
      fd = this.system.native.openBeneath(this.rootFd, path, OpenKind.directory);
      this.directoryFds.set(index, fd);
    }
    return fd;
  }

  /** Returns which attributes could not be put. */
  private async restore(file: FileTask): Promise<FailedAttribute[]> {
    const directoryFd = this.directoryFd(file.directory);
    const { name } = file;
    const isSparse = (this.rows.flags(file.rowAt) & RowFlag.sparse) !== 0;
    const write = async (target: Buffer): Promise<Buffer | undefined> => {
      const [only] = file.pieces;
      const isOne = file.pieces.length <= 1 && !isSparse;
      if (isOne && (only === undefined || (await this.isWhole(only)))) {
        return this.writeWhole(directoryFd, target, file, only);
      }
      return this.writeStreaming(directoryFd, target, file, isSparse);
    };
    try {
      return failedAttributes(await write(name));
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !this.input.overwrite) throw error;
      const temporary = Buffer.from(`.tardis-${this.system.random.bytes(8).toString('hex')}`);
      const missing = await write(temporary);
      try {
        this.system.native.renameAt(directoryFd, temporary, directoryFd, name);
      } catch (second) {
        this.system.native.unlinkAt(directoryFd, temporary);
        throw second;
      }
      return failedAttributes(missing);
    }
  }

  /** Decodes the piece's record into memory if it is small enough for that. */
  private async isWhole(piece: RestorePiece): Promise<boolean> {
    if (this.decodedRecord === piece.record) return true;
    const record = this.input.records[piece.record]!;
    if (record.recordBytes > 2 * MAX_FRAME_RAW_BYTES) return false;
    const bytes = await this.fetch(record, 0, record.recordBytes);
    const header = this.header(record, bytes);
    if ((header.flags & RECORD_CHUNKED) !== 0) return false;
    if (header.rawBytes > MAX_FRAME_RAW_BYTES) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${record.object} claims too much`);
    }
    this.decodedRecord = -1;
    decoded = room(decoded, header.rawBytes);
    const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
    const body = bytes.subarray(bodyAt, bodyAt + header.bodyBytes);
    decode(header.codec, body, decoded.subarray(0, header.rawBytes));
    this.decodedRecord = piece.record;
    this.decodedBytes = header.rawBytes;
    return true;
  }

  private async fetch(record: RestoreRecord, from: number, bytes: number): Promise<Buffer> {
    stored = room(stored, bytes);
    let got: number;
    try {
      got = await this.backend.read(record.object, record.position + from, stored, bytes);
    } catch (error) {
      // Only what is gone is damage; a disk that fails for a moment is not.
      if (systemCode(error) === 'ENOENT') {
        throw new TardisError('RECORD_DAMAGED', `${record.object} is missing`, {}, error);
      }
      throw asTardisError(error, `reading ${record.object}`);
    }
    if (got !== bytes) throw new TardisError('RECORD_DAMAGED', `${record.object} is cut off`);
    return stored.subarray(0, bytes);
  }

  private header(record: RestoreRecord, bytes: Buffer): RecordHeader {
    const header = readHeader(bytes, 0);
    if (header === undefined || recordBytes(header) !== record.recordBytes) {
      throw new TardisError('RECORD_DAMAGED', `no record stands at its place in ${record.object}`);
    }
    return header;
  }

  private writeWhole(
    directoryFd: number,
    name: Buffer,
    file: FileTask,
    piece: RestorePiece | undefined,
  ): Buffer | undefined {
    const offset = piece?.offset ?? 0;
    const sizeBytes = piece?.sizeBytes ?? 0;
    if (piece !== undefined) {
      if (offset + sizeBytes > this.decodedBytes) throw damagedContent();
      this.system.native.sha256(decoded, offset, sizeBytes, digestScratch, 0);
      if (!digestScratch.equals(piece.digest)) throw damagedContent();
    }
    const missing = this.system.native.writeFileAt(
      directoryFd,
      name,
      decoded,
      offset,
      sizeBytes,
      this.input.rows,
      file.rowAt,
      this.input.ownerOptions,
    );
    this.bytes += sizeBytes;
    return missing;
  }

  /** A file in parts or chunks: written as it is decoded, removed again if a digest is wrong. */
  private async writeStreaming(
    directoryFd: number,
    name: Buffer,
    file: FileTask,
    isSparse: boolean,
  ): Promise<Buffer | undefined> {
    const { files, native } = this.system;
    const fd = native.createFileAt(directoryFd, name);
    const sparse = isSparse ? new SparseWriter() : undefined;
    const write = (data: Buffer, position: number): void => {
      files.write(fd, data, position);
      this.bytes += data.length;
    };
    try {
      let position = 0;
      for (const [index, piece] of file.pieces.entries()) {
        this.piece = index;
        const hash = createHash('sha256');
        let pieceBytes = 0;
        for await (const bytes of this.pieceBytes(piece)) {
          hash.update(bytes);
          if (sparse === undefined) write(bytes, position);
          else sparse.push(bytes, write);
          position += bytes.length;
          pieceBytes += bytes.length;
        }
        if (pieceBytes !== piece.sizeBytes || !hash.digest().equals(piece.digest)) {
          throw damagedContent();
        }
      }
      if (sparse !== undefined) native.resizeFile(fd, sparse.finish());
      return native.finishFile(fd, this.input.rows, file.rowAt, this.input.ownerOptions);
    } catch (error) {
      native.unlinkAt(directoryFd, name);
      throw error;
    } finally {
      native.close(fd);
    }
  }

  private async *pieceBytes(piece: RestorePiece): AsyncGenerator<Buffer> {
    if (await this.isWhole(piece)) {
      yield decoded.subarray(piece.offset, piece.offset + piece.sizeBytes);
      return;
    }
    const record = this.input.records[piece.record]!;
    const header = this.header(record, await this.fetch(record, 0, RECORD_HEADER_BYTES));
    yield* this.chunks(record, header);
  }

  private async *chunks(record: RestoreRecord, header: RecordHeader): AsyncGenerator<Buffer> {
    this.decodedRecord = -1;
    decoded = room(decoded, STREAM_CHUNK_BYTES);
    let at = RECORD_HEADER_BYTES + header.indexBytes;
    const end = at + header.bodyBytes;
    let remaining = header.rawBytes;
    const codec: CodecNumber = header.codec;
    while (at < end && remaining > 0) {
      const head = await this.fetch(record, at, CHUNK_HEADER_BYTES);
      const chunk = readChunkHeader(head, STREAM_CHUNK_BYTES);
      const bytes = await this.fetch(record, at + CHUNK_HEADER_BYTES, chunk.storedBytes);
      const target = decoded.subarray(0, Math.min(STREAM_CHUNK_BYTES, remaining));
      decodeChunk(codec, chunk, bytes, target);
      yield target;
      at += CHUNK_HEADER_BYTES + chunk.storedBytes;
      remaining -= target.length;
    }
  }
}

function damagedContent(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the bytes are not what their digest says');
}

function attributeError({ name, code }: FailedAttribute): WireError {
  const message = `its attribute "${name}" could not be set`;
  return { code: 'ATTRIBUTE_NOT_SET', message, context: { cause: code } };
}

/** Why a single file was not restored, without mapping EACCES & co. to the store's errors. */
function describe(error: unknown): WireError {
  const code = systemCode(error);
  if (code === undefined) return toWire(error);
  const isTaken = code === 'EEXIST' || code === 'EISDIR';
  const kind = isTaken ? 'TARGET_EXISTS' : 'TARGET_NOT_WRITABLE';
  return { code: kind, message: (error as Error).message, context: { cause: code } };
}

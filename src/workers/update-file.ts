/**
 * Builds a new version of a file from an existing one, so that only the differences are fetched from a remote store.
 * The signature of the existing file is sent to the store, which returns deltas. Each piece is checked against its
 * digest as if it had been read whole.
 */
import fs from 'node:fs';
import { provenBytes } from '../contents/index.js';
import {
  blockBytesFor,
  type DeltaSource,
  LEAST_DELTA_BYTES,
  patched,
  SignatureMaker,
} from '../delta/index.js';
import { recordDamaged, systemCode, TardisError } from '../errors/index.js';
import { bufferOf } from '../model/index.js';
import {
  Codec,
  CHUNK_HEADER_BYTES,
  decodeChunk,
  readChunkHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { OpenKind, type System } from '../system/index.js';
import { bytesIn, type WantedPiece } from './compare-file.js';

/** Approximate size of the pieces in which a signature is sent. */
const SIGNATURE_PIECE_BYTES = 256 << 10;
/** Number of parts of a delta requested ahead, which hides the round trips. */
const PARTS_AHEAD = 3;

const NUMBER_BYTES = 6;

/** The existing file, and the size that it should get. */
interface OlderFile {
  readonly directoryFd: number;
  readonly name: Buffer;
  readonly wantedBytes: number;
}

export class FileUpdate {
  /** Random number of the signature, which differs from those of all other updates in this process. */
  private readonly signature: number;
  private parts: DeltaParts | undefined;

  private constructor(
    private readonly system: System,
    private readonly source: DeltaSource,
    private readonly fd: number,
    private readonly sizeBytes: number,
  ) {
    this.signature = system.random.bytes(NUMBER_BYTES).readUIntBE(0, NUMBER_BYTES);
  }

  /** Prepares an update from an existing file. Returns undefined if it does not pay, or if the file cannot be used. */
  static async begin(
    system: System,
    source: DeltaSource,
    { directoryFd, name, wantedBytes }: OlderFile,
  ): Promise<FileUpdate | undefined> {
    if (wantedBytes < LEAST_DELTA_BYTES) return undefined;
    let fd: number | undefined;
    try {
      fd = system.native.openBeneath(directoryFd, name, OpenKind.file);
      const { size } = fs.fstatSync(fd);
      const update = new FileUpdate(system, source, fd, size);
      if (size >= LEAST_DELTA_BYTES && (await update.sign())) return update;
    } catch (error) {
      // The file is read whole after any error, and a real problem shows there.
      if (systemCode(error) === undefined && !(error instanceof TardisError)) throw error;
    }
    if (fd !== undefined) system.native.close(fd);
    return undefined;
  }

  private async sign(): Promise<boolean> {
    const blockBytes = blockBytesFor(this.sizeBytes);
    if (blockBytes === undefined) return false;
    const { source, signature, sizeBytes } = this;
    using maker = new SignatureMaker(this.system.native, blockBytes, SIGNATURE_PIECE_BYTES);
    let signedBytes = 0;
    for (const part of bytesIn(this.system.files, this.fd, 0, sizeBytes)) {
      maker.push(part);
      signedBytes += part.length;
      if (maker.madeBytes >= SIGNATURE_PIECE_BYTES) {
        await source.sign(signature, sizeBytes, Uint8Array.from(maker.take()), false);
      }
    }
    if (signedBytes < sizeBytes) return false;
    await source.sign(signature, sizeBytes, Uint8Array.from(maker.finish()), true);
    return true;
  }

  /**
   * True if a delta of a piece is useful. If it is not useful, or if that is unknown, the caller reads the whole
   * piece.
   */
  async isOfUse({ digest }: WantedPiece): Promise<boolean> {
    this.parts = new DeltaParts(this.source, this.signature, digest);
    try {
      return !(await this.parts.isUseless());
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      return false;
    }
  }

  /**
   * Yields the bytes of the piece that was last passed to `isOfUse`. Each part is valid until the next one is
   * requested, and must only be read. Throws CONTENT_DAMAGED at the end if the bytes are wrong.
   */
  async *pieceBytes(piece: WantedPiece): AsyncGenerator<Buffer> {
    const basis = {
      sizeBytes: this.sizeBytes,
      read: (position: number, target: Buffer, at: number, bytes: number): Promise<void> =>
        this.readBasis(position, target, at, bytes),
    };
    const { native } = this.system;
    const parts = patched(native, this.parts!.bytes(), basis, piece.sizeBytes);
    yield* provenBytes({ native, keys: undefined }, parts, piece);
  }

  private async readBasis(
    position: number,
    target: Buffer,
    at: number,
    bytes: number,
  ): Promise<void> {
    const got = this.system.files.read(this.fd, target, at, bytes, position);
    // The file changes while it is read, so the digest would be wrong too.
    if (got < bytes)
      throw new TardisError('CONTENT_DAMAGED', 'the file that was there has changed');
  }

  async close(): Promise<void> {
    this.system.native.close(this.fd);
    try {
      await this.source.drop(this.signature);
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      // A closed connection has nothing to drop.
    }
  }
}

/** The parts of one delta, some of them requested ahead. */
class DeltaParts {
  private readonly requested: ReturnType<DeltaSource['next']>[] = [];
  private isEnd = false;
  private isFirst = true;

  constructor(
    private readonly source: DeltaSource,
    private readonly signature: number,
    private readonly digest: Uint8Array,
  ) {
    this.requestMore();
  }

  async isUseless(): Promise<boolean> {
    return (await this.requested[0]!).isUseless;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    const decoded = Buffer.allocUnsafe(STREAM_CHUNK_BYTES);
    for (;;) {
      const { chunk, isLast, isUseless } = await this.requested.shift()!;
      if (isUseless) throw recordDamaged('a delta was given up');
      this.isEnd = isLast;
      if (!isLast) this.requestMore();
      if (chunk.length > 0) yield decodedChunk(chunk, decoded);
      if (isLast) return;
    }
  }

  private requestMore(): void {
    while (!this.isEnd && this.requested.length < PARTS_AHEAD) {
      const part = this.source.next(this.signature, this.digest, this.isFirst);
      this.isFirst = false;
      part.catch(() => undefined); // rejects where it is awaited
      this.requested.push(part);
    }
  }
}

/**
 * Decodes a part into `target`. A chunk contains the stored length; the 4 bytes before the chunk contain the decoded
 * length.
 */
function decodedChunk(chunk: Uint8Array, target: Buffer): Buffer {
  const buffer = bufferOf(chunk);
  const rawBytes = buffer.readUInt32LE(0);
  if (rawBytes > target.length) throw recordDamaged('a delta claims too much');
  const header = readChunkHeader(buffer.subarray(4), STREAM_CHUNK_BYTES);
  const stored = buffer.subarray(4 + CHUNK_HEADER_BYTES);
  decodeChunk(Codec.zstd, header, { stored, target: target.subarray(0, rawBytes) });
  return target.subarray(0, rawBytes);
}

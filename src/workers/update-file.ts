/**
 * A new version of a file from the one that is there: of a store far away only what differs is fetched.
 * The signature of what is there goes to the store, deltas come back; each piece is checked against its
 * digest as if it had been read whole.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import {
  blockBytesFor,
  type DeltaSource,
  LEAST_DELTA_BYTES,
  patched,
  SignatureMaker,
} from '../delta/index.js';
import { systemCode, TardisError } from '../errors/index.js';
import {
  Codec,
  CHUNK_HEADER_BYTES,
  decodeChunk,
  readChunkHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { OpenKind, type System } from '../system/index.js';

/** Signatures go out in pieces of about this size. */
const SIGNATURE_PIECE_BYTES = 256 << 10;
const READ_BYTES = 1 << 20;
/** Parts of a delta that are asked for ahead: hides the way there and back. */
const PARTS_AHEAD = 3;

const NUMBER_BYTES = 6;

/** What is at the place, and how much is to be there. */
export interface OlderFile {
  readonly directoryFd: number;
  readonly name: Buffer;
  readonly wantedBytes: number;
}

export interface WantedBytes {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

export class FileUpdate {
  private readonly system: System;
  private readonly source: DeltaSource;
  private readonly fd: number;
  private readonly sizeBytes: number;
  /** Whatever else is updated in this process has another one. */
  private readonly signature: number;
  private parts: DeltaParts | undefined;

  private constructor(system: System, source: DeltaSource, fd: number, sizeBytes: number) {
    this.system = system;
    this.source = source;
    this.fd = fd;
    this.sizeBytes = sizeBytes;
    this.signature = system.random.bytes(NUMBER_BYTES).readUIntBE(0, NUMBER_BYTES);
  }

  /**
   * Prepares an update from the file of a name. Undefined where it does not pay, or nothing can be made of
   * what is there.
   */
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
      // Whatever it is: the file is read whole, and what is really wrong shows there.
      if (systemCode(error) === undefined && !(error instanceof TardisError)) throw error;
    }
    if (fd !== undefined) system.native.close(fd);
    return undefined;
  }

  private async sign(): Promise<boolean> {
    const blockBytes = blockBytesFor(this.sizeBytes);
    if (blockBytes === undefined) return false;
    const { source, signature, sizeBytes } = this;
    const maker = new SignatureMaker(this.system.native, blockBytes, SIGNATURE_PIECE_BYTES);
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    try {
      for (let at = 0; at < sizeBytes; ) {
        const bytes = Math.min(READ_BYTES, sizeBytes - at);
        if (this.system.files.read(this.fd, buffer, 0, bytes, at) !== bytes) return false;
        maker.push(buffer.subarray(0, bytes));
        at += bytes;
        if (maker.madeBytes >= SIGNATURE_PIECE_BYTES) {
          await source.sign(signature, sizeBytes, Uint8Array.from(maker.take()), false);
        }
      }
      await source.sign(signature, sizeBytes, Uint8Array.from(maker.finish()), true);
      return true;
    } finally {
      maker.close();
    }
  }

  /** Whether a piece has something of what is there; if not, or nobody can tell, it is read whole. */
  async isOfUse({ digest }: WantedBytes): Promise<boolean> {
    this.parts = new DeltaParts(this.source, this.signature, digest);
    try {
      return !(await this.parts.isUseless());
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      return false;
    }
  }

  /**
   * The bytes of the piece that was asked about last, each part good until the next one is asked for. Throws
   * CONTENT_DAMAGED at the end if they are wrong.
   */
  async *pieceBytes({ digest, sizeBytes }: WantedBytes): AsyncGenerator<Buffer> {
    const basis = {
      sizeBytes: this.sizeBytes,
      read: (position: number, target: Buffer, at: number, bytes: number): Promise<void> =>
        this.readBasis(position, target, at, bytes),
    };
    const hash = createHash('sha256');
    const { native } = this.system;
    for await (const bytes of patched(native, this.parts!.bytes(), basis, sizeBytes)) {
      hash.update(bytes);
      yield bytes;
    }
    if (!hash.digest().equals(digest)) {
      throw new TardisError('CONTENT_DAMAGED', 'the bytes are not what their digest says');
    }
  }

  private async readBasis(
    position: number,
    target: Buffer,
    at: number,
    bytes: number,
  ): Promise<void> {
    const got = this.system.files.read(this.fd, target, at, bytes, position);
    // It changes while it is read: then the digest is wrong, too.
    if (got < bytes)
      throw new TardisError('CONTENT_DAMAGED', 'the file that was there has changed');
  }

  async close(): Promise<void> {
    this.system.native.close(this.fd);
    try {
      await this.source.drop(this.signature);
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      // A connection that is gone has nothing to drop.
    }
  }
}

/** The parts of one delta, some asked for ahead. */
class DeltaParts {
  private readonly asked: ReturnType<DeltaSource['next']>[] = [];
  private isEnd = false;
  private isFirst = true;
  private readonly source: DeltaSource;
  private readonly signature: number;
  private readonly digest: Uint8Array;

  constructor(source: DeltaSource, signature: number, digest: Uint8Array) {
    this.source = source;
    this.signature = signature;
    this.digest = digest;
    this.askMore();
  }

  async isUseless(): Promise<boolean> {
    return (await this.asked[0]!).isUseless;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    const decoded = Buffer.allocUnsafe(STREAM_CHUNK_BYTES);
    for (;;) {
      const { chunk, isLast, isUseless } = await this.asked.shift()!;
      if (isUseless) throw new TardisError('RECORD_DAMAGED', 'a delta was given up');
      this.isEnd = isLast;
      if (!isLast) this.askMore();
      if (chunk.length > 0) yield decodedChunk(chunk, decoded);
      if (isLast) return;
    }
  }

  private askMore(): void {
    while (!this.isEnd && this.asked.length < PARTS_AHEAD) {
      const part = this.source.next(this.signature, this.digest, this.isFirst);
      this.isFirst = false;
      part.catch(() => undefined); // told to who waits for it
      this.asked.push(part);
    }
  }
}

/** A chunk says the length of what is stored, and its own bytes that of what it decodes to. */
function decodedChunk(chunk: Uint8Array, target: Buffer): Buffer {
  const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const rawBytes = buffer.readUInt32LE(0);
  if (rawBytes > target.length) throw new TardisError('RECORD_DAMAGED', 'a delta claims too much');
  const header = readChunkHeader(buffer.subarray(4), STREAM_CHUNK_BYTES);
  const stored = buffer.subarray(4 + CHUNK_HEADER_BYTES);
  decodeChunk(Codec.zstd, header, stored, target.subarray(0, rawBytes));
  return target.subarray(0, rawBytes);
}

/** A pack that is written on this machine until it is sent as one object. */
import { createHash, type Hash } from 'node:crypto';
import type { PackNumber } from '../../model/index.js';
import type { ObjectWriter } from '../backends/backend.js';
import type { Location } from '../layout/layout.js';
import type { ObjectSource } from '../objects/index.js';
import { buildLabel, LABEL_BYTES } from '../packs/pack-label.js';
import type { PackRange } from '../packs/pack-ranges.js';
import { addToRangeChecksum, readHeader, RECORD_HEADER_BYTES } from '../packs/record.js';
import type { ParityMaker } from './parity-maker.js';

const PIECE_BYTES = 1 << 20;

export class Spool {
  private readonly label: Buffer;
  private heads: Buffer[] = [];
  private checksum = 0;
  /** Number of bytes of the record of parity at the end. */
  private parityBytes = 0;
  /** The checksum of all bytes so far; undefined if the bytes must be read to compute it. */
  private hash: Hash | undefined;

  /** Creates a pack. `staged` has no bytes yet, or whole records for which `note` is called. */
  constructor(
    readonly pack: PackNumber,
    client: string | undefined,
    private readonly staged: ObjectWriter,
  ) {
    this.label = buildLabel(pack, client);
    this.hash = staged.sizeBytes === 0 ? createHash('sha256').update(this.label) : undefined;
  }

  /** Size of the pack, label and parity included. */
  get sizeBytes(): number {
    return LABEL_BYTES + this.staged.sizeBytes;
  }

  /** Appends a record. After a failure, nothing is appended. */
  append(record: Buffer): Location {
    const before = this.staged.sizeBytes;
    try {
      this.push(record);
    } catch (error) {
      this.cutTo(before);
      throw error;
    }
    return this.note(before);
  }

  /** Appends a record piece by piece. After a failure, nothing is appended. */
  async appendPieces(pieces: AsyncIterable<Buffer>): Promise<Location> {
    const before = this.staged.sizeBytes;
    try {
      for await (const piece of pieces) this.push(piece);
    } catch (error) {
      this.cutTo(before);
      throw error;
    }
    return this.note(before);
  }

  /** Adds the record that was written at `at` to the heads and the checksum, and returns its place. */
  note(at: number): Location {
    const headerBytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
    this.staged.readBack(at, headerBytes, headerBytes.length);
    const index = Buffer.allocUnsafe(readHeader(headerBytes, 0)?.indexBytes ?? 0);
    this.staged.readBack(at + RECORD_HEADER_BYTES, index, index.length);
    this.heads.push(headerBytes, index);
    this.checksum = addToRangeChecksum(this.checksum, headerBytes);
    return { pack: this.pack, position: LABEL_BYTES + at };
  }

  /** Header and index of each record. */
  allHeads(): Buffer {
    return Buffer.concat(this.heads);
  }

  /** Returns the range of the records, without the parity after them. */
  range(): PackRange {
    const { pack, sizeBytes, parityBytes, checksum } = this;
    return { pack, from: LABEL_BYTES, to: sizeBytes - parityBytes, checksum };
  }

  /** Appends the parity of all bytes so far, and returns its length. Nothing may be appended after this call. */
  async protect(maker: ParityMaker): Promise<number> {
    const coveredBytes = this.sizeBytes;
    const read = async (_name: string, at: number, target: Uint8Array, bytes: number) =>
      this.read(at, target, bytes);
    await maker.append({ read }, coveredBytes, (piece) => this.push(piece));
    this.parityBytes = this.sizeBytes - coveredBytes;
    return this.parityBytes;
  }

  /** Reads bytes of the pack, label included. Returns their number. */
  read(position: number, target: Uint8Array, bytes: number): number {
    const fromLabel = Math.min(bytes, Math.max(0, LABEL_BYTES - position));
    target.set(this.label.subarray(position, position + fromLabel));
    if (fromLabel === bytes) return bytes;
    const at = Math.max(0, position - LABEL_BYTES);
    const rest = target.subarray(fromLabel, bytes);
    return fromLabel + this.staged.readBack(at, rest, rest.length);
  }

  /** Returns the pack as one object to upload. Nothing may be appended after this call. */
  async source(): Promise<ObjectSource> {
    const { hash = createHash('sha256') } = this;
    if (this.hash === undefined) for await (const piece of this.pieces()) hash.update(piece);
    return { sizeBytes: this.sizeBytes, sha256: hash.digest(), open: () => this.pieces() };
  }

  private push(bytes: Buffer): void {
    this.staged.append(bytes);
    this.hash?.update(bytes);
  }

  private cutTo(sizeBytes: number): void {
    this.hash = undefined;
    this.staged.cut(sizeBytes);
  }

  /** Deletes the pack on this machine. May be called twice. */
  close(): void {
    this.heads = [];
    this.staged.close();
  }

  private async *pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.sizeBytes; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, this.sizeBytes - at));
      const got = this.read(at, piece, piece.length);
      if (got === 0) throw new Error(`pack ${this.pack} is cut off before it was sent`);
      yield piece.subarray(0, got);
      at += got;
    }
  }
}

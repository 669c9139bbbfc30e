/**
 * Appends records to packs. One writer belongs to one session of one client (which holds the lock).
 * A pack is append-only, is never reopened, and its number is never used again; a new one is begun
 * at the first commit at which the current one has reached its size (so that a checkpoint has one pack
 * to sync), and in between when it has twice that. What an append that failed has left is cut off; if
 * that fails too, the pack ends there. Between two commits the writer keeps, for each pack it
 * touched, the range it wrote and a running checksum over the record headers in it (each header
 * holds the checksum of its body, so the one covers the other).
 */
import type { Backend, ObjectWriter } from './backend.js';
import { type Location, objectName, packName } from './layout.js';
import { addToRangeChecksum, RECORD_HEADER_BYTES } from './record.js';

/** What one commit record says about one pack. */
export interface PackRange {
  readonly pack: number;
  readonly from: number;
  readonly to: number;
  /** CRC-32 over the headers of all records in the range, without their own checksums. */
  readonly checksum: number;
}

interface OpenPack {
  readonly pack: number;
  readonly writer: ObjectWriter;
}

interface OpenRange {
  from: number;
  checksum: number;
}

export class PackWriter {
  private current: OpenPack | undefined;
  private range: OpenRange = { from: 0, checksum: 0 };
  private closedRanges: PackRange[] = [];
  /** Writers that have bytes no sync has covered yet. */
  private unsynced = new Set<ObjectWriter>();
  private retired: ObjectWriter[] = [];
  private lastPack: number;
  private appended = 0;
  /** Bytes of objects since the last commit. */
  private adopted = 0;
  private readonly backend: Backend;
  private readonly packBytes: number;

  /** `lastPack`: the highest number any pack of this client ever had. */
  constructor(backend: Backend, lastPack: number, packBytes: number) {
    this.backend = backend;
    this.lastPack = lastPack;
    this.packBytes = packBytes;
  }

  get highestPack(): number {
    return this.lastPack;
  }

  /** Bytes written since this writer began, objects included. */
  get appendedBytes(): number {
    return this.appended;
  }

  /** Bytes appended since the last commit, objects included: what a crash would take. */
  get uncommittedBytes(): number {
    const open = this.current === undefined ? 0 : this.current.writer.sizeBytes - this.range.from;
    return this.closedRanges.reduce(
      (sum, range) => sum + range.to - range.from,
      open + this.adopted,
    );
  }

  /** Appends one whole record; returns where it starts. */
  append(record: Buffer): Location {
    const { pack, writer } = this.writable();
    const position = this.appendWhole(writer, record);
    this.range.checksum = addToRangeChecksum(this.range.checksum, record);
    return { pack, position };
  }

  /** Copies a staged record (of `bytes` bytes) into the pack, piece by piece. */
  async appendStaged(pieces: AsyncIterable<Buffer>): Promise<Location> {
    const { pack, writer } = this.writable();
    const position = writer.sizeBytes;
    this.unsynced.add(writer);
    let header: Buffer | undefined;
    try {
      for await (const piece of pieces) {
        writer.append(piece);
        header ??= Buffer.from(piece.subarray(0, RECORD_HEADER_BYTES));
      }
    } catch (error) {
      this.cutBack(writer, position);
      throw error;
    }
    this.appended += writer.sizeBytes - position;
    if (header !== undefined) {
      this.range.checksum = addToRangeChecksum(this.range.checksum, header);
    }
    return { pack, position };
  }

  /** Publishes a staged record as an object of its own; it is synced with the next checkpoint. */
  adopt(writer: ObjectWriter, digest: Buffer): void {
    writer.publish(objectName(digest));
    this.appended += writer.sizeBytes;
    this.adopted += writer.sizeBytes;
    this.unsynced.add(writer);
    this.retired.push(writer);
  }

  /** Makes everything appended so far durable, all files side by side. */
  async sync(): Promise<void> {
    const writers = [...this.unsynced];
    await Promise.all(writers.map((writer) => writer.sync()));
    for (const writer of writers) this.unsynced.delete(writer);
    for (const writer of this.retired) if (!this.unsynced.has(writer)) writer.close();
    this.retired = this.retired.filter((writer) => this.unsynced.has(writer));
  }

  /** The ranges written since the last call, for a commit record. */
  takeRanges(): PackRange[] {
    this.closeRange();
    const ranges = this.closedRanges;
    this.closedRanges = [];
    this.adopted = 0;
    return ranges;
  }

  /** Appends a commit record: it belongs to no range, the next range starts behind it. */
  appendCommit(record: Buffer): Location {
    const { pack, writer } = this.current ?? this.begin();
    const position = this.appendWhole(writer, record);
    this.range = { from: writer.sizeBytes, checksum: 0 };
    return { pack, position };
  }

  close(): void {
    this.current?.writer.close();
    for (const writer of this.retired) writer.close();
    this.current = undefined;
    this.retired = [];
  }

  private writable(): OpenPack {
    const size = this.current?.writer.sizeBytes ?? 0;
    const isAtCommit = size === this.range.from;
    if (size >= (isAtCommit ? this.packBytes : 2 * this.packBytes)) this.retire(size);
    return this.current ?? this.begin();
  }

  private begin(): OpenPack {
    // The number is used up even if making it fails: something may have been left.
    this.lastPack += 1;
    const writer = this.backend.create(packName(this.lastPack));
    this.current = { pack: this.lastPack, writer };
    this.range = { from: 0, checksum: 0 };
    return this.current;
  }

  /** The current pack ends at `to`. */
  private retire(to: number): void {
    if (this.current === undefined) return;
    this.closeRange(to);
    this.retired.push(this.current.writer);
    this.current = undefined;
    this.range = { from: 0, checksum: 0 };
  }

  /** All of a record or nothing of it; returns where it starts. */
  private appendWhole(writer: ObjectWriter, record: Buffer): number {
    const position = writer.sizeBytes;
    this.unsynced.add(writer);
    try {
      writer.append(record);
    } catch (error) {
      this.cutBack(writer, position);
      throw error;
    }
    this.appended += record.length;
    return position;
  }

  /** After a failure: nothing may be appended behind bytes that are no record. */
  private cutBack(writer: ObjectWriter, position: number): void {
    try {
      writer.cut(position);
    } catch {
      this.retire(position); // the failure that led here is the one to tell
    }
  }

  private closeRange(to = this.current?.writer.sizeBytes ?? 0): void {
    if (this.current === undefined) return;
    const { from, checksum } = this.range;
    if (to > from) this.closedRanges.push({ pack: this.current.pack, from, to, checksum });
    this.range = { from: to, checksum: 0 };
  }
}

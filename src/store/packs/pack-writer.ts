/**
 * The writer of records into packs: files that are appended to and synced.
 *
 * - A pack is append-only and never reopened, and its number is never reused.
 * - If the current pack has reached its size at a commit, the next one begins there, so that a checkpoint has one pack
 *   to sync. Between commits, a new pack begins only at twice that size.
 * - A failed append is truncated away; if that fails too, the pack ends there.
 *
 * Between two commits the writer keeps, for each pack that it touched, the range written and a running checksum over
 * the record headers in the range. Each header contains the checksum of its body, so the range's checksum covers the
 * bodies too. A pack begins with its label, which belongs to no range.
 */
import type { PackNumber } from '../../model/index.js';
import type { Backend, ObjectWriter } from '../backends/backend.js';
import { type Location, NO_PACK, objectName, packName } from '../layout/layout.js';
import { buildLabel } from './pack-label.js';
import type { PackRange } from './pack-ranges.js';
import { addToRangeChecksum, bodyChecksumOf, RECORD_HEADER_BYTES } from './record.js';
import type { CommitEnd, Covered, Insisting, RecordWriter } from './record-writer.js';

interface OpenPack {
  readonly pack: PackNumber;
  readonly writer: ObjectWriter;
}

interface OpenRange {
  from: number;
  checksum: number;
}

export class PackWriter implements RecordWriter {
  private current: OpenPack | undefined;
  private range: OpenRange = { from: 0, checksum: 0 };
  private closedRanges: PackRange[] = [];
  /** Writers with bytes that no sync has covered yet. */
  private unsynced = new Set<ObjectWriter>();
  private retired: ObjectWriter[] = [];
  /** End of the last commit record in the current pack. */
  private committedTo = 0;
  private appended = 0;
  /** Objects added since the last commit, with their sizes. */
  private objects: { digest: Buffer; bytes: number }[] = [];
  private adopted = 0;
  private readonly client: string | undefined;

  /** Creates the writer. `lastPack` is the highest number that any pack of this client ever had. */
  constructor(
    private readonly backend: Backend,
    private lastPack: PackNumber,
    private readonly packBytes: number,
  ) {
    this.client = backend.owner();
  }

  get appendedBytes(): number {
    return this.appended;
  }

  get uncommittedBytes(): number {
    const open = this.current === undefined ? 0 : this.current.writer.sizeBytes - this.range.from;
    return this.closedRanges.reduce(
      (sum, range) => sum + range.to - range.from,
      open + this.adopted,
    );
  }

  append(record: Buffer): Location {
    const { pack, writer } = this.writable();
    const position = this.appendWhole(writer, record);
    this.range.checksum = addToRangeChecksum(this.range.checksum, record);
    return { pack, position };
  }

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

  async adoptNew(writer: ObjectWriter, digest: Buffer): Promise<Location | undefined> {
    if ((await this.backend.size(objectName(digest))) !== undefined) return undefined;
    this.adopt(writer, digest);
    return { pack: NO_PACK, position: 0 };
  }

  /**
   * Publishes a staged record as an object outside of packs. The next commit syncs it. Throws EEXIST if the object
   * exists.
   */
  adopt(writer: ObjectWriter, digest: Buffer): void {
    writer.publish(objectName(digest));
    this.objects.push({ digest, bytes: writer.sizeBytes });
    this.appended += writer.sizeBytes;
    this.adopted += writer.sizeBytes;
    this.unsynced.add(writer);
    this.retired.push(writer);
  }

  /** Does nothing, since the lock of the client is sufficient as a claim. */
  async claim(): Promise<undefined> {
    return undefined;
  }

  /**
   * Syncs the records, then appends and syncs the commit record. Resolves with undefined if there is nothing to commit.
   */
  async commit(
    build: (covered: Covered) => Promise<Buffer>,
    insist: Insisting,
  ): Promise<CommitEnd | undefined> {
    const { objects } = this;
    const ranges = this.takeRanges();
    this.objects = [];
    if (ranges.length === 0 && objects.length === 0) return undefined;
    await this.sync();
    const record = await build({ ranges, objects });
    const { pack, position } = insist(() => this.appendCommit(record));
    await this.sync();
    return { pack, position: position + record.length, checksum: bodyChecksumOf(record) };
  }

  /** Makes everything appended so far durable. All files are synced in parallel. */
  async sync(): Promise<void> {
    const writers = [...this.unsynced];
    await Promise.all(writers.map((writer) => writer.sync()));
    for (const writer of writers) this.unsynced.delete(writer);
    for (const writer of this.retired) if (!this.unsynced.has(writer)) writer.close();
    this.retired = this.retired.filter((writer) => this.unsynced.has(writer));
  }

  /** Returns the ranges written since the last call, for a commit record. */
  takeRanges(): PackRange[] {
    this.closeRange();
    const ranges = this.closedRanges;
    this.closedRanges = [];
    this.adopted = 0;
    return ranges;
  }

  /** Appends a commit record. It belongs to no range; the next range starts after it. */
  appendCommit(record: Buffer): Location {
    const { pack, writer } = this.current ?? this.begin();
    const position = this.appendWhole(writer, record);
    this.range = { from: writer.sizeBytes, checksum: 0 };
    this.committedTo = writer.sizeBytes;
    return { pack, position };
  }

  /** Does nothing: while the client is locked, no other session begins. */
  async requireNewest(): Promise<void> {
    return undefined;
  }

  /** Truncates the current pack to its last commit record. */
  giveUp(): void {
    if (this.current === undefined) return;
    this.cutBack(this.current.writer, this.committedTo);
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
    // The number is used up even if creating the pack fails, since a file may have been left.
    this.lastPack += 1;
    const writer = this.backend.create(packName(this.lastPack));
    this.current = { pack: this.lastPack, writer };
    try {
      this.appendWhole(writer, buildLabel(this.lastPack, this.client));
    } catch (error) {
      this.retire(0);
      throw error;
    }
    this.range = { from: writer.sizeBytes, checksum: 0 };
    this.committedTo = writer.sizeBytes;
    return this.current;
  }

  /** Ends the current pack, if there is one, and its range at the position `to`. */
  private retire(to: number): void {
    if (this.current === undefined) return;
    this.closeRange(to);
    this.retired.push(this.current.writer);
    this.current = undefined;
    this.range = { from: 0, checksum: 0 };
  }

  /** Appends a record completely or not at all, and returns its position. */
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

  /**
   * Truncates a pack after a failed append, since nothing may follow bytes that are no record. If that fails too, the
   * pack ends there.
   */
  private cutBack(writer: ObjectWriter, position: number): void {
    try {
      writer.cut(position);
    } catch {
      this.retire(position); // the caller reports the failure of the append
    }
  }

  private closeRange(to = this.current?.writer.sizeBytes ?? 0): void {
    if (this.current === undefined) return;
    const { from, checksum } = this.range;
    if (to > from) this.closedRanges.push({ pack: this.current.pack, from, to, checksum });
    this.range = { from: to, checksum: 0 };
  }
}

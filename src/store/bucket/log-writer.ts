/**
 * The writer of records into a log of commit objects. Each commit is one object that did not exist before. So of two
 * writers at most one succeeds, and the other has acknowledged nothing. Contents go into packs, which are written on
 * this machine and sent while more is appended; a commit waits for them. The first commit object of a session is its
 * claim: packs are named by it, so that no two sessions share a name.
 */
import { createHash, type Hash } from 'node:crypto';
import type { ObjectWriter } from '../backends/backend.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import { logPack, ownPack, sessionPack } from '../layout/bucket-names.js';
import type { Location } from '../layout/layout.js';
import type { PackNumber } from '../../model/index.js';
import type { ObjectBody, ObjectSource } from '../objects/index.js';
import { buildHeads } from '../packs/heads.js';
import { buildLabel, LABEL_BYTES } from '../packs/pack-label.js';
import type { PackRange } from '../packs/pack-ranges.js';
import type { CommitEnd, Covered, RecordWriter } from '../packs/record-writer.js';
import {
  addToRangeChecksum,
  bodyChecksumOf,
  readHeader,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordKind,
} from '../packs/record.js';
import type { LogBackend } from './log-backend.js';
import type { ParityMaker } from './parity-maker.js';

/** Maximum number of bytes of contents in a commit object. More go into packs. */
const MOST_INLINE_BYTES = 1 << 20;
/** Maximum number of bytes of the store's own records in one commit object. More go into packs of their own. */
const MOST_OWN_BYTES = 64 << 20;
/** Maximum number of packs that are sent at once. */
const MOST_SENDING = 4;

interface LogWriterOptions {
  /** Number of the last commit in the log. */
  readonly lastCommit: number;
  readonly packBytes: number;
  /** Random bytes that identify the session. */
  readonly id: Buffer;
  /** Makes the parity of each object; undefined for none. */
  readonly parity?: ParityMaker | undefined;
  /** Resolves if the store arbitrates between writers; called before the first write. */
  admit(): Promise<void>;
}

/** Kind of the records in a pack: contents, or the store's own ones. */
type PackKind = 'contents' | 'own';

/** The records of the next commit object. */
interface OwnRecords {
  pieces: Buffer[];
  sizeBytes: number;
  checksum: number;
  contentBytes: number;
}

export class LogWriter implements RecordWriter {
  appendedBytes = 0;
  private uncommitted = 0;
  private lastCommit: number;
  private readonly claimed: number;
  /** Numbers of packs that were begun. */
  private readonly begun = { contents: 0, own: 0 };
  private own: OwnRecords = noRecords();
  /** The packs that are being filled: with contents, and with the store's own records. */
  private filling: Partial<Record<PackKind, Spool>> = {};
  /** Packs since the last commit that are complete. */
  private full: Spool[] = [];
  private sending: Promise<unknown>[] = [];
  /**
   * Resolves when the parity of the last pack is made. Parity is made for one pack at a time, which limits the memory.
   */
  private protecting: Promise<unknown> = Promise.resolve();
  private readonly slots: Promise<unknown>[] = [];

  constructor(
    private readonly backend: LogBackend,
    private readonly options: LogWriterOptions,
  ) {
    this.lastCommit = options.lastCommit;
    this.claimed = options.lastCommit + 1;
  }

  get uncommittedBytes(): number {
    return this.uncommitted;
  }

  /** Creates the first commit object of the session. Throws STORE_TAKEN if another session has created it. */
  async claim(build: (covered: Covered) => Promise<Buffer>): Promise<CommitEnd> {
    await this.options.admit();
    return this.write(build);
  }

  append(record: Buffer): Location {
    const header = readHeader(record, 0)!;
    const isOwn = isOfStore(header);
    const isInline = isOwn ? this.hasOwnRoom(header, record) : this.hasInlineRoom(record);
    const place = isInline
      ? this.inline(record)
      : this.writable(isOwn ? 'own' : 'contents').append(record);
    this.count(record.length);
    return place;
  }

  async appendStaged(pieces: AsyncIterable<Buffer>): Promise<Location> {
    const spool = this.writable('contents');
    const before = spool.sizeBytes;
    const place = await spool.appendPieces(pieces);
    this.count(spool.sizeBytes - before);
    return place;
  }

  /** Sends the record as a pack of its own. */
  async adoptNew(writer: ObjectWriter): Promise<Location> {
    const spool = this.beginPack('contents', writer);
    const place = spool.note(0);
    this.count(writer.sizeBytes);
    this.send(spool);
    return place;
  }

  async commit(build: (covered: Covered) => Promise<Buffer>): Promise<CommitEnd | undefined> {
    const spools = Object.keys(this.filling).length + this.full.length;
    return spools > 0 || this.own.pieces.length > 0 ? this.write(build) : undefined;
  }

  async requireNewest(): Promise<void> {
    const name = this.backend.fullName(logPack(this.lastCommit + 1));
    if ((await (await this.backend.objects()).head(name)) !== undefined) throw taken(name);
  }

  giveUp(): void {
    return undefined; // packs that no commit object names take space in the store until they are swept
  }

  close(): void {
    for (const spool of [...this.full, ...Object.values(this.filling)]) {
      this.backend.setPending(spool.pack, undefined);
      spool.close();
    }
    this.backend.setPending(logPack(this.lastCommit + 1), undefined);
    this.full = [];
    this.filling = {};
  }

  private async write(build: (covered: Covered) => Promise<Buffer>): Promise<CommitEnd> {
    for (const spool of Object.values(this.filling)) this.send(spool);
    this.filling = {};
    for (const sent of this.sending.splice(0)) {
      const error = await sent;
      if (error !== undefined) throw asTardisError(error);
    }
    const packs = this.full.map((spool) => ({ pack: spool.pack, heads: spool.allHeads() }));
    this.inline(buildHeads(this.options.id, packs));
    const commit = this.lastCommit + 1;
    const pack = logPack(commit);
    const { own } = this;
    const range: PackRange = { pack, from: LABEL_BYTES, to: own.sizeBytes, checksum: own.checksum };
    const ranges = [range, ...this.full.map((spool) => spool.range())];
    const record = await build({ ranges, objects: [] });
    const bytes = Buffer.concat([buildLabel(pack, this.backend.owner()), ...own.pieces, record]);
    await this.create(pack, await this.protected(bytes));
    this.close();
    this.lastCommit = commit;
    this.own = noRecords();
    this.uncommitted = 0;
    return { pack, position: bytes.length, checksum: bodyChecksumOf(record) };
  }

  /** Creates an object of this session. Throws STORE_TAKEN if it exists with other bytes. */
  private async create(pack: PackNumber, body: ObjectBody): Promise<void> {
    const name = this.backend.fullName(pack);
    if ((await (await this.backend.objects()).putNew(name, body)) !== 'created') throw taken(name);
  }

  private hasOwnRoom({ kind }: RecordHeader, { length }: Buffer): boolean {
    return kind !== RecordKind.image && this.own.sizeBytes + length <= MOST_OWN_BYTES;
  }

  private hasInlineRoom({ length }: Buffer): boolean {
    const hasPack = this.filling.contents !== undefined || this.full.length > 0;
    return !hasPack && this.own.contentBytes + length <= MOST_INLINE_BYTES;
  }

  private inline(record: Buffer): Location {
    const { own } = this;
    const pack = logPack(this.lastCommit + 1);
    const place = { pack, position: own.sizeBytes };
    own.pieces.push(Buffer.from(record));
    own.sizeBytes += record.length;
    own.checksum = addToRangeChecksum(own.checksum, record);
    if (!isOfStore(readHeader(record, 0)!)) own.contentBytes += record.length;
    if (own.pieces.length === 1) this.backend.setPending(pack, readerOf(own));
    return place;
  }

  /** Returns the pack to append to; sends the one before if it is full. */
  private writable(kind: PackKind): Spool {
    const spool = this.filling[kind];
    if (spool !== undefined && spool.sizeBytes < this.options.packBytes) return spool;
    if (spool !== undefined) this.send(spool);
    return (this.filling[kind] = this.beginPack(kind, this.backend.stage()));
  }

  private beginPack(kind: PackKind, staged: ObjectWriter): Spool {
    const index = this.begun[kind];
    const pack =
      kind === 'own' ? ownPack(this.claimed, index) : sessionPack(this.claimed, index + 1);
    this.begun[kind] += 1;
    const spool = new Spool(pack, this.backend.owner(), staged);
    this.backend.setPending(pack, (position, target, bytes) => spool.read(position, target, bytes));
    return spool;
  }

  /** Begins to send a complete pack. A failure is thrown by the next commit. */
  private send(spool: Spool): void {
    this.full.push(spool);
    const before = this.slots.length < MOST_SENDING ? undefined : this.slots.shift();
    const protecting = this.protecting.then(() => this.protect(spool));
    this.protecting = protecting.catch(() => undefined); // the next commit throws it
    const sent = Promise.all([before, protecting])
      .then(async () => this.create(spool.pack, await spool.source()))
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    this.slots.push(sent);
    this.sending.push(sent);
  }

  private async protect(spool: Spool): Promise<void> {
    const { parity } = this.options;
    if (parity === undefined) return;
    const bytes = await spool.protect(parity);
    this.appendedBytes += bytes; // read after the wait: more is appended meanwhile
  }

  /** Returns a commit object with its parity. */
  private async protected(bytes: Buffer): Promise<Buffer> {
    const { parity } = this.options;
    if (parity === undefined) return bytes;
    const all = [bytes];
    const read = async (_name: string, at: number, target: Uint8Array, most: number) =>
      bytes.copy(target, 0, at, at + most);
    await parity.append({ read }, bytes.length, (piece) => all.push(Buffer.from(piece)));
    const whole = Buffer.concat(all);
    this.appendedBytes += whole.length - bytes.length;
    return whole;
  }

  private count(bytes: number): void {
    this.appendedBytes += bytes;
    this.uncommitted += bytes;
  }
}

/**
 * True if a machine without a catalog needs a record, so that it must never be in a pack that may be deleted. For
 * other records, their heads are enough.
 */
function isOfStore({ kind, sequence }: RecordHeader): boolean {
  return sequence > 0 || kind === RecordKind.assembly;
}

function taken(name: string): TardisError {
  const what = `another process has written to the client since (${name})`;
  return new TardisError('STORE_TAKEN', what, { object: name });
}

function noRecords(): OwnRecords {
  return { pieces: [], sizeBytes: LABEL_BYTES, checksum: 0, contentBytes: 0 };
}

/** Returns a reader of records that are not sent yet. Their label is not read. */
function readerOf(own: OwnRecords): (at: number, target: Uint8Array, bytes: number) => number {
  return (position, target, bytes) => {
    let at = LABEL_BYTES;
    let got = 0;
    for (const piece of own.pieces) {
      const from = Math.max(0, position + got - at);
      if (from < piece.length && got < bytes && position + got >= at) {
        got += piece.copy(target, got, from, from + bytes - got);
      }
      at += piece.length;
    }
    return got;
  };
}

const PIECE_BYTES = 1 << 20;

/** A pack that is written on this machine until it is sent as one object. */
class Spool {
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

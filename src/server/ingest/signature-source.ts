/**
 * Sends signatures, one at a time, while other messages are handled: stored signatures, or signatures computed from
 * a content's bytes if none is stored. A sample is a signature of a few blocks only. It
 * costs little, and shows whether a file has anything in common with its basis.
 */
import {
  ContentRanges,
  encryptedBytes,
  ReusedBuffers,
  RecordReader,
} from '../../contents/index.js';
import { type LocatedPiece, Locator } from '../../store/catalog/index.js';
import {
  blockBytesFor,
  SAMPLED_FROM_BYTES,
  samplePlaces,
  SignatureMaker,
  type SignedRange,
} from '../../delta/index.js';
import { protocolViolation, recordDamaged, TardisError } from '../../errors/index.js';
import { type ContentId, releaseMemory } from '../../model/index.js';
import { type ObjectReader, packName, RecordKind } from '../../store/index.js';
import { type System, yieldRegularly } from '../../system/index.js';
import type { Answer } from './basis-offers.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { Trust } from './trust.js';

/** Approximate size of the pieces in which a signature is sent. */
const PIECE_BYTES = 256 << 10;
/** Number of bytes of a range that are read at once. */
const READ_BYTES = 1 << 20;
/** Size of the pieces of a content's record, each of which is a request if the store is a bucket. */
const RECORD_PIECE_BYTES = 1 << 20;
/**
 * Maximum number of pending signatures. The client requests each only once, so a larger number means a broken client.
 */
const MAX_WAITING = 8192;

interface Task {
  readonly basis: number;
  readonly contentId: ContentId;
  readonly isSample: boolean;
  /** A range of the content that is signed in other blocks; the client chose its number. */
  readonly range?: (SignedRange & { readonly number: number }) | undefined;
}

export class SignatureSource {
  private readonly waiting: Task[] = [];
  /** Signatures that were sent or are queued; none is sent twice. */
  private readonly begun = new Set<string>();
  private running: Promise<void> | undefined;
  private current: number | undefined;
  private isOver = false;
  private readonly locator = new Locator();
  /** Objects of the store, of which none is opened again once the session is over and has closed them. */
  private readonly objects: ObjectReader = {
    read: async (name, position, target, bytes) => {
      if (this.isOver) throw new TardisError('CONNECTION_LOST', 'the session has ended');
      return this.store.backend.read(name, position, target, bytes);
    },
    expect: (ranges) => this.store.backend.expect?.(ranges),
    close: () => undefined,
  };

  constructor(
    private readonly system: System,
    private readonly store: StoreWriter,
    private readonly trust: Trust,
    private readonly answer: Answer,
  ) {}

  send(basis: number, contentId: ContentId, isSample: boolean, range?: Task['range']): void {
    const key = `${basis} ${isSample}`;
    if (this.isOver || (range === undefined && this.begun.has(key))) return;
    if (this.waiting.length >= MAX_WAITING) {
      throw protocolViolation('too many signatures are wanted');
    }
    if (range === undefined) this.begun.add(key);
    this.waiting.push({ basis, contentId, isSample, range });
    this.running ??= this.run();
  }

  /** Cancels the signatures of a basis that the client no longer uses. */
  forget(basis: number): void {
    this.begun.delete(`${basis} true`);
    this.begun.delete(`${basis} false`);
    const rest = this.waiting.filter((task) => task.basis !== basis);
    this.waiting.splice(0, this.waiting.length, ...rest);
    if (this.current === basis) this.current = undefined;
  }

  /** Stops sending; a read in progress ends by itself, at its next step. */
  halt(): void {
    this.isOver = true;
    this.waiting.length = 0;
    this.current = undefined;
  }

  async stop(): Promise<void> {
    this.halt();
    await this.running;
  }

  /**
   * Sends the queued signatures. Never rejects: a signature that cannot be read is reported as failed, and the client
   * sends the file whole.
   */
  private async run(): Promise<void> {
    const breathe = yieldRegularly(); // the bytes of a local store are read without a turn of the event loop
    for (;;) {
      await breathe();
      const task = this.waiting.shift();
      if (task === undefined) break;
      this.current = task.basis;
      try {
        await this.sendOne(task);
      } catch {
        // Nobody awaits this loop before the session ends, so an error that left it would end the thread, and
        // other sessions with it. An error here costs the client only a delta. A restore or a check reports damage.
        this.sendPart(task, Buffer.alloc(0), true, true);
      }
    }
    this.running = undefined;
  }

  private async sendOne(task: Task): Promise<void> {
    const memory = new ReusedBuffers();
    const reader = new RecordReader(this.objects, this.system.native, memory);
    try {
      await this.sendBy(reader, task);
    } finally {
      reader.release();
      memory.release();
    }
  }

  private async sendBy(reader: RecordReader, task: Task): Promise<void> {
    const { catalog } = this.store;
    const isWhole = !task.isSample && task.range === undefined;
    const isStored = isWhole && this.trust.inSignature(task.contentId);
    const stored = isStored ? catalog.signatures.find(task.contentId) : undefined;
    if (stored !== undefined) {
      const place = { ...stored, object: packName(stored.pack) };
      // An encrypted signature is sent as it is, since the client has the keys.
      const pieces = (await encryptedBytes(this.objects, place, PIECE_BYTES)) ?? reader.body(place);
      return this.sendAll(task, pieces);
    }
    const pieces = this.locator.locate(catalog.contents, task.contentId);
    if (pieces === undefined) throw recordDamaged('its bytes are missing');
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    const sealed = await this.sealedRecord(task, pieces);
    if (sealed !== undefined) return this.sendAll(task, sealed);
    const blockBytes = task.range?.blockBytes ?? blockBytesFor(sizeBytes)!;
    using maker = new SignatureMaker(this.system.native, blockBytes, PIECE_BYTES);
    const steps = task.range ? rangeSteps(task.range) : sampleSteps(sizeBytes, blockBytes);
    const content = isWhole ? this.whole(pieces, reader) : this.ranges(pieces, steps);
    for await (const bytes of content) {
      maker.push(bytes);
      if (maker.madeBytes >= PIECE_BYTES && !this.sendPart(task, maker.take(), false)) return;
    }
    this.sendPart(task, maker.finish(), true);
  }

  /**
   * Returns the record of a small content that is encrypted and stored whole, since the client can make its signature;
   * undefined for any other content, and in a session of an account, which may have the keys and no right to read.
   */
  private async sealedRecord(
    { contentId, isSample, range }: Task,
    [piece]: readonly LocatedPiece[],
  ): Promise<AsyncIterable<Buffer> | undefined> {
    const { catalog } = this.store;
    const isWhole = catalog.contents.stored(contentId)?.kind === RecordKind.content;
    if (isSample || range !== undefined || !isWhole || !this.trust.isClient) return undefined;
    if (piece === undefined || piece.sizeBytes > SAMPLED_FROM_BYTES) return undefined;
    return encryptedBytes(this.objects, piece, RECORD_PIECE_BYTES);
  }

  /** Sends the pieces of a signature, or of a record. */
  private async sendAll(task: Task, pieces: AsyncIterable<Buffer>): Promise<void> {
    for await (const bytes of pieces) {
      if (!this.sendPart(task, Buffer.from(bytes), false)) return;
    }
    this.sendPart(task, Buffer.alloc(0), true);
  }

  private async *whole(
    pieces: readonly LocatedPiece[],
    reader: RecordReader,
  ): AsyncGenerator<Buffer> {
    // Checksums are enough here; the digests are checked on restore.
    for (const piece of pieces) yield* reader.uncheckedBytes(piece, piece);
  }

  private async *ranges(
    pieces: readonly LocatedPiece[],
    steps: Iterable<ReadStep>,
  ): AsyncGenerator<Buffer> {
    const { native } = this.system;
    const source = { backend: this.objects, native, keys: undefined };
    const ranges = new ContentRanges(source, pieces);
    let buffer = Buffer.alloc(0);
    try {
      for (const { place, bytes } of steps) {
        if (bytes > buffer.length) buffer = Buffer.allocUnsafe(bytes);
        await ranges.read(place, buffer, 0, bytes);
        yield buffer.subarray(0, bytes);
      }
    } finally {
      ranges.release();
    }
  }

  /** Sends a piece of a signature. Returns false if the signature is no longer needed. */
  private sendPart(task: Task, bytes: Buffer, last: boolean, failed = false): boolean {
    const { basis, isSample, range } = task;
    if (this.isOver || this.current !== basis) return false;
    this.answer('signature', { basis, isSample, range: range?.number ?? 0, bytes, last, failed });
    releaseMemory(bytes); // the message has a copy
    return true;
  }
}

/** A range of a content to read at once. */
interface ReadStep {
  readonly place: number;
  readonly bytes: number;
}

function sampleSteps(sizeBytes: number, blockBytes: number): ReadStep[] {
  const { places, bytes } = samplePlaces(sizeBytes, blockBytes);
  return places.map((place) => ({ place, bytes }));
}

function* rangeSteps({ from, bytes }: SignedRange): Generator<ReadStep> {
  for (let at = 0; at < bytes; at += READ_BYTES) {
    yield { place: from + at, bytes: Math.min(READ_BYTES, bytes - at) };
  }
}

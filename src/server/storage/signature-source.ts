/**
 * Sends signatures, beside the messages that are handled meanwhile, one at a time: those that are stored,
 * and of contents without one what is made of their bytes. A sample has the blocks at some places only:
 * it tells whether a file has anything in common with its basis, for a small part of the price.
 */
import { type LocatedPiece, Locator } from '../../catalog/index.js';
import {
  blockBytesFor,
  ContentRanges,
  ReaderMemory,
  RecordReader,
  samplePlaces,
  SignatureMaker,
} from '../../delta/index.js';
import { TardisError } from '../../errors/index.js';
import { releaseAll, releaseMemory } from '../../model/index.js';
import { packName } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { Answer } from './basis-offers.js';
import type { ClientStore } from '../../keeper/index.js';

/** A signature goes out in pieces of about this size. */
const PIECE_BYTES = 256 << 10;
/** The client asks for each once; whoever asks for more is broken. */
const MAX_WAITING = 8192;

interface Task {
  readonly basis: number;
  readonly contentId: number;
  readonly isSample: boolean;
}

export class SignatureSource {
  private readonly waiting: Task[] = [];
  /** What was sent or is about to be: nothing is sent twice. */
  private readonly begun = new Set<string>();
  private running: Promise<void> | undefined;
  private current: number | undefined;
  private isOver = false;
  private readonly locator = new Locator();
  private readonly system: System;
  private readonly store: ClientStore;
  private readonly answer: Answer;

  constructor(system: System, store: ClientStore, answer: Answer) {
    this.system = system;
    this.store = store;
    this.answer = answer;
  }

  send(basis: number, contentId: number, isSample: boolean): void {
    const key = `${basis} ${isSample}`;
    if (this.isOver || this.begun.has(key)) return;
    if (this.waiting.length >= MAX_WAITING) {
      throw new TardisError('PROTOCOL_VIOLATION', 'too many signatures are wanted');
    }
    this.begun.add(key);
    this.waiting.push({ basis, contentId, isSample });
    this.running ??= this.run();
  }

  /** The client is done with it. */
  forget(basis: number): void {
    this.begun.delete(`${basis} true`);
    this.begun.delete(`${basis} false`);
    const rest = this.waiting.filter((task) => task.basis !== basis);
    this.waiting.splice(0, this.waiting.length, ...rest);
    if (this.current === basis) this.current = undefined;
  }

  /** Says no more; what is being read ends by itself. */
  halt(): void {
    this.isOver = true;
    this.waiting.length = 0;
    this.current = undefined;
  }

  async stop(): Promise<void> {
    this.halt();
    await this.running;
  }

  /** Never rejects: what cannot be read is told, and the file is sent whole. */
  private async run(): Promise<void> {
    for (;;) {
      const task = this.waiting.shift();
      if (task === undefined) break;
      this.current = task.basis;
      try {
        await this.sendOne(task);
      } catch {
        this.say(task, Buffer.alloc(0), true, true);
      }
    }
    this.running = undefined;
  }

  private async sendOne(task: Task): Promise<void> {
    const { catalog, backend } = this.store;
    const memory = new ReaderMemory();
    const reader = new RecordReader(backend, this.system.native, memory);
    const stored = task.isSample ? undefined : catalog.signatures.find(task.contentId);
    if (stored !== undefined) {
      const place = { ...stored, object: packName(stored.pack) };
      // What is encrypted goes as it is: who asks has the keys.
      const pieces = (await reader.encrypted(place, PIECE_BYTES)) ?? reader.body(place);
      for await (const bytes of pieces) {
        if (!this.say(task, Buffer.from(bytes), false)) return;
      }
      this.say(task, Buffer.alloc(0), true);
      return;
    }
    const pieces = this.locator.locate(catalog.contents, task.contentId);
    if (pieces === undefined) throw new TardisError('RECORD_DAMAGED', 'its bytes are missing');
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    const blockBytes = blockBytesFor(sizeBytes)!;
    const maker = new SignatureMaker(this.system.native, blockBytes, PIECE_BYTES);
    try {
      const content = task.isSample
        ? this.sampled(pieces, sizeBytes, blockBytes)
        : this.whole(pieces, reader);
      for await (const bytes of content) {
        maker.push(bytes);
        if (maker.madeBytes >= PIECE_BYTES && !this.say(task, maker.take(), false)) return;
      }
      this.say(task, maker.finish(), true);
    } finally {
      maker.close();
      reader.release();
      releaseAll([memory.decoded, memory.stored]);
    }
  }

  private async *whole(
    pieces: readonly LocatedPiece[],
    reader: RecordReader,
  ): AsyncGenerator<Buffer> {
    // Their digests are checked when they are restored: here checksums are enough.
    for (const piece of pieces) yield* reader.uncheckedBytes(piece, piece);
  }

  private async *sampled(
    pieces: readonly LocatedPiece[],
    sizeBytes: number,
    blockBytes: number,
  ): AsyncGenerator<Buffer> {
    const { native } = this.system;
    const source = { backend: this.store.backend, native, keys: undefined };
    const ranges = new ContentRanges(source, pieces);
    const { places, bytes } = samplePlaces(sizeBytes, blockBytes);
    const buffer = Buffer.allocUnsafe(bytes);
    try {
      for (const place of places) {
        await ranges.read(place, buffer, 0, bytes);
        yield buffer;
      }
    } finally {
      ranges.release();
    }
  }

  /** False when nobody wants it any more. */
  private say(task: Task, bytes: Buffer, last: boolean, failed = false): boolean {
    const { basis, isSample } = task;
    if (this.isOver || this.current !== basis) return false;
    this.answer('signature', { basis, isSample, bytes, last, failed });
    releaseMemory(bytes); // the message has a copy
    return true;
  }
}

/**
 * One session of a reader. Its questions are answered one by one and in order, from the client's history, which is
 * read without the client's lock, so that a backup may run at the same time. It runs in the same threads as storage
 * sessions.
 */
import { asTardisError, protocolViolation } from '../../errors/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import {
  decodeMessage,
  MAX_QUESTIONS,
  type MessageName,
  READING_CREDIT_BYTES,
} from '../../transport/index.js';
import { Answers, type Reader } from './answers.js';
import type { JobLimits } from '../jobs/background-jobs.js';
import type { StorageEvents, StorageHandle } from '../storage/storage-options.js';

interface Waiting {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

export class ReadingSession implements StorageHandle {
  private readonly queue: Waiting[] = [];
  /** Number of bytes of answers that may still be sent to the reader. */
  private creditBytes = READING_CREDIT_BYTES;
  private isBusy = false;
  private isOver = false;
  private isClosed = false;
  private idle: (() => void)[] = [];

  private constructor(
    private readonly answers: Answers,
    private readonly events: StorageEvents,
  ) {}

  /** Opens a client for reading. Throws errors of opening a catalog. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: JobLimits,
    { events, ...reader }: Reader & { readonly events: StorageEvents },
  ): ReadingSession {
    const answers = Answers.open(system, directory, limits, reader);
    return new ReadingSession(answers, events);
  }

  post(name: MessageName, bytes: Buffer): void {
    if (this.isOver) return;
    try {
      if (name === 'taken') {
        const { bytes: taken } = decodeMessage(name, bytes).head;
        this.creditBytes = Math.min(READING_CREDIT_BYTES, this.creditBytes + taken);
        this.events.answer(undefined, bytes.length);
      } else {
        if (this.queue.length >= MAX_QUESTIONS) throw protocolViolation('too many questions wait');
        this.queue.push({ name, bytes });
      }
      this.pump();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Does nothing, since a reader writes nothing. */
  park(): void {}

  /** Ends the session; pending questions are not answered. */
  async end(): Promise<void> {
    await this.abandon();
  }

  async abandon(): Promise<void> {
    this.isOver = true;
    this.queue.length = 0;
    if (this.isBusy) await new Promise<void>((resolve) => this.idle.push(resolve));
    else this.close();
  }

  private fail(error: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.queue.length = 0;
    this.events.failed(asTardisError(error));
    if (!this.isBusy) this.close();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.answers.close().catch((error: unknown) => this.events.failed(asTardisError(error)));
  }

  private pump(): void {
    if (this.isBusy || this.isOver) return;
    this.isBusy = true;
    this.run()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.isBusy = false;
        for (const resolve of this.idle.splice(0)) resolve();
        if (this.isOver) this.close();
        else if (this.queue.length > 0 && this.creditBytes > 0) this.pump();
      });
  }

  private async run(): Promise<void> {
    while (this.creditBytes > 0) {
      const next = this.queue.shift();
      if (next === undefined) return;
      const answer = await this.answers.to(next.name, next.bytes);
      if (this.isOver) return;
      this.creditBytes -= answer.length;
      this.events.answer(answer, next.bytes.length);
    }
  }
}

/**
 * An archive as a stream. It reads the store only as fast as its reader takes the bytes, and stops when the reader
 * disconnects.
 */
import { Readable } from 'node:stream';
import { TardisError, throwIfAborted } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import {
  type ArchiveRequest,
  ByteSink,
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
  writeTar,
  writeZip,
} from '../../restore/index.js';
import type { System } from '../../system/index.js';
import { WaitShare } from './wait-share.js';

/** Maximum number of unused buffers that are kept. */
const MOST_SPARE = 4;
/** Size of new buffers, unless more is needed: that of a decoded chunk. */
const USUAL_BYTES = 1 << 20;

type ArchiveFormatName = 'zip' | 'tar';

export interface ArchiveStreamOptions {
  readonly system: System;
  readonly history: History;
  readonly request: ArchiveRequest;
  readonly format: ArchiveFormatName;
  /**
   * Compression of a zip. `auto` compresses only while the reader is slower than the store, since that costs no time.
   */
  readonly compress: 'auto' | 'yes' | 'no';
  /**
   * `end`: damage ends the archive. `list`: damaged entries are omitted and listed in a text at the end of the
   * archive.
   */
  readonly damage: 'end' | 'list';
}

/** Number of bytes that are prepared before the reader takes them. */
const READY_BYTES = 256 << 10;

export class ArchiveStream extends Readable {
  /**
   * Entries that the archive lacks: entries without access, kinds that the format cannot contain, and damage if it is
   * listed.
   */
  failures: readonly RestoreFailure[] = [];
  readonly progress: RestoreProgress = newRestoreProgress();
  private readonly ending = new AbortController();
  private readonly waits = new WaitShare(() => performance.now());
  private readonly memory = new PassedMemory();
  private goOn: (() => void) | undefined;
  private running: Promise<void> | undefined;
  private readonly begun = Promise.withResolvers<void>();

  /** Creates the stream. It reads nothing until `begin` is called. */
  constructor(private readonly options: ArchiveStreamOptions) {
    super({ highWaterMark: READY_BYTES });
    this.begun.promise.catch(() => undefined); // `begin` throws the error
  }

  /**
   * Resolves when the first bytes are ready. Throws errors that prevent the archive, such as NO_SUCH_PATH, NO_ACCESS,
   * and damage before the first bytes. Later errors destroy the stream, so that the archive does not look complete.
   */
  async begin(): Promise<void> {
    this.running ??= this.run();
    await this.begun.promise;
  }

  /** Time for which the reader has taken nothing; 0 if no bytes wait for the reader. */
  get waitedMs(): number {
    return this.goOn === undefined ? 0 : this.waits.sinceMarkMs;
  }

  override _read(): void {
    this.goOn?.();
  }

  /** Passes all bytes to a destination. The memory of each chunk is reused when the destination has taken it. */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.on('data', (chunk: Buffer) => {
      const goesOn = destination.write(chunk, (error) => {
        if (error === undefined || error === null) this.memory.takeBack(chunk);
      });
      if (goesOn) return;
      this.pause();
      destination.once('drain', () => this.resume());
    });
    if (options?.end !== false) this.once('end', () => destination.end());
    return destination;
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.ending.abort();
    this.goOn?.();
    // The caller may close the history afterwards, so nothing may read it any more.
    void this.doneAtEnd(error, done);
  }

  private async doneAtEnd(error: Error | null, done: (error: Error | null) => void): Promise<void> {
    await this.running;
    done(error);
  }

  /** Writes the whole archive. Never throws, since an error destroys the stream. */
  private async run(): Promise<void> {
    try {
      this.failures = await this.write();
      this.push(null);
      this.begun.resolve();
    } catch (error) {
      this.begun.reject(error); // has no effect if the archive has begun
      // Destroying the stream waits for the end of this function, so it must not be awaited here.
      if (!this.ending.signal.aborted) setImmediate(() => this.destroy(error as Error));
    }
  }

  private write(): Promise<readonly RestoreFailure[]> {
    const { system, history, format, compress, damage } = this.options;
    const { signal } = this.ending;
    const endsAtDamage = damage === 'end';
    const request = { ...this.options.request, endsAtDamage, listsMissing: true };
    const sink = new ByteSink((bytes) => this.pass(bytes));
    const means = { history, progress: this.progress, signal };
    if (format === 'tar') return writeTar(system, means, request, sink);
    const mayDeflate = (): boolean =>
      compress === 'auto' ? this.waits.isMostlyWaiting : compress === 'yes';
    return writeZip(system, means, { ...request, mayDeflate }, sink);
  }

  /** Passes bytes on, and waits until the reader takes more. Throws INTERRUPTED if the reader has disconnected. */
  private async pass(bytes: Buffer): Promise<void> {
    throwIfAborted(this.ending.signal);
    this.waits.begin();
    const isFull = !this.push(this.memory.copyOf(bytes));
    this.begun.resolve();
    if (isFull) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.goOn = resolve;
      await promise;
      this.goOn = undefined;
    }
    this.waits.end();
    throwIfAborted(this.ending.signal);
  }
}

/** Converts an error of the stream to one whose text is for a log. */
export function brokenArchive(error: unknown, what: string): TardisError {
  const { code, message } =
    error instanceof TardisError ? error : new TardisError('INTERNAL', String(error));
  return new TardisError(code, `the archive ${what} was broken off: ${message}`, {}, error);
}

/**
 * Memory for bytes that are passed on. It is reused, since unused buffers would stay allocated until the next garbage
 * collection of the heap: some hundred megabytes for an archive.
 */
export class PassedMemory {
  private readonly spare: ArrayBuffer[] = [];
  /** Buffers that this object has given out. Other buffers, such as several joined to one, are not taken back. */
  private readonly given = new WeakSet<ArrayBuffer>();

  copyOf(bytes: Uint8Array): Buffer {
    const index = this.spare.findIndex(({ byteLength }) => byteLength >= bytes.length);
    const [found] = index < 0 ? [] : this.spare.splice(index, 1);
    const memory = found ?? new ArrayBuffer(Math.max(USUAL_BYTES, bytes.length));
    this.given.add(memory);
    const copy = Buffer.from(memory, 0, bytes.length);
    copy.set(bytes);
    return copy;
  }

  /** Takes back the memory of bytes that are no longer read. */
  takeBack({ buffer }: Buffer): void {
    if (!(buffer instanceof ArrayBuffer) || !this.given.delete(buffer)) return;
    if (this.spare.length < MOST_SPARE) this.spare.push(buffer);
  }
}

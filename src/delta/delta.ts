/**
 * Computes deltas, and applies them with librsync, in pieces. A delta (magic "rs\x026") is a sequence of commands:
 * insert these bytes, or copy that range of the basis.
 */
import { recordDamaged, type TardisError } from '../errors/index.js';
import { NO_BYTES, releaseMemory } from '../model/index.js';
import { type RsyncCalls, RsyncStatus } from '../system/index.js';
import { RsyncJob } from './rsync-job.js';

/** Computes the delta of the pushed bytes, in pieces of `pieceBytes` (the last one may be shorter). */
export class DeltaMaker implements Disposable {
  private readonly job: RsyncJob;
  private readonly piece: Buffer;
  private filled = 0;

  /** Creates the maker, which must be closed. `signature` is the number of a LoadedSignature. */
  constructor(native: RsyncCalls, signature: number, pieceBytes: number) {
    this.job = new RsyncJob(native, 'a delta cannot be made', () => native.rsyncDelta(signature));
    this.piece = Buffer.allocUnsafeSlow(pieceBytes);
  }

  /** Number of commands so far. */
  get commands(): number {
    return this.job.commands;
  }

  /** Number of bytes so far that the basis does not contain. */
  get literalBytes(): number {
    return this.job.literalBytes;
  }

  /** True if any match with the basis was found so far. */
  get hasMatch(): boolean {
    return this.job.copiedBytes > 0;
  }

  /**
   * Adds bytes of the content and yields the full pieces of the delta. Each piece is valid until the next one is
   * requested.
   */
  push(bytes: Uint8Array): Generator<Buffer, void, undefined> {
    return this.drive(bytes, false);
  }

  /** Yields the rest of the delta. */
  *finish(): Generator<Buffer, void, undefined> {
    yield* this.drive(NO_BYTES, true);
    if (this.filled > 0) yield this.piece.subarray(0, this.filled);
    this.filled = 0;
  }

  close(): void {
    this.job.close();
    releaseMemory(this.piece); // garbage collection would be too late: each part of a file has one
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private *drive(input: Uint8Array, isLast: boolean): Generator<Buffer, void, undefined> {
    for (let at = 0; ; ) {
      const status = this.job.step(
        { bytes: input, at, isLast },
        { target: this.piece, at: this.filled },
      );
      at += this.job.takenBytes;
      this.filled += this.job.putBytes;
      const isFull = this.filled === this.piece.length;
      if (isFull) {
        yield this.piece;
        this.filled = 0;
      }
      if (status === RsyncStatus.done || (at === input.length && !isFull)) return;
    }
  }
}

/** The content on which a delta is based. */
export interface Basis {
  readonly sizeBytes: number;
  /** Fills `bytes` bytes of `target` from `at` on with the bytes of the basis at `position`. */
  read(position: number, target: Buffer, at: number, bytes: number): Promise<void>;
}

const OUTPUT_BYTES = 1 << 20;

/**
 * Yields the content that a delta produces from its basis. Each piece is valid until the one after the next is
 * requested. Throws RECORD_DAMAGED if the delta is malformed, or produces any other length than `sizeBytes`.
 * Only the digest proves that the bytes are right.
 */
export async function* patched(
  native: RsyncCalls,
  delta: AsyncIterable<Uint8Array>,
  basis: Basis,
  sizeBytes: number,
): AsyncGenerator<Buffer> {
  using job = new RsyncJob(native, 'a delta cannot be applied', () =>
    native.rsyncPatch(basis.sizeBytes),
  );
  const run = new PatchRun(job, basis, sizeBytes);
  for await (const input of delta) yield* run.push(input, false);
  yield* run.push(NO_BYTES, true);
  if (!run.isWhole) throw wrongLength();
}

class PatchRun {
  isWhole = false;
  private output: Buffer;
  /** The output of the last piece, which is used again for the next but one; undefined before there were two. */
  private other: Buffer | undefined;
  private filled = 0;
  private madeBytes = 0;

  constructor(
    private readonly job: RsyncJob,
    private readonly basis: Basis,
    private readonly sizeBytes: number,
  ) {
    this.output = this.room();
  }

  async *push(input: Uint8Array, isLast: boolean): AsyncGenerator<Buffer> {
    if (this.isWhole) {
      if (input.length > 0) throw wrongLength();
      return;
    }
    const { job, basis } = this;
    let given = 0;
    for (let at = 0; ; ) {
      const { output } = this;
      const status = job.step(
        { bytes: input, at, isLast },
        { target: output, at: this.filled, givenBytes: given },
      );
      at += job.takenBytes;
      this.count(job.putBytes);
      given = 0;
      if (status === RsyncStatus.needsBasis) {
        given = job.neededBytes;
        await basis.read(job.neededAt, output, this.filled, given);
        continue;
      }
      const isFull = this.filled === output.length;
      if (isFull || status === RsyncStatus.done) {
        const { filled } = this;
        [this.output, this.other, this.filled] = [this.other ?? this.room(), output, 0];
        if (filled > 0) yield output.subarray(0, filled);
      }
      if (status === RsyncStatus.done) {
        this.isWhole = this.madeBytes === this.sizeBytes;
        if (!this.isWhole) throw wrongLength();
        return;
      }
      if (at === input.length && !isFull && !isLast) return;
    }
  }

  private room(): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(OUTPUT_BYTES, Math.max(1, this.sizeBytes)));
  }

  private count(bytes: number): void {
    this.filled += bytes;
    this.madeBytes += bytes;
    if (this.madeBytes > this.sizeBytes) throw wrongLength();
  }
}

function wrongLength(): TardisError {
  return recordDamaged('the result of a delta has the wrong length');
}

/** Makes a delta, and drops it as soon as it is clear that it does not pay. */
import { DeltaMaker, MAX_COMMANDS } from '../delta/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import type { DeltaOutcome, DeltaRequest } from './jobs.js';

/** Number of bytes between two checks. */
const STEP_BYTES = 128 << 10;

export class MeasuredDelta {
  isDropped = false;
  /** Time spent making the delta. */
  busyMs = 0;
  private rawBytes = 0;
  private pushedBytes = 0;
  private readonly maker: DeltaMaker;

  constructor(
    native: NativeCalls,
    private readonly request: DeltaRequest,
  ) {
    this.maker = new DeltaMaker(native, request.signature, STREAM_CHUNK_BYTES);
  }

  /** Yields pieces of the delta. Each is valid until the next one is requested. */
  *push(bytes: Buffer): Generator<Buffer, void, undefined> {
    for (let at = 0; at < bytes.length && !this.isDropped; at += STEP_BYTES) {
      const step = bytes.subarray(at, at + STEP_BYTES);
      yield* this.timed(this.maker.push(step));
      this.pushedBytes += step.length;
      this.isDropped = !this.isWorthIt();
    }
  }

  *finish(): Generator<Buffer, void, undefined> {
    yield* this.timed(this.maker.finish());
    this.isDropped = !this.isWorthIt();
  }

  outcome(): DeltaOutcome {
    const { isDropped, rawBytes, maker } = this;
    return { isDropped, rawBytes, commands: maker.commands };
  }

  close(): void {
    this.maker.close();
  }

  /** Measures the time of making the pieces, without the time of consuming them. */
  private *timed(pieces: Generator<Buffer, void, undefined>): Generator<Buffer, void, undefined> {
    for (;;) {
      const startMs = performance.now();
      const next = pieces.next();
      this.busyMs += performance.now() - startMs;
      if (next.done === true) return;
      this.rawBytes += next.value.length;
      yield next.value;
    }
  }

  private isWorthIt(): boolean {
    const { mostNewBytes, mostNewPercent, evidenceBytes } = this.request;
    const { literalBytes, commands } = this.maker;
    if (literalBytes > mostNewBytes || commands > MAX_COMMANDS) return false;
    if (this.pushedBytes < evidenceBytes) return true;
    return literalBytes <= (this.pushedBytes * mostNewPercent) / 100;
  }
}

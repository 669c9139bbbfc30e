/** One job of the addon that makes or reads a signature or a delta, with its errors as TardisErrors. */
import { recordDamaged, systemCode } from '../errors/index.js';
import {
  RSYNC_FIGURES,
  type RsyncCalls,
  RsyncFigure,
  type RsyncStatusNumber,
} from '../system/index.js';

/** Input of a step: `bytes` from `at` on. */
interface StepInput {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly isLast: boolean;
}

/** The place for a step's output, from `at` on. */
interface StepOutput {
  readonly target: Uint8Array;
  readonly at: number;
  /** Number of bytes of the basis that were read into `target`, as the last step requested. */
  readonly givenBytes?: number;
}

const NOWHERE: StepOutput = { target: new Uint8Array(0), at: 0 };

export class RsyncJob implements Disposable {
  private readonly figures = new Float64Array(RSYNC_FIGURES);
  private readonly figureBytes = new Uint8Array(this.figures.buffer);
  private isOpen = true;
  readonly number: number;

  /** `what` begins the error message, for example "a delta cannot be made". */
  constructor(
    private readonly native: RsyncCalls,
    private readonly what: string,
    begin: () => number,
  ) {
    this.number = this.withReason(begin);
  }

  get takenBytes(): number {
    return this.figures[RsyncFigure.taken]!;
  }

  get putBytes(): number {
    return this.figures[RsyncFigure.put]!;
  }

  get neededAt(): number {
    return this.figures[RsyncFigure.neededAt]!;
  }

  get neededBytes(): number {
    return this.figures[RsyncFigure.neededBytes]!;
  }

  get commands(): number {
    return this.figures[RsyncFigure.commands]!;
  }

  get literalBytes(): number {
    return this.figures[RsyncFigure.literalBytes]!;
  }

  get copiedBytes(): number {
    return this.figures[RsyncFigure.copiedBytes]!;
  }

  /** Runs a step, see `rsyncStep`. Throws RECORD_DAMAGED, with the reason, for malformed input. */
  step(input: StepInput, output: StepOutput = NOWHERE): RsyncStatusNumber {
    const { native, number, figureBytes } = this;
    return this.withReason(() =>
      native.rsyncStep(
        number,
        input.bytes,
        input.at,
        input.bytes.length - input.at,
        input.isLast,
        output.target,
        output.at,
        output.givenBytes ?? 0,
        figureBytes,
      ),
    ) as RsyncStatusNumber;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.native.rsyncClose(this.number);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private withReason(call: () => number): number {
    try {
      return call();
    } catch (error) {
      if (systemCode(error) !== 'ERSYNC') throw error;
      const reason = (error as Error).message.replace(/^ERSYNC: (.*), rsync\w+$/s, '$1');
      throw recordDamaged(`${this.what}: ${reason}`, {}, error);
    }
  }
}

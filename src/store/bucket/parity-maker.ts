/** Makes the parity of the objects of a session. It is the last record of each object. */
import { yieldRegularly } from '../../system/index.js';
import type { Backend } from '../backends/backend.js';
import { stagedPieces } from '../backends/staged-pieces.js';
import { stageInnerParity } from '../parity/inner-parity.js';
import type { ParityMath, ParityRequest, Protected } from '../parity/make-parity.js';

export class ParityMaker {
  /**
   * Creates a maker. `backend` stages parity while it is made. `percent` is the number of bytes of parity for 100
   * bytes, at least 1. `breathe` yields to other work, and may throw to end the work.
   */
  constructor(
    private readonly math: ParityMath,
    private readonly backend: Pick<Backend, 'stage'>,
    private readonly percent: number,
    private readonly breathe: ParityRequest['breathe'] = yieldRegularly(),
  ) {}

  /** Makes the parity of the first bytes of `reader`, and passes its record on. Each piece is valid during its call. */
  async append(
    reader: Protected['reader'],
    coveredBytes: number,
    take: (piece: Buffer) => void,
  ): Promise<void> {
    const { math, percent, breathe } = this;
    using staged = this.backend.stage();
    const request = { coveredBytes, percent, breathe };
    await stageInnerParity(staged, math, { reader, name: '' }, request);
    for await (const piece of stagedPieces(staged)) take(piece);
  }
}

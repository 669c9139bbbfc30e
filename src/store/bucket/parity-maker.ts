/** Makes the parity that the objects of a session get, as their last record. */
import { yieldRegularly } from '../../system/index.js';
import type { Backend } from '../backends/backend.js';
import { piecesOf, stageInnerParity } from '../parity/inner-parity.js';
import type { ParityMath, Protected } from '../parity/make-parity.js';

export class ParityMaker {
  private readonly math: ParityMath;
  private readonly backend: Pick<Backend, 'stage'>;
  private readonly percent: number;
  private readonly breathe = yieldRegularly();

  /** `backend` stages parity while it is made. `percent`: bytes of parity for 100 bytes, at least 1. */
  constructor(math: ParityMath, backend: Pick<Backend, 'stage'>, percent: number) {
    this.math = math;
    this.backend = backend;
    this.percent = percent;
  }

  /** Makes the parity of the first bytes of `reader`, and passes its record on. Each piece is valid during its call. */
  async append(
    reader: Protected['reader'],
    coveredBytes: number,
    take: (piece: Buffer) => void,
  ): Promise<void> {
    const { math, percent, breathe } = this;
    const staged = this.backend.stage();
    try {
      const request = { coveredBytes, percent, breathe };
      await stageInnerParity(staged, math, { reader, name: '' }, request);
      for await (const piece of piecesOf(staged)) take(piece);
    } finally {
      staged.close();
    }
  }
}

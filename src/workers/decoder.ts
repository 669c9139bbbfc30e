/** The interface of what decodes stored records for a reader. */
import type { DecodeInput, DecodeOutput } from './jobs.js';

/** Decodes stored records. Each `JobRunner` can. */
export interface Decoder {
  /** Rejects with a TardisError. The buffers in `transfer` cannot be used afterwards. */
  run(
    name: 'decode',
    input: DecodeInput,
    transfer?: readonly ArrayBuffer[],
  ): Promise<{ readonly output: DecodeOutput }>;
}

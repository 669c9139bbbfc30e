/** Codecs of the answers by which a client is copied: the offer of a snapshot, and pieces of its catalog. */
import type { Body } from '../../transport/index.js';
import { asIs, type Coder, odd } from './coder.js';

const SUM_BYTES = 32;

export const OFFER: Coder<Body<'copyOffered'>, Body<'copyOffered'>, unknown> = asIs<'copyOffered'>(
  ({ keysSum }) => {
    if (keysSum.length !== 0 && keysSum.length !== SUM_BYTES) throw odd('checksums of keys');
  },
);

export const CATALOG_PIECE: Coder<Buffer, Body<'catalogIs'>, unknown> = {
  toWire: (attachment) => ({ attachment }),
  fromWire: ({ attachment }) => attachment,
};

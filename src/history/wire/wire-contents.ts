/** Codecs of questions about contents: digests, bytes of objects, and deltas on a version that the reader has. */
import { contentIdOf, DIGEST_BYTES, NO_BYTES } from '../../model/index.js';
import { isObjectName } from '../../store/index.js';
import { type Body, MAX_PAGE_ENTRIES, MAX_READ_BYTES } from '../../transport/index.js';
import type { FoundContent } from '../history.js';
import { asIs, type Coder, odd, refused } from './coder.js';

/** Minimum number of bytes by which a digest is looked up. */
const LEAST_PREFIX_BYTES = 8;

export const DIGESTS = asIs<'readDigests'>(({ prefix, limit }) => {
  if (prefix.length < LEAST_PREFIX_BYTES || limit > MAX_PAGE_ENTRIES) {
    throw refused('a prefix or a limit');
  }
});

export const FOUND: Coder<readonly FoundContent[], Body<'digestsAre'>, unknown> = {
  toWire: (found) => ({ found }),
  fromWire: ({ found }) => {
    if (found.some(({ digest }) => digest.length !== DIGEST_BYTES)) throw odd('digests');
    return found.map((one) => ({ ...one, contentId: contentIdOf(one.contentId) }));
  },
};

export const OBJECT = asIs<'readObject'>(({ object, bytes }) => {
  if (!isObjectName(object) || bytes > MAX_READ_BYTES) throw refused('an object or a length');
});

/** The bytes of an object, fewer than requested only at its end; undefined if there is no such object. */
export const OBJECT_PART: Coder<Buffer | undefined, Body<'objectIs'>, Body<'readObject'>> = {
  toWire: (attachment) => ({
    exists: attachment !== undefined,
    attachment: attachment ?? NO_BYTES,
  }),
  fromWire: ({ exists, attachment }, { bytes }) => {
    if (attachment.length > bytes) throw odd('bytes');
    return exists ? attachment : undefined;
  },
};

/**
 * A piece of the signature of a version that the reader has. Pieces with the same number `signature` belong together.
 */
type SignaturePiece = Omit<Body<'readerSignature'>, 'attachment'> & { readonly bytes: Buffer };

export const SIGNATURE: Coder<SignaturePiece, Body<'readerSignature'>, unknown> = {
  toWire: ({ bytes, ...piece }) => ({ ...piece, attachment: bytes }),
  fromWire: ({ attachment, ...piece }) => ({ ...piece, bytes: attachment }),
};

export const DELTA = asIs<'readDelta'>(({ digest }) => {
  if (digest.length !== DIGEST_BYTES) throw refused('a digest');
});

/** The next part of a delta. If `isUseless`, too little of the content is in the reader's version. */
type DeltaPart = Omit<Body<'deltaIs'>, 'attachment'> & { readonly chunk: Buffer };

export const DELTA_PART: Coder<DeltaPart, Body<'deltaIs'>, unknown> = {
  toWire: ({ chunk, ...part }) => ({ ...part, attachment: chunk }),
  fromWire: ({ attachment, ...part }) => ({ ...part, chunk: attachment }),
};

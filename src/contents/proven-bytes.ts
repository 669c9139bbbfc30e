/** Proves a piece against its digest while its bytes pass. */
import { TardisError } from '../errors/index.js';
import { contentDigest } from '../model/index.js';
import { LEAST_AHEAD_BYTES } from './record-chunks.js';
import type { RecordOpener } from './record-head.js';
import type { StoredPiece } from './stored-piece.js';

/** Minimum size of a part that is hashed on another thread. Passing on a smaller one takes longer than hashing it. */
const LEAST_ASYNC_BYTES = 64 << 10;

/**
 * Yields the parts of a piece, each valid until the next one is requested. The caller must only read them: if the piece is
 * large, another thread hashes a part while the caller uses it and the next one is made. So each of `parts` must be valid
 * until the one after the next is requested. Throws CONTENT_DAMAGED after the last part if the bytes do not have the digest.
 */
export async function* provenBytes(
  { native, keys }: RecordOpener,
  parts: AsyncIterable<Buffer> | Iterable<Buffer>,
  { digest, sizeBytes }: Pick<StoredPiece, 'digest' | 'sizeBytes'>,
): AsyncGenerator<Buffer> {
  const leastBytes = sizeBytes < LEAST_AHEAD_BYTES ? Infinity : LEAST_ASYNC_BYTES;
  const state = native.sha256Begin();
  let bytes = 0;
  let hashing: Promise<void> | undefined;
  try {
    for await (const part of parts) {
      await hashing;
      hashing = native.sha256Part(state, part, part.length >= leastBytes);
      hashing?.catch(() => undefined); // thrown when it is awaited
      bytes += part.length;
      let isPast = false;
      try {
        yield part;
        isPast = true;
      } finally {
        if (!isPast) await hashing; // `parts` ends now, and its memory may be used for other bytes
      }
    }
  } finally {
    await hashing;
  }
  const found = contentDigest(native, keys, native.sha256End(state));
  if (bytes !== sizeBytes || !found.equals(digest)) throw damagedContent();
}

/** Returns the error for bytes that do not have their digest. */
export function damagedContent(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the data does not match its digest');
}

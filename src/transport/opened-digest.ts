/** Computes the digest by which a server detects that its answer to `openSet` was changed on the way to the client. */
import { createHash } from 'node:crypto';
import { encodeMessage } from './codec.js';
import type { Head } from './messages.js';

/** Returns the SHA-256 of all fields of the answer. */
export function openedDigest(opened: Head<'setOpened'>): Buffer {
  return createHash('sha256').update(encodeMessage('setOpened', opened).head).digest();
}

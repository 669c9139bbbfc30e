/**
 * Decoding of a reader's questions and encoding of their answers. An answer is one buffer, no larger than a page.
 */
import { TardisError } from '../../errors/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
} from '../../transport/index.js';

/** Most roots, notes or owners in one answer. */
export const PAGE_ITEMS = 16_384;
/** Most bytes of rows or paths in one answer, unless a single one is larger. */
export const PAGE_BYTES = 4 << 20;

/** Returns the head of a question. Throws PROTOCOL_VIOLATION. */
export function headOf<N extends MessageName>(name: N, bytes: Buffer): Head<N> {
  return decodeMessage(name, bytes).head;
}

export function answer<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): Buffer {
  const message = encodeMessage(name, head, attachment);
  if (message.attachment === undefined) return message.head;
  return Buffer.concat([message.head, message.attachment]);
}

/** Returns the first rows that fit into one answer; at least one. */
export function fitting<T>(rows: readonly T[], bytesOf: (row: T) => number): readonly T[] {
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += bytesOf(row);
    return index > 0 && bytes > PAGE_BYTES;
  });
  return end < 0 ? rows : rows.slice(0, end);
}

/** Returns the error for an invalid question; it ends the session. */
export function refused(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a question asks with ${what} that cannot be`);
}

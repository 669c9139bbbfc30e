/** How every question of a reader is read, and its answer written: one buffer, and no larger than a page. */
import { TardisError } from '../../errors/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
} from '../../transport/index.js';

/** Roots, notes or owners in one answer. */
export const PAGE_ITEMS = 16_384;
/** Rows or paths in one answer, unless a single one is larger. */
export const PAGE_BYTES = 4 << 20;

/** Throws PROTOCOL_VIOLATION. */
export function headOf<N extends MessageName>(name: N, bytes: Buffer): Head<N> {
  return decodeMessage(name, bytes).head;
}

export function answer<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): Buffer {
  const message = encodeMessage(name, head, attachment);
  if (message.attachment === undefined) return message.head;
  return Buffer.concat([message.head, message.attachment]);
}

/** As many of the first as one answer takes; one in any case. */
export function fitting<T>(rows: readonly T[], bytesOf: (row: T) => number): readonly T[] {
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += bytesOf(row);
    return index > 0 && bytes > PAGE_BYTES;
  });
  return end < 0 ? rows : rows.slice(0, end);
}

/** Of a question that makes no sense: it ends the session. */
export function refused(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a question asks with ${what} that cannot be`);
}

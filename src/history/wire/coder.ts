/** A codec between the values that callers use and the fields of a message. It checks the fields of a peer. */
import { protocolViolation, type TardisError } from '../../errors/index.js';
import type { AnswerTo, AnyQuestion, Body, MessageName } from '../../transport/index.js';
import { SLASH } from '../../model/index.js';

/** Maximum number of roots, notes, owners or seals in one answer. */
export const PAGE_ITEMS = 16_384;
/** Maximum number of bytes of rows or paths in one answer, unless a single one is larger. */
export const PAGE_BYTES = 4 << 20;

/** Codec of a message. For an answer, `Context` is the request, which limits the contents of the answer. */
export interface Coder<Value, Fields, Context = void> {
  toWire(value: Value, context: Context): Fields;
  /** Decodes fields. Throws PROTOCOL_VIOLATION if they are invalid. */
  fromWire(fields: Fields, context: Context): Value;
}

/** The codecs of a question and of its answer. */
export interface Coded<N extends AnyQuestion, Request, Reply> {
  readonly request: Coder<Request, Body<N>>;
  readonly reply: Coder<Reply, Body<AnswerTo<N>>, Request>;
}

/** Returns the codec of a message whose fields are used unchanged; `check` throws if they are invalid. */
export function asIs<N extends MessageName, Context = unknown>(
  check: (fields: Body<N>, context: Context) => void = () => undefined,
): Coder<Body<N>, Body<N>, Context> {
  return {
    toWire: (fields) => fields,
    fromWire: (fields, context) => {
      check(fields, context);
      return fields;
    },
  };
}

/** The codec of a message without fields. */
export const NOTHING: Coder<void, object, unknown> = Object.freeze({
  toWire: () => ({}),
  fromWire: () => undefined,
});

/** Returns the first rows that fit into one answer; at least one. */
export function fitting<T>(rows: readonly T[], bytesOf: (row: T) => number): readonly T[] {
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += bytesOf(row);
    return index > 0 && bytes > PAGE_BYTES;
  });
  return end < 0 ? rows : rows.slice(0, end);
}

/** True if all lists have the same length. */
export function isParallel(...lists: readonly { readonly length: number }[]): boolean {
  return lists.every(({ length }) => length === lists[0]?.length);
}

/** True if bytes of a peer are an absolute path. */
export function isPath(path: Buffer): boolean {
  return path[0] === SLASH && !path.includes(0);
}

/** Returns the error for an invalid question; it ends the session. */
export function refused(what: string): TardisError {
  return protocolViolation(`invalid question: ${what}`);
}

/** Returns the error for an answer that contradicts itself or its question. */
export function odd(what: string): TardisError {
  return protocolViolation(`invalid answer: ${what}`);
}

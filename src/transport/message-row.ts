/** Rows of the message table, and functions that build them. */
import type { Right } from '../model/index.js';

export type Direction = 'to-server' | 'to-client';

/** Kinds of fields in a message's head; the codec checks each field. */
export type FieldKind =
  | 'uint'
  | 'int'
  | 'text'
  | 'bytes'
  | 'bool'
  | 'uints'
  | 'ints'
  | 'texts'
  | 'byteses'
  | 'counts';

export interface MessageRow {
  readonly number: number;
  readonly direction: Direction;
  /** The right that the message needs; the dispatcher checks it before any handler runs. */
  readonly right: Right | undefined;
  /** Largest size of head and attachment together. */
  readonly maxBytes: number;
  readonly beforeLogin: boolean;
  readonly hasAttachment: boolean;
  readonly fields: Readonly<Record<string, FieldKind>>;
}

export const KIB: number = 1 << 10;
export const MIB: number = 1 << 20;

type Fields = Readonly<Record<string, FieldKind>>;

export function toServer<const F extends Fields>(
  number: number,
  right: Right | undefined,
  maxBytes: number,
  fields: F,
  more: { beforeLogin?: boolean; hasAttachment?: boolean } = {},
): MessageRow & { readonly fields: F } {
  const { beforeLogin = false, hasAttachment = false } = more;
  return { number, direction: 'to-server', right, maxBytes, beforeLogin, hasAttachment, fields };
}

export function toClient<const F extends Fields>(
  number: number,
  maxBytes: number,
  fields: F,
  more: { beforeLogin?: boolean; hasAttachment?: boolean } = {},
): MessageRow & { readonly fields: F } {
  const { beforeLogin = false, hasAttachment = false } = more;
  const right = undefined;
  return { number, direction: 'to-client', right, maxBytes, beforeLogin, hasAttachment, fields };
}

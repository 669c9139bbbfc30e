/** What a row of the message table says, and how rows are written down. */
import type { Right } from '../model/index.js';

export type Direction = 'to-server' | 'to-client';

/** Field kinds a message's head may have; the codec checks every one. */
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
  /** Checked at the dispatcher before any handler runs. */
  readonly right: Right | undefined;
  /** Head and attachment together. */
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

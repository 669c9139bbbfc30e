/** Rows of the message table, the kinds of their fields, and functions that build them. */
import type { Right } from '../model/index.js';

type Direction = 'to-server' | 'to-client';

/** The part of a program that handles a message: the connection itself, a backup, a reader's session, or a copy. */
type Part = 'connection' | 'backup' | 'reading' | 'copying';

/** The values of each plain kind of field. */
interface PlainValues {
  uint: number;
  int: number;
  /** A finite number. */
  number: number;
  text: string;
  /** A text of at most `MAX_LINE_CHARS`. */
  line: string;
  bytes: Buffer;
  bool: boolean;
  uints: number[];
  ints: number[];
  texts: string[];
  byteses: Buffer[];
  /** A map of a few numbers, texts and bools. */
  counts: Record<string, string | number | boolean>;
  /** A map of a few finite numbers. */
  figures: Record<string, number>;
}

export type PlainKind = keyof PlainValues;

/** One of a few texts. */
interface WordKind {
  readonly words: readonly string[];
}
interface ListKind {
  readonly listOf: FieldKind;
}
/** A value that may be missing. */
interface MaybeKind {
  readonly maybe: FieldKind;
}
/** A map with these fields. */
interface MapKind {
  readonly fields: Fields;
}
/** A map whose field `tag` names the other fields that it has. */
interface CaseKind {
  readonly tag: string;
  readonly cases: Readonly<Record<string, Fields>>;
}

/** Kinds of fields in a message's head; the codec checks each field. */
export type FieldKind = PlainKind | WordKind | ListKind | MaybeKind | MapKind | CaseKind;
export type Fields = Readonly<{ [field: string]: FieldKind }>;

/** The type of a field's value. */
export type ValueOf<K> = K extends PlainKind
  ? PlainValues[K]
  : K extends { readonly words: readonly (infer W)[] }
    ? W
    : K extends { readonly listOf: infer E }
      ? ValueOf<E>[]
      : K extends { readonly maybe: infer E }
        ? ValueOf<E> | undefined
        : K extends { readonly tag: infer T extends string; readonly cases: infer C }
          ? { [N in keyof C]: ValuesOf<C[N]> & Record<T, N> }[keyof C]
          : K extends { readonly fields: infer F }
            ? ValuesOf<F>
            : never;

type MaybeNames<F> = { [N in keyof F]: F[N] extends MaybeKind ? N : never }[keyof F];
type Flat<T> = { [N in keyof T]: T[N] };

/** The types of the values of all fields. */
export type ValuesOf<F> = Flat<
  { -readonly [N in Exclude<keyof F, MaybeNames<F>>]: ValueOf<F[N]> } & {
    -readonly [N in MaybeNames<F>]?: ValueOf<F[N]>;
  }
>;

export interface MessageRow {
  readonly number: number;
  readonly direction: Direction;
  readonly part: Part;
  /** The right that the message needs; the dispatcher checks it before any handler runs. */
  readonly right: Right | undefined;
  /** Maximum size of head and attachment together. */
  readonly maxBytes: number;
  readonly beforeLogin: boolean;
  readonly hasAttachment: boolean;
  readonly fields: Fields;
  /** Name of the message that answers this one; undefined if none does. */
  readonly answer: string | undefined;
}

/** A row whose types keep the fields, the answer and the attachment. */
interface Row<P extends Part, D extends Direction, F extends Fields, M extends More>
  extends MessageRow {
  readonly part: P;
  readonly direction: D;
  readonly fields: F;
  readonly answer: M extends { readonly answer: infer A extends string } ? A : undefined;
  readonly hasAttachment: M extends { readonly hasAttachment: true } ? true : false;
}

interface More {
  readonly answer?: string;
  readonly beforeLogin?: boolean;
  readonly hasAttachment?: boolean;
}

export const KIB: number = 1 << 10;
export const MIB: number = 1 << 20;

/** Makes rows of one part and direction. */
type Rows<P extends Part, D extends Direction> = <
  const F extends Fields,
  const M extends More = object,
>(
  number: number,
  maxBytes: number,
  fields: F,
  more?: M,
) => Row<P, D, F, M>;

/** Makes rows of messages that no other message answers, and that are sent after the login without an attachment. */
type PlainRows<P extends Part, D extends Direction> = <const F extends Fields>(
  number: number,
  maxBytes: number,
  fields: F,
) => Row<P, D, F, object>;

/** Returns a function that makes rows of one part, direction and right. */
function rowsOf<P extends Part, D extends Direction>(
  part: P,
  direction: D,
  right: Right | undefined,
): Rows<P, D> {
  return <const F extends Fields, const M extends More = object>(
    number: number,
    maxBytes: number,
    fields: F,
    more: M = {} as M,
  ) => {
    const { beforeLogin = false, hasAttachment = false, answer }: More = more;
    const place = { number, part, direction, right, maxBytes };
    const made: MessageRow = { ...place, beforeLogin, hasAttachment, fields, answer };
    return made as Row<P, D, F, M>; // M is the type of the last argument
  };
}

/** Makes a row for a message about the connection to the server: greeting, login, receipts. */
export const connectionToServer: Rows<'connection', 'to-server'> = rowsOf(
  'connection',
  'to-server',
  undefined,
);

/** Makes a row for a message of the server about the connection. */
export const connectionToClient: Rows<'connection', 'to-client'> = rowsOf(
  'connection',
  'to-client',
  undefined,
);

/** Makes a row for a message of a backup to its server. */
export const ofBackup: Rows<'backup', 'to-server'> = rowsOf('backup', 'to-server', 'add');

/** Makes a row for a message that changes the keys of a client. */
export const ofKeys: Rows<'backup', 'to-server'> = rowsOf('backup', 'to-server', 'keys');

/** Makes a row for a message of the server to a backup. */
export const toBackup: PlainRows<'backup', 'to-client'> = rowsOf('backup', 'to-client', undefined);

/** Makes a row for a message of a copy to its server. */
export const ofCopy: Rows<'copying', 'to-server'> = rowsOf('copying', 'to-server', 'add');

const anyToCopy = rowsOf('copying', 'to-client', undefined);

/** Makes a row for a message of the server to a copy. */
export const toCopy: PlainRows<'copying', 'to-client'> = anyToCopy;

/** The number that a question and its answer share, chosen by the end that sends the question. */
const NUMBERED = { question: 'uint' } as const;

/** Returns a row for a question of the server to its peer, from which it copies. `answer` is the message that answers it. */
export function questionsCopy<
  const F extends Fields,
  const M extends More & { readonly answer: string },
>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M,
): Row<'copying', 'to-client', typeof NUMBERED & F, M> {
  return anyToCopy(number, maxBytes, { ...NUMBERED, ...fields }, more);
}

/** Returns a row for an answer of the peer to such a question. */
export function answersCopy<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'copying', 'to-server', typeof NUMBERED & F, M> {
  return ofCopy(number, maxBytes, { ...NUMBERED, ...fields }, more);
}

/** Returns a row for a reader's question. `answer` is the name of the only message that answers it. */
export function requests<
  const F extends Fields,
  const M extends More & { readonly right: Right; readonly answer: string },
>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M,
): Row<'reading', 'to-server', typeof NUMBERED & F, M> {
  const ofRight = rowsOf('reading', 'to-server', more.right);
  return ofRight(number, maxBytes, { ...NUMBERED, ...fields }, more);
}

const toReader = rowsOf('reading', 'to-client', undefined);

/** Returns the row of the message table for an answer to a reader's question. */
export function answers<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'reading', 'to-client', typeof NUMBERED & F, M> {
  return toReader(number, maxBytes, { ...NUMBERED, ...fields }, more);
}

/** Returns a row for a message of a reader that is not a question. */
export function ofReader<const F extends Fields>(
  number: number,
  right: Right,
  maxBytes: number,
  fields: F,
): Row<'reading', 'to-server', F, object> {
  return rowsOf('reading', 'to-server', right)(number, maxBytes, fields);
}

export function listOf<const K extends FieldKind>(kind: K): { readonly listOf: K } {
  return { listOf: kind };
}

export function maybe<const K extends FieldKind>(kind: K): { readonly maybe: K } {
  return { maybe: kind };
}

export function words<const W extends readonly string[]>(...all: W): { readonly words: W } {
  return { words: all };
}

export function mapOf<const F extends Fields>(fields: F): { readonly fields: F } {
  return { fields };
}

export function oneOf<const T extends string, const C extends Readonly<Record<string, Fields>>>(
  tag: T,
  cases: C,
): { readonly tag: T; readonly cases: C } {
  return { tag, cases };
}

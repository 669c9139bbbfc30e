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

/** The parts of a row that each message has. */
interface Basics<F extends Fields> {
  readonly number: number;
  readonly maxBytes: number;
  readonly fields: F;
}

function row<P extends Part, D extends Direction, F extends Fields, M extends More>(
  place: { readonly part: P; readonly direction: D; readonly right: Right | undefined },
  basics: Basics<F>,
  { beforeLogin = false, hasAttachment = false, answer }: More,
): Row<P, D, F, M> {
  const made = { ...place, ...basics, beforeLogin, hasAttachment, answer };
  return made as MessageRow as Row<P, D, F, M>; // M is the type of the last argument
}

/** Returns a row for a message about the connection to the server: greeting, login, receipts. */
export function connectionToServer<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'connection', 'to-server', F, M> {
  const place = { part: 'connection', direction: 'to-server', right: undefined } as const;
  return row<'connection', 'to-server', F, M>(place, { number, maxBytes, fields }, more);
}

/** Returns a row for a message of the server about the connection. */
export function connectionToClient<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'connection', 'to-client', F, M> {
  const place = { part: 'connection', direction: 'to-client', right: undefined } as const;
  return row<'connection', 'to-client', F, M>(place, { number, maxBytes, fields }, more);
}

/** Returns a row for a message of a backup to its server. It needs the right to add a set, unless `more` has another. */
export function ofBackup<
  const F extends Fields,
  const M extends More & { readonly right?: Right } = object,
>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'backup', 'to-server', F, M> {
  const place = { part: 'backup', direction: 'to-server', right: more.right ?? 'add' } as const;
  return row<'backup', 'to-server', F, M>(place, { number, maxBytes, fields }, more);
}

/** Returns a row for a message of the server to a backup. */
export function toBackup<const F extends Fields>(
  number: number,
  maxBytes: number,
  fields: F,
): Row<'backup', 'to-client', F, object> {
  const place = { part: 'backup', direction: 'to-client', right: undefined } as const;
  return row<'backup', 'to-client', F, object>(place, { number, maxBytes, fields }, {});
}

/** Returns a row for a message of a copy to its server. */
export function ofCopy<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'copying', 'to-server', F, M> {
  const place = { part: 'copying', direction: 'to-server', right: 'add' } as const;
  return row<'copying', 'to-server', F, M>(place, { number, maxBytes, fields }, more);
}

/** Returns a row for a message of the server to a copy. */
export function toCopy<const F extends Fields>(
  number: number,
  maxBytes: number,
  fields: F,
): Row<'copying', 'to-client', F, object> {
  const place = { part: 'copying', direction: 'to-client', right: undefined } as const;
  return row<'copying', 'to-client', F, object>(place, { number, maxBytes, fields }, {});
}

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
  const place = { part: 'copying', direction: 'to-client', right: undefined } as const;
  return row<'copying', 'to-client', typeof NUMBERED & F, M>(
    place,
    { number, maxBytes, fields: { ...NUMBERED, ...fields } },
    more,
  );
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
  const place = { part: 'reading', direction: 'to-server', right: more.right } as const;
  return row<'reading', 'to-server', typeof NUMBERED & F, M>(
    place,
    { number, maxBytes, fields: { ...NUMBERED, ...fields } },
    more,
  );
}

/** Returns the row of the message table for an answer to a reader's question. */
export function answers<const F extends Fields, const M extends More = object>(
  number: number,
  maxBytes: number,
  fields: F,
  more: M = {} as M,
): Row<'reading', 'to-client', typeof NUMBERED & F, M> {
  const place = { part: 'reading', direction: 'to-client', right: undefined } as const;
  return row<'reading', 'to-client', typeof NUMBERED & F, M>(
    place,
    { number, maxBytes, fields: { ...NUMBERED, ...fields } },
    more,
  );
}

/** Returns a row for a message of a reader that is not a question. */
export function ofReader<const F extends Fields>(
  number: number,
  right: Right,
  maxBytes: number,
  fields: F,
): Row<'reading', 'to-server', F, object> {
  const place = { part: 'reading', direction: 'to-server', right } as const;
  return row<'reading', 'to-server', F, object>(place, { number, maxBytes, fields }, {});
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

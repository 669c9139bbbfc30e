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
  uints: readonly number[];
  ints: readonly number[];
  texts: readonly string[];
  byteses: readonly Buffer[];
  /** A map of a few numbers, texts and bools. */
  counts: Readonly<Record<string, string | number | boolean>>;
  /** A map of a few finite numbers. */
  figures: Readonly<Record<string, number>>;
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
      ? readonly ValueOf<E>[]
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

/** A row whose types keep the fields and the answer. */
interface Row<P extends Part, D extends Direction, F extends Fields, A> extends MessageRow {
  readonly part: P;
  readonly direction: D;
  readonly fields: F;
  readonly answer: A & MessageRow['answer'];
  readonly hasAttachment: false;
}

export const KIB: number = 1 << 10;
export const MIB: number = 1 << 20;

/** No fields. */
const NONE = {} as const satisfies Fields;
type None = typeof NONE;

/** Makes rows of messages that no other message answers. `More` are fields that all of them have. */
type Rows<P extends Part, D extends Direction, More extends Fields = None> = <
  const F extends Fields,
>(
  number: number,
  maxBytes: number,
  fields: F,
) => Row<P, D, More & F, undefined>;

/** Makes rows of messages that another message answers. */
type AnsweredRows<P extends Part, D extends Direction, More extends Fields = None> = <
  const A extends string,
  const F extends Fields,
>(
  number: number,
  maxBytes: number,
  answer: A,
  fields: F,
) => Row<P, D, More & F, A>;

/** All that the rows of one function have in common. */
interface Common<P extends Part, D extends Direction> {
  readonly part: P;
  readonly direction: D;
  readonly right?: Right;
  readonly beforeLogin?: true;
}

/** Returns a function that makes rows; `more` are fields that all of them have. */
function answeredRows<P extends Part, D extends Direction, const More extends Fields = None>(
  common: Common<P, D>,
  more: More = NONE as More,
): AnsweredRows<P, D, More> {
  const place = { right: undefined, beforeLogin: false, ...common };
  return (number, maxBytes, answer, fields) => {
    const own = { number, maxBytes, answer, fields: { ...more, ...fields } };
    return { ...place, ...own, hasAttachment: false };
  };
}

/** Returns a function that makes rows without an answer, as `answeredRows` does with one. */
function rows<P extends Part, D extends Direction, const More extends Fields = None>(
  ...common: Parameters<typeof answeredRows<P, D, More>>
): Rows<P, D, More> {
  const make: AnsweredRows<P, D, More> = answeredRows(...common);
  return (number, maxBytes, fields) => ({
    ...make(number, maxBytes, '', fields),
    answer: undefined,
  });
}

/** Returns the row of a message that has an attachment. */
export function withAttachment<R extends MessageRow>(
  row: R,
): Omit<R, 'hasAttachment'> & { readonly hasAttachment: true } {
  return { ...row, hasAttachment: true };
}

/** Makes a row for a message about the connection to the server that needs a login. */
export const connectionToServer = rows({ part: 'connection', direction: 'to-server' });

/** Makes a row for a message of a login, which an answer follows. */
export const ofLogin = answeredRows({
  part: 'connection',
  direction: 'to-server',
  beforeLogin: true,
});

/** Makes a row for a message of the server about the connection or a login. */
export const connectionToClient = rows({
  part: 'connection',
  direction: 'to-client',
  beforeLogin: true,
});

const OF_BACKUP = { part: 'backup', direction: 'to-server', right: 'add' } as const;

/** Makes a row for a message of a backup to its server. */
export const ofBackup = rows(OF_BACKUP);

/** Makes a row for a message of a backup that the server answers. */
export const answeredBackup = answeredRows(OF_BACKUP);

/** Makes a row for a message that changes the keys of a client. */
export const ofKeys = answeredRows({ ...OF_BACKUP, right: 'keys' });

/** Makes a row for a message of the server to a backup. */
export const toBackup = rows({ part: 'backup', direction: 'to-client' });

const OF_COPY = { part: 'copying', direction: 'to-server', right: 'add' } as const;
const TO_COPY = { part: 'copying', direction: 'to-client' } as const;

/** Makes a row for a message of a copy that the server answers. */
export const ofCopy = answeredRows(OF_COPY);

/** Makes a row for a message of the server to a copy. */
export const toCopy = rows(TO_COPY);

/** The number that a question and its answer share, chosen by the end that sends the question. */
const NUMBERED = { question: 'uint' } as const;

/** Makes a row for a question of the server to its peer, from which it copies. */
export const questionsCopy = answeredRows(TO_COPY, NUMBERED);

/** Makes a row for an answer of the peer to such a question. */
export const answersCopy = rows(OF_COPY, NUMBERED);

const OF_READER = { part: 'reading', direction: 'to-server' } as const;

/** Makes a row for a message of a reader that is not a question. */
export const ofReader = rows({ ...OF_READER, right: 'list' });

const requestsOf = (right: Right) => answeredRows({ ...OF_READER, right }, NUMBERED);

/** Make rows for a reader's questions, by the right that these need. */
export const requests = {
  list: requestsOf('list'),
  read: requestsOf('read'),
  purge: requestsOf('purge'),
  admin: requestsOf('admin'),
};

/** Makes a row for an answer to a reader's question. */
export const answers = rows({ part: 'reading', direction: 'to-client' }, NUMBERED);

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

/** Checks of values from a store or a peer, which may be hostile. The type of a value follows from its check. */
import { DIGEST_BYTES } from './row.js';
import type { DirectoryId, PackNumber, RootNumber, SetNumber } from './ids.js';

/** True if an untrusted value is of a type. */
export type Check<T> = (value: unknown) => value is T;
/** The type of the values that pass a check. */
export type Checked<C> = C extends Check<infer T> ? T : never;

export type Shape = Readonly<Record<string, unknown>>;

type Fields = Readonly<Record<string, Check<unknown>>>;
type MaybeNames<F> = {
  [N in keyof F]: undefined extends Checked<F[N]> ? N : never;
}[keyof F];
type Flat<T> = { [N in keyof T]: T[N] };
type MapOf<F> = Flat<
  { readonly [N in Exclude<keyof F, MaybeNames<F>>]: Checked<F[N]> } & {
    readonly [N in MaybeNames<F>]?: Exclude<Checked<F[N]>, undefined>;
  }
>;

export function isShape(value: unknown): value is Shape {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the check of a map that has at least these fields. */
export function mapOf<const F extends Fields>(fields: F): Check<MapOf<F>> {
  const checks = Object.entries(fields);
  return (value): value is MapOf<F> =>
    isShape(value) && checks.every(([name, is]) => is(value[name]));
}

export function listOf<T>(is: Check<T>): Check<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(is);
}

/** Returns the check of a value that may be missing. */
export function maybe<T>(is: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || is(value);
}

/** Returns a check that passes only those values for which a condition is true. */
export function where<T>(is: Check<T>, isRight: (value: T) => boolean): Check<T> {
  return (value): value is T => is(value) && isRight(value);
}

/** The values of a table of checks, each with its name in the field `type`. */
export type TypedValues<Table> = {
  [Type in keyof Table]: Flat<{ readonly type: Type } & Checked<Table[Type]>>;
}[keyof Table];

export const isText: Check<string> = (value) => typeof value === 'string';
export const isFlag: Check<boolean> = (value) => typeof value === 'boolean';
export const isBytes: Check<Buffer> = (value) => Buffer.isBuffer(value);
export const isInteger: Check<number> = (value): value is number => Number.isSafeInteger(value);

/** Returns the check of a text that is one of these words. */
export function wordOf<const W extends readonly string[]>(...words: W): Check<W[number]> {
  return (value): value is W[number] => words.some((word) => word === value);
}

export function bytesOf(count: number): Check<Buffer> {
  return where(isBytes, ({ length }) => length === count);
}

export const isDigest: Check<Buffer> = bytesOf(DIGEST_BYTES);

/** True if a value is a safe integer of 0 or more, as counts and ids are. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export const isSetNumber: Check<SetNumber> = isId;
export const isRootNumber: Check<RootNumber> = isId;
export const isDirectoryId: Check<DirectoryId> = isId;
export const isPackNumber: Check<PackNumber> = isId;

/** True for a map of finite numbers, as the figures of a set are. */
export const isFigures: Check<Readonly<Record<string, number>>> = (
  value,
): value is Readonly<Record<string, number>> =>
  isShape(value) && Object.values(value).every((count) => Number.isFinite(count));

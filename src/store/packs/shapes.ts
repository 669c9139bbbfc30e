/** Checks the shape of values decoded from a store, which may be hostile. */
import { DIGEST_BYTES } from '../../model/index.js';

export type Shape = Readonly<Record<string, unknown>>;

export function isShape(value: unknown): value is Shape {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isListOf(value: unknown, is: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(is);
}

export function isDigest(value: unknown): boolean {
  return Buffer.isBuffer(value) && value.length === DIGEST_BYTES;
}

/** True if a value is a safe integer of 0 or more, as counts and ids are. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

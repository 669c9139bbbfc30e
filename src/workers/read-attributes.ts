/**
 * Reading extended attributes, where rows become final: of entries that are new or changed only, so
 * that a walk over what is unchanged costs nothing more. A change of attributes shows in the time of
 * the change, which the skip hash covers.
 */
import { systemCode } from '../errors/index.js';
import { isTimeBeyond, MAX_ATTRIBUTES_BYTES, RowFlag, type RowReader } from '../model/index.js';
import type { System } from '../system/index.js';

export interface ReadAttributes {
  /** Packed; empty when there are none, or they could not be read. */
  readonly packed: Buffer;
  /** Why they could not be read: the system's reason, or E2BIG for more than a row carries. */
  readonly failure: string | undefined;
}

const NONE: ReadAttributes = Object.freeze({ packed: Buffer.alloc(0), failure: undefined });
/** Passing states: it is gone again, or has become something else; the next backup sees it. */
const PASSING = /^(ENOENT|ENOTDIR|ELOOP|ENAMETOOLONG)$/;

/**
 * Reads the attributes of the entry that a row at `at` stands for, and its exact time. `name`: empty
 * for the open directory itself.
 */
export function readAttributesOf(
  system: System,
  directory: number,
  rows: RowReader,
  at: number,
  name: Buffer = rows.name(at),
): ReadAttributes {
  const withTime = isTimeBeyond(rows.mtimeNs(at));
  try {
    const packed = system.native.attributesAt(directory, name, withTime, MAX_ATTRIBUTES_BYTES);
    return packed.length === 0 ? NONE : { packed, failure: undefined };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return PASSING.test(code) ? NONE : { packed: NONE.packed, failure: code };
  }
}

/** Whether a file that was just read has something that `readAttributesOf` would find. */
export function mayHaveMore(rows: RowReader, at: number): boolean {
  return (rows.flags(at) & RowFlag.mayHaveAttributes) !== 0 || isTimeBeyond(rows.mtimeNs(at));
}

/**
 * Reads extended attributes when rows become final. Only new and changed entries are read, so a walk over unchanged
 * entries costs nothing more. A change of attributes changes the ctime, which the skip hash covers.
 */
import { systemCode } from '../errors/index.js';
import {
  identityOf,
  isTimeBeyond,
  MAX_ATTRIBUTES_BYTES,
  RowFlag,
  type RowReader,
} from '../model/index.js';
import type { System } from '../system/index.js';

interface ReadAttributes {
  /** Packed attributes; empty if there are none, or if they could not be read. */
  readonly packed: Buffer;
  /** The error of reading them: the system's error code, or E2BIG if a row cannot hold them. */
  readonly failure: string | undefined;
}

/** Names an open directory itself. */
const ITSELF = Buffer.alloc(0);
const NONE: ReadAttributes = Object.freeze({ packed: Buffer.alloc(0), failure: undefined });
/** Errors of temporary states: the entry vanished or was replaced, which the next backup sees. */
const PASSING = /^(ENOENT|ENOTDIR|ELOOP|ENAMETOOLONG)$/;

/**
 * Reads the attributes of an entry of an open directory on `device`, and its exact modification time if the row cannot hold
 * it. The entry must be that of the row (EREPLACED). Without a device, the row is that of the directory itself.
 */
export function readAttributesOf(
  system: System,
  directory: number,
  rows: RowReader,
  { at, device }: { readonly at: number; readonly device?: bigint },
): ReadAttributes {
  const withTime = isTimeBeyond(rows.mtimeNs(at));
  const { native } = system;
  try {
    const [name, identity] =
      device === undefined ? [ITSELF] : [rows.name(at), identityOf(rows, at, device)];
    const packed = native.attributesAt(directory, name, withTime, MAX_ATTRIBUTES_BYTES, identity);
    return packed.length === 0 ? NONE : { packed, failure: undefined };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return PASSING.test(code) ? NONE : { packed: NONE.packed, failure: code };
  }
}

/** True if `readAttributesOf` may find something for a file that was just read. */
export function mayHaveMore(rows: RowReader, at: number): boolean {
  return (rows.flags(at) & RowFlag.mayHaveAttributes) !== 0 || isTimeBeyond(rows.mtimeNs(at));
}

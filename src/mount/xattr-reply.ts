/** Replies to requests for extended attributes. */
import type { HistoryEntry } from '../history/index.js';
import { readAttributes } from '../model/index.js';
import { Errno, FuseError } from './protocol.js';

/**
 * Returns the value of an attribute; without a name, the names of all attributes. Throws ENODATA if the entry lacks
 * the attribute.
 */
export function xattrReply(entry: HistoryEntry, name: Buffer | undefined): Buffer {
  const all = readAttributes(entry.attributes);
  if (name === undefined) {
    const end = Buffer.alloc(1);
    return Buffer.concat(all.flatMap((one) => [one.name, end]));
  }
  const value = all.find((one) => one.name.equals(name))?.value;
  if (value === undefined) throw new FuseError(Errno.ENODATA);
  return value;
}

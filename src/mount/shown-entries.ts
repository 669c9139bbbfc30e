/**
 * Replaces names of entries that no file can have, as a damaged catalog may contain them. The kernel would refuse the
 * whole directory.
 */
import { damagedEntry, type HistoryEntry } from '../history/index.js';
import { TardisError } from '../errors/index.js';
import { displayName, isEntryName } from '../model/index.js';

/** Maximum size of a name that the kernel accepts (FUSE_NAME_MAX). */
const MAX_SHOWN_BYTES = 1024;
const MAX_PLACEHOLDER_BYTES = 200;
const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION_MARK = 0x3f;

/** Returns the entry, or a damaged entry under a name that can be shown, if its own name cannot be shown. */
export function namedEntry(entry: HistoryEntry): HistoryEntry {
  const { name } = entry;
  if (isEntryName(name) && name.length <= MAX_SHOWN_BYTES) return entry;
  const why = `the catalog has an entry with an invalid name: ${displayName(name)}`;
  return damagedEntry(entry, new TardisError('CATALOG_DAMAGED', why), placeholderOf(name));
}

/**
 * Returns a name that can be shown: each invalid byte is replaced by a question mark, and the name is cut to a valid
 * length.
 */
function placeholderOf(name: Buffer): Buffer {
  const isDots = name.every((byte) => byte === DOT);
  const shown = Buffer.from(name.subarray(0, MAX_PLACEHOLDER_BYTES)).map((byte) =>
    byte === 0 || byte === SLASH || isDots ? QUESTION_MARK : byte,
  );
  return shown.length === 0 ? Buffer.from('?') : Buffer.from(shown);
}

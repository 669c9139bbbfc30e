/** Entries, names and sets as JSON. */
import { isUtf8 } from 'node:buffer';
import {
  type BackupSet,
  begunMs,
  coveringSets,
  type History,
  type HistoryEntry,
} from '../../history/index.js';
import { countErrors, EntryType, isSparse, type SetNumber } from '../../model/index.js';
import { type BackupSet as SetJson, type Entry, ENTRY_TYPES } from './schemas.js';

/** Returns a name or path as text, and its bytes only if it is not UTF-8. An answer leaves out what is undefined. */
function textAndBytes(bytes: Buffer): [text: string, bytes: string | undefined] {
  return [bytes.toString('utf8'), isUtf8(bytes) ? undefined : bytes.toString('base64')];
}

/** Returns the fields `path` and `pathBytes`. */
export function pathJson(bytes: Buffer): { path: string; pathBytes: string | undefined } {
  const [path, pathBytes] = textAndBytes(bytes);
  return { path, pathBytes };
}

/** Returns an entry as JSON. A root is not in a directory and so has no name of its own; `name` gives one. */
export function entryJson(history: History, entry: HistoryEntry, name = entry.name): Entry {
  const [shownName, nameBytes] = textAndBytes(name);
  const shown: Entry = {
    name: shownName,
    nameBytes,
    type: ENTRY_TYPES[entry.type - 1] ?? 'file',
    sizeBytes: 0,
    modifiedNs: '0',
    permissions: 0,
    uid: 0,
    gid: 0,
    firstSet: entry.firstSet,
    lastSet: entry.lastSet,
  };
  if (entry.damage !== undefined) return { ...shown, damage: entry.damage.message };
  const [target, targetBytes] =
    entry.linkTarget === undefined ? [] : textAndBytes(entry.linkTarget);
  return {
    ...shown,
    sizeBytes: entry.type === EntryType.directory ? 0 : entry.sizeBytes,
    modifiedNs: String(entry.mtimeNs),
    permissions: entry.permissions,
    uid: entry.uid,
    gid: entry.gid,
    digest: entry.digest?.toString('hex'),
    target,
    targetBytes,
    isSparse: isSparse(entry.metadata) || undefined,
    isDamaged: (entry.contentId && history.isDamaged?.(entry.contentId)) || undefined,
    isReadable: history.access.mayRead(entry) ? undefined : false,
  };
}

/** Returns a set of a history as JSON. */
export function setJson(set: BackupSet): SetJson {
  const { stats, marks } = set;
  const { filesRead, sentBytes } = stats;
  return {
    set: set.set,
    name: set.name,
    state: set.state === 'complete' ? 'complete' : 'unfinished',
    openedAtMs: begunMs(set),
    closedAtMs: set.closedAtMs,
    stats: { ...stats },
    tags: [...marks.tags],
    isLocked: marks.isLocked,
    priority: marks.priority,
    unread: countErrors(set.stats),
    requestedBy: marks.requestedBy,
    isDoubtful: set.isDoubtful,
    changed: { filesRead, sentBytes },
  };
}

/** The sets in which a version is valid; `lastSet` is undefined while it is current. */
export interface SetSpan {
  readonly firstSet: SetNumber;
  readonly lastSet?: SetNumber | undefined;
}

/**
 * Returns a function for versions at a path or below it. For a version, that function returns the newest listed set
 * that contains it; undefined if there is none.
 */
export async function setsShowing(
  history: History,
  path: Buffer,
): Promise<(span: SetSpan) => SetNumber | undefined> {
  const newestFirst = (await coveringSets(history, path)).toReversed();
  return ({ firstSet, lastSet }) =>
    newestFirst.find((set) => set >= firstSet && set <= (lastSet ?? set));
}

/** Entries, names and sets as JSON. */
import { isUtf8 } from 'node:buffer';
import { type BackupSet, type History, type HistoryEntry, restBelow } from '../../history/index.js';
import { countErrors, EntryType, isSparse, type SetNumber } from '../../model/index.js';
import { type BackupSet as SetJson, type Entry, ENTRY_TYPES } from './schemas.js';

/** Returns a name or path as text, and its bytes only if it is not UTF-8. */
function textAndBytes(bytes: Buffer): { text: string; bytes?: string } {
  const text = bytes.toString('utf8');
  return isUtf8(bytes) ? { text } : { text, bytes: bytes.toString('base64') };
}

/** Returns the fields `path` and `pathBytes`. */
export function pathJson(path: Buffer): { path: string; pathBytes?: string } {
  const { text, bytes } = textAndBytes(path);
  return bytes === undefined ? { path: text } : { path: text, pathBytes: bytes };
}

/** Returns an entry as JSON. A root is not in a directory and so has no name of its own; `name` gives one. */
export function entryJson(history: History, entry: HistoryEntry, name = entry.name): Entry {
  const { text, bytes } = textAndBytes(name);
  const shown: Entry = {
    name: text,
    ...(bytes === undefined ? {} : { nameBytes: bytes }),
    type: ENTRY_TYPES[entry.type - 1] ?? 'file',
    sizeBytes: 0,
    modifiedNs: '0',
    permissions: 0,
    uid: 0,
    gid: 0,
    firstSet: entry.firstSet,
    ...(entry.lastSet === undefined ? {} : { lastSet: entry.lastSet }),
  };
  if (entry.damage !== undefined) return { ...shown, damage: entry.damage.message };
  return {
    ...shown,
    sizeBytes: entry.type === EntryType.directory ? 0 : entry.sizeBytes,
    modifiedNs: String(entry.mtimeNs),
    permissions: entry.permissions,
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.digest === undefined ? {} : { digest: entry.digest.toString('hex') }),
    ...targetJson(entry.linkTarget),
    ...(isSparse(entry.metadata) ? { isSparse: true } : {}),
    ...(history.access.mayRead(entry) ? {} : { isReadable: false }),
  };
}

function targetJson(target: Buffer | undefined): Pick<Entry, 'target' | 'targetBytes'> {
  if (target === undefined) return {};
  const { text, bytes } = textAndBytes(target);
  return bytes === undefined ? { target: text } : { target: text, targetBytes: bytes };
}

/** Returns a set as JSON. */
export function setJson(set: BackupSet): SetJson {
  const { stats, marks } = set;
  const { filesRead, sentBytes } = stats;
  return {
    set: set.set,
    name: set.name,
    state: set.state === 'complete' ? 'complete' : 'unfinished',
    openedAtMs: set.openedAtMs,
    ...(set.closedAtMs === undefined ? {} : { closedAtMs: set.closedAtMs }),
    stats: { ...stats },
    tags: [...marks.tags],
    isLocked: marks.isLocked,
    priority: marks.priority,
    unread: countErrors(set.stats),
    ...(marks.requestedBy === undefined ? {} : { requestedBy: marks.requestedBy }),
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
  const roots = await history.reports.rootsOfSets();
  const hasPath = (set: SetNumber): boolean =>
    (roots.get(set) ?? []).some((root) => restBelow(root, path) !== undefined);
  const newestFirst = (await history.sets())
    .map(({ set }) => set)
    .filter(hasPath)
    .toReversed();
  return ({ firstSet, lastSet }) =>
    newestFirst.find((set) => set >= firstSet && set <= (lastSet ?? set));
}

/** Versions of a path as they are shown, and the names that a directory has in the newest set. */
import type { BackupSet } from '../../store/catalog/index.js';
import { EntryType, splitPath } from '../../model/index.js';
import {
  type History,
  isSameContent,
  joinVersions,
  listedPages,
  type PathVersion,
} from '../history.js';
import { noAccess } from '../local/access.js';
import { coveringSets } from '../no-such-path.js';
import { type RootNode, rootsOf } from './roots.js';
import { SHOWN_PAGE_ENTRIES } from './shown-names.js';

/** A version of a file, and the first set with it. */
export interface ShownVersion {
  readonly version: PathVersion;
  readonly set: BackupSet;
}

/**
 * Returns the versions of a path, oldest first, except those in which it was a directory. Each must be proven by
 * `provenVersion`.
 */
export async function versionsAt(history: History, path: Buffer): Promise<ShownVersion[]> {
  const versions = await history.versions(path);
  const sets = new Map((await history.sets()).map((set) => [set.set, set]));
  const shown = versions.flatMap((version) => {
    const set = sets.get(version.firstSet);
    const isShown = version.entry.type !== EntryType.directory && set !== undefined;
    return isShown ? [{ ...version, set }] : [];
  });
  const covering = await coveringSets(history, path);
  return joinVersions(shown, isRestoredAlike, covering).map(({ set, ...version }) => ({
    version,
    set,
  }));
}

type WithEntry = Pick<PathVersion, 'entry'>;

/**
 * True if a restore of either entry writes the same. A file that was copied to another disk with all its metadata has
 * another inode and another change time, and is no other version to a reader.
 */
export function isRestoredAlike(first: WithEntry, second: WithEntry): boolean {
  const [one, other] = [first.entry, second.entry];
  return (
    one.permissions === other.permissions &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.mtimeNs === other.mtimeNs &&
    areEqual(one.attributes, other.attributes) &&
    isContentAlike(first, second)
  );
}

/** True if two entries differ in metadata only. False for a damaged one. */
export function isContentAlike({ entry: one }: WithEntry, { entry: other }: WithEntry): boolean {
  return (
    (one.damage ?? other.damage) === undefined &&
    one.type === other.type &&
    one.sizeBytes === other.sizeBytes &&
    one.device === other.device &&
    areEqual(one.linkTarget, other.linkTarget) &&
    isSameContent(one, other)
  );
}

function areEqual(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}

/** True if any set has or had an entry at the path, or a root below it. */
export async function isKnownPath(history: History, path: Buffer): Promise<boolean> {
  const newest = await newestSet(history);
  if (newest === undefined) return false;
  if ((await rootsAt(history, newest.set, path)) !== undefined) return true;
  return (await history.versions(path)).length > 0;
}

/** Returns the names of a directory in the newest set, in the order of bytes. Throws NO_ACCESS. */
export async function namesIn(history: History, path: Buffer): Promise<Buffer[]> {
  const newest = await newestSet(history);
  if (newest === undefined) return [];
  const { set } = newest;
  const roots = await rootsAt(history, set, path);
  const names = new Map([...(roots?.children ?? [])].map(([key, { name }]) => [key, name]));
  const entry = roots?.entry ?? (await history.find(path, set));
  if (entry?.childId === undefined) return [...names.values()];
  if (!history.access.mayRead(entry)) throw noAccess(path);
  const listing = { directory: entry.childId, set, limit: SHOWN_PAGE_ENTRIES };
  for await (const page of listedPages(history, { ...listing, withDigests: false })) {
    for (const { name } of page) names.set(name.toString('latin1'), name);
  }
  return [...names.values()].sort((one, other) => Buffer.compare(one, other));
}

async function newestSet(history: History): Promise<BackupSet | undefined> {
  return (await history.sets()).findLast(({ state }) => state === 'complete');
}

/** Returns the node at a path in a set's tree of roots; undefined below a root, and where no root is. */
async function rootsAt(history: History, set: number, path: Buffer): Promise<RootNode | undefined> {
  return rootAt(await rootsOf(history, set), path);
}

/** Returns the node at a path of a tree of roots, as `rootsAt` does. */
export function rootAt(top: RootNode, path: Buffer): RootNode | undefined {
  let node: RootNode | undefined = top;
  for (const name of splitPath(path)) node = node?.children.get(name.toString('latin1'));
  return node;
}

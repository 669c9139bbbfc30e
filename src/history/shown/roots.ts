/** The roots of a set as a tree of names, since a set shows each root under its whole path. */
import { crc32 } from 'node:zlib';
import type { BackupSet } from '../../store/catalog/index.js';
import type { RootRecord } from '../../store/index.js';
import { asTardisError } from '../../errors/index.js';
import { EntryType, pathBelow, shownRoots, splitPath, splitRoot } from '../../model/index.js';
import { type History, type HistoryEntry, listedPages } from '../history.js';
import { SHOWN_PAGE_ENTRIES } from './shown-names.js';
import { virtualDirectory } from './virtual.js';

export interface RootNode {
  readonly name: Buffer;
  readonly children: Map<string, RootNode>;
  /** Entry of the root at this node, as it is stored; undefined if this node is only above a root. */
  entry: HistoryEntry | undefined;
  /** Key of the device of the root. */
  device: string;
  /** Negative number that replaces the missing id of a directory above a root. It is equal at each mount. */
  readonly id: number;
}

function newNode(name: Buffer, above?: RootNode): RootNode {
  const id = -2 - crc32(name, above === undefined ? 0 : -2 - above.id);
  return { name, children: new Map(), entry: undefined, device: '', id };
}

/** Returns the roots of a set as a tree, except those that the reader may not see. `known` are its roots, if the caller has read them. */
export async function rootsOf(
  history: History,
  set: number,
  known?: readonly RootRecord[],
): Promise<RootNode> {
  const top = newNode(Buffer.from('/'));
  for (const root of known ?? (await history.roots(set))) {
    const { directory, below } = splitRoot(root.path);
    const names = [...splitPath(directory), ...below];
    const path = pathBelow(directory, below);
    const entry = await findRoot(history, path, set);
    if (entry === undefined) continue;
    let node = top;
    for (const name of names) {
      const key = name.toString('latin1');
      const next = node.children.get(key) ?? newNode(name, node);
      node.children.set(key, next);
      node = next;
    }
    node.entry = entry;
    node.device = root.device ? `device ${root.device}` : `root ${root.root}`;
  }
  return top;
}

/** Returns the paths of all roots that the listed sets have, as a user writes them, each once, sorted. */
export async function rootsEver({ reports }: Pick<History, 'reports'>): Promise<Buffer[]> {
  return shownRoots([...(await reports.rootsOfSets()).values()].flat());
}

async function findRoot(
  history: History,
  path: Buffer,
  set: number,
): Promise<HistoryEntry | undefined> {
  try {
    return await history.find(path, set);
  } catch (error) {
    if (asTardisError(error).code === 'NO_ACCESS') return undefined;
    throw error;
  }
}

/** Returns a copy of an entry under another name. */
export function named(entry: HistoryEntry, name: Buffer): HistoryEntry {
  return Object.create(entry, { name: { value: name } }) as HistoryEntry;
}

/**
 * Returns all entries of a directory that is a root or above one: its own entries, and the roots in it. `id` is the id
 * of the directory, negative if the directory is not in the set.
 */
export async function entriesAround(
  history: History,
  { set, openedAtMs }: Pick<BackupSet, 'set' | 'openedAtMs'>,
  {
    id,
    node,
    withDigests = false,
  }: { readonly id: number; readonly node: RootNode; readonly withDigests?: boolean | undefined },
): Promise<HistoryEntry[]> {
  const entries = new Map<string, HistoryEntry>();
  const listing = { directory: id, set, limit: SHOWN_PAGE_ENTRIES, withDigests };
  for await (const page of id < 0 ? [] : listedPages(history, listing)) {
    for (const entry of page) entries.set(entry.name.toString('latin1'), entry);
  }
  for (const [key, child] of node.children) {
    const there = entries.get(key);
    const isOnWay = there?.type === EntryType.directory && there.damage === undefined;
    const way = isOnWay ? there : virtualDirectory(child.name, openedAtMs);
    entries.set(key, child.entry === undefined ? way : named(child.entry, child.name));
  }
  return [...entries.values()].sort((one, other) => Buffer.compare(one.name, other.name));
}
